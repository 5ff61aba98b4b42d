# SPDX-License-Identifier: BSD-3-Clause
"""The tables of a repository that do not depend on its dimensions, as the newest migration leaves them."""

from __future__ import annotations

__all__ = ["SCHEMA_REVISION", "DeletionReason", "EventKind", "IntentState", "StaticTables", "TrashRowState"]

from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
    text,
)

from .column_types import UuidBytes, key_column_type, name_column_type

SCHEMA_REVISION = "0004"
"""The Alembic revision that this software works with; a test compares it with the newest migration."""

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}


class EventKind(IntEnum):
    """What happened to datasets."""

    APPEARED = 1
    REMOVED = 2


class IntentState(IntEnum):
    """State of a put's intent."""

    ACTIVE = 1
    ABORTED = 2


class TrashRowState(IntEnum):
    """How far the deletion of an artifact is; see `butler_model.trash.TrashState`."""

    TRASHED = 1
    PURGING = 2
    FAILED = 3


class DeletionReason(IntEnum):
    """Why an artifact was deleted."""

    PURGED = 1
    """It was in the trash."""
    REAPED = 2
    """A put that did not come to its end may have written it."""


@dataclass(frozen=True, slots=True)
class StaticTables:
    """The tables, bound to the database schema of one repository.

    ``attribute``: versions, the universe and the stores. ``revision``: one row that counts changes of definitions.
    ``collection_chain``: the members of chains, in search order. ``collection_summary``: an upper bound of what a
    collection holds; it only grows, so that whoever knows a row never needs to write it again, and an exact answer
    checks its rows. ``artifact_record``: what is stored where; a dataset without one is registered only.
    ``artifact_trash``: artifacts that no dataset has any more and that are to be deleted, with all that restoring them
    needs. ``put_intent``: puts that were begun, with everything that committing or discarding them needs; it refers
    to nothing, since within a transaction it is committed before what it would refer to. ``deletion_log``: which
    artifacts were deleted, when and why. ``outbox``: what appeared and what was removed, for those who watch.
    ``access_entry``: who may do what below which prefix. ``api_token``: tokens for programs, without their secrets.
    """

    metadata: MetaData
    attribute: Table
    revision: Table
    collection: Table
    collection_chain: Table
    collection_summary: Table
    required_dimensions: Table
    dataset_type: Table
    dataset: Table
    artifact_record: Table
    artifact_trash: Table
    put_intent: Table
    deletion_log: Table
    request_log: Table
    outbox: Table
    access_entry: Table
    api_token: Table

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
            collection=_collection_table(metadata),
            collection_chain=_collection_chain_table(metadata, prefix),
            collection_summary=_collection_summary_table(metadata, prefix),
            required_dimensions=Table(
                "required_dimensions",
                metadata,
                Column("id", Integer, primary_key=True),
                Column("names", Text, nullable=False, unique=True),
                sqlite_autoincrement=True,  # an id is never given twice
            ),
            dataset_type=_dataset_type_table(metadata, prefix),
            dataset=_dataset_table(metadata, prefix),
            artifact_record=_artifact_record_table(metadata, prefix),
            artifact_trash=_artifact_trash_table(metadata),
            put_intent=_put_intent_table(metadata),
            deletion_log=_deletion_log_table(metadata),
            request_log=_request_log_table(metadata),
            outbox=_outbox_table(metadata),
            access_entry=_access_entry_table(metadata),
            api_token=_api_token_table(metadata),
        )


def _collection_table(metadata: MetaData) -> Table:
    return Table(
        "collection",
        metadata,
        Column("id", Integer, primary_key=True),
        Column("name", name_column_type(255), nullable=False, unique=True),
        Column("type", SmallInteger, nullable=False),
        Column("doc", Text, nullable=False),
        sqlite_autoincrement=True,  # an id is never given twice
    )


