# SPDX-License-Identifier: BSD-3-Clause
"""Which call a thread is answering: what is logged meanwhile says so."""

from __future__ import annotations

__all__ = ["CallLog", "CallNotes", "call_fields"]

import logging
from collections.abc import Iterator, Mapping
from contextlib import closing
from contextvars import ContextVar
from time import perf_counter
from typing import Any
from uuid import UUID

import grpc

from butler_model.principal import LOCAL, Principal

from .caller import caller
from .handlers import Streaming, Unary, WrappedHandlers, short_name

_LOGGER = logging.getLogger(__name__)
_UUID_BYTES = 16

_NOTES: ContextVar[tuple[str, Any, Any, Principal | None] | None] = ContextVar("butler_call", default=None)
"""Method, id and repository of the request, and whose it is. A thread answers one call at a time, and the next one
overwrites it."""


def call_fields() -> Mapping[str, str]:
    """Return what a line of the log says of the call that this thread answers, or answered last."""
    notes = _NOTES.get()
    if notes is None:
        return {}
    method, request_id, repository, principal = notes
    fields = {"method": short_name(method)}
    if principal is not None and principal is not LOCAL:
        fields["principal"] = principal.name
    if repository:
        fields["repository"] = repository
    if request_id:
        fields["request_id"] = str(UUID(bytes=request_id)) if len(request_id) == _UUID_BYTES else "malformed"
    return fields


class CallNotes(WrappedHandlers):
    """Notes method, repository and request id of each call; the last of all interceptors, which sees messages.

    It costs a call about half a microsecond. What a stream of requests is about is not known before it is read: of
    those only the method is noted.
    """

    def wrap_unary(self, method: str, behaviour: Unary, *, requests: bool) -> Unary:
        """Note the call before a method with one response."""

        def answer(request: Any, context: grpc.ServicerContext) -> Any:
            _NOTES.set(_noted(method, request))
            return behaviour(request, context)

        return answer

    def wrap_stream(self, method: str, behaviour: Streaming, *, requests: bool) -> Streaming:
        """Note the call before a method with many responses."""

        def answer(request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
            _NOTES.set(_noted(method, request))
            return behaviour(request, context)

        return answer


def _noted(method: str, request: Any) -> tuple[str, Any, Any, Principal]:
    return method, getattr(request, "request_id", None), getattr(request, "repository", None), caller()


class CallLog(WrappedHandlers):
    """Writes a line of the log for each call that has ended; around all other interceptors, which decide the code."""

    def wrap_unary(self, method: str, behaviour: Unary, *, requests: bool) -> Unary:
        """Log a method with one response."""

        def answer(request: Any, context: grpc.ServicerContext) -> Any:
            _NOTES.set((method, None, None, None))
            begun = perf_counter()
            code = ""
            try:
                response = behaviour(request, context)
                code = "OK"
                return response
            finally:
                _log(context, code, begun)

        return answer

    def wrap_stream(self, method: str, behaviour: Streaming, *, requests: bool) -> Streaming:
        """Log a method with many responses."""

        def answer(request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
            _NOTES.set((method, None, None, None))
            begun = perf_counter()
            code = ""
            try:
                with closing(behaviour(request, context)) as responses:  # type: ignore[type-var] # a generator
                    yield from responses
                code = "OK"
            except GeneratorExit:
                code = "CANCELLED"
                raise
            finally:
                _log(context, code, begun)

        return answer


def _log(context: Any, code: str, begun: float) -> None:
    told = context.code()
    milliseconds = round((perf_counter() - begun) * 1000, 3)
    name = code or ("UNKNOWN" if told is None else told.name)
    _LOGGER.info("call", extra={"code": name, "milliseconds": milliseconds, "peer": context.peer()})
