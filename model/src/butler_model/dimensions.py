# SPDX-License-Identifier: BSD-3-Clause
"""Definitions of dimensions and of the elements that relate them.

An *element* has records in the registry: a *dimension* ("detector") is an element whose primary key can stand in
a data ID; other elements ("visit_detector_region") hold facts about combinations of dimensions.
"""

from __future__ import annotations

__all__ = ["INT64_MAX", "INT64_MIN", "Column", "ColumnType", "DimensionElement", "SkyPixSystem"]

import builtins
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property
from typing import TYPE_CHECKING, Any

import lsst.sphgeom

from .errors import ConfigurationError, DimensionValueError
from .text import unfit_text
from .timespan import Timespan

if TYPE_CHECKING:
    from .records import DimensionRecord
    from .universe import DimensionUniverse

INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1
_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")


class ColumnType(Enum):
    """What a column of a dimension record holds."""

    STRING = "string"
    INT = "int"
    FLOAT = "float"
    BOOL = "bool"
    HASH = "hash"
    REGION = "region"
    TIMESPAN = "timespan"


_PYTHON_TYPES: dict[ColumnType, type] = {
    ColumnType.STRING: str,
    ColumnType.INT: int,
    ColumnType.FLOAT: float,
    ColumnType.BOOL: bool,
    ColumnType.HASH: bytes,
    ColumnType.REGION: lsst.sphgeom.Region,
    ColumnType.TIMESPAN: Timespan,
}


@dataclass(frozen=True, slots=True)
class Column:
    """One field of a dimension record.

    Attributes
    ----------
    length
        Longest string, in characters; 0 for other types.
    nbytes
        Longest hash, in bytes; 0 for other types.
    """

    name: str
    type: ColumnType
    length: int = 0
    nbytes: int = 0
    nullable: bool = True
    doc: str = ""
    python_type: builtins.type[Any] = field(init=False, repr=False, compare=False)
    """The class of its values; it follows from the type."""

    def __post_init__(self) -> None:
        # Looked up once, not for each value that is checked: an Enum is hashed by a method in Python.
        object.__setattr__(self, "python_type", _PYTHON_TYPES[self.type])

    @classmethod
    def from_config(cls, config: Mapping[str, Any], *, nullable: bool) -> Column:
        """Read a column from a universe configuration; `ConfigurationError` if it is malformed."""
        try:
            column = cls(
                name=config["name"],
                type=ColumnType(config["type"]),
                length=int(config.get("length", 0)),
                nbytes=int(config.get("nbytes", 0)),
                nullable=bool(config.get("nullable", nullable)),
                doc=str(config.get("doc", "")),
            )
            well_formed = bool(_NAME.fullmatch(column.name))
        except (KeyError, ValueError, TypeError) as error:
            raise ConfigurationError(
                f"Malformed dimension column {config!r}: give a name and a type that is one of "
                f"{', '.join(t.value for t in ColumnType)}."
            ) from error
        if not well_formed:
            raise ConfigurationError(
                f"Malformed column name {column.name!r}: use lower-case letters, digits and _."
            )
        for type_, unit, size in (
            (ColumnType.STRING, "length", column.length),
            (ColumnType.HASH, "nbytes", column.nbytes),
        ):
            if (column.type is type_) != (size > 0) or size < 0:
                raise ConfigurationError(
                    f"Column {column.name!r} has {unit} {size}; a {type_.value} has one above 0, others have none."
                )
        return column

    def check(self, value: Any, element: str) -> Any:
        """Return the value as stored (numpy scalars become plain ones), or raise `DimensionValueError`.

        Strings are never read as numbers, nor numbers as strings; an int is accepted where a float is wanted.
        """
        expected = self.python_type
        if type(value) is not expected:
            if value is None:
                return self._check_absent(element)
            value = self._convert(value, element)
        if expected is int:
            if not INT64_MIN <= value <= INT64_MAX:
                raise self._refuse(element, value, "does not fit into 64 bits")
        elif expected is float:
            if value != value and self.nullable:
                return None  # not every database can keep "not a number" apart from "no value"
        elif expected is str:
            if len(value) > self.length:
                raise self._too_long(element, value, self.length, "characters")
            if why := unfit_text(value):
                raise self._refuse(element, value, why)
        elif expected is bytes and len(value) > self.nbytes:
            raise self._too_long(element, value, self.nbytes, "bytes")
        return value

    def _check_absent(self, element: str) -> None:
        if not self.nullable:
            raise DimensionValueError(
                f"{element}.{self.name} must have a value.", element=element, column=self.name
            )

    def _convert(self, value: Any, element: str) -> Any:
        if self.type in (ColumnType.INT, ColumnType.FLOAT) and not isinstance(value, bool):
            try:
                if self.type is ColumnType.INT and hasattr(value, "__index__"):
                    return int(value)
                if self.type is ColumnType.FLOAT and hasattr(value, "__float__"):
                    return float(value)
            except (TypeError, OverflowError) as error:  # an array of several numbers, or 10**400
                raise self._refuse(element, value, f"is no single number that fits: {error}") from error
        if self.type is ColumnType.BOOL and type(value).__name__ == "bool":  # numpy.bool
            return bool(value)
        if self.type is ColumnType.HASH and isinstance(value, bytearray | memoryview):
            return bytes(value)
        if isinstance(value, self.python_type) and not isinstance(value, bool):
            # Subclasses such as numpy.str_ or a ConvexPolygon.
            return str(value) if self.type is ColumnType.STRING else value
        raise self._refuse(element, value, f"is a {type(value).__name__}; it must be {self.type.value}")

    def _too_long(self, element: str, value: Any, limit: int, unit: str) -> DimensionValueError:
        return self._refuse(element, value, f"is {len(value)} {unit} long; the limit is {limit}")

    def _refuse(self, element: str, value: Any, why: str) -> DimensionValueError:
        if isinstance(value, int) and value.bit_length() > 256:
            shown = f"(an integer of {value.bit_length()} bits)"  # Python refuses to print the longest
        else:
            shown = repr(value)
        shown = shown if len(shown) <= 80 else shown[:77] + "..."
        return DimensionValueError(
            f"{element}.{self.name} = {shown} {why}.", element=element, column=self.name, value=shown
        )


