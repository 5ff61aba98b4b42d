# SPDX-License-Identifier: BSD-3-Clause
"""Who calls: from what a call brings along to a principal, before any servicer sees the call."""

from __future__ import annotations

__all__ = ["AuthenticationInterceptor", "Authenticator", "CallCheck", "TokenCheck"]

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from typing import Any, NamedTuple, Protocol, TypeAlias

import grpc

from butler_model.errors import AuthenticationError, ButlerError
from butler_model.principal import ANONYMOUS, CERTIFICATE_START, AuthenticationMethod, Principal

from .audit import CallRecord, record_call
from .caller import answering, caller_key
from .handlers import (
    HEALTH_METHODS,
    OUR_METHODS,
    Streaming,
    Unary,
    WrappedHandlers,
    behaviour_of,
    rewrapped,
)

_BEARER = "bearer "
_MOST_REMEMBERED = 10_000


class Verified(Protocol):
    """Whom a token stands for, and until which Unix time that need not be asked again."""

    @property
    def principal(self) -> Principal: ...
    @property
    def expires(self) -> float: ...


class TokenCheck(Protocol):
    """Something that knows tokens of one kind."""

    def identify(self, token: str) -> Verified:
        """Return whom a token stands for; `AuthenticationError`."""
        ...


CallCheck: TypeAlias = Callable[[str, Any], None]
"""Told the method and the request of each call without a stream of requests; raises what ends the call."""


class _Remembered(NamedTuple):
    principal: Principal
    until: float


class Authenticator:
    """Finds out who calls. Safe to use from many threads.

    Parameters
    ----------
    checks
        What knows tokens, by how those begin; the one under an empty text gets all others.
    certificate_groups
        Groups of machines, by the common name of the certificate that they show.
    anonymous
        Whether who shows nothing may call; what such a caller may do, each repository says.
    """

    def __init__(
        self,
        checks: Mapping[str, TokenCheck],
        *,
        certificate_groups: Mapping[str, Sequence[str]] | None = None,
        anonymous: bool = False,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._checks = checks
        self._certificate_groups = certificate_groups or {}
        self._anonymous = anonymous
        self._clock = clock
        self._remembered: dict[bytes, _Remembered] = {}

    def identify(self, context: grpc.ServicerContext) -> Principal:
        """Return who makes a call; `AuthenticationError` if it is nobody."""
        for name, value in context.invocation_metadata():
            if name == "authorization":
                return self.identify_token(_token(value))
        shown: Any = context.auth_context().get("x509_common_name")
        if shown:
            name = shown[0].decode(errors="replace")
            groups = frozenset(self._certificate_groups.get(name, ()))
            return Principal(f"{CERTIFICATE_START}{name}", groups, AuthenticationMethod.CERTIFICATE)
        if self._anonymous:
            return ANONYMOUS
        raise AuthenticationError(
            "The service wants to know who calls, and no token came. Name the file of yours in BUTLER_TOKEN_FILE, and "
            "this host in BUTLER_TOKEN_HOSTS."
        )

    def identify_token(self, token: str) -> Principal:
        """Return whom a token stands for; what was verified is remembered, until the token expires at most."""
        digest = hashlib.sha256(token.encode(errors="replace")).digest()
        known = self._remembered.get(digest)
        if known is not None and known.until > self._clock():
            return known.principal
        check = next((check for start, check in self._checks.items() if token.startswith(start)), None)
        if check is None:
            raise AuthenticationError("The token is of a kind that this service does not accept.")
        found = check.identify(token)
        if len(self._remembered) >= _MOST_REMEMBERED:
            self._remembered = {}
        self._remembered[digest] = _Remembered(found.principal, found.expires)
        return found.principal


class AuthenticationInterceptor(WrappedHandlers):
    """Refuses calls of which nobody knows from whom they are, and tells the thread that answers who calls.

    Parameters
    ----------
    allow
        Decides about each call before a servicer has it.
    record
        Told of each call that is over.
    """

    def __init__(
        self,
        authenticator: Authenticator,
        allow: CallCheck | None = None,
        record: CallRecord = record_call,
    ) -> None:
        super().__init__()
        self._authenticator = authenticator
        self._allow = allow
        self._record = record

    def arrival(self, method: str, context: grpc.ServicerContext) -> str:
        """Return under what a call is counted, before its request is read: a name, or the connection of who has none.

        Raises
        ------
        AuthenticationError
            Raised if nobody knows from whom it is.
        """
        peer = context.peer()
        answering(ANONYMOUS, peer)
        try:
            principal = self._authenticator.identify(context)
        except ButlerError as error:
            self._record(method, None, error)
            raise
        answering(principal, peer)
        return caller_key()

    def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], grpc.RpcMethodHandler[Any, Any] | None],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[Any, Any] | None:
        """Return the handler of a call, which first asks who calls; health checks are for everybody."""
        if handler_call_details.method.startswith(OUR_METHODS):
            return super().intercept_service(continuation, handler_call_details)
        handler = continuation(handler_call_details)
        if handler is None or handler_call_details.method.startswith(HEALTH_METHODS):
            return handler
        return rewrapped(handler, self._refusing(behaviour_of(handler)))

    def wrap_unary(self, method: str, behaviour: Unary, *, requests: bool) -> Unary:
        """Return what first asks who calls."""

        def answer(request: Any, context: grpc.ServicerContext) -> Any:
            known = None if requests else request
            try:
                self._begin(known, method, context)
                response = behaviour(request, context)
            except BaseException as error:
                self._record(method, known, error)
                raise
            self._record(method, known, None)
            return response

        return answer

    def wrap_stream(self, method: str, behaviour: Streaming, *, requests: bool) -> Streaming:
        """Return what first asks who calls."""

        def answer(request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
            known = None if requests else request
            try:
                self._begin(known, method, context)
                responses: Any = behaviour(request, context)
                with closing(responses):
                    yield from responses
            except BaseException as error:
                self._record(method, known, error)
                raise
            self._record(method, known, None)

        return answer

    def _begin(self, request: Any, method: str, context: grpc.ServicerContext) -> None:
        # Once more after `arrival`: while the request came, the token may have expired.
        peer = context.peer()
        answering(ANONYMOUS, peer)
        answering(self._authenticator.identify(context), peer)
        if self._allow is not None and request is not None:
            self._allow(method, request)

    def _refusing(self, behaviour: Any) -> Any:
        """Return what asks who calls a service that is not ours, which knows no errors of the catalogue."""

        def answer(request: Any, context: grpc.ServicerContext) -> Any:
            try:
                self._authenticator.identify(context)
            except ButlerError as error:
                context.abort(grpc.StatusCode.UNAUTHENTICATED, error.message)
            return behaviour(request, context)

        return answer


def _token(value: str | bytes) -> str:
    text = value if isinstance(value, str) else value.decode(errors="replace")
    if text[: len(_BEARER)].lower() != _BEARER:
        raise AuthenticationError(
            "The authorization of a call is 'Bearer' and a token; nothing else is accepted."
        )
    return text[len(_BEARER) :].strip()
