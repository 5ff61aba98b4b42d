# SPDX-License-Identifier: BSD-3-Clause
"""The tables of a repository that do not depend on its dimensions. Migrations make them; this declares them."""

from __future__ import annotations

__all__ = ["SCHEMA_REVISION", "IntentState", "StaticTables"]

from dataclasses import dataclass
from enum import IntEnum

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
)

from .column_types import UuidBytes, name_column_type

SCHEMA_REVISION = "0001"
"""The Alembic revision that this software works with; a test compares it with the newest migration."""

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}


class IntentState(IntEnum):
    """State of a put's intent."""

    ACTIVE = 1
    ABORTED = 2


@dataclass(frozen=True, slots=True)
class StaticTables:
    """The tables, bound to the database schema of one repository.

    ``attribute``: versions, the universe and the stores. ``revision``: one row that counts changes of definitions.
    ``artifact_record``: what is stored where; a dataset without one is registered only. ``put_intent``: puts that were
    begun, with everything that committing or discarding them needs.
    """

    metadata: MetaData
    attribute: Table
    revision: Table
    collection: Table
    required_dimensions: Table
    dataset_type: Table
    dataset: Table
    artifact_record: Table
    put_intent: Table

    @classmethod
    def declare(cls, schema: str | None) -> StaticTables:
        """Declare the tables in a database schema (`None`: the default one)."""
        metadata = MetaData(schema=schema, naming_convention=NAMING)
        prefix = f"{schema}." if schema else ""
        return cls(
            metadata,
            attribute=Table(
                "attribute",
                metadata,
                Column("name", String(64), primary_key=True),
                Column("value", Text, nullable=False),
            ),
            revision=Table(
                "revision",
                metadata,
                Column("id", SmallInteger, primary_key=True, autoincrement=False),
                Column("value", BigInteger, nullable=False),
            ),
            collection=Table(
                "collection",
                metadata,
                Column("id", Integer, primary_key=True),
                Column("name", name_column_type(255), nullable=False, unique=True),
                Column("type", SmallInteger, nullable=False),
                Column("doc", Text, nullable=False),
                sqlite_autoincrement=True,  # an id is never given twice
            ),
            required_dimensions=Table(
                "required_dimensions",
                metadata,
                Column("id", Integer, primary_key=True),
                Column("names", Text, nullable=False, unique=True),
                sqlite_autoincrement=True,  # an id is never given twice
            ),
            dataset_type=Table(
                "dataset_type",
                metadata,
                Column("id", Integer, primary_key=True),
                Column("name", name_column_type(128), nullable=False, unique=True),
                Column("storage_class", String(128), nullable=False),
                Column("is_calibration", Boolean, nullable=False),
                Column(
                    "required_dimensions_id", ForeignKey(f"{prefix}required_dimensions.id"), nullable=False
                ),
                sqlite_autoincrement=True,  # an id is never given twice
            ),
            dataset=_dataset_table(metadata, prefix),
            artifact_record=_artifact_record_table(metadata, prefix),
            put_intent=_put_intent_table(metadata, prefix),
        )


def _dataset_table(metadata: MetaData, prefix: str) -> Table:
    return Table(
        "dataset",
        metadata,
        Column("id", UuidBytes, primary_key=True),
        Column("dataset_type_id", ForeignKey(f"{prefix}dataset_type.id"), nullable=False),
        Column("run_id", ForeignKey(f"{prefix}collection.id"), nullable=False),
        Column("ingest_nsec", BigInteger, nullable=False, comment="TAI nanoseconds since 1970"),
        Index(None, "run_id", "dataset_type_id"),
    )


def _artifact_record_table(metadata: MetaData, prefix: str) -> Table:
    return Table(
        "artifact_record",
        metadata,
        Column("dataset_id", ForeignKey(f"{prefix}dataset.id"), primary_key=True),
        Column("component", String(128), primary_key=True),
        Column("store", String(64), primary_key=True),
        Column("key", Text, nullable=False),
        Column("formatter", String(64), nullable=False),
        Column("extension", String(64), nullable=False),
        Column("storage_class", String(128), nullable=False),
        Column("size", BigInteger, nullable=False, comment="bytes"),
        Column("checksum", String(80), nullable=False),
        # A shared file goes with its last reference, so references are counted by key.
        Index(None, "store", "key"),
    )


def _put_intent_table(metadata: MetaData, prefix: str) -> Table:
    return Table(
        "put_intent",
        metadata,
        Column("dataset_id", UuidBytes, primary_key=True),
        Column("request_id", UuidBytes, nullable=False),
        Column("dataset_type_id", ForeignKey(f"{prefix}dataset_type.id", ondelete="CASCADE"), nullable=False),
        Column("run_id", ForeignKey(f"{prefix}collection.id", ondelete="CASCADE"), nullable=False),
        Column("data_id", Text, nullable=False, comment="JSON list of required values"),
        Column(
            "artifacts", Text, nullable=False, comment="JSON list of [component, store, key, formatter, ...]"
        ),
        Column("state", SmallInteger, nullable=False),
        Column("lease_expires_nsec", BigInteger, nullable=False, comment="Unix nanoseconds, database time"),
        Index(None, "lease_expires_nsec"),
    )
