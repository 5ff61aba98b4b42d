# SPDX-License-Identifier: BSD-3-Clause
"""Collections: named groups of datasets."""

from __future__ import annotations

__all__ = ["ChainEdit", "Collection", "CollectionSummary", "CollectionType", "check_collection_name"]

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum, IntEnum

from .errors import InvalidNameError
from .text import unfit_text

MAX_COLLECTION_NAME = 255
_NAME = re.compile(r"[A-Za-z0-9_+\-@][A-Za-z0-9_+\-@.,:=]*(/[A-Za-z0-9_+\-@][A-Za-z0-9_+\-@.,:=]*)*")


class CollectionType(IntEnum):
    """What a collection holds."""

    RUN = 1
    """Datasets that were put there; each dataset is in exactly one run."""
    TAGGED = 2
    """Any datasets, at most one for each dataset type and data ID."""
    CHAINED = 3
    """Other collections, searched in order."""
    CALIBRATION = 4
    """Datasets with ranges of validity."""

    @classmethod
    def from_name(cls, name: str) -> CollectionType:
        """Return the type of that name in any case; `InvalidNameError` if there is none."""
        try:
            return cls[name.upper()]
        except (KeyError, AttributeError):
            raise InvalidNameError(
                f"Unknown collection type {name!r:.80}; use one of {', '.join(t.name for t in cls)}.",
                name=str(name)[:80],
            ) from None

    @classmethod
    def from_names(cls, names: Iterable[str] | None = None) -> frozenset[CollectionType]:
        """Return the types of those names in any case; all types without a name."""
        if isinstance(names, str):
            names = (names,)
        return frozenset(map(cls.from_name, names or ())) or cls.all()

    @classmethod
    def all(cls) -> frozenset[CollectionType]:
        """Return all types."""
        return frozenset(cls)


class ChainEdit(Enum):
    """What to do with the members of a chain."""

    SET = "set"
    """Replace all by the given ones."""
    PREPEND = "prepend"
    """Move or add the given ones to the front, in their order."""
    EXTEND = "extend"
    """Move or add the given ones to the end, in their order."""
    REMOVE = "remove"
    """Take the given ones out; absent ones are none."""


def check_collection_name(name: str) -> str:
    """Return the name, or raise `InvalidNameError`.

    Names are made of parts separated by ``/``; a part holds letters, digits and ``_+-@.,:=`` and does not
    begin with a dot, so that no name can climb out of a directory. At most 255 characters.
    """
    if not isinstance(name, str) or len(name) > MAX_COLLECTION_NAME or not _NAME.fullmatch(name):
        raise InvalidNameError(
            f"{name!r:.300} is no collection name: use letters, digits and _+-@.,:= in parts separated by /, "
            f"no part beginning with a dot, {MAX_COLLECTION_NAME} characters at most.",
            name=str(name)[:MAX_COLLECTION_NAME],
        )
    return name


@dataclass(frozen=True, slots=True)
class Collection:
    """A collection as the registry knows it.

    Attributes
    ----------
    doc
        Description for people; may be empty.
    children
        For a CHAINED collection, its members in search order.
    """

    name: str
    type: CollectionType
    doc: str = ""
    children: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_collection_name(self.name)
        if why := unfit_text(self.doc):
            raise InvalidNameError(f"The description of collection {self.name!r} {why}.", name=self.name)

    @property
    def etag(self) -> str:
        """Digest of the members: an edit that gives it is refused if the chain has changed since."""
        return hashlib.sha256("\n".join(self.children).encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class CollectionSummary:
    """What a collection holds now; of a chain, what its members hold.

    Attributes
    ----------
    dataset_types
        Names of the types of its datasets, ascending.
    governors
        For each governor dimension of these types, the values that datasets have, ascending.
    """

    dataset_types: tuple[str, ...] = ()
    governors: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
