# SPDX-License-Identifier: BSD-3-Clause
"""Health, reflection and channelz: they have threads of their own, which nobody can keep all of."""

from __future__ import annotations

__all__ = ["LookInterceptor"]

from collections.abc import Callable, Iterator
from typing import Any

import grpc

from butler_model.errors import ButlerError

from .admission import Lane, StallWatch
from .handlers import HEALTH_METHODS, OUR_METHODS, POOL, behaviour_of

_PAUSE_SECONDS = 10.0


class LookInterceptor(grpc.ServerInterceptor):
    """Runs what is not ours apart, and gives up who asks nothing.

    Parameters
    ----------
    health, others
        Where health checks run, and where all else does.
    """

    def __init__(self, health: Lane, others: Lane, watch: StallWatch) -> None:
        self._health = health
        self._others = others
        self._watch = watch

    def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], grpc.RpcMethodHandler[Any, Any] | None],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[Any, Any] | None:
        """Return the handler of a call."""
        handler: Any = continuation(handler_call_details)
        method = handler_call_details.method
        if handler is None or method.startswith(OUR_METHODS):
            return handler  # type: ignore[no-any-return]
        return _apart(
            handler, self._health if method.startswith(HEALTH_METHODS) else self._others, self._watch
        )


def _apart(handler: Any, lane: Lane, watch: StallWatch) -> grpc.RpcMethodHandler[Any, Any]:
    incoming, outgoing = bool(handler.request_streaming), bool(handler.response_streaming)
    behaviour = behaviour_of(handler)
    # Then it answers by calling back, and its thread is free at once.
    calls_back = bool(getattr(behaviour, "experimental_non_blocking", False))

    def request(messages: Iterator[Any], context: grpc.ServicerContext) -> Any:
        timed = watch.each(messages, context, lane, pause_seconds=_PAUSE_SECONDS)
        return timed if incoming else next(timed, None)

    def answer(messages: Iterator[Any], context: grpc.ServicerContext, *call_back: Any) -> Any:
        try:
            with lane.places.held(context.peer()):
                asked = request(messages, context)
                if asked is None:
                    context.abort(grpc.StatusCode.INVALID_ARGUMENT, "A call brings one request; none came.")
                return behaviour(asked, context, *call_back)
        except ButlerError as error:
            context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, error.message)

    def answer_in_parts(messages: Iterator[Any], context: grpc.ServicerContext) -> Iterator[Any]:
        try:
            with lane.places.held(context.peer()):
                asked = request(messages, context)
                if asked is not None:
                    yield from behaviour(asked, context)
        except ButlerError as error:
            context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, error.message)

    answering: Any = answer_in_parts if outgoing and not calls_back else answer
    setattr(answering, POOL, lane)
    answering.experimental_non_blocking = calls_back
    make: Any = grpc.stream_stream_rpc_method_handler if outgoing else grpc.stream_unary_rpc_method_handler
    return make(  # type: ignore[no-any-return]
        answering,
        request_deserializer=handler.request_deserializer,
        response_serializer=handler.response_serializer,
    )
