# SPDX-License-Identifier: BSD-3-Clause
"""The specification of a query, as it travels from any front to the service."""

from __future__ import annotations

__all__ = ["DataIdTable", "DatasetSearch", "QuerySpec", "ResultKind"]

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from types import MappingProxyType
from typing import Any

from butler_model.data_id import DataIdValue
from butler_model.errors import InvalidRequestError, LimitExceededError

MAX_UPLOADED_ROWS = 100_000
_EMPTY: Mapping[str, Any] = MappingProxyType({})


class ResultKind(Enum):
    """What the rows of a result are."""

    DATA_IDS = "data_ids"
    DIMENSION_RECORDS = "dimension_records"
    DATASETS = "datasets"


@dataclass(frozen=True, slots=True)
class DatasetSearch:
    """A constraint: there is a dataset of this type, with the data ID of the row, in one of the collections.

    The dimensions of the dataset type take part in the query.
    """

    dataset_type: str
    collections: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DataIdTable:
    """Data IDs that the rows of a query must be among; at most 100,000.

    Attributes
    ----------
    dimensions
        Names of the dimensions that the values are of.
    rows
        One tuple of values per data ID, in the order of ``dimensions``.
    """

    dimensions: tuple[str, ...]
    rows: Sequence[tuple[DataIdValue, ...]]

    def __post_init__(self) -> None:
        if len(self.rows) > MAX_UPLOADED_ROWS:
            raise LimitExceededError(
                f"{len(self.rows)} data IDs are too many for one query; give at most {MAX_UPLOADED_ROWS}.",
                limit=str(MAX_UPLOADED_ROWS),
            )
        if any(len(row) != len(self.dimensions) for row in self.rows):
            raise InvalidRequestError("Each uploaded data ID needs one value for each dimension.")


@dataclass(frozen=True, slots=True)
class QuerySpec:
    """What is asked of a repository.

    Attributes
    ----------
    dimensions
        DATA_IDS: names of the dimensions of the result. Otherwise: dimensions that take part in the query besides those
        of the element or dataset type, for ``where``.
    joined
        DATA_IDS: names of dimensions that take part in the query besides those of the result.
    element
        DIMENSION_RECORDS: name of the element.
    dataset_type
        DATASETS: name of the dataset type.
    collections
        DATASETS: where to search, in order; chains are searched in the place where they stand.
    find_first
        DATASETS: of several datasets with one data ID, only the one found first in the order of collections.
    dataset_fields
        DATASETS: further columns: ``collection`` (the one it was found in; a row for each), ``timespan`` (of validity,
        unbounded unless the collection is a CALIBRATION one), ``ingest_date`` (TAI nanoseconds). Not ``find_first``.
    data_id
        Values that dimensions (or, for records, fields) of each row must have. A data ID with a region or a time
        constrains the other dimensions of the query by overlap.
    where
        An expression that each row must satisfy; see docs/reference/expressions.md. Empty: none.
    bind
        Values of the names in ``where``: int, float, str, bool, UUID, nanoseconds as `Timespan`, region, or a tuple.
    default_data_id
        Values of governor dimensions, for a branch of ``where`` or a data ID that does not give them.
    check
        Whether ``where`` must give governor dimensions of the dimensions it uses.
    joins
        Datasets that there must be.
    uploads
        Data IDs that each row must be among, one table after the other.
    order_by
        Expressions of one name (``visit``, ``visit.exposure_time``, ``timespan.begin``), with a leading ``-`` for
        descending order. Rows that agree in all come in the order of their keys.
    limit
        Most rows of the whole result.
    """

    kind: ResultKind
    dimensions: tuple[str, ...] = ()
    element: str = ""
    dataset_type: str = ""
    collections: tuple[str, ...] = ()
    find_first: bool = False
    dataset_fields: tuple[str, ...] = ()
    data_id: Mapping[str, DataIdValue] = field(default_factory=lambda: _EMPTY)
    where: str = ""
    bind: Mapping[str, Any] = field(default_factory=lambda: _EMPTY)
    default_data_id: Mapping[str, DataIdValue] = field(default_factory=lambda: _EMPTY)
    check: bool = True
    joins: tuple[DatasetSearch, ...] = ()
    uploads: tuple[DataIdTable, ...] = ()
    joined: tuple[str, ...] = ()
    order_by: tuple[str, ...] = ()
    limit: int | None = None

    def __post_init__(self) -> None:
        needed = {
            ResultKind.DIMENSION_RECORDS: ("element", self.element),
            ResultKind.DATASETS: ("dataset_type", self.dataset_type),
        }.get(self.kind)
        if needed is not None and not needed[1]:
            raise InvalidRequestError(f"A query for {self.kind.value} needs {needed[0]}.")
        if self.limit is not None and self.limit < 0:
            raise InvalidRequestError(f"A limit of {self.limit} rows means nothing; use 0 or more, or none.")
        if self.joined and self.kind is not ResultKind.DATA_IDS:
            raise InvalidRequestError(
                "Of a query for records or datasets, other dimensions are named as dimensions."
            )
        if self.dataset_fields and (self.kind is not ResultKind.DATASETS or self.find_first):
            raise InvalidRequestError(
                "Fields of datasets are columns of queries for all datasets, not with find_first."
            )
