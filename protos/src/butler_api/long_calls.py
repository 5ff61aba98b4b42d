# SPDX-License-Identifier: BSD-3-Clause
"""Calls that last as long as the caller likes: they have threads of their own, and short calls never wait for them."""

from __future__ import annotations

__all__ = ["LongCalls", "cancelled_with"]

from collections.abc import Iterator
from contextlib import contextmanager

import grpc

from butler_model.cancellation import Cancellation

from .admission import Lane, Places
from .caller import caller_key


class LongCalls:
    """Room for a number of long calls, of which one caller has three quarters at most.

    Parameters
    ----------
    wait_seconds
        How long a call waits for a place before it is refused.

    Attributes
    ----------
    threads
        Runs them; those that are more than there is room answer who is refused, and keep who waits.
    """

    def __init__(self, what: str, room: int, *, wait_seconds: float = 0.0) -> None:
        self._what = what
        self._room = room
        self._wait_seconds = wait_seconds
        share = max(1, room * 3 // 4)
        self._places = Places(what, room, share)
        spare = room if wait_seconds else room // 4 + 1
        self.threads = Lane(what, room + spare, share + (spare // 2 if wait_seconds else 0))

    @contextmanager
    def place(self) -> Iterator[None]:
        """Hold a place; `OverloadedError` if there is none."""
        with self._places.held(caller_key(), self._wait_seconds):
            yield


def cancelled_with(context: grpc.ServicerContext) -> Cancellation:
    """Return what is cancelled when the client is gone, or its deadline is over."""
    cancellation = Cancellation()
    if not context.add_callback(cancellation.cancel):
        cancellation.cancel()
    return cancellation
