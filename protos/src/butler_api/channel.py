# SPDX-License-Identifier: BSD-3-Clause
"""Connections of a client to a service: one channel for each process and address, deadlines, retries."""

from __future__ import annotations

__all__ = ["CALL_SECONDS", "STREAM_SECONDS", "Connection"]

import os
import random
import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import grpc

from butler_model.cancellation import Cancellation
from butler_model.errors import AuthenticationError, RateLimitedError

from .client_security import ClientSecurity
from .errors import error_from_rpc, retry_seconds
from .shared_channels import ChannelKey, SharedChannels
from .token_sources import TokenReader

CALL_SECONDS = 60.0
"""How long a call may take unless it is told otherwise."""
STREAM_SECONDS = 3600.0
"""How long the transfer of one artifact may take unless it is told otherwise."""
_ATTEMPTS = 4
"""How often a service that is at its limit is asked."""

_Request = TypeVar("_Request")
_Response = TypeVar("_Response")
_Stub = TypeVar("_Stub")


class Connection:
    """Calls of one service. Safe to share between threads, to pickle, and to use after a fork.

    Connections of a process to the same address share a channel, which is opened by the first call and closed
    with the last of them. A process that forks while another of its threads is in a call gets a child that cannot
    call: gRPC does not carry that over; such programs use the start method "spawn".

    Parameters
    ----------
    address
        ``host:port``, or ``grpcs://host:port`` to encrypt.
    call_seconds, stream_seconds
        Deadlines of calls, and of transfers of one artifact.
    security
        Certificates and tokens; what the environment says if absent, where it is unpickled, too.

    Raises
    ------
    ConfigurationError
        Raised if the environment says something that does not go together, or a token would go unencrypted.
    """

    def __init__(
        self,
        address: str,
        *,
        call_seconds: float = CALL_SECONDS,
        stream_seconds: float = STREAM_SECONDS,
        security: ClientSecurity | None = None,
    ) -> None:
        self.address = address
        self.call_seconds = call_seconds
        self.stream_seconds = stream_seconds
        self._given = security
        self.security = ClientSecurity.from_environment() if security is None else security
        self.security.check(address)
        token = self.security.token
        self._reader = TokenReader(token) if token is not None and self.security.goes_to(address) else None
        self._stubs: tuple[int, dict[object, Any]] = (0, {})
        self._key: ChannelKey | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        return _reconnect, (self.address, self.call_seconds, self.stream_seconds, self._given)

    def metadata(self) -> tuple[tuple[str, str], ...] | None:
        """Return what goes along with a call: the token, if it is meant for this service."""
        return None if self._reader is None else (("authorization", f"Bearer {self._reader.token()}"),)

    def stub(self, make: Callable[[grpc.Channel], _Stub]) -> _Stub:
        """Return a stub, made by its class once for each process."""
        process, stubs = self._stubs
        found: _Stub | None = stubs.get(make) if process == os.getpid() else None
        return self._new_stub(make) if found is None else found

    def call(
        self,
        method: grpc.UnaryUnaryMultiCallable[_Request, _Response],
        request: _Request,
        *,
        seconds: float | None = None,
    ) -> _Response:
        """Make a call, with another deadline if it is given; every failure is an error of the catalogue.

        A service that is at its limit says when to come back. So the call does, a few times, if its deadline is later;
        at a limit of calls or bytes in a second, as often as it takes.
        """
        returning = _Returning(self.call_seconds if seconds is None else seconds)
        while True:
            try:
                return method(request, timeout=returning.seconds_left, metadata=self.metadata())
            except grpc.RpcError as error:
                failure = self._error(error, request)
                pause = returning.pause_after(error, failure)
                if not pause:
                    raise failure from None
            time.sleep(pause)

    def stream(
        self,
        method: grpc.UnaryStreamMultiCallable[_Request, _Response],
        request: _Request,
        cancellation: Cancellation | None = None,
    ) -> Iterator[_Response]:
        """Yield the responses of a call; one that is not read to its end is cancelled.

        One that comes too early for the rate that the caller may have comes again, as `call` does.
        """
        returning = _Returning(self.stream_seconds)
        while True:
            responses: Any = method(request, timeout=returning.seconds_left, metadata=self.metadata())
            begun = False
            try:
                with (cancellation or Cancellation()).stopping(responses.cancel):
                    for response in responses:
                        begun = True
                        yield response
                return
            except grpc.RpcError as error:
                failure = self._error(error, request)
                is_early = isinstance(failure, RateLimitedError) and not begun
                pause = returning.pause_after(error, failure) if is_early else 0.0
                if not pause:
                    raise failure from None
            finally:
                responses.cancel()
            time.sleep(pause)

    def send(
        self, method: grpc.StreamUnaryMultiCallable[_Request, _Response], requests: Iterator[_Request]
    ) -> _Response:
        """Send a stream and return its response; what iterating the requests raises is raised here too."""
        outgoing = _Outgoing(requests)
        try:
            return method(outgoing, timeout=self.stream_seconds, metadata=self.metadata())
        except grpc.RpcError as error:
            if outgoing.failure is not None:
                raise outgoing.failure from None
            raise self._error(error, outgoing.latest) from None

    def close(self) -> None:
        """Give up the share in the channel; the next call takes a new one."""
        with _CHANNELS.lock:
            process, stubs = self._stubs
            self._stubs = (0, {})
            if stubs and self._key is not None and process == os.getpid():
                _CHANNELS.release(self._key)

    def _new_stub(self, make: Callable[[grpc.Channel], _Stub]) -> _Stub:
        with _CHANNELS.lock:
            process, stubs = self._stubs
            if process != os.getpid() or not stubs:
                self._key = (self.address, self.security, self.security.stamp())
                stubs = {None: _CHANNELS.take(self._key)}
            stub: _Stub = stubs.get(make) or make(stubs[None])
            self._stubs = (os.getpid(), {**stubs, make: stub})
            return stub

    def renew(self) -> None:
        """Give up the channel if certificates of this client have changed since it was opened."""
        if self._key is not None and self._key[2] != self.security.stamp():
            self.close()

    def _error(self, error: grpc.RpcError, request: object) -> Exception:
        found = error_from_rpc(error, self.address, type(request).__name__.removesuffix("Request"))
        if isinstance(found, AuthenticationError) and self.security.token is not None and not self._reader:
            return AuthenticationError(
                f"{self.address} wants to know who calls, and BUTLER_TOKEN_HOSTS does not name it, so the token was "
                f"not sent there; the hosts named are {', '.join(self.security.token_hosts)}.",
                address=self.address,
            )
        return found


