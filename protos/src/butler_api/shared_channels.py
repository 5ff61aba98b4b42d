# SPDX-License-Identifier: BSD-3-Clause
"""The channels of a process: one for each service, how they behave, and which calls gRPC repeats."""

from __future__ import annotations

__all__ = ["ChannelKey", "SharedChannels"]

import json
import threading
from ipaddress import ip_address
from typing import Any, Self

import grpc

from butler_model.repository import Limits

from .client_security import ClientSecurity
from .tracing import traced_channel

_REPEATED: dict[str, object] = {
    "methodConfig": [
        {
            # Every method: reads are harmless to repeat, and mutations carry ids by which a repeat is known.
            "name": [{}],
            "retryPolicy": {
                "maxAttempts": 5,
                "initialBackoff": "0.1s",
                "maxBackoff": "2s",
                "backoffMultiplier": 2,
                # A server that stops ends calls that it has not begun with CANCELLED. What a caller cancels itself is
                # never repeated.
                "retryableStatusCodes": ["UNAVAILABLE", "CANCELLED"],
            },
        }
    ],
}
_MESSAGE_BYTES = Limits().message_bytes
# A name that stands for several replicas, as that of a headless Service of Kubernetes does, means all of them.
_ALL_REPLICAS: dict[str, object] = {"loadBalancingConfig": [{"round_robin": {}}]}
_OPTIONS: list[tuple[str, object]] = [
    ("grpc.max_send_message_length", _MESSAGE_BYTES),
    ("grpc.max_receive_message_length", _MESSAGE_BYTES),
    # Soon enough for the repeats of a call: after a second, which is usual, a short interruption would outlast them.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 10_000),
    # A connection whose other end vanished without a word is noticed while a call waits on it.
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
]
_NO_REPEATS = ("grpc.enable_retries", 0)

ChannelKey = tuple[str, ClientSecurity, tuple[object, ...]]
"""The address, what is shown there, and which certificates that were."""


class SharedChannels:
    """The channels of this process, by what they are opened with, each with the number of those who share it."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self._shared: dict[ChannelKey, tuple[grpc.Channel, int]] = {}
        self._inherited: list[object] = []

    def take(self, key: ChannelKey) -> grpc.Channel:
        """Return the channel of a key for one more holder; the caller holds the lock."""
        channel, holders = self._shared.get(key, (None, 0))
        if channel is None:
            address, security, _ = key
            channel = traced_channel(_ServiceChannel(address, security))
        self._shared[key] = (channel, holders + 1)
        return channel

    def release(self, key: ChannelKey) -> None:
        """Close the channel of a key if this was its last holder; the caller holds the lock."""
        channel, holders = self._shared.pop(key)
        if holders > 1:
            self._shared[key] = (channel, holders - 1)
        else:
            channel.close()

    def forget(self) -> None:
        """Begin anew in a forked process, where the parent's channels and locks cannot be used."""
        self.lock = threading.Lock()
        # Never collected: closing them would be talking on the parent's sockets.
        self._inherited.append(self._shared)
        self._shared = {}


class _ServiceChannel(grpc.Channel):
    """A channel on which gRPC repeats what failed, save calls in which the client sends a stream.

    Those go over a channel of their own, opened when first needed. When gRPC sends such a stream again, and a message
    comes while one of those before it is still on its way, it loses the message, or ends the process ("ILLEGAL STATE:
    FORWARDED_BATCH", its issue 40283; found with 1.85). Only switching all repeats of a channel off keeps it from doing
    so: without a policy it still repeats what the service has not seen. Whoever sends a stream knows better anyway how
    to go on with it.
    """

    def __init__(self, address: str, security: ClientSecurity) -> None:
        self._address = address
        self._security = security
        self._repeating = security.channel(address, _options(address, _REPEATED))
        self._plain: grpc.Channel | None = None

    def _unrepeating(self) -> grpc.Channel:
        if self._plain is None:
            options = [*_options(self._address, {}), _NO_REPEATS]
            self._plain = self._security.channel(self._address, options)
        return self._plain

    def unary_unary(self, *args: Any, **kwargs: Any) -> Any:
        return self._repeating.unary_unary(*args, **kwargs)

    def unary_stream(self, *args: Any, **kwargs: Any) -> Any:
        return self._repeating.unary_stream(*args, **kwargs)

    def stream_unary(self, *args: Any, **kwargs: Any) -> Any:
        return self._unrepeating().stream_unary(*args, **kwargs)

    def stream_stream(self, *args: Any, **kwargs: Any) -> Any:
        return self._unrepeating().stream_stream(*args, **kwargs)

    def subscribe(self, *args: Any, **kwargs: Any) -> None:
        self._repeating.subscribe(*args, **kwargs)

    def unsubscribe(self, *args: Any, **kwargs: Any) -> None:
        self._repeating.unsubscribe(*args, **kwargs)

    def close(self) -> None:
        for channel in filter(None, (self._repeating, self._plain)):
            channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _options(address: str, repeats: dict[str, object]) -> list[tuple[str, object]]:
    """Return how a channel to an address behaves.

    Only names go round: going round connects ahead of calls, and after failures waits longer and longer before it tries
    again. Whoever has a number has one server, and asks it when there is something to ask.
    """
    config = repeats if _is_number(address) else {**_ALL_REPLICAS, **repeats}
    return [("grpc.service_config", json.dumps(config)), *_OPTIONS]


def _is_number(address: str) -> bool:
    try:
        ip_address(address.rpartition(":")[0].strip("[]"))
    except ValueError:
        return False
    return True
