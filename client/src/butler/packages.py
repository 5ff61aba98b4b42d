# SPDX-License-Identifier: BSD-3-Clause
"""Which versions of which packages made something."""

from __future__ import annotations

__all__ = ["Packages"]

import platform
from collections.abc import Iterator, Mapping
from importlib.metadata import distributions
from types import MappingProxyType


class Packages(Mapping[str, str]):
    """Names of packages with their versions, sorted; immutable.

    Raises
    ------
    ValueError
        Raised if a name or version is no str.
    """

    def __init__(self, versions: Mapping[str, str]) -> None:
        for text in (*versions.keys(), *versions.values()):
            if type(text) is not str:
                raise ValueError(f"{text!r:.80} is no name or version of a package; both are str.")
        self._versions = MappingProxyType(dict(sorted(versions.items())))

    @classmethod
    def from_system(cls) -> Packages:
        """Return what is installed here, and ``python``."""
        installed = {
            name.lower(): distribution.version
            for distribution in distributions()
            # Half-removed packages have no name.
            if (name := distribution.metadata["Name"])
        }
        return cls({**installed, "python": platform.python_version()})

    def difference(self, other: Mapping[str, str]) -> dict[str, tuple[str | None, str | None]]:
        """Return what is not the same: the version here and that in ``other``, `None` where there is none."""
        return {
            name: (self.get(name), other.get(name))
            for name in sorted({*self, *other})
            if self.get(name) != other.get(name)
        }

    def to_simple(self) -> dict[str, str]:
        """Return it as a dict."""
        return dict(self._versions)

    @classmethod
    def from_simple(cls, simple: Mapping[str, str]) -> Packages:
        """Make it of a dict."""
        return cls(simple)

    def __getitem__(self, name: str) -> str:
        return self._versions[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._versions)

    def __len__(self) -> int:
        return len(self._versions)

    def __hash__(self) -> int:
        return hash(tuple(self._versions.items()))

    def __reduce__(self) -> tuple[type[Packages], tuple[dict[str, str]]]:
        return Packages, (dict(self._versions),)

    def __repr__(self) -> str:
        return f"Packages({dict(self._versions)!r})"
