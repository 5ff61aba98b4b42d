# SPDX-License-Identifier: BSD-3-Clause
"""Rows of datasets, of where they stand, and of their artifacts."""

from __future__ import annotations

__all__ = [
    "DatasetRow",
    "DatasetStore",
    "NewDataset",
    "artifact_values",
    "ingest_time",
    "not_inserted",
    "place_values",
]

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Connection,
    Integer,
    Select,
    String,
    Table,
    any_,
    bindparam,
    func,
    select,
    tuple_,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.exc import IntegrityError

from butler_model.artifact import ArtifactLayout, ArtifactRecord
from butler_model.errors import ButlerError, ConflictingDefinitionError
from butler_model.failpoints import reach

from .bound_rows import among, bound_rows
from .bulk_insert import BulkInsert
from .column_types import database_time
from .dataset_type_store import DatasetTypeRow
from .driver_errors import removed_meanwhile
from .prepared import PreparedStatement
from .schema import StaticTables

# International atomic time has been ahead of UTC by this since 2017; leap seconds end by 2035 at the latest.
_TAI_MINUS_UNIX_NSEC = 37 * 10**9


@dataclass(frozen=True, slots=True)
class DatasetRow:
    """A dataset that was found, in one of the collections searched, with one of its artifacts.

    Attributes
    ----------
    revision
        Revision of the definitions when it was found.
    """

    dataset_id: UUID
    dataset_type_id: int
    run_id: int
    collection_id: int
    revision: int
    data_id: tuple[Any, ...]
    artifact: ArtifactRecord | None


@dataclass(frozen=True, slots=True)
class NewDataset:
    """A dataset to be inserted, with its artifacts."""

    dataset_id: UUID
    run_id: int
    data_id: tuple[Any, ...]
    artifacts: tuple[ArtifactRecord, ...]


