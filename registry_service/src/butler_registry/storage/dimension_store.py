# SPDX-License-Identifier: BSD-3-Clause
"""Reading and writing dimension records."""

from __future__ import annotations

__all__ = ["DimensionStore", "has_siblings"]

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Executable, Select, Table, and_, bindparam, select, tuple_
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError

from butler_model.dimensions import ColumnType, DimensionElement
from butler_model.errors import ConflictingDefinitionError, MissingParentError
from butler_model.records import DimensionRecord
from butler_model.timespan import Timespan

from .bound_rows import bound_rows
from .database import execute_many
from .dimension_tables import TIMESPAN_BEGIN, TIMESPAN_END, DimensionTables
from .overlap_store import OverlapStore

_MAX_SIBLINGS = 500
"""The camera with most detectors has 205."""


class DimensionStore:
    """Records of all elements of a repository."""

    def __init__(self, tables: DimensionTables) -> None:
        self._tables = tables
        self._overlaps = OverlapStore(tables)
        self._selects_of_siblings: dict[str, Select[Any]] = {}
        self._selects_of_one: dict[str, Select[Any]] = {}

    def insert(
        self,
        connection: Connection,
        element: DimensionElement,
        records: Sequence[DimensionRecord],
        skip_existing: bool,
    ) -> int:
        """Insert records; return how many were new.

        Raises `ConflictingDefinitionError` or `MissingParentError`, after which the transaction is of no use.
        """
        if not records:
            return 0
        # In one order, so that of two transactions with the same records one waits for the other, and not both.
        records = sorted(records, key=lambda record: record.key)
        if not skip_existing:
            return self._insert(connection, element, records)
        records = self._missing(connection, element, records)
        inserted = self._insert(connection, element, records, skip_existing=True)
        if inserted < len(records):
            # Another writer came between; or what is still missing has another record's alternate key, and is refused.
            inserted += self._insert(connection, element, self._missing(connection, element, records))
        return inserted

    def replace(
        self, connection: Connection, element: DimensionElement, records: Sequence[DimensionRecord]
    ) -> int:
        """Insert records, or change those that are there with the same keys; what refers to them stays.

        Returns how many were new. Raises `ConflictingDefinitionError` or `MissingParentError`, after which the
        transaction is of no use.
        """
        records = sorted(records, key=lambda record: record.key)
        missing = self._missing(connection, element, records)
        # Those that insert the same new record at once would fail for its alternate key if each began with the update.
        inserted = self._insert(connection, element, missing, skip_existing=True)
        if inserted == len({record.key for record in records}):
            return inserted
        if inserted < len(missing):
            inserted += len(self._missing(connection, element, missing))
        self._execute(connection, self._upsert(connection, element), element, records)
        self._overlaps.replace(connection, element, records)
        return inserted

    def _missing(
        self, connection: Connection, element: DimensionElement, records: Sequence[DimensionRecord]
    ) -> list[DimensionRecord]:
        existing = self.fetch(connection, element, [record.key for record in records])
        return list({r.key: r for r in records if r.key not in existing}.values())

    def _insert(
        self,
        connection: Connection,
        element: DimensionElement,
        records: Sequence[DimensionRecord],
        skip_existing: bool = False,
    ) -> int:
        """Insert records and their pixels; with ``skip_existing`` those only that agree with no other in any key."""
        if not records:
            return 0
        statement = _insert_for(connection)(self._tables[element.name])
        if skip_existing:
            # Not of the primary key alone: of two that insert one record in the same moment the second would fail for
            # its alternate key.
            statement = statement.on_conflict_do_nothing()
        inserted = self._execute(connection, statement, element, records)
        if inserted < len(records):
            existing = self.fetch(connection, element, [record.key for record in records])
            records = [r for r in records if r.key in existing and not r.differences(existing[r.key])]
        self._overlaps.insert(connection, element, records)
        return inserted

    def _upsert(self, connection: Connection, element: DimensionElement) -> Executable:
        table = self._tables[element.name]
        statement: postgresql.Insert | sqlite.Insert = _insert_for(connection)(table)
        keys = [element.field_name(name) for name in element.required]
        others = {c.name: statement.excluded[c.name] for c in table.c if c.name not in keys}
        if not others:
            return statement.on_conflict_do_nothing(index_elements=keys)
        return statement.on_conflict_do_update(index_elements=keys, set_=others)

    def _execute(
        self,
        connection: Connection,
        statement: Executable,
        element: DimensionElement,
        records: Sequence[DimensionRecord],
    ) -> int:
        try:
            return execute_many(connection, statement, [record_to_row(record) for record in records])
        except IntegrityError as error:
            raise _explained(error, element, records) from error

    def tables_of(self, element: DimensionElement) -> list[Table]:
        """Return the tables that hold the records of an element, and the pixels of their regions."""
        overlaps = self._tables.overlaps.get(element.name)
        return [self._tables[element.name], *([] if overlaps is None else [overlaps])]

    def fetch(
        self, connection: Connection, element: DimensionElement, keys: Iterable[tuple[Any, ...]]
    ) -> dict[tuple[Any, ...], DimensionRecord]:
        """Return the records that exist for given values of the required dimensions, by those values."""
        wanted = list(dict.fromkeys(keys))
        if not wanted:
            return {}
        table = self._tables[element.name]
        fields = [element.field_name(name) for name in element.required]
        if len(wanted) == 1:
            rows = connection.execute(self._select_one(element), dict(zip(fields, wanted[0], strict=True)))
        else:
            columns = [table.c[field] for field in fields]
            query = self.select(element).where(tuple_(*columns).in_(bound_rows(columns, wanted, connection)))
            rows = connection.execute(query)
        records = (row_to_record(element, row) for row in rows)
        return {record.key: record for record in records}

    def _select_one(self, element: DimensionElement) -> Select[Any]:
        """Return the statement for the record of one key, built once for each element."""
        query = self._selects_of_one.get(element.name)
        if query is None:
            table = self._tables[element.name]
            keys = [table.c[element.field_name(name)] for name in element.required]
            query = self.select(element).where(*(key == bindparam(key.name) for key in keys))
            self._selects_of_one[element.name] = query
        return query

    def fetch_siblings(
        self, connection: Connection, element: DimensionElement, key: tuple[Any, ...]
    ) -> dict[tuple[Any, ...], DimensionRecord | None]:
        """Return the records that differ from a key in the last dimension but one only, `None` where there is none.

        Of a visit these are the regions of all detectors, at most `_MAX_SIBLINGS` of them; see `has_siblings`.
        """
        query = self._selects_of_siblings.get(element.name)
        if query is None:
            query = self._selects_of_siblings[element.name] = self._select_siblings(element)
        n_varying = len(element.required) - 1
        siblings: dict[tuple[Any, ...], DimensionRecord | None] = {}
        for row in connection.execute(query, dict(zip(element.required, key, strict=True))):
            values = tuple(row)
            exists = values[n_varying] is not None
            record = row_to_record(element, values[n_varying:]) if exists else None
            siblings[*values[:n_varying], key[-1]] = record
        return siblings

    def _select_siblings(self, element: DimensionElement) -> Select[Any]:
        """Return the statement for `fetch_siblings`: it finds each record by the primary key, from the varying one."""
        *others, last = element.required
        varying, table = element.universe[others[-1]], self._tables[element.name]
        given = self._tables[varying.name]
        fields = {name: given.c[varying.field_name(name)] for name in others}
        same = [table.c[name] == field for name, field in fields.items()]
        return (
            select(*fields.values(), *(table.c[name] for name in _column_names(element)))
            .select_from(given.outerjoin(table, and_(*same, table.c[last] == bindparam(last))))
            .where(*(fields[name] == bindparam(name) for name in others[:-1]))
            .limit(_MAX_SIBLINGS)
        )

    def match(
        self, connection: Connection, element: DimensionElement, fields: Mapping[str, Any], limit: int
    ) -> list[DimensionRecord]:
        """Return records whose fields have the given values, at most ``limit``."""
        table = self._tables[element.name]
        query = self.select(element).where(*(table.c[name] == value for name, value in fields.items()))
        return [row_to_record(element, row) for row in connection.execute(query.limit(limit))]

    def existing_values(
        self, connection: Connection, element: DimensionElement, values: set[Any]
    ) -> set[Any]:
        """Return which values a dimension without a table of its own has."""
        table, column = self._tables.source(element.name)
        query = select(table.c[column]).where(table.c[column].in_(sorted(values))).distinct()
        return set(connection.scalars(query))

    def select(self, element: DimensionElement) -> Select[Any]:
        """Return the statement for all records of an element; its rows go to `row_to_record`."""
        table = self._tables[element.name]
        return select(*(table.c[name] for name in _column_names(element)))


