# SPDX-License-Identifier: BSD-3-Clause
"""Data IDs: values of dimensions that together name one thing."""

from __future__ import annotations

__all__ = ["DataCoordinate", "DataId", "DataIdValue", "check_value"]

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import lsst.sphgeom

from .dimensions import INT64_MAX, INT64_MIN, ColumnType, DimensionElement
from .errors import DimensionNameError, InconsistentDataIdError, InvalidRequestError
from .json_form import DataIdForm
from .timespan import Timespan
from .universe import DimensionGroup, DimensionUniverse

if TYPE_CHECKING:
    from .records import DimensionRecord

DataIdValue: TypeAlias = int | str
DataId: TypeAlias = "DataCoordinate | Mapping[str, Any]"


def check_value(dimension: DimensionElement, value: Any) -> DataIdValue:
    """Return a value as the dimension's key type, or raise `DimensionValueError`.

    numpy integers become ints; strings are never read as numbers.
    """
    column = dimension.key_columns[dimension.name]
    if type(value) is int and column.type is ColumnType.INT and INT64_MIN <= value <= INT64_MAX:
        return value  # nearly every key of nearly every data ID
    checked: DataIdValue = column.check(value, dimension.name)
    return checked


class DataCoordinate(DataIdForm, Mapping[str, DataIdValue]):
    """An immutable, validated data ID.

    It is *minimal* if only the values of required dimensions are known, *full* if those of implied ones are
    too, *expanded* if the dimension records are attached. Iteration, equality and hash go by the required
    values alone, so the three forms of one data ID are equal.

    Attributes
    ----------
    dimensions
        The group of dimensions it has values for.
    values_tuple
        Values in the order of ``dimensions.names``: the required ones, then, if full, the implied ones.
    """

    __slots__ = ("_hash", "_records", "dimensions", "values_tuple")

    dimensions: DimensionGroup
    values_tuple: tuple[DataIdValue, ...]

    def __init__(
        self,
        dimensions: DimensionGroup,
        values: tuple[DataIdValue, ...],
        records: Mapping[str, DimensionRecord | None] | None = None,
    ) -> None:
        # Trusts its caller: use standardize for values that were not checked yet.
        self.dimensions = dimensions
        self.values_tuple = values
        self._records = records
        self._hash: int | None = None

    @classmethod
    def standardize(
        cls,
        mapping: DataId | None = None,
        *,
        dimensions: DimensionGroup | Sequence[str] | None = None,
        universe: DimensionUniverse | None = None,
        defaults: DataCoordinate | None = None,
        **kwargs: Any,
    ) -> DataCoordinate:
        """Check a data ID and bring it into standard form.

        Parameters
        ----------
        mapping, **kwargs
            Dimension names and values; keyword arguments win.
        dimensions
            The group wanted; other dimensions are left out. If absent, the keys given say.
        universe
            Needed where neither ``mapping`` nor ``dimensions`` knows one.
        defaults
            Values for dimensions that are not given.

        Raises
        ------
        DimensionNameError
            Raised if a key is no dimension, or a required dimension has no value.
        DimensionValueError
            Raised if a value is of the wrong type, or too long.
        """
        if isinstance(mapping, DataCoordinate) and not kwargs:
            if dimensions is None:
                return mapping
            group = mapping.universe.conform(dimensions)
            if group is mapping.dimensions:
                return mapping
            if set(group.required) <= mapping.known_names:
                return mapping.subset(group)
        universe = _universe_of(mapping, dimensions, universe, defaults)
        known = mapping.mapping if isinstance(mapping, DataCoordinate) else {} if mapping is None else mapping
        if not isinstance(known, Mapping):
            raise InvalidRequestError(
                f"A data ID is a mapping of dimensions to values, not {mapping!r:.80}; write it as a dict."
            )
        given: dict[str, Any] = dict(known)
        given.update(kwargs)
        for name in given:
            universe.dimension(name)
        group = universe.conform(given if dimensions is None else dimensions)
        return cls._from_checked(group, given, defaults)

    @classmethod
    def _from_checked(
        cls, group: DimensionGroup, given: dict[str, Any], defaults: DataCoordinate | None
    ) -> DataCoordinate:
        elements = group.universe.elements
        if defaults is not None:
            given = {**defaults.mapping, **given}
        missing = [name for name in group.required if given.get(name) is None]
        if missing:
            raise DimensionNameError(
                f"The data ID {_show(given)} has no value for {', '.join(missing)}; dimensions {group} need "
                f"{', '.join(group.required)}.",
                missing=",".join(missing),
            )
        names: tuple[str, ...] = group.required
        if all(given.get(name) is not None for name in group.implied):
            names = group.names
        return cls(group, tuple(check_value(elements[name], given[name]) for name in names))

    @classmethod
    def from_required_values(
        cls, dimensions: DimensionGroup, values: Sequence[DataIdValue]
    ) -> DataCoordinate:
        """Make a minimal data ID from values in the order of ``dimensions.required``, unchecked."""
        return cls(dimensions, tuple(values))

    @classmethod
    def make_empty(cls, universe: DimensionUniverse) -> DataCoordinate:
        """Return the data ID of no dimensions."""
        return cls(universe.empty, (), {})

    makeEmpty = make_empty

    @property
    def universe(self) -> DimensionUniverse:
        """The universe of the dimensions."""
        return self.dimensions.universe

    @property
    def graph(self) -> DimensionGroup:
        """The same as ``dimensions``, under its older name."""
        return self.dimensions

    def hasFull(self) -> bool:
        """Return whether the values of implied dimensions are known."""
        return len(self.values_tuple) == len(self.dimensions.names)

    def hasRecords(self) -> bool:
        """Return whether dimension records are attached."""
        return self._records is not None

    @property
    def known_names(self) -> set[str]:
        """Names of the dimensions whose values are known."""
        return set(self.dimensions.names[: len(self.values_tuple)])

    @property
    def required(self) -> Mapping[str, DataIdValue]:
        """Values of the required dimensions."""
        return dict(zip(self.dimensions.required, self.values_tuple, strict=False))

    @property
    def mapping(self) -> Mapping[str, DataIdValue]:
        """All values that are known."""
        return dict(zip(self.dimensions.names, self.values_tuple, strict=False))

    @property
    def full(self) -> Mapping[str, DataIdValue]:
        """Values of all dimensions; `InconsistentDataIdError` unless `hasFull`."""
        if not self.hasFull():
            raise InconsistentDataIdError(
                f"{self} is not full: expand it first with registry.expandDataId.", data_id=str(self)
            )
        return self.mapping

    @property
    def records(self) -> Mapping[str, DimensionRecord | None]:
        """Records of all elements, by element name; `InconsistentDataIdError` unless `hasRecords`."""
        if self._records is None:
            raise InconsistentDataIdError(
                f"{self} has no records: expand it first with registry.expandDataId.", data_id=str(self)
            )
        return self._records

    def expanded(self, records: Mapping[str, DimensionRecord | None]) -> DataCoordinate:
        """Return this data ID with records attached and the implied values that they give."""
        values: dict[str, DataIdValue] = dict(self.required)
        for record in records.values():
            if record is not None:
                for name in record.definition.implied:
                    values.setdefault(name, record.get(name))
        names = self.dimensions.names
        return DataCoordinate(self.dimensions, tuple(values[name] for name in names), records)

    @property
    def region(self) -> lsst.sphgeom.Region | None:
        """The region on the sky: of the finest element of each family, intersected; `None` if there is none."""
        region: lsst.sphgeom.Region | None = None
        for record in self._finest("spatial"):
            found = record.region
            if found is None:
                return None
            region = found if region is None else lsst.sphgeom.IntersectionRegion(region, found)
        return region

    @property
    def timespan(self) -> Timespan | None:
        """The time span: of the finest element of each family, intersected; `None` if there is none."""
        spans = [record.timespan for record in self._finest("temporal")]
        if not spans or any(span is None for span in spans):
            return None
        common: Timespan = spans[0].intersection(*spans[1:])
        return common

    def _finest(self, kind: str) -> list[DimensionRecord]:
        """Return, of each topological family, the record of its finest member that there is one of."""
        records = self.records
        finest = []
        for members in self.universe.families[kind].values():
            found = (records[name] for name in members if records.get(name) is not None)
            finest += [record for record in [next(found, None)] if record is not None]
        return finest

    def subset(self, dimensions: DimensionGroup | Sequence[str]) -> DataCoordinate:
        """Return the part of the data ID that belongs to fewer dimensions.

        Raises `DimensionNameError` if a required dimension of them has no known value.
        """
        group = self.universe.conform(dimensions)
        if group is self.dimensions:
            return self
        known = self.mapping
        try:
            values = tuple(known[name] for name in group.required)
        except KeyError as error:
            raise DimensionNameError(
                f"{self} has no value for {error.args[0]}.", missing=error.args[0]
            ) from None
        if all(name in known for name in group.implied):
            values += tuple(known[name] for name in group.implied)
        records = None
        if self._records is not None and all(name in self._records for name in group.elements):
            records = {name: self._records[name] for name in group.elements}
        return DataCoordinate(group, values, records)

    def union(self, other: DataCoordinate) -> DataCoordinate:
        """Return the data ID with the values of both; `InconsistentDataIdError` where they differ."""
        mine, theirs = self.mapping, other.mapping
        for name in mine.keys() & theirs.keys():
            if mine[name] != theirs[name]:
                raise InconsistentDataIdError(
                    f"{self} and {other} have different values for {name}.", dimension=name
                )
        group = self.dimensions | other.dimensions
        return DataCoordinate._from_checked(group, {**mine, **theirs}, None)

    def __getitem__(self, name: str) -> DataIdValue:
        i = self.dimensions.index[getattr(name, "name", name)]
        try:
            return self.values_tuple[i]
        except IndexError:
            raise KeyError(name) from None

    def __iter__(self) -> Iterator[str]:
        return iter(self.dimensions.required)

    def __len__(self) -> int:
        return len(self.dimensions.required)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, DataCoordinate):
            if not isinstance(other, Mapping):
                return NotImplemented
            return dict(self.required) == dict(other) or dict(self.mapping) == dict(other)
        n = len(self.dimensions.required)
        return self.dimensions is other.dimensions and self.values_tuple[:n] == other.values_tuple[:n]

    def __hash__(self) -> int:
        if self._hash is None:
            n = len(self.dimensions.required)
            self._hash = hash((self.dimensions.required, self.values_tuple[:n]))
        return self._hash

    def __lt__(self, other: DataCoordinate) -> bool:
        n = len(self.dimensions.required)
        return self.values_tuple[:n] < other.values_tuple[: len(other.dimensions.required)]

    def __reduce__(self) -> tuple[Any, ...]:
        return (DataCoordinate, (self.dimensions, self.values_tuple, self._records))

    def __str__(self) -> str:
        return _show(self.mapping)

    def __repr__(self) -> str:
        return _show(self.mapping)


def _universe_of(
    mapping: DataId | None,
    dimensions: DimensionGroup | Sequence[str] | None,
    universe: DimensionUniverse | None,
    defaults: DataCoordinate | None,
) -> DimensionUniverse:
    for source in (dimensions, mapping, defaults):
        if isinstance(source, DimensionGroup | DataCoordinate):
            return source.universe
    if universe is None:
        raise DimensionNameError("A data ID made from a plain mapping needs a universe or a dimension group.")
    return universe


def _show(values: Mapping[str, Any]) -> str:
    return "{" + ", ".join(f"{name}: {value!r}" for name, value in values.items()) + "}"