def _collection_chain_table(metadata: MetaData, prefix: str) -> Table:
    return Table(
        "collection_chain",
        metadata,
        Column("parent_id", ForeignKey(f"{prefix}collection.id", ondelete="CASCADE"), primary_key=True),
        Column("position", Integer, primary_key=True, autoincrement=False),
        # A collection that is in a chain cannot be removed.
        Column("child_id", ForeignKey(f"{prefix}collection.id"), nullable=False, index=True),
    )


def _collection_summary_table(metadata: MetaData, prefix: str) -> Table:
    return Table(
        "collection_summary",
        metadata,
        Column("collection_id", ForeignKey(f"{prefix}collection.id", ondelete="CASCADE"), primary_key=True),
        Column(
            "dataset_type_id", ForeignKey(f"{prefix}dataset_type.id", ondelete="CASCADE"), primary_key=True
        ),
        Column(
            "governors",
            name_column_type(1024),
            primary_key=True,
            comment="JSON list of the values of the type's governor dimensions, in the order of its dimensions",
        ),
        Index(None, "dataset_type_id"),
    )


def _dataset_type_table(metadata: MetaData, prefix: str) -> Table:
    return Table(
        "dataset_type",
        metadata,
        Column("id", Integer, primary_key=True),
        Column("name", name_column_type(128), nullable=False, unique=True),
        Column("storage_class", String(128), nullable=False),
        Column("is_calibration", Boolean, nullable=False),
        Column("required_dimensions_id", ForeignKey(f"{prefix}required_dimensions.id"), nullable=False),
        sqlite_autoincrement=True,  # an id is never given twice
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
        *_artifact_columns(),
        # A shared file goes with its last reference, so references are counted by key.
        Index(None, "store", "key"),
    )


def _artifact_columns() -> list[Column[Any]]:
    """Return what is known of an artifact, besides the dataset that has it or had it."""
    return [
        Column("component", String(128), primary_key=True),
        Column("store", String(64), primary_key=True),
        Column("key", key_column_type(), nullable=False),
        Column("formatter", String(64), nullable=False),
        Column("extension", String(64), nullable=False),
        Column("storage_class", String(128), nullable=False),
        Column("size", BigInteger, nullable=False, comment="bytes"),
        Column("checksum", String(80), nullable=False),
    ]


def _artifact_trash_table(metadata: MetaData) -> Table:
    return Table(
        "artifact_trash",
        metadata,
        Column("dataset_id", UuidBytes, primary_key=True),
        *_artifact_columns(),
        # Names, not ids: what is in the trash outlives its type and its run.
        Column("dataset_type", name_column_type(128), nullable=False),
        Column("run", name_column_type(255), nullable=False),
        Column("data_id", Text, nullable=False, comment="JSON list of required values"),
        Column("ingest_nsec", BigInteger, nullable=False, comment="TAI nanoseconds since 1970"),
        Column("purged", Boolean, nullable=False, comment="whether the dataset is gone, too"),
        Column("trash_id", UuidBytes, nullable=False, comment="request that moved it here"),
        Column("trashed_by", String(255), nullable=False),
        Column("trashed_nsec", BigInteger, nullable=False, comment="Unix nanoseconds, database time"),
        Column("state", SmallInteger, nullable=False),
        # Whatever its state, it may be claimed from then on: after the delay, the next try, or the lease of a claim.
        Column("due_nsec", BigInteger, nullable=False, comment="Unix nanoseconds, database time"),
        Column("claim_id", UuidBytes, nullable=True),
        Column("attempts", Integer, nullable=False),
        Column("last_error", Text, nullable=True),
        Index(None, "due_nsec"),
        Index(None, "trash_id"),
        Index(None, "claim_id"),
        Index(None, "store", "key"),
    )


