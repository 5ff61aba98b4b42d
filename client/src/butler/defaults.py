# SPDX-License-Identifier: BSD-3-Clause
"""What a butler assumes where a caller says nothing: run, collections, values of governor dimensions."""

from __future__ import annotations

__all__ = ["RegistryDefaults", "dimensions_of", "plain_data_id"]

from collections.abc import Mapping
from numbers import Integral, Real
from typing import Any

from butler_model.collection import check_collection_name
from butler_model.data_id import DataCoordinate
from butler_model.dimensions import INT64_MAX, INT64_MIN
from butler_model.errors import (
    DimensionValueError,
    InvalidRequestError,
    NoDefaultCollectionError,
)
from butler_model.timespan import Timespan
from butler_model.universe import DimensionGroup, DimensionUniverse

from .connect import Connection
from .query_arguments import check_collections


def plain_data_id(data_id: Any, keywords: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a data ID says, as it can be sent; keyword arguments win, `None` counts as absent.

    Raises
    ------
    InvalidRequestError
        Raised if the data ID is no mapping.
    DimensionValueError
        Raised if a value is of a type that no dimension and no field has.
    """
    if isinstance(data_id, DataCoordinate):
        if not keywords:
            return dict(data_id.mapping)
        data_id = data_id.mapping
    if data_id is None:
        data_id = {}
    elif not isinstance(data_id, Mapping):
        raise InvalidRequestError(
            f"A data ID is a mapping of dimensions to values, not {data_id!r:.80}; write it as a dict or as "
            "keyword arguments."
        )
    given = {str(name): value for name, value in data_id.items()}
    given.update(keywords)
    return {name: _plain(name, value) for name, value in given.items() if value is not None}


def _plain(name: str, value: Any) -> Any:
    if isinstance(value, bool | bytes | Timespan) or type(value) is str:
        return value
    if isinstance(value, str):
        return str(value)  # numpy.str_
    if isinstance(value, Integral):  # numpy integers among them
        number = int(value)
        if not INT64_MIN <= number <= INT64_MAX:
            raise DimensionValueError(f"{name} = {number!r:.80} does not fit into 64 bits.", column=name)
        return number
    if isinstance(value, Real):
        return float(value)
    if type(value).__name__ == "bool":
        return bool(value)  # numpy.bool
    raise DimensionValueError(
        f"{name} = {value!r:.80} is a {type(value).__name__}; no dimension and no field has such values.",
        column=name,
    )


def dimensions_of(universe: DimensionUniverse, given: Mapping[str, Any]) -> DimensionGroup:
    """Return the group of those keys of a data ID that are dimensions."""
    return universe.conform(
        [name for name in given if (element := universe.get(name)) and element.is_dimension]
    )


class RegistryDefaults:
    """Run, collections and values of governor dimensions that a butler assumes.

    Parameters
    ----------
    connection
        Where to look for values of governor dimensions.
    collections, run
        Searched in that order; written to.
    data_id
        Values of governor dimensions that were given.
    infer
        Whether a governor dimension of which the default collections together hold exactly one value has that
        value. It is looked up when a data ID first lacks it.
    """

    def __init__(
        self,
        connection: Connection,
        collections: tuple[str, ...],
        run: str | None,
        data_id: Mapping[str, Any],
        infer: bool,
    ) -> None:
        self._connection = connection
        self._registry = connection.registry
        self.collections = collections
        self.run = run
        self.given = dict(data_id)
        self.infer = infer
        self._inferred: dict[str, str | None] = {}

    @property
    def known(self) -> dict[str, str]:
        """The values of all governor dimensions that have one, by name."""
        universe = self._connection.info.universe
        return {name: value for name in universe.governors if (value := self._value(name)) is not None}

    @property
    def dataId(self) -> DataCoordinate:
        """The values of all governor dimensions that have one."""
        return DataCoordinate.standardize(self.known, universe=self._connection.info.universe)

    def search_path(self, collections: Any) -> tuple[str, ...]:
        """Return the collections given, else the default ones; `NoDefaultCollectionError` if none."""
        if collections is not None:
            return check_collections(collections)
        if not self.collections:
            raise NoDefaultCollectionError(
                "No collections were given and this butler has no default ones; pass collections=…, or make "
                "it with Butler(…, collections=…)."
            )
        return self.collections

    def run_for(self, run: str | None) -> str:
        """Return the run given, else the default one; `NoDefaultCollectionError` if none."""
        if run is not None:
            return check_collection_name(run)
        if self.run is None:
            raise NoDefaultCollectionError(
                "No run was given and this butler has no default one; pass run=…, or make it with Butler(…, "
                "run=…)."
            )
        return self.run

    def fill(self, given: Mapping[str, Any], dimensions: DimensionGroup) -> dict[str, Any]:
        """Return a data ID with the default values of the governor dimensions of a group that it lacks."""
        missing = (name for name in dimensions.governors if name not in given)
        return {**{name: value for name in missing if (value := self._value(name)) is not None}, **given}

    def _value(self, governor: str) -> str | None:
        if governor in self.given:
            value: str = self.given[governor]
            return value
        if not self.infer or not self.collections:
            return None
        if governor not in self._inferred:
            # What the default collections do not hold is not remembered: there may be datasets soon.
            held = {n: v[0] if len(v) == 1 else None for n, v in self._held().items() if v}
            if self._registry.in_transaction:
                return held.get(governor)
            self._inferred.update(held)
        return self._inferred.get(governor)

    def _held(self) -> dict[str, tuple[str, ...]]:
        """Return the values of governor dimensions that datasets in the default collections have."""
        collections = self._registry.collections
        existing = [collection.name for collection in collections.find(self.collections)]
        held: dict[str, set[str]] = {}
        for summary in collections.summaries(existing) if existing else ():
            for governor, values in summary.governors.items():
                held.setdefault(governor, set()).update(values)
        return {governor: tuple(sorted(values)) for governor, values in held.items()}
