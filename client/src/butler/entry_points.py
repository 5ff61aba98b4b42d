# SPDX-License-Identifier: BSD-3-Clause
"""Code that installed packages offer under a label.

Labels are an allow-list: what a registry says can select code, but never name any.
"""

from __future__ import annotations

__all__ = ["LabelledCode", "installed_entry_points"]

from importlib.metadata import EntryPoint, entry_points
from typing import Generic, TypeVar, cast

from butler_model.errors import ConfigurationError, ConflictingDefinitionError, StorageClassError

T = TypeVar("T")


def installed_entry_points(group: str) -> dict[str, EntryPoint]:
    """Return the entry points of a group by label; `ConfigurationError` if two packages claim the same label."""
    found: dict[str, EntryPoint] = {}
    for entry_point in entry_points(group=group):
        known = found.setdefault(entry_point.name, entry_point)
        # A package can be listed twice (once installed, once on the path); two packages must not share a
        # label.
        if known.value != entry_point.value:
            raise ConfigurationError(
                f"Two installed packages offer {entry_point.name!r} in {group}: {known.value} and "
                f"{entry_point.value}; uninstall one.",
                label=entry_point.name,
            )
    return found


class LabelledCode(Generic[T]):
    """What a process may use of one kind, by label: entry points, imported when first used, and what was added.

    Parameters
    ----------
    group
        Group of entry points, such as ``butler.delegates``.
    what
        One of them, in words.
    """

    def __init__(self, group: str, what: str) -> None:
        self._what = what
        self._entry_points = installed_entry_points(group)
        self._loaded: dict[str, T] = {}

    def add(self, label: str, code: T) -> None:
        """Add code of this process; `ConflictingDefinitionError` if the label has another meaning already."""
        if label in self._entry_points or self._loaded.get(label, code) is not code:
            raise ConflictingDefinitionError(
                f"There is a {self._what} {label!r} already; use another label.", label=label
            )
        self._loaded[label] = code

    def get(self, label: str) -> T:
        """Return the code of a label; `StorageClassError` if there is none, or it cannot be imported."""
        if label in self._loaded:
            return self._loaded[label]
        if label not in self._entry_points:
            known = ", ".join(sorted({*self._entry_points, *self._loaded})) or "none"
            raise StorageClassError(
                f"Unknown {self._what} {label!r}; known here are {known}. Install the package that offers it, or add "
                "it with butler.storage_classes.add_storage_classes.",
                label=label,
            )
        try:
            loaded = cast(T, self._entry_points[label].load())
        except (ImportError, AttributeError) as error:
            raise StorageClassError(
                f"The {self._what} {label!r} cannot be imported ({error}); install what it needs.",
                label=label,
            ) from error
        # Threads may do this twice, with the same result.
        self._loaded[label] = loaded
        return loaded
