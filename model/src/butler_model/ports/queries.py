# SPDX-License-Identifier: BSD-3-Clause
"""Queries, and what happens while nobody asks."""

from __future__ import annotations

__all__ = ["DatasetEvent", "DatasetEventKind", "Events", "Queries"]

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol
from uuid import UUID

from butler_model.cancellation import Cancellation
from butler_model.paging import PageRequest, ResultPage
from butler_model.query.spec import QuerySpec


class Queries(Protocol):
    """Queries.

    All raise `ExpressionSyntaxError`, `ExpressionTypeError`, `UnknownNameError` and `GovernorError` for what is wrong
    with ``where``, and `MissingCollectionError`, `MissingDatasetTypeError` for what does not exist.
    """

    def page(self, spec: QuerySpec, page: PageRequest) -> ResultPage:
        """Return one page of a query's distinct rows, in the order asked for, then of their keys.

        Raises `InvalidPageTokenError` for a token that is not of this query.
        """
        ...

    def stream(
        self, spec: QuerySpec, page_rows: int = 0, *, cancellation: Cancellation | None = None
    ) -> Iterator[ResultPage]:
        """Yield all pages of a query; closing the iterator ends the work of the service and its database.

        All rows are of one state of the repository, that of the beginning. A ``cancellation`` also ends a statement
        that has given no row yet.
        """
        ...

    def count(self, spec: QuerySpec, *, exact: bool = True) -> int:
        """Return the number of rows; if not ``exact``, an upper bound that takes overlaps of pixels for overlaps."""
        ...

    def explain_no_results(self, spec: QuerySpec) -> list[str]:
        """Return reasons, for people, why a query has no rows; none if it has some, or nobody knows why."""
        ...


class DatasetEventKind(Enum):
    """What happened to a dataset."""

    APPEARED = "appeared"
    REMOVED = "removed"


@dataclass(frozen=True, slots=True)
class DatasetEvent:
    """Datasets of one type and run that appeared, or were removed, together.

    Attributes
    ----------
    position
        Where to go on watching after this event; opaque.
    time_nsec
        When, by the clock of the database, Unix nanoseconds.
    """

    kind: DatasetEventKind
    dataset_type: str
    run: str
    dataset_ids: tuple[UUID, ...]
    position: bytes
    time_nsec: int


class Events(Protocol):
    """What happens in a repository."""

    def position(self) -> bytes:
        """Return the position after the newest event."""
        ...

    def watch(
        self, position: bytes, *, dataset_types: Sequence[str] = ("*",), runs: Sequence[str] = ("*",)
    ) -> Iterator[DatasetEvent | None]:
        """Yield events after a position, of types and runs that match any glob, as they happen; each at least once.

        `None` comes at least every 15 seconds, so that whoever waits can see that the watch goes on. It ends only when
        it is closed. Raises `InvalidPageTokenError` for a position that is none, or so old that events were forgotten.
        """
        ...
