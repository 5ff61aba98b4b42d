# SPDX-License-Identifier: BSD-3-Clause
"""The RPCs of `TransactionService`: calls of the other services, within a transaction."""

from __future__ import annotations

__all__ = ["TransactionServicer"]

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from queue import Empty, SimpleQueue
from typing import Any
from uuid import UUID

import grpc

from butler_api.audit import recorded
from butler_api.authentication import CallCheck
from butler_api.convert.values import uuid_from_proto
from butler_api.errors import decoded, foreseen, status_from_error
from butler_api.long_calls import LongCalls, cancelled_with
from butler_api.v1 import transaction_service_pb2 as pb
from butler_api.v1.transaction_service_pb2_grpc import TransactionServiceServicer
from butler_api.validation import check_request
from butler_model.errors import InvalidRequestError, TransactionError
from butler_model.ports import RegistryTransaction

from .opened import OpenedInTransaction, OpenedRepositories

_STREAMS = LongCalls("transactions", 64)
"""Each has a thread while it is open. How many may be open, the registry says."""
_LOOK_SECONDS = 0.5
_LAST_STEPS = (pb.TRANSACTION_STEP_COMMIT, pb.TRANSACTION_STEP_ROLLBACK)

AddToServer = Callable[[Any], None]


class TransactionServicer(TransactionServiceServicer):
    """Transactions.

    Parameters
    ----------
    services
        Gives what adds to a server each service that can be called in a transaction.
    allow
        Decides about each call in a transaction.
    """

    def __init__(
        self,
        repositories: OpenedRepositories,
        services: Callable[[OpenedRepositories], Iterable[AddToServer]],
        allow: CallCheck,
    ) -> None:
        self._repositories = repositories
        self._services = services
        self._allow = allow

    def Transact(
        self, request_iterator: Iterator[pb.TransactRequest], context: grpc.ServicerContext
    ) -> Iterator[pb.TransactResponse]:
        with _STREAMS.place(), closing(_Incoming(request_iterator)) as incoming:
            yield from self._transact(incoming, context)

    # How grpc is told where to run a method.
    Transact.experimental_thread_pool = _STREAMS.threads  # type: ignore[attr-defined]

    def _transact(self, incoming: _Incoming, context: grpc.ServicerContext) -> Iterator[pb.TransactResponse]:
        first = incoming.next(lambda: None)
        if first is None:
            return
        if not first.HasField("begin"):
            raise InvalidRequestError("The first request of a transaction begins it.")
        name = first.begin.repository
        opened = self._repositories.open(name)
        transaction_id = uuid_from_proto(first.begin.transaction_id, "transaction_id")
        transaction = opened.registry.transactions.begin(transaction_id, cancellation=cancelled_with(context))
        try:
            within = OpenedInTransaction(name, replace(opened, registry=transaction))
            calls = _Calls(transaction, self._services(within), self._allow, context)
            yield pb.TransactResponse(number=first.number, revision=transaction.info.revision)
            yield from _answers(incoming, transaction, calls)
        finally:
            # After a commit this changes nothing.
            transaction.rollback()

    def GetTransactionOutcome(
        self, request: pb.GetTransactionOutcomeRequest, context: grpc.ServicerContext
    ) -> pb.GetTransactionOutcomeResponse:
        opened = self._repositories.open(request.repository)
        committed = opened.registry.transactions.was_committed(
            uuid_from_proto(request.transaction_id, "transaction_id")
        )
        return pb.GetTransactionOutcomeResponse(committed=committed, revision=opened.revision)


def _answers(
    incoming: _Incoming, transaction: RegistryTransaction, calls: _Calls
) -> Iterator[pb.TransactResponse]:
    while True:
        try:
            request = incoming.next(transaction.check)
        except TransactionError as error:
            yield pb.TransactResponse(status=status_from_error(error).SerializeToString())
            return
        if request is None:
            return
        yield calls.answer(request)
        if request.step in _LAST_STEPS:
            return


