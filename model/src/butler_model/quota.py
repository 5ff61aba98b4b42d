# SPDX-License-Identifier: BSD-3-Clause
"""How much may be stored below a prefix of collections."""

from __future__ import annotations

__all__ = ["MAX_QUOTAS", "Quota", "QuotaUse", "stricter_first"]

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from .errors import InvalidNameError, InvalidRequestError

MAX_QUOTAS = 1_000
_EVERYTHING = "**"
_BELOW = "/**"
_ANY_PART = "*"
_PREFIX = re.compile(r"[^\x00-\x1f?\[\]{}]+")


@dataclass(frozen=True, slots=True)
class Quota:
    """How many bytes the datasets may take that are put into the runs of a prefix.

    Attributes
    ----------
    prefix
        The name of a run, ``PREFIX/**`` for the run PREFIX and all below it, or ``**`` for all. A part ``*`` stands for
        any one, and each has so much: with ``u/*/**`` every user.
    size
        Bytes.

    Raises
    ------
    InvalidNameError
        Raised if the prefix is none.
    InvalidRequestError
        Raised if the size is negative, or more than can be.
    """

    prefix: str
    size: int
    _pattern: re.Pattern[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        parts = self.prefix.removesuffix(_BELOW).split("/")
        fitting = all(part == _ANY_PART or (part and "*" not in part) for part in parts)
        everything = self.prefix == _EVERYTHING
        if not everything and not (fitting and _PREFIX.fullmatch(self.prefix) and len(self.prefix) <= 255):
            raise InvalidNameError(
                f"{self.prefix!r:.260} is no prefix of a quota: use the name of a run, PREFIX/** or **; * stands for "
                "any one part of a name.",
                name=self.prefix[:200],
            )
        if not 0 <= self.size < 2**63:
            raise InvalidRequestError(f"A quota is 0 to {2**63 - 1} bytes, not {self.size}.")
        place = "/".join("[^/]+" if part == _ANY_PART else re.escape(part) for part in parts)
        pattern = "()" if everything else f"({place})" + ("(?:/.*)?" if self.prefix.endswith(_BELOW) else "")
        object.__setattr__(self, "_pattern", re.compile(pattern + (".*" if everything else "")))

    @property
    def is_for_all_below(self) -> bool:
        """Whether it is for what is below its place, too."""
        return self.prefix.endswith(_EVERYTHING)

    def place_of(self, run: str) -> str | None:
        """Return the name below which a run counts for it, empty for everything; `None` if it is not for that run."""
        found = self._pattern.fullmatch(run)
        return None if found is None else found[1]


@dataclass(frozen=True, slots=True)
class QuotaUse:
    """How much is stored at one place of a quota; ``used`` is in bytes."""

    quota: Quota
    place: str
    used: int


def stricter_first(quotas: Iterable[Quota]) -> tuple[Quota, ...]:
    """Return quotas in the order in which they are to be looked at: the smallest first."""
    return tuple(sorted(quotas, key=lambda quota: (quota.size, quota.prefix)))
