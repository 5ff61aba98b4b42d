# SPDX-License-Identifier: BSD-3-Clause
"""Whether the place of a store's artifacts is there: where it is not, what is not found proves nothing."""

from __future__ import annotations

__all__ = ["ALWAYS_THERE", "Presence"]

from typing import Protocol


class Presence(Protocol):
    """Looks at the place of the artifacts of one store: its directory, or its bucket."""

    def check(self) -> None:
        """Raise `ServiceUnavailableError` or `ConfigurationError` if the place is not there."""
        ...

    def make(self) -> None:
        """Make the place, if there never was one; raises as `check` does."""
        ...


class _AlwaysThere:
    def check(self) -> None:
        pass

    def make(self) -> None:
        pass


ALWAYS_THERE: Presence = _AlwaysThere()
"""That of a store whose place cannot go away."""