def _put_intent_table(metadata: MetaData) -> Table:
    return Table(
        "put_intent",
        metadata,
        Column("dataset_id", UuidBytes, primary_key=True),
        Column("request_id", UuidBytes, nullable=False),
        Column("dataset_type_id", Integer, nullable=False),
        Column("run_id", Integer, nullable=False),
        Column("data_id", Text, nullable=False, comment="JSON list of required values"),
        Column("artifacts", Text, nullable=False, comment="JSON list of [store, key, members, adopted, ...]"),
        Column("adopts", Boolean, nullable=False, comment="whether an artifact was there before, in a store"),
        Column("state", SmallInteger, nullable=False),
        Column("lease_expires_nsec", BigInteger, nullable=False, comment="Unix nanoseconds, database time"),
        Index(None, "lease_expires_nsec"),
        # Few do, and whoever claims trash asks which.
        Index("ix_put_intent_adopts", "adopts", postgresql_where=text("adopts"), sqlite_where=text("adopts")),
    )


def _deletion_log_table(metadata: MetaData) -> Table:
    return Table(
        "deletion_log",
        metadata,
        Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
        Column("time_nsec", BigInteger, nullable=False, comment="Unix nanoseconds, database time"),
        Column("reason", SmallInteger, nullable=False),
        Column("dataset_id", UuidBytes, nullable=False),
        Column("store", String(64), nullable=False),
        Column("key", Text, nullable=False),
        Column("requested_by", String(255), nullable=False),
        Index(None, "time_nsec"),
        sqlite_autoincrement=True,  # an id is never given twice
    )


def _request_log_table(metadata: MetaData) -> Table:
    return Table(
        "request_log",
        metadata,
        Column("request_id", UuidBytes, primary_key=True),
        Column("digest", String(64), nullable=False, comment="of what was asked for"),
        Column("response", Text, nullable=True, comment="JSON, where a repeat needs it"),
        Column("time_nsec", BigInteger, nullable=False, comment="Unix nanoseconds, database time"),
        Index(None, "time_nsec"),
    )


def _access_entry_table(metadata: MetaData) -> Table:
    return Table(
        "access_entry",
        metadata,
        Column("subject", name_column_type(255), primary_key=True),
        Column("prefix", name_column_type(255), primary_key=True),
        Column("verbs", String(255), nullable=False, comment="with spaces between"),
    )


def _api_token_table(metadata: MetaData) -> Table:
    return Table(
        "api_token",
        metadata,
        Column("id", UuidBytes, primary_key=True),
        Column("digest", LargeBinary(32), nullable=False, comment="SHA-256 of the token"),
        Column("principal", name_column_type(255), nullable=False),
        Column("groups", Text, nullable=False, comment="JSON"),
        Column("scopes", String(255), nullable=False, comment="verbs, with spaces between"),
        Column("note", String(255), nullable=False),
        Column("created_by", String(255), nullable=False),
        Column("created_nsec", BigInteger, nullable=False, comment="Unix nanoseconds, database time"),
        Column("expires_nsec", BigInteger, nullable=False, comment="Unix nanoseconds, database time"),
        Column("revoked_nsec", BigInteger, nullable=False, comment="0 if it is not"),
    )


def _outbox_table(metadata: MetaData) -> Table:
    """Return the table of events: one row for all datasets of one type and run that one transaction touched.

    On PostgreSQL ids are given before the commit, so a reader could pass over one that is committed late. It reads up
    to the oldest transaction that is still open, in the order of (transaction, id); SQLite has one writer, and 0 there.
    """
    return Table(
        "outbox",
        metadata,
        Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
        Column("transaction_id", BigInteger, nullable=False),
        Column("kind", SmallInteger, nullable=False),
        # Names, not ids: an event outlives what it speaks of.
        Column("dataset_type", name_column_type(128), nullable=False),
        Column("run", name_column_type(255), nullable=False),
        Column("dataset_ids", LargeBinary, nullable=False, comment="UUIDs, 16 bytes each"),
        Column("time_nsec", BigInteger, nullable=False, comment="Unix nanoseconds, database time"),
        Index(None, "transaction_id", "id"),
        Index(None, "time_nsec"),
        sqlite_autoincrement=True,  # an id is never given twice
    )
