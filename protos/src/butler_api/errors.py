# SPDX-License-Identifier: BSD-3-Clause
"""Errors on the wire: reason <-> exception class <-> status, generated from the catalogue alone."""

from __future__ import annotations

__all__ = [
    "DOMAIN",
    "ErrorInterceptor",
    "decoded",
    "error_from_rpc",
    "error_from_status",
    "foreseen",
    "retry_seconds",
    "status_from_error",
]

import logging
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from math import inf
from typing import Any, NoReturn, cast

import grpc
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from butler_model.errors import (
    CATALOGUE,
    AccessDeniedError,
    AuthenticationError,
    ButlerError,
    DeadlineExceededError,
    IncompatibleVersionError,
    InternalError,
    InvalidRequestError,
    LimitExceededError,
    OverloadedError,
    RateLimitedError,
    ServiceUnavailableError,
    Status,
)

from .admission import UPLOAD_SECONDS, Admission, Lane
from .handlers import OUR_METHODS, POOL, behaviour_of

DOMAIN = "butler"

# Trailing metadata is limited to 8 KiB in every language, and a message travels in it twice, escaped.
_MAX_MESSAGE_BYTES = 1500
_MAX_METADATA_BYTES = 200
_MAX_METADATA_ITEMS = 6
_RETRY_SECONDS = 1
_MOST_RETRY_SECONDS = 30.0
_LINGER_SECONDS = 0.5
"""How long a stream waits for a place that its caller may have. A refusal makes room for the next stream of the same
connection: if it came at once, a thousand of them would be a thousand calls in a second."""
_RETRYABLE = (OverloadedError, RateLimitedError, ServiceUnavailableError)

_LOGGER = logging.getLogger(__name__)


def status_from_error(error: ButlerError) -> status_pb2.Status:
    """Return the status that carries an error: its reason and metadata, and what else its kind calls for."""
    message = _cut(error.message, _MAX_MESSAGE_BYTES)
    facts = list(error.metadata.items())[:_MAX_METADATA_ITEMS]
    metadata = {name: _cut(str(value), _MAX_METADATA_BYTES) for name, value in facts}
    status = status_pb2.Status(code=error.status.value, message=message)
    status.details.add().Pack(
        error_details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN, metadata=metadata)
    )
    subject = next(iter(metadata), None)
    if error.status is Status.INVALID_ARGUMENT and subject is not None:
        violation = error_details_pb2.BadRequest.FieldViolation(field=subject, reason=error.reason)
        status.details.add().Pack(error_details_pb2.BadRequest(field_violations=[violation]))
    elif error.status in (Status.NOT_FOUND, Status.ALREADY_EXISTS) and subject is not None:
        status.details.add().Pack(
            error_details_pb2.ResourceInfo(resource_type=subject, resource_name=metadata[subject])
        )
    elif isinstance(error, _RETRYABLE):
        delay = Duration()
        delay.FromMilliseconds(round(float(metadata.get("retry_seconds", _RETRY_SECONDS)) * 1000))
        status.details.add().Pack(error_details_pb2.RetryInfo(retry_delay=delay))
    return status


def error_from_status(status: status_pb2.Status) -> ButlerError | None:
    """Return the error that a status carries, `None` if it carries none of the catalogue."""
    info = error_details_pb2.ErrorInfo()
    for detail in status.details:
        if detail.Unpack(info) and info.domain == DOMAIN and info.reason in CATALOGUE:
            return CATALOGUE[info.reason](status.message, **dict(info.metadata))
    return None


def retry_seconds(error: grpc.RpcError) -> float:
    """Return after how many seconds a service at its limit is to be asked again; 0 if no limit was reached."""
    if not isinstance(error, grpc.Call) or error.code() is not grpc.StatusCode.RESOURCE_EXHAUSTED:
        return 0.0
    try:
        status = rpc_status.from_call(error)
    except (ValueError, DecodeError):
        return 0.0
    info = error_details_pb2.RetryInfo()
    seconds = (
        info.retry_delay.seconds + info.retry_delay.nanos / 1e9
        for detail in (status.details if status is not None else ())
        if detail.Unpack(info)
    )
    return min(max(next(seconds, 0.0), 0.0), _MOST_RETRY_SECONDS)