def _insert_for(connection: Connection) -> Callable[[Table], Any]:
    """Return the form of INSERT that knows ON CONFLICT, of the connection's database."""
    return postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert


def has_siblings(element: DimensionElement) -> bool:
    """Return whether records of an element come by the dozen, as the regions of a visit's detectors do."""
    if element.spatial is None or element.is_dimension or len(element.required) < 3:
        return False
    return element.universe[element.required[-2]].required == element.required[:-1]


def _column_names(element: DimensionElement) -> list[str]:
    names: list[str] = []
    for column in element.columns:
        names += [TIMESPAN_BEGIN, TIMESPAN_END] if column.type is ColumnType.TIMESPAN else [column.name]
    return names


def record_to_row(record: DimensionRecord) -> dict[str, Any]:
    """Return a record as values by SQL column."""
    row: dict[str, Any] = {}
    for column, value in zip(record.definition.columns, record.values, strict=True):
        if column.type is ColumnType.TIMESPAN:
            row[TIMESPAN_BEGIN], row[TIMESPAN_END] = (None, None) if value is None else value.nsec
        else:
            row[column.name] = value
    return row


def row_to_record(element: DimensionElement, row: Sequence[Any]) -> DimensionRecord:
    """Return the record of a row; the timespan, where there is one, stands last in two columns."""
    values = tuple(row)
    if element.temporal:
        begin, end = values[-2:]
        values = (*values[:-2], None if begin is None else Timespan.from_simple([begin, end]))
    return DimensionRecord.from_values(element, values)


def _explained(
    error: IntegrityError, element: DimensionElement, records: Sequence[DimensionRecord]
) -> ConflictingDefinitionError | MissingParentError:
    text = str(error.orig)
    shown = ", ".join(str(dict(r.dataId.required)) for r in records[:3]) + (
        " ..." if len(records) > 3 else ""
    )
    if "foreign key" in text.lower():
        parents = ", ".join(name for name in element.key_columns if name != element.name)
        return MissingParentError(
            f"A record of {element} refers to a record that does not exist (one of {parents}); insert that first. "
            f"Records: {shown}.",
            element=element.name,
        )
    return ConflictingDefinitionError(
        f"A record of {element} exists already with the same key or alternate key. Records: {shown}.",
        element=element.name,
    )
