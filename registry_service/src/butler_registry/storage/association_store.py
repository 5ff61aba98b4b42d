# SPDX-License-Identifier: BSD-3-Clause
"""Which datasets stand in TAGGED and CALIBRATION collections besides their run."""

from __future__ import annotations

__all__ = ["AssociationStore"]

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Column, ColumnElement, Connection, Select, Table, and_, func, literal, select, tuple_
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError

from butler_model.errors import ConflictingDefinitionError

from .bound_rows import among, bound_rows
from .collection_store import CollectionRow
from .dataset_type_store import DatasetTypeRow
from .driver_errors import removed_meanwhile
from .schema import StaticTables
from .summary_store import governors_of
from .tag_tables import CALIBRATION_BEGIN, CALIBRATION_END


class AssociationStore:
    """Memberships. Data IDs are copied inside the database, from where a dataset stands in its run."""

    def __init__(self, tables: StaticTables) -> None:
        self._datasets = tables.dataset

    def governors(
        self, connection: Connection, row: DatasetTypeRow, ids: Sequence[UUID]
    ) -> set[tuple[Any, ...]]:
        """Return the values of governor dimensions of datasets of one type, in the order of `governors_of`."""
        tags, names = row.tags, governors_of(row)
        if not names:
            return {()}
        # It has the same in whatever collection it stands.
        query = select(*(tags.c[name] for name in names)).where(among(tags.c.dataset_id, ids, connection))
        return {tuple(found) for found in connection.execute(query.distinct())}

    def associate(
        self, connection: Connection, row: DatasetTypeRow, collection: CollectionRow, ids: Sequence[UUID]
    ) -> None:
        """Add datasets of one type to a TAGGED collection; those in it already stay.

        Raises `ConflictingDefinitionError` if another dataset of the same data ID is in it, `MissingCollectionError` if
        it is gone; the transaction is then of no use.
        """
        tags, keys = row.tags, row.dataset_type.dimensions.required
        given = self._in_their_runs(connection, row, ids, literal(collection.id))
        dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
        statement = dialect.insert(tags).from_select(
            ["dataset_type_id", "collection_id", *keys, "dataset_id"], given
        )
        options = {"preserve_rowcount": True}
        try:
            inserted = connection.execute(statement.on_conflict_do_nothing(), execution_options=options)
        except IntegrityError as error:
            if gone := removed_meanwhile(error):
                raise gone from error
            raise
        if inserted.rowcount == len(ids):
            return
        there = select(func.count()).where(
            tags.c.collection_id == collection.id,
            tags.c.dataset_type_id == row.id,
            among(tags.c.dataset_id, ids, connection),
        )
        if connection.execute(there).scalar_one() != len(ids):
            raise ConflictingDefinitionError(
                f"Collection {collection.collection.name!r} has another dataset of type {row.dataset_type.name!r} with "
                "the data ID of one of these, or two of these have one data ID; take it out first.",
                collection=collection.collection.name,
                dataset_type=row.dataset_type.name,
            )

    def disassociate(
        self, connection: Connection, row: DatasetTypeRow, collection_id: int, ids: Sequence[UUID]
    ) -> None:
        """Take datasets of one type out of a TAGGED collection; those not in it are ignored."""
        tags = row.tags
        connection.execute(
            tags.delete().where(
                tags.c.collection_id == collection_id, among(tags.c.dataset_id, ids, connection)
            )
        )

    def members(
        self, connection: Connection, row: DatasetTypeRow, collection_ids: Sequence[int], ids: Sequence[UUID]
    ) -> set[UUID]:
        """Return which datasets of one type are in any of some TAGGED collections."""
        tags = row.tags
        query = select(tags.c.dataset_id).where(
            tags.c.collection_id.in_(collection_ids), among(tags.c.dataset_id, ids, connection)
        )
        return set(connection.execute(query).scalars())

    def certify(
        self,
        connection: Connection,
        row: DatasetTypeRow,
        collection: CollectionRow,
        ids: Sequence[UUID],
        nsec: tuple[int, int],
    ) -> None:
        """Add datasets of one type to a CALIBRATION collection, whose row the caller has locked.

        Raises `ConflictingDefinitionError` if the range overlaps another of the same data ID, `MissingCollectionError`
        if the collection is gone; the transaction is then of no use.
        """
        calibrations, keys = row.calibrations, row.dataset_type.dimensions.required
        begin, end = nsec
        given = self._in_their_runs(connection, row, ids, literal(collection.id)).subquery("given")
        # One look into the index for each dataset. As a join it would be planned by the number of ranges that there
        # were when the table was last analyzed, none perhaps, and each would be compared with each.
        range_of_one = (
            select(calibrations.c[CALIBRATION_BEGIN])
            .where(
                *(calibrations.c[name] == given.c[name] for name in keys),
                *_overlapping(calibrations, row.id, collection.id, begin, end),
            )
            .limit(1)
            .correlate(given)
            .scalar_subquery()
        )
        overlapping = select(*(given.c[name] for name in keys)).where(range_of_one.is_not(None)).limit(1)
        found = connection.execute(overlapping).first()
        if found is not None:
            raise _overlap(row, collection, dict(zip(keys, found, strict=True)))
        added = self._in_their_runs(connection, row, ids, literal(collection.id))
        added = added.add_columns(literal(begin), literal(end))
        names = ["dataset_type_id", "collection_id", *keys, "dataset_id", CALIBRATION_BEGIN, CALIBRATION_END]
        try:
            connection.execute(calibrations.insert().from_select(names, added))
        except IntegrityError as error:
            raise removed_meanwhile(error) or _overlap(row, collection, {}) from error

    def decertify(
        self,
        connection: Connection,
        row: DatasetTypeRow,
        collection_id: int,
        nsec: tuple[int, int],
        data_ids: Sequence[tuple[Any, ...]] | None,
    ) -> None:
        """Take a range out of the validity of datasets of one type; `None` for all their data IDs.

        The caller has locked the row of the collection.
        """
        table, keys = row.calibrations, row.dataset_type.dimensions.required
        begin, end = nsec
        touched = _overlapping(table, row.id, collection_id, begin, end)
        if data_ids is not None and keys:
            columns: list[Column[Any]] = [table.c[name] for name in keys]
            touched.append(tuple_(*columns).in_(bound_rows(columns, data_ids, connection)))
        # A row that is split refers to its dataset anew; whoever prunes locks datasets before it comes to such rows.
        datasets = self._datasets.c.id
        kept = (
            select(datasets)
            .where(datasets.in_(select(table.c.dataset_id).where(*touched)))
            .order_by(datasets)
        )
        connection.execute(kept.with_for_update(read=True, key_share=True)).all()
        first, last = table.c[CALIBRATION_BEGIN], table.c[CALIBRATION_END]
        names = ["dataset_type_id", "collection_id", *keys, "dataset_id"]
        # What reaches over the end goes on after it; this first, while the old rows still tell where they end.
        rest = select(*(table.c[name] for name in names), literal(end), last).where(*touched, last > end)
        connection.execute(table.insert().from_select([*names, CALIBRATION_BEGIN, CALIBRATION_END], rest))
        cut = table.update().where(*touched, first < begin).values({CALIBRATION_END: begin})
        connection.execute(cut)
        connection.execute(table.delete().where(*touched, first >= begin))

    def _in_their_runs(
        self, connection: Connection, row: DatasetTypeRow, ids: Sequence[UUID], collection: ColumnElement[int]
    ) -> Select[Any]:
        """Return type, a collection, data ID and id of datasets, in the order of their data IDs.

        In one order, so that of two transactions with the same data IDs one waits for the other, and not both.
        """
        tags = row.tags
        columns = [tags.c[name] for name in row.dataset_type.dimensions.required]
        return (
            select(tags.c.dataset_type_id, collection, *columns, tags.c.dataset_id)
            .join_from(tags, self._datasets, self._its_run(tags))
            .where(among(tags.c.dataset_id, ids, connection))
            .order_by(*columns)
        )

    def _its_run(self, tags: Table) -> ColumnElement[bool]:
        return and_(tags.c.dataset_id == self._datasets.c.id, tags.c.collection_id == self._datasets.c.run_id)


def _overlapping(
    table: Table, type_id: int, collection_id: int, begin: int, end: int
) -> list[ColumnElement[bool]]:
    return [
        table.c.dataset_type_id == type_id,
        table.c.collection_id == collection_id,
        table.c[CALIBRATION_BEGIN] < end,
        table.c[CALIBRATION_END] > begin,
    ]


def _overlap(
    row: DatasetTypeRow, collection: CollectionRow, data_id: dict[str, Any]
) -> ConflictingDefinitionError:
    which = f"for {data_id}" if data_id else "of one data ID that is given twice"
    return ConflictingDefinitionError(
        f"A range of validity of {row.dataset_type.name!r} {which} in {collection.collection.name!r} overlaps the new "
        "one; decertify it first.",
        collection=collection.collection.name,
        dataset_type=row.dataset_type.name,
    )
