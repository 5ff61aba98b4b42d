# SPDX-License-Identifier: BSD-3-Clause
"""A gRPC proxy that delivers calls twice, late, or without their reply; what is in them it does not know."""

from __future__ import annotations

__all__ = ["Delivery", "DeliveryProxy", "deliveries_to"]

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from enum import Enum
from typing import Any

import grpc

from butler_model.repository import Limits

_THREADS = 32
_OPTIONS = [
    ("grpc.max_send_message_length", Limits().message_bytes),
    ("grpc.max_receive_message_length", Limits().message_bytes),
    # Who retries is the client, not the network.
    ("grpc.enable_retries", 0),
]


class Delivery(Enum):
    """What the network does to a call."""

    TWICE = "twice"
    """It is delivered, and then once more; the client gets the second answer."""
    AT_ONCE = "at once"
    """It is delivered twice at the same time; the client gets one of the answers."""
    LOST_REPLY = "lost reply"
    """It is delivered, and the client is told that nobody can be reached."""
    LATE_COPY = "late copy"
    """It is delivered, and a copy of it arrives after the next call."""


class DeliveryProxy:
    """Passes calls on to a server.

    Attributes
    ----------
    address
        ``host:port`` to call.
    done
        How many calls were delivered in the way that was asked for.
    """

    def __init__(self, target: str) -> None:
        # Any, since what passes is bytes: the types of gRPC are for messages.
        self._channel: Any = grpc.insecure_channel(target, options=_OPTIONS)
        self._pool = ThreadPoolExecutor(_THREADS)
        self._server = grpc.server(self._pool, options=_OPTIONS)
        self._server.add_generic_rpc_handlers([_AllMethods(self)])
        self.address = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"
        self.done = 0
        self._wanted: tuple[str, Delivery, int] | None = None
        self._late: list[tuple[str, list[bytes], Any]] = []
        self._lock = threading.Lock()
        self._server.start()

    def deliver(self, method: str, delivery: Delivery, times: int = 1) -> None:
        """Deliver the next calls of a method, given by its last name, in this way."""
        with self._lock:
            self._wanted = (method, delivery, times)
            self.done = 0

    def deliver_late(self) -> None:
        """Deliver the copies that are still under way."""
        with self._lock:
            late, self._late = self._late, []
        for method, requests, metadata in late:
            self._again(method, requests, metadata)

    def close(self) -> None:
        """Stop."""
        self._server.stop(0).wait()
        self._channel.close()
        self._pool.shutdown()

    def take(self, method: str) -> Delivery | None:
        """Return how a call of a method is to be delivered."""
        with self._lock:
            if self._wanted is None or self._wanted[0] != method.rpartition("/")[2]:
                return None
            name, delivery, times = self._wanted
            self._wanted = (name, delivery, times - 1) if times > 1 else None
            self.done += 1
            return delivery

    def call(self, method: str, requests: Any, context: grpc.ServicerContext) -> Iterator[bytes]:
        """Pass on a call; `deliver` says how."""
        delivery = self.take(method)
        if delivery is None:
            self.deliver_late()
            yield from self._forward(method, requests, context)
            return
        held: list[bytes] = list(requests)
        if delivery is Delivery.AT_ONCE:
            other = self._pool.submit(self._again, method, held, context.invocation_metadata())
            yield from self._forward(method, iter(held), context)
            other.result()
            return
        answers = list(self._forward(method, iter(held), context))
        if delivery is Delivery.LOST_REPLY:
            context.abort(grpc.StatusCode.UNAVAILABLE, "the reply was lost")
        elif delivery is Delivery.TWICE:
            answers = list(self._forward(method, iter(held), context))
        else:
            with self._lock:
                self._late.append((method, held, context.invocation_metadata()))
        yield from answers

    def _forward(
        self, method: str, requests: Iterator[bytes], context: grpc.ServicerContext
    ) -> Iterator[bytes]:
        call = self._channel.stream_stream(method)(
            requests, timeout=context.time_remaining(), metadata=_passed_on(context.invocation_metadata())
        )
        context.add_callback(lambda: call.cancel() and None)
        try:
            yield from call
        except grpc.RpcError:
            context.set_trailing_metadata(_passed_on(call.trailing_metadata() or ()))
            context.abort(call.code(), call.details())

    def _again(self, method: str, requests: Sequence[bytes], metadata: Any) -> None:
        """Deliver once more; nobody hears the answer."""
        try:
            for _ in self._channel.stream_stream(method)(
                iter(requests), timeout=30, metadata=_passed_on(metadata)
            ):
                pass
        except grpc.RpcError:
            pass


class _AllMethods(grpc.GenericRpcHandler):
    def __init__(self, proxy: DeliveryProxy) -> None:
        self._proxy = proxy

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[bytes, bytes]:
        method = details.method

        def passed(requests: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
            return self._proxy.call(method, requests, context)

        return grpc.stream_stream_rpc_method_handler(passed)


def _passed_on(metadata: Any) -> tuple[tuple[str, str | bytes], ...]:
    """Return what one may send: gRPC adds the rest by itself."""
    own = ("grpc-", "user-agent", "te", "content-type")
    return tuple((k, v) for k, v in metadata if not k.startswith(own) or k == "grpc-status-details-bin")


@contextmanager
def deliveries_to(target: str) -> Iterator[DeliveryProxy]:
    """Give a proxy to a server."""
    proxy = DeliveryProxy(target)
    try:
        yield proxy
    finally:
        proxy.close()
