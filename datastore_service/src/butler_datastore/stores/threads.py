# SPDX-License-Identifier: BSD-3-Clause
"""Work that waits for a disk or a network, done in a few threads."""

from __future__ import annotations

__all__ = ["SYNC_THREADS", "side_by_side"]

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

SYNC_THREADS = 16
"""For fsync, which waits for the disk, and the file system joins those that wait at the same time."""

_K = TypeVar("_K")
_T = TypeVar("_T")


def side_by_side(work: Callable[[_K], _T], tasks: Sequence[_K], threads: int) -> list[_T]:
    """Return what becomes of the tasks, in order; done in at most so many threads.

    The threads end with the call, for a pool would be of no use to a process forked from this one. What a task
    raises comes through, after the others of its share were given up and those of other threads were done.
    """
    threads = min(threads, len(tasks))
    if threads < 2:
        return [work(task) for task in tasks]
    with ThreadPoolExecutor(threads) as pool:
        shares = [tasks[first::threads] for first in range(threads)]
        done = list(pool.map(lambda share: [work(task) for task in share], shares))
    return [done[number % threads][number // threads] for number in range(len(tasks))]