class DatasetStore:
    """Datasets."""

    def __init__(self, tables: StaticTables) -> None:
        self.tables = (tables.dataset, tables.artifact_record)
        self._datasets = datasets = tables.dataset
        self._artifacts = tables.artifact_record
        self._collections = tables.collection
        self._insert_datasets = BulkInsert(datasets, {"ingest_nsec": ingest_time()})
        self._type_ids = select(datasets.c.id, datasets.c.dataset_type_id)
        self._type_id = PreparedStatement(self._type_ids.where(datasets.c.id == bindparam("id")))
        self._revision = select(tables.revision.c.value).scalar_subquery().label("revision")
        self._insert_artifacts = BulkInsert(tables.artifact_record)
        self._insert_places: dict[Table, BulkInsert] = {}
        self._searches_of_many: dict[tuple[Table, bool], Select[Any]] = {}
        self._searches: dict[tuple[Table, bool, bool], PreparedStatement] = {}
        self._gets: dict[tuple[Table, bool], PreparedStatement] = {}

    def insert(self, connection: Connection, row: DatasetTypeRow, datasets: Sequence[NewDataset]) -> None:
        """Insert datasets of one type, their places in their runs, and their artifact records.

        Raises `ConflictingDefinitionError` if a run has a dataset of that data ID, or an id is taken, and
        `MissingCollectionError` or `MissingDatasetTypeError` if a run or the type is gone; the transaction is then of
        no use.
        """
        # In one order, so that of two transactions with the same data IDs one waits for the other, and not both.
        datasets = sorted(datasets, key=lambda d: (d.run_id, d.data_id))
        ids = [{"id": d.dataset_id, "dataset_type_id": row.id, "run_id": d.run_id} for d in datasets]
        try:
            self._insert_datasets.execute(connection, ids)
            reach("put.in_txn_after_dataset")
            self._insert_place(row.tags).execute(connection, [place_values(row, d) for d in datasets])
            reach("put.in_txn_after_tags")
        except IntegrityError as error:
            raise not_inserted(row, error) from error
        artifacts = [artifact_values(a) for d in datasets for a in d.artifacts]
        self._insert_artifacts.execute(connection, artifacts)
        reach("put.in_txn_after_records")

    def _insert_place(self, tags: Table) -> BulkInsert:
        statement = self._insert_places.get(tags)
        if statement is None:
            statement = self._insert_places[tags] = BulkInsert(tags)
        return statement

    def find(
        self,
        connection: Connection,
        row: DatasetTypeRow,
        data_ids: Sequence[tuple[Any, ...]],
        collection_ids: Sequence[int],
        *,
        want_artifacts: bool,
    ) -> list[DatasetRow]:
        """Return the datasets of one type with any of the data IDs (required values) in any of the collections.

        A dataset comes once per collection, and with ``want_artifacts`` once per artifact.
        """
        required = row.dataset_type.dimensions.required
        several = (
            list(collection_ids) if connection.dialect.name == "postgresql" else str(list(collection_ids))
        )
        parameters: dict[str, Any] = {"type_id": row.id, "collections": several}
        rows: Iterable[Sequence[Any]]
        if len(data_ids) == 1:
            if len(collection_ids) == 1:
                parameters["collections"] = collection_ids[0]
            parameters |= {f"value_{i}": value for i, value in enumerate(data_ids[0])}
            search = self._search_one(connection, row, want_artifacts, len(collection_ids) == 1)
            rows = search.rows(connection, parameters)
        else:
            query = self._search_many(connection, row, want_artifacts)
            if required:
                keys = [row.tags.c[name] for name in required]
                query = query.where(tuple_(*keys).in_(bound_rows(keys, data_ids, connection)))
            rows = connection.execute(query, parameters)
        return [self.row_from(tuple(found), len(required), want_artifacts=want_artifacts) for found in rows]

    def _search_one(
        self, connection: Connection, row: DatasetTypeRow, want_artifacts: bool, in_one: bool
    ) -> PreparedStatement:
        """Return the statement that searches one collection, or several, for one data ID; built once for each table."""
        tags = row.tags
        statement = self._searches.get((tags, want_artifacts, in_one))
        if statement is None:
            one = tags.c.collection_id == bindparam("collections")
            collections = one if in_one else _in_collections(tags, connection)
            values = (
                tags.c[name] == bindparam(f"value_{i}")
                for i, name in enumerate(row.dataset_type.dimensions.required)
            )
            statement = PreparedStatement(self._search(row, want_artifacts, collections).where(*values))
            self._searches[tags, want_artifacts, in_one] = statement
        return statement

    def _search_many(self, connection: Connection, row: DatasetTypeRow, want_artifacts: bool) -> Select[Any]:
        """Return the statement that searches collections, to be restricted to some data IDs; built once, too."""
        query = self._searches_of_many.get((row.tags, want_artifacts))
        if query is None:
            query = self._search(row, want_artifacts, _in_collections(row.tags, connection))
            self._searches_of_many[row.tags, want_artifacts] = query
        return query

    def _search(
        self, row: DatasetTypeRow, want_artifacts: bool, collections: ColumnElement[bool]
    ) -> Select[Any]:
        """Return the statement that searches collections for datasets of one type."""
        of_type = row.tags.c.dataset_type_id == bindparam("type_id")
        return self.select_from(row.tags, row, want_artifacts=want_artifacts).where(of_type, collections)

    def type_ids(self, connection: Connection, dataset_ids: Sequence[UUID]) -> dict[UUID, int]:
        """Return the dataset type of each dataset that exists."""
        if len(dataset_ids) == 1:
            return dict(self._type_id.rows(connection, {"id": dataset_ids[0]}))
        rows = connection.execute(self._type_ids.where(among(self._datasets.c.id, dataset_ids, connection)))
        return {row.id: row.dataset_type_id for row in rows}

    def runs(self, connection: Connection, dataset_ids: Sequence[UUID]) -> list[tuple[UUID, str]]:
        """Return the name of the run of each dataset that exists."""
        query = (
            select(self._datasets.c.id, self._collections.c.name)
            .join_from(self._datasets, self._collections, self._collections.c.id == self._datasets.c.run_id)
            .where(among(self._datasets.c.id, dataset_ids, connection))
        )
        return [(row.id, row.name) for row in connection.execute(query)]

    def standing(
        self, connection: Connection, row: DatasetTypeRow, dataset_ids: Sequence[UUID]
    ) -> list[tuple[UUID, str]]:
        """Return the names of collections in which datasets of one type stand, their runs among them."""
        found: list[tuple[UUID, str]] = []
        tables = [row.tags, row.calibrations] if row.dataset_type.isCalibration() else [row.tags]
        for table in tables:
            query = (
                select(table.c.dataset_id, self._collections.c.name)
                .join_from(table, self._collections, self._collections.c.id == table.c.collection_id)
                .where(among(table.c.dataset_id, dataset_ids, connection))
                .distinct()
            )
            found += [(each.dataset_id, each.name) for each in connection.execute(query)]
        return found

    def keep(self, connection: Connection, dataset_ids: Sequence[UUID], *, alone: bool) -> dict[UUID, int]:
        """Return the dataset type of each dataset that exists, and keep it from being removed by others.

        Rows are locked in one order, so that of two transactions one waits for the other, and not both.

        Parameters
        ----------
        alone
            Whether to keep others from tagging it, too.
        """
        query = self._type_ids.where(among(self._datasets.c.id, dataset_ids, connection))
        query = query.order_by(self._datasets.c.id)
        query = query.with_for_update() if alone else query.with_for_update(read=True, key_share=True)
        rows = connection.execute(query)
        return {row.id: row.dataset_type_id for row in rows}

    def get(
        self,
        connection: Connection,
        row: DatasetTypeRow,
        dataset_ids: Sequence[UUID],
        *,
        want_artifacts: bool,
    ) -> list[DatasetRow]:
        """Return datasets by id that are of one type, or of another one with the same dimensions.

        With ``want_artifacts`` a dataset comes once per artifact.
        """
        n_required = len(row.dataset_type.dimensions.required)
        rows: Iterable[Sequence[Any]]
        if len(dataset_ids) == 1:
            rows = self._get_one(row, want_artifacts).rows(connection, {"id": dataset_ids[0]})
        else:
            wanted = among(row.tags.c.dataset_id, dataset_ids, connection)
            rows = connection.execute(self._in_runs(row, want_artifacts).where(wanted))
        return [self.row_from(tuple(found), n_required, want_artifacts=want_artifacts) for found in rows]

    def _get_one(self, row: DatasetTypeRow, want_artifacts: bool) -> PreparedStatement:
        """Return the statement for one dataset, built once for each table."""
        statement = self._gets.get((row.tags, want_artifacts))
        if statement is None:
            query = self._in_runs(row, want_artifacts).where(row.tags.c.dataset_id == bindparam("id"))
            statement = self._gets[row.tags, want_artifacts] = PreparedStatement(query)
        return statement

    def _in_runs(self, row: DatasetTypeRow, want_artifacts: bool) -> Select[Any]:
        """Return the statement for datasets whose types have certain dimensions, each in its run."""
        query = self.select_from(row.tags, row, want_artifacts=want_artifacts)
        return query.where(row.tags.c.collection_id == self._datasets.c.run_id)

    def select_from(self, places: Table, row: DatasetTypeRow, *, want_artifacts: bool) -> Select[Any]:
        """Return the statement for datasets of one type that stand in a table of places; see `row_from`."""
        query = select(
            self._datasets.c.id,
            self._datasets.c.dataset_type_id,
            self._datasets.c.run_id,
            places.c.collection_id,
            self._revision,
            *(places.c[name] for name in row.dataset_type.dimensions.required),
        )
        source = places.join(self._datasets, places.c.dataset_id == self._datasets.c.id)
        if want_artifacts:
            source = source.outerjoin(self._artifacts, self._artifacts.c.dataset_id == self._datasets.c.id)
            query = query.add_columns(*(c for c in self._artifacts.c if c.name != "dataset_id"))
        return query.select_from(source)

    @staticmethod
    def row_from(values: Sequence[Any], n_required: int, *, want_artifacts: bool) -> DatasetRow:
        """Return a row of `select_from`; columns that were added to it are left out."""
        dataset_id, type_id, run_id, collection_id, revision = values[:5]
        end = 5 + n_required
        artifact = None
        if want_artifacts and values[end] is not None:
            component, store, key, formatter, extension, storage_class, size, checksum = values[end : end + 8]
            layout = ArtifactLayout(formatter, extension, storage_class, component)
            artifact = ArtifactRecord(dataset_id, store, key, layout, size, checksum)
        return DatasetRow(
            dataset_id, type_id, run_id, collection_id, revision, tuple(values[5:end]), artifact
        )