class _Incoming:
    """The requests of a stream; the next one is taken from the network when it is asked for."""

    def __init__(self, requests: Iterator[pb.TransactRequest]) -> None:
        self._requests = requests
        self._wanted = threading.Semaphore(0)
        self._taken: SimpleQueue[pb.TransactRequest | None] = SimpleQueue()
        self._closed = False
        threading.Thread(target=self._take, name="transaction-requests", daemon=True).start()

    def next(self, check: Callable[[], None]) -> pb.TransactRequest | None:
        """Return the next request, `None` when the stream has ended or is broken.

        Parameters
        ----------
        check
            Called now and then; waiting ends with what it raises.
        """
        self._wanted.release()
        while True:
            try:
                return self._taken.get(timeout=_LOOK_SECONDS)
            except Empty:
                check()

    def close(self) -> None:
        """Take no more."""
        self._closed = True
        self._wanted.release()

    def _take(self) -> None:
        request: pb.TransactRequest | None = pb.TransactRequest()
        while request is not None:
            self._wanted.acquire()
            if self._closed:
                return
            try:
                request = next(self._requests)
            except Exception:  # noqa: BLE001 - gRPC raises a plain Exception when the client is gone
                request = None
            self._taken.put(request)


class _Calls:
    """Does what requests ask for; what goes wrong is a part of the response."""

    def __init__(
        self,
        transaction: RegistryTransaction,
        services: Iterable[AddToServer],
        allow: CallCheck,
        context: grpc.ServicerContext,
    ) -> None:
        self._transaction = transaction
        self._allow = allow
        self._context = context
        self._handlers = _unary_handlers(services)
        self._steps: Mapping[int, Callable[[], list[UUID] | None]] = {
            pb.TRANSACTION_STEP_SAVEPOINT: transaction.savepoint,
            pb.TRANSACTION_STEP_RELEASE: transaction.release,
            pb.TRANSACTION_STEP_ROLLBACK_TO: transaction.rollback_to,
            pb.TRANSACTION_STEP_COMMIT: transaction.commit,
            pb.TRANSACTION_STEP_ROLLBACK: transaction.rollback,
        }

    def answer(self, request: pb.TransactRequest) -> pb.TransactResponse:
        """Return the response to a request that is not the first."""
        response = pb.TransactResponse(number=request.number)
        method = request.call.method or "Transact"
        try:
            if request.HasField("call"):
                response.response = self._call(method, request.call.request)
            else:
                response.undone_ids = b"".join(each.bytes for each in self._step(request.step) or ())
        except Exception as error:  # noqa: BLE001 - a call that fails does not end the transaction
            response.status = status_from_error(foreseen(error, method)).SerializeToString()
        response.revision = self._transaction.revision
        return response

    def _call(self, method: str, raw: bytes) -> bytes:
        handler = self._handlers.get(method)
        if handler is None:
            raise InvalidRequestError(f"{method!r:.100} is no method that can be called in a transaction.")
        request = decoded(handler, raw, method)
        with recorded(method, request):
            self._allow(method, request)
            check_request(request)
            response = handler.unary_unary(request, self._context)
        answer: bytes = handler.response_serializer(response)
        return answer

    def _step(self, step: int) -> list[UUID] | None:
        action = self._steps.get(step)
        if action is None:
            raise InvalidRequestError("A request in a transaction is a call or a step; this one is neither.")
        return action()


def _unary_handlers(services: Iterable[AddToServer]) -> dict[str, Any]:
    """Return the handlers of all methods without streams, by their full names."""
    handlers: dict[str, Any] = {}

    class Handlers:
        """Takes what generated code adds to a server."""

        def add_generic_rpc_handlers(self, _: object) -> None:
            """Leave it: the other method is told the same in another form."""

        def add_registered_method_handlers(self, service: str, methods: Mapping[str, Any]) -> None:
            """Note the methods of a service."""
            unary = {name: each for name, each in methods.items() if each.unary_unary is not None}
            handlers.update({f"/{service}/{name}": each for name, each in unary.items()})

    for add in services:
        add(Handlers())
    return handlers