class _Returning:
    """When a call that was refused comes again.

    Parameters
    ----------
    seconds
        How long it may take in all.
    """

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds
        self._refusals = 0

    @property
    def seconds_left(self) -> float:
        """How long it may still take."""
        return max(self._end - time.monotonic(), 0.0)

    def pause_after(self, error: grpc.RpcError, failure: Exception) -> float:
        """Return how many seconds to wait after a refusal; 0 if that is of no use."""
        self._refusals += 1
        if isinstance(failure, RateLimitedError):
            pause = retry_seconds(error) * random.uniform(1.0, 1.5)
        elif self._refusals < _ATTEMPTS:
            # Not all at the same time, and later each time.
            pause = retry_seconds(error) * (self._refusals + random.uniform(-0.5, 0.5))
        else:
            return 0.0
        return pause if pause < self.seconds_left else 0.0


class _Outgoing(Iterator[Any]):
    """Requests on their way; remembers why they ended early, which gRPC only writes to a log."""

    def __init__(self, requests: Iterator[Any]) -> None:
        self._requests = requests
        self.latest: object = None
        self.failure: Exception | None = None

    def __next__(self) -> Any:
        try:
            self.latest = next(self._requests)
        except StopIteration:
            raise
        except Exception as error:
            self.failure = error
            raise
        return self.latest


def _reconnect(
    address: str, call_seconds: float, stream_seconds: float, security: ClientSecurity | None
) -> Connection:
    return Connection(address, call_seconds=call_seconds, stream_seconds=stream_seconds, security=security)


_CHANNELS = SharedChannels()
os.register_at_fork(after_in_child=_CHANNELS.forget)
