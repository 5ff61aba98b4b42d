# SPDX-License-Identifier: BSD-3-Clause
"""Dimension records: the facts that a repository holds about one value of a dimension."""

from __future__ import annotations

__all__ = ["DimensionRecord"]

from collections.abc import Mapping
from typing import Any

import lsst.sphgeom

from .data_id import DataCoordinate
from .dimensions import DimensionElement
from .errors import DimensionNameError, DimensionValueError, InconsistentDataIdError
from .timespan import Timespan


class DimensionRecord:
    """One record of a dimension element; immutable. Fields are attributes: ``record.exposure_time``.

    Parameters
    ----------
    definition
        The element.
    fields
        Values by field name. The primary key is accepted under its own name or the dimension's; a timespan
        also as ``datetime_begin`` and ``datetime_end``. Fields left out are `None`, a timespan unbounded.

    Raises
    ------
    DimensionNameError
        Raised if a key field is missing.
    DimensionValueError
        Raised if a field is unknown, of the wrong type, too long, or empty where it must not be.
    """

    __slots__ = ("definition", "values")

    definition: DimensionElement
    values: tuple[Any, ...]

    def __init__(self, definition: DimensionElement, fields: Mapping[str, Any]) -> None:
        given = _gather(definition, fields)
        # The columns begin with those of the key.
        for name, value in zip(definition.key_columns, given, strict=False):
            if value is None:
                raise DimensionNameError(
                    f"A record of {definition} needs a value for {definition.field_name(name)!r}.",
                    element=definition.name,
                    missing=name,
                )
        element = definition.name
        checked = tuple(
            [column.check(value, element) for column, value in zip(definition.columns, given, strict=True)]
        )
        object.__setattr__(self, "definition", definition)
        object.__setattr__(self, "values", checked)

    @classmethod
    def from_values(cls, definition: DimensionElement, values: tuple[Any, ...]) -> DimensionRecord:
        """Make a record from values in the order of ``definition.columns`` that were checked before."""
        self = object.__new__(cls)
        object.__setattr__(self, "definition", definition)
        object.__setattr__(self, "values", values)
        return self

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError("A DimensionRecord cannot be changed.")

    def __getattr__(self, name: str) -> Any:
        try:
            return self.values[self.definition.column_index[name]]
        except KeyError:
            raise AttributeError(
                f"A record of {self.definition} has no field {name!r}; it has "
                f"{', '.join(c.name for c in self.definition.columns)}."
            ) from None

    def get(self, name: str) -> Any:
        """Return the value of a field or dimension by name; `KeyError` if there is none."""
        return self.values[self.definition.column_index[name]]

    @property
    def key(self) -> tuple[Any, ...]:
        """Values of the required dimensions, in the order of ``definition.required``."""
        return self.values[: len(self.definition.required)]

    @property
    def dataId(self) -> DataCoordinate:
        """The data ID that the record belongs to: full if the record knows all implied values."""
        universe = self.definition.universe
        known = {name: self.get(name) for name in self.definition.key_columns}
        return DataCoordinate.standardize(known, dimensions=universe.conform(self.definition.required))

    def toDict(self, splitTimespan: bool = False) -> dict[str, Any]:
        """Return the fields by name; a timespan as itself, or as two times if ``splitTimespan``."""
        fields = {
            column.name: value for column, value in zip(self.definition.columns, self.values, strict=True)
        }
        if splitTimespan and "timespan" in fields:
            span: Timespan | None = fields.pop("timespan")
            fields["datetime_begin"] = None if span is None else span.begin
            fields["datetime_end"] = None if span is None else span.end
        return fields

    def differences(self, other: DimensionRecord) -> dict[str, tuple[Any, Any]]:
        """Return the fields in which two records differ: name -> (mine, theirs)."""
        return {
            column.name: (mine, theirs)
            for column, mine, theirs in zip(self.definition.columns, self.values, other.values, strict=True)
            if not _same(mine, theirs)
        }

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, DimensionRecord):
            return NotImplemented
        return self.definition.name == other.definition.name and self.key == other.key

    def __hash__(self) -> int:
        return hash((self.definition.name, self.key))

    def __reduce__(self) -> tuple[Any, ...]:
        return (DimensionRecord.from_values, (self.definition, self.values))

    def __str__(self) -> str:
        fields = ", ".join(f"{name}: {value!r}" for name, value in self.toDict().items() if name != "region")
        return f"{self.definition.name}{{{fields}}}"

    __repr__ = __str__


def _same(mine: Any, theirs: Any) -> bool:
    if isinstance(mine, lsst.sphgeom.Region) and isinstance(theirs, lsst.sphgeom.Region):
        # A union of regions does not compare equal to its own copy.
        return bool(mine.encode() == theirs.encode())
    return bool(mine == theirs)


def _gather(definition: DimensionElement, fields: Mapping[str, Any]) -> list[Any]:
    """Return the given values in the order of the columns, `None` for those left out."""
    if definition.temporal:
        fields = _with_timespan(fields)
    columns, position_of = definition.columns, definition.column_index
    given: list[Any] = [None] * len(columns)
    # Only a primary key has two names under which it can be given.
    primary, keys = definition.primary_key, 0
    for name, value in fields.items():
        position = position_of.get(name)
        if position is None:
            raise DimensionValueError(
                f"{definition} has no field {name!r}; it has {', '.join(column.name for column in columns)}.",
                element=definition.name,
                column=name,
            )
        if primary is not None and columns[position].name == primary.name:
            keys += 1
            if keys > 1 and given[position] != value:
                raise InconsistentDataIdError(
                    f"A record of {definition} has two values for {primary.name!r}: {given[position]!r} and {value!r}.",
                    element=definition.name,
                )
        given[position] = value
    return given


def _with_timespan(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return fields in which a timespan that came as two times, or not at all, is one."""
    rest = dict(fields)
    begin, end = rest.pop("datetime_begin", None), rest.pop("datetime_end", None)
    if rest.get("timespan") is None:
        rest["timespan"] = Timespan(begin, end)
    return rest