def _in_collections(tags: Table, connection: Connection) -> ColumnElement[bool]:
    """Return whether a place is in one of the collections bound to ``collections``: a list, on SQLite one of JSON."""
    if connection.dialect.name == "postgresql":
        return tags.c.collection_id == any_(bindparam("collections", type_=ARRAY(Integer)))
    each = func.json_each(bindparam("collections", type_=String())).table_valued("value", name="each")
    return tags.c.collection_id.in_(select(each.c.value))


def ingest_time() -> ColumnElement[int]:
    """Return the time of the database as TAI nanoseconds since 1970."""
    return database_time() + _TAI_MINUS_UNIX_NSEC


def place_values(row: DatasetTypeRow, dataset: NewDataset) -> dict[str, Any]:
    """Return the row of a tag table that says that a dataset is in its run."""
    return {
        "dataset_type_id": row.id,
        "collection_id": dataset.run_id,
        "dataset_id": dataset.dataset_id,
        **dict(zip(row.dataset_type.dimensions.required, dataset.data_id, strict=True)),
    }


def not_inserted(row: DatasetTypeRow, error: IntegrityError) -> ButlerError:
    """Return the error for a data ID or an id that a dataset has already, or for what is gone."""
    return removed_meanwhile(error) or ConflictingDefinitionError(
        f"Another dataset of type {row.dataset_type.name!r} with one of these data IDs or ids was put first.",
        dataset_type=row.dataset_type.name,
    )


def artifact_values(record: ArtifactRecord) -> dict[str, Any]:
    """Return the row of an artifact record."""
    return {
        "dataset_id": record.dataset_id,
        "component": record.layout.component,
        "store": record.store,
        "key": record.key,
        "formatter": record.layout.formatter,
        "extension": record.layout.extension,
        "storage_class": record.layout.storage_class,
        "size": record.size,
        "checksum": record.checksum,
    }