def error_from_rpc(error: grpc.RpcError, address: str, method: str = "") -> ButlerError:
    """Return the error of the catalogue for a call that failed, whoever noticed it.

    Parameters
    ----------
    address, method
        Whom and what was called, for the message of errors that did not come from the service itself.
    """
    if not isinstance(error, grpc.Call):
        return InternalError(f"A call of {method} at {address} failed: {error}.", address=address)
    try:
        status = rpc_status.from_call(error)
    except (ValueError, DecodeError):
        status = None
    carried = error_from_status(status) if status is not None else None
    if carried is not None:
        return carried
    details = error.details() or "no details"
    make, text = _UNCARRIED.get(error.code(), (InternalError, "{address} failed in {method}: {details}"))
    if error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED and "larger than max" in details:
        make, text = (
            LimitExceededError,
            "A message of {method} is too large ({details}); send less at once.",
        )
    return make(text.format(address=address, method=method, details=details), address=address)


_UNCARRIED: dict[grpc.StatusCode, tuple[Callable[..., ButlerError], str]] = {
    grpc.StatusCode.UNAVAILABLE: (
        ServiceUnavailableError,
        "No service answers at {address}: check that it runs, and that host and port are right ({details}).",
    ),
    grpc.StatusCode.CANCELLED: (
        ServiceUnavailableError,
        "The service at {address} gave up {method}, probably because it is stopping; try again ({details}).",
    ),
    grpc.StatusCode.DEADLINE_EXCEEDED: (
        DeadlineExceededError,
        "{method} at {address} did not finish by its deadline; its outcome is unknown until it is repeated.",
    ),
    grpc.StatusCode.UNIMPLEMENTED: (
        IncompatibleVersionError,
        "{address} does not know {method}: it is no butler service of this kind, or of another version.",
    ),
    grpc.StatusCode.RESOURCE_EXHAUSTED: (
        OverloadedError,
        "{address} is at its limit; try again later ({details}).",
    ),
    grpc.StatusCode.INVALID_ARGUMENT: (InvalidRequestError, "{address} refused {method}: {details}."),
    grpc.StatusCode.PERMISSION_DENIED: (AccessDeniedError, "{address} does not allow {method}: {details}."),
    grpc.StatusCode.UNAUTHENTICATED: (
        AuthenticationError,
        "{address} does not know who calls {method}: {details}.",
    ),
}
"""What failures mean that no service of ours described: those of the network and of what lies between."""


class ErrorInterceptor(grpc.ServerInterceptor):
    """Makes every error of our services one of the catalogue on the wire.

    Parameters
    ----------
    admission
        What is let in; a call that would have to wait for too long is refused.
    refuse_with
        Runs the refusals, so that they do not wait behind the calls that are the reason for them.
    """

    def __init__(self, admission: Admission, refuse_with: ThreadPoolExecutor) -> None:
        self._admission = admission
        self._refuse_with = refuse_with
        self._handlers: dict[str, grpc.RpcMethodHandler[Any, Any]] = {}

    def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], grpc.RpcMethodHandler[Any, Any] | None],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[Any, Any] | None:
        """Return the handler of a call, wrapped so that what it raises is converted."""
        method = handler_call_details.method
        if not method.startswith(OUR_METHODS):
            return continuation(handler_call_details)
        if self._admission.is_overloaded:
            return _refusing(self._refuse_with)
        handler = self._handlers.get(method)
        if handler is None:
            original = continuation(handler_call_details)
            if original is None:
                return None
            handler = self._handlers[method] = _wrapped(original, method, self._admission)
        return handler


