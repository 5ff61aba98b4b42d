# SPDX-License-Identifier: BSD-3-Clause
"""Listings in the order of keys, from stores that have an order of their own."""

from __future__ import annotations

__all__ = ["sorted_listing"]

import heapq
import itertools
import json
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from tempfile import TemporaryFile
from typing import IO

from .store import Listed

_IN_MEMORY = 100_000


def sorted_listing(listed: Iterable[Listed], in_memory: int = _IN_MEMORY) -> Iterator[Listed]:
    """Yield what is listed by key (code points).

    What is more than ``in_memory`` goes to temporary files in between.
    """
    rest = iter(listed)
    with ExitStack() as stack:
        runs: list[Iterator[Listed]] = []
        while part := sorted(itertools.islice(rest, in_memory), key=_key):
            if len(part) < in_memory:
                runs.append(iter(part))
                break
            file = stack.enter_context(TemporaryFile("w+", encoding="utf-8"))
            runs.append(_spilled(part, file))
        yield from heapq.merge(*runs, key=_key)


def _key(listed: Listed) -> str:
    return listed.key


def _spilled(part: Iterable[Listed], file: IO[str]) -> Iterator[Listed]:
    for each in part:
        file.write(json.dumps([each.key, each.size, each.age_seconds]) + "\n")
    file.seek(0)
    return (Listed(*json.loads(line)) for line in file)
