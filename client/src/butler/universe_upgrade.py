# SPDX-License-Identifier: BSD-3-Clause
"""Bringing what an export holds into the dimension universe of the repository that takes it in.

Universe ``daf_butler`` has versions 0 to 8. Most only added columns, which are empty in older exports. Two
moved facts from one place to another, and have a step here:

- version 2: the visit system of a visit became a record of ``visit_system_membership``;
- version 6: the night and the group of an exposure, and the night of a visit, became dimensions.
"""

from __future__ import annotations

__all__ = ["UpgradedExport", "upgrade_export"]

import datetime
import warnings
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from butler_model.dataset import DatasetType
from butler_model.errors import (
    DimensionNameError,
    DimensionValueError,
    IncompatibleVersionError,
    InconsistentDataIdError,
    InvalidNameError,
    InvalidRequestError,
    MalformedExportError,
)
from butler_model.records import DimensionRecord
from butler_model.timespan import MIN_NSEC, Timespan
from butler_model.universe import DEFAULT_UNIVERSE_VERSION, DimensionUniverse

from .export_blocks import DatasetTypeBlock, DimensionBlock, ExportFile
from .export_file import malformed

_NAMESPACE = "daf_butler"
"""The only universe whose history is known here."""

_RETIRED_COLUMNS = {"visit": frozenset({"seeing"})}
"""Columns that exports have from before version 0, and no version since has had."""

_NSEC_PER_DAY = 86_400 * 10**9
_NSEC_PER_HOUR = 3_600 * 10**9
_NIGHT_BEGINS = {"HSC": 22}
"""Hour of the TAI day at which an instrument's next night begins, about local noon: Hawaii's for HSC, whose recorded
nights this gives."""
_NIGHT_BEGINS_ELSEWHERE = 12
_EPOCH = datetime.date(1970, 1, 1).toordinal()


@dataclass(frozen=True, slots=True)
class UpgradedExport:
    """Dimension records and dataset types in the universe of a repository.

    Attributes
    ----------
    records
        By element, in universe order, each record once; elements without any are left out.
    dataset_types
        By name, in the order of the file.
    """

    records: Mapping[str, tuple[DimensionRecord, ...]]
    dataset_types: Mapping[str, DatasetType]


def upgrade_export(export: ExportFile, universe: DimensionUniverse) -> UpgradedExport:
    """Return the dimension records and dataset types of an export, as another universe has them.

    Warns, once for each kind and with a count, of what had to be dropped or guessed: columns that do not
    exist there; nights that were not recorded, taken to change at noon in Chile, or where the instrument is if
    that is known; groups that were not recorded, where
    each exposure becomes a group of its own, named after its id.

    Raises
    ------
    IncompatibleVersionError
        Raised if there is no way from the file's universe to this one: it is newer, or of another namespace.
    MalformedExportError
        Raised if a record or dataset type is not one of the file's universe.
    """
    _check_compatible(export, universe)
    upgrade = _Upgrade(export, universe)
    if universe.namespace == _NAMESPACE:
        for version, step in _STEPS:
            if export.universe_version < version <= universe.version:
                step(upgrade)
        upgrade.drop_columns()
    upgraded = UpgradedExport(upgrade.records(), _dataset_types(export, universe))
    for what, count in upgrade.warnings.items():
        warnings.warn(f"{export.name}: {what} ({count} of its records).", stacklevel=2)
    return upgraded


def _check_compatible(export: ExportFile, universe: DimensionUniverse) -> None:
    mine, theirs = (
        (universe.namespace, universe.version),
        (export.universe_namespace, export.universe_version),
    )
    if mine == theirs:
        return
    if mine[0] == theirs[0] == _NAMESPACE and 0 <= theirs[1] < mine[1] <= DEFAULT_UNIVERSE_VERSION:
        return
    raise IncompatibleVersionError(
        f"{export.name} was written with the dimension universe {theirs[0]!r} version {theirs[1]}, the "
        f"repository has {mine[0]!r} version {mine[1]}. Exports of {_NAMESPACE!r} go into repositories of "
        f"the same or a later version, up to {DEFAULT_UNIVERSE_VERSION}; others only into the same version.",
        file=export.name,
        version=f"{theirs[0]}/{theirs[1]}",
        supported=f"{mine[0]}/{mine[1]}",
    )


@dataclass(frozen=True, slots=True)
class _Row:
    """The fields of a record on its way, and where they come from."""

    fields: dict[str, Any]
    block: int
    element: str
    index: int


