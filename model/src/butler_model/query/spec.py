# SPDX-License-Identifier: BSD-3-Clause
"""The specification of a query, as it travels from any front to the service."""

from __future__ import annotations

__all__ = ["QuerySpec", "ResultKind"]

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from types import MappingProxyType

from butler_model.data_id import DataIdValue
from butler_model.errors import InvalidRequestError


class ResultKind(Enum):
    """What the rows of a result are."""

    DATA_IDS = "data_ids"
    DIMENSION_RECORDS = "dimension_records"
    DATASETS = "datasets"


@dataclass(frozen=True, slots=True)
class QuerySpec:
    """What is asked of a repository.

    Attributes
    ----------
    dimensions
        DATA_IDS: names of the dimensions of the result.
    element
        DIMENSION_RECORDS: name of the element.
    dataset_type
        DATASETS: name of the dataset type.
    collections
        DATASETS: where to search, in order.
    find_first
        DATASETS: of several datasets with one data ID, only the one found first in the order of collections.
    data_id
        Values that dimensions (or, for records, fields) of each row must have.
    """

    kind: ResultKind
    dimensions: tuple[str, ...] = ()
    element: str = ""
    dataset_type: str = ""
    collections: tuple[str, ...] = ()
    find_first: bool = False
    data_id: Mapping[str, DataIdValue] = field(default_factory=lambda: MappingProxyType({}))

    def __post_init__(self) -> None:
        needed = {
            ResultKind.DIMENSION_RECORDS: ("element", self.element),
            ResultKind.DATASETS: ("dataset_type", self.dataset_type),
        }.get(self.kind)
        if needed is not None and not needed[1]:
            raise InvalidRequestError(f"A query for {self.kind.value} needs {needed[0]}.")
