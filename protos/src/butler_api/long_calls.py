# SPDX-License-Identifier: BSD-3-Clause
"""Calls that last as long as the caller likes: they have threads of their own, and short calls never wait for them."""

from __future__ import annotations

__all__ = ["LongCalls", "cancelled_with"]

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import BoundedSemaphore

import grpc

from butler_model.cancellation import Cancellation
from butler_model.errors import OverloadedError


class LongCalls:
    """Room for a number of long calls.

    Attributes
    ----------
    threads
        Runs them; the one thread more than there is room answers those that are refused.
    """

    def __init__(self, what: str, room: int) -> None:
        self._what = what
        self._room = room
        self._free = BoundedSemaphore(room)
        self.threads = ThreadPoolExecutor(room + 1, thread_name_prefix=what)

    @contextmanager
    def place(self) -> Iterator[None]:
        """Hold a place; `OverloadedError` if there is none."""
        if not self._free.acquire(blocking=False):
            raise OverloadedError(
                f"{self._room} calls of this kind ({self._what}) are open already; try later."
            )
        try:
            yield
        finally:
            self._free.release()


def cancelled_with(context: grpc.ServicerContext) -> Cancellation:
    """Return what is cancelled when the client is gone, or its deadline is over."""
    cancellation = Cancellation()
    if not context.add_callback(cancellation.cancel):
        cancellation.cancel()
    return cancellation
