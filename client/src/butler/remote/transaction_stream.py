# SPDX-License-Identifier: BSD-3-Clause
"""The stream of a transaction: one request, one response."""

from __future__ import annotations

__all__ = ["BrokenStreamError", "TransactionStream"]

import threading
import time
from queue import Empty, SimpleQueue
from typing import Any

import grpc
from google.protobuf.message import DecodeError
from google.rpc import status_pb2

from butler_api.channel import Connection
from butler_api.errors import error_from_rpc, error_from_status
from butler_api.v1 import transaction_service_pb2 as pb
from butler_api.v1.transaction_service_pb2_grpc import TransactionServiceStub
from butler_model.errors import ButlerError, DeadlineExceededError, InternalError, ServiceUnavailableError

_MORE_SECONDS = 60
"""The registry ends a transaction before its stream is too old."""


class BrokenStreamError(Exception):
    """The stream is over, and with it the transaction; ``cause`` is what the catalogue has for it."""

    def __init__(self, cause: ButlerError) -> None:
        super().__init__(cause.message)
        self.cause = cause


class TransactionStream:
    """Sends requests, one at a time, whichever thread they come from.

    Parameters
    ----------
    connection
        To the registry.
    seconds
        How long a transaction may last.
    """

    def __init__(self, connection: Connection, seconds: float) -> None:
        self._address = connection.address
        self._call_seconds = connection.call_seconds
        self._lock = threading.Lock()
        self._number = 0
        self._requests: SimpleQueue[pb.TransactRequest | None] = SimpleQueue()
        self._responses: SimpleQueue[pb.TransactResponse | ButlerError] = SimpleQueue()
        transact = connection.stub(TransactionServiceStub).Transact
        self._call: Any = transact(
            iter(self._requests.get, None), timeout=seconds + _MORE_SECONDS, metadata=connection.metadata()
        )
        threading.Thread(target=self._receive, name="transaction", daemon=True).start()

    def _receive(self) -> None:
        """Take responses from the network, since waiting for one must have an end."""
        end: ButlerError = ServiceUnavailableError(
            f"The registry at {self._address} has ended the transaction.", address=self._address
        )
        try:
            for response in self._call:
                self._responses.put(response)
        except grpc.RpcError as error:
            end = error_from_rpc(error, self._address, "Transact")
        self._responses.put(end)

    def ask(self, request: pb.TransactRequest) -> pb.TransactResponse:
        """Return the response to a request.

        Raises
        ------
        BrokenStreamError
            Raised if the stream is over, or the response did not come in time.
        ButlerError
            Raised for what the response carries; the transaction goes on.
        """
        with self._lock:
            self._number += 1
            request.number = self._number
            self._requests.put(request)
            try:
                response = self._response(self._number)
            except BrokenStreamError:
                self.close()
                raise
        if response.status:
            error = _carried(response.status)
            if not response.number:
                self.close()
                raise BrokenStreamError(error)
            raise error
        return response

    def _response(self, number: int) -> pb.TransactResponse:
        end = time.monotonic() + self._call_seconds
        while True:
            try:
                response = self._responses.get(timeout=max(end - time.monotonic(), 0))
            except Empty:
                raise BrokenStreamError(
                    DeadlineExceededError(
                        f"A call in a transaction at {self._address} did not finish within {self._call_seconds:g} s.",
                        address=self._address,
                    )
                ) from None
            if isinstance(response, ButlerError):
                raise BrokenStreamError(response)
            # One of a request that was interrupted is of no interest.
            if response.number in (0, number):
                return response

    def close(self) -> None:
        """End the stream; the registry then rolls back what is not committed."""
        self._requests.put(None)
        self._call.cancel()


def _carried(raw: bytes) -> ButlerError:
    try:
        error = error_from_status(status_pb2.Status.FromString(raw))
    except DecodeError:
        error = None
    return error or InternalError("A response in a transaction has an error that is not in the catalogue.")
