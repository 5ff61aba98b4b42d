# SPDX-License-Identifier: BSD-3-Clause
"""What an interceptor of a service needs to wrap a method."""

from __future__ import annotations

__all__ = [
    "HEALTH_METHODS",
    "OUR_METHODS",
    "POOL",
    "WrappedHandlers",
    "behaviour_of",
    "rewrapped",
    "short_name",
]

from abc import abstractmethod
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias, cast

import grpc

OUR_METHODS = "/butler_api.v1."
"""How the methods of our services begin; those of health, reflection and channelz are left alone."""
HEALTH_METHODS = "/grpc.health."
"""How the methods of health checks begin, which are for everybody."""
POOL = "experimental_thread_pool"
"""The attribute of a method's function by which grpc is told where to run it."""

Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
Unary: TypeAlias = Callable[[Any, grpc.ServicerContext], Any]
Streaming: TypeAlias = Callable[[Any, grpc.ServicerContext], Iterator[Any]]

_KINDS = {False: "unary", True: "stream"}


def short_name(method: str) -> str:
    """Return ``DatasetService/FindDatasets`` for ``/butler_api.v1.DatasetService/FindDatasets``."""
    return method.removeprefix(OUR_METHODS)


def behaviour_of(handler: Any) -> Any:
    """Return the function of a handler, of which it has one for each kind of method."""
    return getattr(handler, _kind_of(handler))


def rewrapped(handler: Any, answer: Any) -> Handler:
    """Return a handler like another one, that runs where it does, with another function."""
    pool = getattr(behaviour_of(handler), POOL, None)
    if pool is not None:
        setattr(answer, POOL, pool)
    make = getattr(grpc, f"{_kind_of(handler)}_rpc_method_handler")
    return cast("Handler", make(answer, handler.request_deserializer, handler.response_serializer))


def _kind_of(handler: Any) -> str:
    return f"{_KINDS[handler.request_streaming]}_{_KINDS[handler.response_streaming]}"


class WrappedHandlers(grpc.ServerInterceptor):
    """An interceptor that wraps each method of our services once.

    Subclasses implement `wrap_unary` and `wrap_stream`, for methods with one response and with many.
    """

    def __init__(self) -> None:
        self._handlers: dict[str, tuple[Handler, Handler]] = {}

    @abstractmethod
    def wrap_unary(self, method: str, behaviour: Unary, *, requests: bool) -> Unary:
        """Return what answers instead; ``requests`` tells whether it is given an iterator of requests."""

    @abstractmethod
    def wrap_stream(self, method: str, behaviour: Streaming, *, requests: bool) -> Streaming:
        """Return what answers instead, as for `wrap_unary`."""

    def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Handler | None],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler | None:
        """Return the handler of a call, wrapped."""
        method = handler_call_details.method
        inner = continuation(handler_call_details)
        if inner is None or not method.startswith(OUR_METHODS):
            return inner
        known = self._handlers.get(method)
        # Another one is a refusal, which is made anew for each call.
        if known is not None and known[0] is inner:
            return known[1]
        wrapped = self._wrapped(method, inner)
        if known is None:
            self._handlers[method] = (inner, wrapped)
        return wrapped

    def _wrapped(self, method: str, inner: Any) -> Handler:
        wrap = self.wrap_stream if inner.response_streaming else self.wrap_unary
        return rewrapped(inner, wrap(method, behaviour_of(inner), requests=inner.request_streaming))