@dataclass(frozen=True, slots=True)
class SkyPixSystem:
    """A hierarchical pixelization of the sphere, such as HTM, with one dimension per level."""

    name: str
    max_level: int

    def dimension_name(self, level: int) -> str:
        """Return the name of the dimension of that level, e.g. ``htm7``."""
        return f"{self.name}{level}"

    def pixelization(self, level: int) -> lsst.sphgeom.Pixelization:
        """Return the geometry of a level."""
        kinds = {"htm": lsst.sphgeom.HtmPixelization, "healpix": lsst.sphgeom.HealpixPixelization}
        pixelization: lsst.sphgeom.Pixelization = kinds[self.name](level)
        return pixelization


@dataclass(frozen=True, eq=False)
class DimensionElement:
    """A dimension or a relation between dimensions; made by `DimensionUniverse`, compared by identity.

    Attributes
    ----------
    required
        Names of the dimensions whose values identify a record, in universe order; a dimension's own name is
        the last of them.
    implied
        Names of the dimensions whose values a record determines.
    alternate_keys
        Columns that are unique for given values of the other required dimensions.
    spatial, temporal
        Name of the topological family the element belongs to, or `None`.
    view_of
        The element whose distinct values are this dimension's records, for a dimension without its own table.
    skypix
        System and level, for a dimension whose records are computed.
    """

    name: str
    doc: str
    primary_key: Column | None
    alternate_keys: tuple[Column, ...]
    required: tuple[str, ...]
    implied: tuple[str, ...]
    metadata: tuple[Column, ...]
    spatial: str | None = None
    temporal: str | None = None
    is_governor: bool = False
    always_join: bool = False
    populated_by: str | None = None
    view_of: str | None = None
    skypix: tuple[SkyPixSystem, int] | None = None
    key_columns: Mapping[str, Column] = field(default_factory=dict)
    """For every required and implied dimension, the column that holds its value."""
    universe: DimensionUniverse = field(init=False, repr=False)
    """The universe it belongs to; set by that universe."""

    @property
    def is_dimension(self) -> bool:
        """Whether the element's key can stand in a data ID."""
        return self.primary_key is not None

    @property
    def has_table(self) -> bool:
        """Whether records of the element are stored (rather than computed or a view of another's)."""
        return self.view_of is None and self.skypix is None

    @cached_property
    def columns(self) -> tuple[Column, ...]:
        """All fields of a record: required and implied dimensions, alternate keys, metadata, region, timespan.

        The primary key of a dimension appears under its key name (``id``), foreign keys under the name of
        their dimension.
        """
        columns = [
            Column(self.field_name(name), c.type, c.length, c.nbytes, nullable=False)
            for name, c in self.key_columns.items()
        ]
        columns += [*self.alternate_keys, *self.metadata]
        if self.spatial and self.skypix is None:
            columns.append(Column("region", ColumnType.REGION))
        if self.temporal:
            columns.append(Column("timespan", ColumnType.TIMESPAN))
        return tuple(columns)

    @cached_property
    def column_index(self) -> Mapping[str, int]:
        """Position of each field in `columns`; the dimension's own name is accepted for its primary key."""
        index = {column.name: i for i, column in enumerate(self.columns)}
        if self.primary_key is not None:
            index.setdefault(self.name, index[self.primary_key.name])
        return index

    def field_name(self, dimension: str) -> str:
        """Return the name of the field that holds a required or implied dimension's value."""
        if dimension == self.name and self.primary_key is not None:
            return self.primary_key.name
        return dimension

    def RecordClass(self, **fields: Any) -> DimensionRecord:
        """Make a record of this element from its fields; see `DimensionRecord`."""
        from .records import DimensionRecord

        return DimensionRecord(self, fields)

    def __str__(self) -> str:
        return self.name

    def __repr__(self) -> str:
        return f"DimensionElement({self.name})"

    def __hash__(self) -> int:
        return id(self)

    def __reduce__(self) -> tuple[Any, ...]:
        return (_restore, (self.universe, self.name))


def _restore(universe: DimensionUniverse, name: str) -> DimensionElement:
    return universe[name]
