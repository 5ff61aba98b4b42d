# SPDX-License-Identifier: BSD-3-Clause
"""Rows of dataset types and of the dimension groups they use."""

from __future__ import annotations

__all__ = ["DatasetTypeRow", "DatasetTypeStore"]

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, Select, Table, inspect, select
from sqlalchemy.dialects import postgresql, sqlite

from butler_model.dataset import DatasetType
from butler_model.text import unfit_text
from butler_model.universe import DimensionGroup, DimensionUniverse

from .near_names import near_names
from .schema import StaticTables
from .tag_tables import TagTables


@dataclass(frozen=True, slots=True)
class DatasetTypeRow:
    """A dataset type, the integer that stands for it, and the tables that say where its datasets are."""

    id: int
    dataset_type: DatasetType
    tags: Table
    calibrations: Table


class DatasetTypeStore:
    """Dataset types by name."""

    def __init__(self, tables: StaticTables, tags: TagTables, universe: DimensionUniverse) -> None:
        self._types = tables.dataset_type
        self._groups = tables.required_dimensions
        self._intents = tables.put_intent
        self._universe = universe
        self._tags = tags

    def insert(self, connection: Connection, dataset_type: DatasetType) -> bool:
        """Insert a dataset type unless there is one of that name; return whether it is new.

        Makes the tables for its group of dimensions if it is the first with that group.
        """
        group_id = self._group_id(connection, dataset_type.dimensions)
        places = self._tags.declare(group_id, dataset_type.dimensions)
        places.tags.create(connection, checkfirst=True)
        if dataset_type.isCalibration():
            self._make_calibrations(connection, group_id, places.calibrations)
        dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
        statement = (
            dialect.insert(self._types)
            .values(
                name=dataset_type.name,
                storage_class=dataset_type.storageClass_name,
                is_calibration=dataset_type.isCalibration(),
                required_dimensions_id=group_id,
            )
            .on_conflict_do_nothing(index_elements=["name"])
            .returning(self._types.c.id)
        )
        return connection.execute(statement).first() is not None

    def insert_or_get(self, connection: Connection, dataset_type: DatasetType) -> DatasetTypeRow | None:
        """Insert a dataset type unless there is one of that name, which is returned then."""
        while not self.insert(connection, dataset_type):
            found = self.by_name(connection, [dataset_type.name])
            if found:
                return found[dataset_type.name]
            # It was removed between the two statements.
        return None

    def _group_id(self, connection: Connection, group: DimensionGroup) -> int:
        required = ",".join(group.required)
        dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
        insert = dialect.insert(self._groups).values(names=required)
        # Waits for another transaction that is inserting the same group, so only one makes its table.
        connection.execute(insert.on_conflict_do_nothing(index_elements=["names"]))
        find = select(self._groups.c.id).where(self._groups.c.names == required)
        return int(connection.execute(find).scalar_one())

    def _make_calibrations(self, connection: Connection, group_id: int, table: Table) -> None:
        """Make the table of a group, which may have been there long before its first calibration type."""
        if inspect(connection).has_table(table.name, schema=table.schema):
            return
        # Waits for another transaction that is making it, and then looks again.
        one = select(self._groups.c.id).where(self._groups.c.id == group_id)
        connection.execute(one.with_for_update(key_share=True)).all()
        table.create(connection, checkfirst=True)

    def by_name(self, connection: Connection, names: Sequence[str]) -> dict[str, DatasetTypeRow]:
        """Return those of the named dataset types that exist."""
        possible = [name for name in names if not unfit_text(name)]
        rows = connection.execute(self._select().where(self._types.c.name.in_(possible)))
        return {row.name: self._row(row) for row in rows}

    def by_id(self, connection: Connection, ids: Sequence[int]) -> dict[int, DatasetTypeRow]:
        """Return those of the dataset types that exist."""
        rows = connection.execute(self._select().where(self._types.c.id.in_(ids)))
        return {row.id: self._row(row) for row in rows}

    def near(self, connection: Connection, name: str) -> list[str]:
        """Return names that may have been meant by one that does not exist."""
        return near_names(connection, self._types.c.name, name)

    def all(self, connection: Connection) -> list[DatasetType]:
        """Return all dataset types by name."""
        rows = connection.execute(self._select().order_by(self._types.c.name))
        return [self._row(row).dataset_type for row in rows]

    def lock_for_removal(self, connection: Connection, ids: Sequence[int]) -> None:
        """Wait until nobody puts datasets of some types, and keep everybody from it until the transaction ends."""
        query = select(self._types.c.id).where(self._types.c.id.in_(ids)).order_by(self._types.c.id)
        connection.execute(query.with_for_update()).all()

    def used(self, connection: Connection, rows: Iterable[DatasetTypeRow]) -> set[int]:
        """Return those types that there are datasets of, or intents to put some."""
        found: set[int] = set()
        for row in rows:
            for table in (row.tags, self._intents):  # every dataset has a tag, that of its run
                column = table.c.dataset_type_id
                found.update(connection.execute(select(column).where(column == row.id).limit(1)).scalars())
        return found

    def delete(self, connection: Connection, ids: Sequence[int]) -> None:
        """Delete types that nothing uses."""
        connection.execute(self._types.delete().where(self._types.c.id.in_(ids)))

    def _select(self) -> Select[Any]:
        return select(
            self._types.c.id,
            self._types.c.name,
            self._types.c.storage_class,
            self._types.c.is_calibration,
            self._types.c.required_dimensions_id,
            self._groups.c.names,
        ).join_from(self._types, self._groups)

    def _row(self, row: Row[Any]) -> DatasetTypeRow:
        group = self._universe.conform(row.names.split(",") if row.names else ())
        dataset_type = DatasetType(row.name, group, row.storage_class, isCalibration=row.is_calibration)
        places = self._tags.declare(row.required_dimensions_id, group)
        return DatasetTypeRow(row.id, dataset_type, places.tags, places.calibrations)
