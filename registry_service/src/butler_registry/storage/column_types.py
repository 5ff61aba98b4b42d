# SPDX-License-Identifier: BSD-3-Clause
"""SQL types of columns, the same to look at on SQLite and PostgreSQL."""

from __future__ import annotations

__all__ = ["RegionBytes", "UuidBytes", "database_time", "key_column_type", "name_column_type"]

from typing import Any
from uuid import UUID

import lsst.sphgeom
from sqlalchemy import BigInteger, LargeBinary, String, Text
from sqlalchemy.dialects import postgresql
from sqlalchemy.engine import Dialect
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeDecorator, TypeEngine


class UuidBytes(TypeDecorator[UUID]):
    """A UUID: native on PostgreSQL, 16 bytes on SQLite (SQLAlchemy's own type takes 32 characters there)."""

    impl = LargeBinary(16)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name == "postgresql":
            return dialect.type_descriptor(postgresql.UUID(as_uuid=True))
        return dialect.type_descriptor(LargeBinary(16))

    def process_bind_param(self, value: UUID | None, dialect: Dialect) -> Any:
        return value if value is None or dialect.name == "postgresql" else value.bytes

    def process_result_value(self, value: Any, dialect: Dialect) -> UUID | None:
        return value if value is None or dialect.name == "postgresql" else UUID(bytes=value)

    def bind_processor(self, dialect: Dialect) -> Any:
        # One call for each of many rows, not three.
        return super().bind_processor(dialect) if dialect.name == "postgresql" else _bytes_of

    def result_processor(self, dialect: Dialect, coltype: object) -> Any:
        # The driver of PostgreSQL gives UUIDs: nothing is left to call for each of many rows.
        return None if dialect.name == "postgresql" else _uuid_of


def _bytes_of(value: UUID | None) -> bytes | None:
    return None if value is None else value.bytes


def _uuid_of(value: bytes | None) -> UUID | None:
    return None if value is None else UUID(bytes=value)


class RegionBytes(TypeDecorator[lsst.sphgeom.Region]):
    """A region on the sky in the encoding of lsst.sphgeom."""

    impl = LargeBinary
    cache_ok = True

    def process_bind_param(self, value: lsst.sphgeom.Region | None, dialect: Dialect) -> bytes | None:
        return None if value is None else bytes(value.encode())

    def process_result_value(self, value: bytes | None, dialect: Dialect) -> lsst.sphgeom.Region | None:
        return None if value is None else lsst.sphgeom.Region.decode(bytes(value))


def name_column_type(length: int) -> String:
    """Return the type of a string that is compared and sorted: by code point on both databases."""
    return String(length).with_variant(String(length, collation="C"), "postgresql")


def key_column_type() -> Text:
    """Return the type of an artifact's key, which is sorted by code point on both databases."""
    return Text().with_variant(Text(collation="C"), "postgresql")


class database_time(FunctionElement[int]):
    """The time of the database as Unix nanoseconds; leases compare nothing else."""

    type = BigInteger()
    inherit_cache = True


@compiles(database_time, "postgresql")
def _postgresql_time(element: database_time, compiler: Any, **kwargs: Any) -> str:
    return "CAST(extract(epoch from clock_timestamp()) * 1000000 AS bigint) * 1000"


@compiles(database_time, "sqlite")
def _sqlite_time(element: database_time, compiler: Any, **kwargs: Any) -> str:
    return "CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER) * 1000000"