def _refusing(executor: ThreadPoolExecutor) -> grpc.RpcMethodHandler[Any, Any]:
    def refuse(_: object, context: grpc.ServicerContext) -> NoReturn:
        message = "The service has more calls waiting than it can answer in time; try again in a second."
        context.abort_with_status(rpc_status.to_status(status_from_error(OverloadedError(message))))

    setattr(refuse, POOL, executor)
    # Like this it does not wait for what it refuses.
    return grpc.stream_unary_rpc_method_handler(refuse)


def _wrapped(handler: Any, method: str, admission: Admission) -> grpc.RpcMethodHandler[Any, Any]:
    """Return a handler that takes and gives bytes, so that what cannot be decoded is an error of ours too.

    It takes a stream whatever the method takes, which is the same on the wire: so it runs before a request is there.
    """
    incoming, outgoing = bool(handler.request_streaming), bool(handler.response_streaming)
    behaviour = behaviour_of(handler)
    serialize = handler.response_serializer
    pool = getattr(behaviour, POOL, None)
    lane = pool if isinstance(pool, Lane) else admission.lane

    def received(messages: Iterator[bytes], context: grpc.ServicerContext, key: str) -> Any:
        if not incoming:
            only = admission.only_message(messages, context, lane, method)
            return decoded(handler, admission.counted(key, only), method)
        # A transaction has times of its own.
        timed = admission.watch.each(
            messages, context, lane, pause_seconds=inf if outgoing else UPLOAD_SECONDS
        )
        return (decoded(handler, raw, method) for raw in admission.paced(key, timed, are_calls=outgoing))

    def answer(messages: Iterator[bytes], context: grpc.ServicerContext) -> bytes:
        try:
            key = admission.key_of(method, context)
            with lane.places.held(key):
                request = received(messages, context, key)
                with admission.working(lane, key):
                    return admission.counted(key, serialize(behaviour(request, context)))
        except Exception as error:  # noqa: BLE001 - nothing may leave a service unconverted
            _abort(error, context, method)

    def answer_in_parts(messages: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
        try:
            key = admission.key_of(method, context)
            with lane.places.held(key, _LINGER_SECONDS):
                request = received(messages, context, key)
                with admission.working(lane, key), closing(behaviour(request, context)) as responses:
                    yield from admission.taken(admission.paced(key, map(serialize, responses)), context)
        except Exception as error:  # noqa: BLE001 - as above
            _abort(error, context, method)

    answering: Any = answer_in_parts if outgoing else answer
    setattr(answering, POOL, lane)
    make: Any = grpc.stream_stream_rpc_method_handler if outgoing else grpc.stream_unary_rpc_method_handler
    return cast("grpc.RpcMethodHandler[Any, Any]", make(answering))


def decoded(handler: Any, raw: bytes, method: str) -> Any:
    """Return the request of a method from its bytes; `InvalidRequestError` if they are none."""
    try:
        return handler.request_deserializer(raw)
    except DecodeError as error:
        raise InvalidRequestError(f"What was sent is no request of {method}.", method=method) from error


def foreseen(error: Exception, method: str) -> ButlerError:
    """Return an error of the catalogue for whatever a method raised; what is none is logged."""
    if isinstance(error, ButlerError):
        return error
    error_id = uuid.uuid4().hex
    _LOGGER.error("%s failed, error id %s", method, error_id, exc_info=error)
    return InternalError(
        f"The service failed in a way it did not foresee; its log says more under the id {error_id}.",
        error_id=error_id,
    )


def _abort(error: Exception, context: grpc.ServicerContext, method: str) -> NoReturn:
    if context.is_active() or not isinstance(error, grpc.RpcError):
        error = foreseen(error, method)
    if not context.is_active() or not isinstance(error, ButlerError):
        # The caller has gone, which is no error; nobody receives this.
        context.abort(grpc.StatusCode.CANCELLED, "The call was given up.")
    context.abort_with_status(rpc_status.to_status(status_from_error(error)))


def _cut(text: str, limit: int) -> str:
    encoded = text.encode(errors="replace")
    if len(encoded) > limit:
        encoded = encoded[: limit - 3] + b"..."
    return encoded.decode(errors="ignore")
