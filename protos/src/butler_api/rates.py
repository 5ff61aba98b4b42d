# SPDX-License-Identifier: BSD-3-Clause
"""How much one caller may ask for in a second: calls, and bytes of requests and responses together."""

from __future__ import annotations

__all__ = ["CallerRates"]

import math
import threading
import time
from collections.abc import Callable

from butler_model.errors import RateLimitedError

_BURST_SECONDS = 2.0
"""What was not used for so long may be used at once."""
_MOST_CALLERS = 10_000
_MOST_WAIT_SECONDS = 30.0


class _Allowance:
    """What one caller has left of something: it grows with time, up to a burst, and may be overdrawn."""

    def __init__(self, per_second: float, now: float) -> None:
        self._per_second = per_second
        self._burst = max(per_second * _BURST_SECONDS, 1.0)
        self._left = self._burst
        self._at = now

    def is_whole(self, now: float) -> bool:
        """Return whether nothing was used lately."""
        self._grow(now)
        return self._left >= self._burst

    def wait_for(self, amount: float, now: float) -> float:
        """Return after how many seconds there is so much; 0 if there is now."""
        self._grow(now)
        return max(amount - self._left, 0.0) / self._per_second

    def use(self, amount: float) -> None:
        """Take something, even if it is more than there is."""
        self._left -= amount

    def _grow(self, now: float) -> None:
        self._left = min(self._left + (now - self._at) * self._per_second, self._burst)
        self._at = now


class CallerRates:
    """Counts what each caller asks for. Safe to use from many threads.

    Parameters
    ----------
    calls_per_second, bytes_per_second
        Most of each on average; 0 for any number. What was not used in the last two seconds may be used at once.
    clock
        Gives seconds that only grow.
    pause
        Waits for some seconds.
    """

    def __init__(
        self,
        calls_per_second: float = 0,
        bytes_per_second: float = 0,
        *,
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[float], object] = time.sleep,
    ) -> None:
        self._per_second = (calls_per_second, bytes_per_second)
        self._clock = clock
        self._pause = pause
        self._callers: dict[str, tuple[_Allowance | None, _Allowance | None]] = {}
        self._lock = threading.Lock()

    @property
    def are_limited(self) -> bool:
        """Whether anything is counted at all."""
        return any(self._per_second)

    def begin(self, key: str) -> None:
        """Count a call; `RateLimitedError` if it comes too early, which says when it would not."""
        with self._lock:
            now = self._clock()
            calls, size = self._of(key, now)
            # Bytes are counted when they have moved, so the next call waits until they are paid for.
            wait = max(calls.wait_for(1.0, now) if calls else 0.0, size.wait_for(0.0, now) if size else 0.0)
            if not wait and calls:
                calls.use(1.0)
        if wait:
            raise self._too_early(wait)

    def moved(self, key: str, size: int) -> None:
        """Count bytes that came or went."""
        if self._per_second[1]:
            with self._lock:
                _, left = self._of(key, self._clock())
                if left:
                    left.use(size)

    def pace(self, key: str, size: int, *, calls: int = 0) -> None:
        """Count a message of a stream, which is slowed down: wait until what it takes is there."""
        with self._lock:
            now = self._clock()
            wait = 0.0
            for left, amount in zip(self._of(key, now), (calls, size), strict=True):
                if left:
                    left.use(amount)
                    wait = max(wait, left.wait_for(0.0, now))
        if wait:
            self._pause(min(wait, _MOST_WAIT_SECONDS))

    def _of(self, key: str, now: float) -> tuple[_Allowance | None, _Allowance | None]:
        found = self._callers.get(key)
        if found is None:
            if len(self._callers) >= _MOST_CALLERS:
                self._forget(now)
            calls, size = (_Allowance(each, now) if each else None for each in self._per_second)
            found = self._callers[key] = calls, size
        return found

    def _forget(self, now: float) -> None:
        """Forget whoever has all that anybody may have, as who comes for the first time has; else everybody."""
        kept = {
            key: both
            for key, both in self._callers.items()
            if not all(left is None or left.is_whole(now) for left in both)
        }
        self._callers = kept if len(kept) < _MOST_CALLERS else {}

    def _too_early(self, wait: float) -> RateLimitedError:
        calls, size = self._per_second
        allowed = [f"{calls:g} calls"] * bool(calls) + [f"{size:g} bytes"] * bool(size)
        seconds = math.ceil(wait * 1000) / 1000
        return RateLimitedError(
            f"You ask for more than {' or '.join(allowed)} in a second, the most for one caller; ask again in "
            f"{seconds:g} s, and for more at once in fewer calls.",
            retry_seconds=f"{seconds:g}",
        )
