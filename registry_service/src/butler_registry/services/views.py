# SPDX-License-Identifier: BSD-3-Clause
"""Registries as different callers see them."""

from __future__ import annotations

__all__ = ["Viewer", "Views"]

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from butler_model.access import Access

_MOST_KEPT = 1000
_View = TypeVar("_View")


@dataclass(frozen=True, slots=True)
class Viewer:
    """A caller, and what that caller may do."""

    name: str
    access: Access


class Views(Generic[_View]):
    """Views by viewer, of which those used last are kept. Safe to use from many threads."""

    def __init__(self, make: Callable[[Viewer], _View]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._kept: OrderedDict[Viewer, _View] = OrderedDict()

    def of(self, viewer: Viewer) -> _View:
        """Return what somebody sees."""
        with self._lock:
            view = self._kept.get(viewer)
            if view is None:
                view = self._kept[viewer] = self._make(viewer)
                if len(self._kept) > _MOST_KEPT:
                    self._kept.popitem(last=False)
            self._kept.move_to_end(viewer)
            return view