class _Upgrade:
    """The records of an export by element, changed by one step after the other."""

    def __init__(self, export: ExportFile, universe: DimensionUniverse) -> None:
        self.export = export
        self.universe = universe
        self.rows: dict[str, list[_Row]] = {}
        self.warnings: Counter[str] = Counter()
        self._made: dict[str, dict[tuple[Any, ...], _Row]] = {}
        for block in export.blocks:
            if isinstance(block, DimensionBlock):
                rows = (_Row(dict(r), block.number, block.element, i) for i, r in enumerate(block.records))
                self.rows.setdefault(block.element, []).extend(rows)

    def refuse(self, row: _Row, what: str) -> MalformedExportError:
        return malformed(
            self.export.name, what, block=row.block, kind=f"dimension {row.element}", record=row.index
        )

    def make(self, element: str, origin: _Row, **key: Any) -> None:
        """Add a record that has a key only, unless there is one of that key."""
        values = tuple(key.values())
        # Others are refused together with the record that they come from.
        if all(type(value) in (int, str) for value in values):
            row = _Row(key, origin.block, origin.element, origin.index)
            self._made.setdefault(element, {}).setdefault(values, row)

    def drop_columns(self) -> None:
        """Drop what older and newer versions of the universe have and this one has not."""
        newest = DimensionUniverse(version=DEFAULT_UNIVERSE_VERSION)
        for name, rows in self.rows.items():
            mine, newer = self.universe.get(name), newest.get(name)
            if mine is None or newer is None:
                continue
            known = _RETIRED_COLUMNS.get(name, frozenset()) | newer.column_index.keys()
            for row in rows:
                for column in sorted(row.fields.keys() & (known - mine.column_index.keys())):
                    del row.fields[column]
                    self.warnings[f"{name}.{column} does not exist in {self.universe}; left out"] += 1

    def records(self) -> dict[str, tuple[DimensionRecord, ...]]:
        """Return the checked records, by element in universe order."""
        found: dict[str, dict[DimensionRecord, DimensionRecord]] = {}
        for name, rows in self.rows.items():
            records = found[name] = {}
            for row in rows:
                record = self._record(name, row)
                if records.setdefault(record, record).differences(record):
                    raise self.refuse(row, f"{record.dataId} stands for another record already.")
        for name, made in self._made.items():
            records = found.setdefault(name, {})
            for row in made.values():
                record = self._record(name, row)
                records.setdefault(record, record)
        return {name: tuple(found[name]) for name in self.universe.sorted(found) if found[name]}

    def _record(self, name: str, row: _Row) -> DimensionRecord:
        element = self.universe.get(name)
        if element is None or not element.has_table:
            raise self.refuse(
                row, f"{name!r:.80} is no element of {self.universe} that has records of its own."
            )
        try:
            return DimensionRecord(element, row.fields)
        except (DimensionNameError, DimensionValueError, InconsistentDataIdError) as error:
            raise self.refuse(row, error.message) from error


def _move_visit_systems(upgrade: _Upgrade) -> None:
    for element in ("visit", "visit_definition"):
        for row in upgrade.rows.get(element, ()):
            system = row.fields.pop("visit_system", None)
            visit = row.fields.get("visit", row.fields.get("id"))
            if system is not None:
                upgrade.make(
                    "visit_system_membership",
                    row,
                    instrument=row.fields.get("instrument"),
                    visit=visit,
                    visit_system=system,
                )


def _make_nights_and_groups(upgrade: _Upgrade) -> None:
    for element in ("exposure", "visit"):
        for row in upgrade.rows.get(element, ()):
            if row.fields.get("day_obs") is None:
                row.fields["day_obs"] = _night(upgrade, row)
                upgrade.warnings[
                    f"{element} has no day_obs; taken to be the night in which it began, by the local noon"
                ] += 1
            instrument = row.fields.get("instrument")
            upgrade.make("day_obs", row, instrument=instrument, id=row.fields["day_obs"])
            if element == "exposure":
                _move_group(upgrade, row)
                upgrade.make("group", row, instrument=instrument, name=row.fields["group"])


def _night(upgrade: _Upgrade, row: _Row) -> int:
    span = row.fields.get("timespan")
    if not isinstance(span, Timespan) or span.isEmpty() or span.nsec[0] == MIN_NSEC:
        raise upgrade.refuse(row, "has no day_obs, and no beginning that would tell it; add one of them.")
    begins = _NIGHT_BEGINS.get(str(row.fields.get("instrument")), _NIGHT_BEGINS_ELSEWHERE)
    day = datetime.date.fromordinal(_EPOCH + (span.nsec[0] - begins * _NSEC_PER_HOUR) // _NSEC_PER_DAY)
    return int(f"{day:%Y%m%d}")


def _move_group(upgrade: _Upgrade, row: _Row) -> None:
    fields = row.fields
    name = fields.pop("group_name", None)
    fields.pop("group_id", None)
    if fields.get("group") is None:
        if name is None:
            name = str(fields.get("id", fields.get("exposure")))
            upgrade.warnings["exposure has no group_name; taken to be a group of its own"] += 1
        fields["group"] = name


_STEPS: tuple[tuple[int, Callable[[_Upgrade], None]], ...] = (
    (2, _move_visit_systems),
    (6, _make_nights_and_groups),
)
"""The versions that moved something, and what to do to get there from the one before."""


def _dataset_types(export: ExportFile, universe: DimensionUniverse) -> dict[str, DatasetType]:
    types: dict[str, DatasetType] = {}
    for block in export.blocks:
        if isinstance(block, DatasetTypeBlock):
            try:
                type_ = DatasetType(
                    block.name,
                    _dimensions(export, universe, block.dimensions),
                    block.storage_class,
                    universe=universe,
                    isCalibration=block.is_calibration,
                )
            except (DimensionNameError, InvalidNameError, InvalidRequestError) as error:
                raise malformed(
                    export.name, error.message, block=block.number, kind="dataset_type"
                ) from error
            if types.setdefault(type_.name, type_) != type_:
                what = f"{type_.name!r} has another definition in an earlier block."
                raise malformed(export.name, what, block=block.number, kind="dataset_type")
    return types


def _dimensions(export: ExportFile, universe: DimensionUniverse, names: Sequence[str]) -> set[str]:
    dimensions = set(names)
    until_then_implied = (
        export.universe_namespace == _NAMESPACE and export.universe_version < 2 <= universe.version
    )
    if until_then_implied and "visit" in dimensions:
        # Files list implied dimensions too; a visit determined its visit system.
        dimensions.discard("visit_system")
    return dimensions
