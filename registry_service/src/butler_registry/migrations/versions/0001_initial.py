# SPDX-License-Identifier: BSD-3-Clause
"""The first tables: attributes, collections, dataset types, datasets, artifact records, intents."""

from __future__ import annotations

__all__ = ["downgrade", "upgrade"]

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def _schema() -> str | None:
    return op.get_context().version_table_schema


def _prefix() -> str:
    return f"{_schema()}." if _schema() else ""


def _uuid() -> sa.LargeBinary:
    return sa.LargeBinary(16).with_variant(postgresql.UUID(), "postgresql")


def _name(length: int) -> sa.String:
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "attribute",
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("value", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_attribute"),
        schema=_schema(),
    )
    op.create_table(
        "revision",
        sa.Column("id", sa.SmallInteger, autoincrement=False, nullable=False),
        sa.Column("value", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_revision"),
        schema=_schema(),
    )
    _create_definitions()
    _create_datasets()
    _create_intents()


def _create_definitions() -> None:
    op.create_table(
        "collection",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("name", _name(255), nullable=False),
        sa.Column("type", sa.SmallInteger, nullable=False),
        sa.Column("doc", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_collection"),
        sa.UniqueConstraint("name", name="uq_collection_name"),
        sqlite_autoincrement=True,
        schema=_schema(),
    )
    op.create_table(
        "required_dimensions",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("names", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_required_dimensions"),
        sa.UniqueConstraint("names", name="uq_required_dimensions_names"),
        sqlite_autoincrement=True,
        schema=_schema(),
    )
    op.create_table(
        "dataset_type",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("name", _name(128), nullable=False),
        sa.Column("storage_class", sa.String(128), nullable=False),
        sa.Column("is_calibration", sa.Boolean, nullable=False),
        sa.Column("required_dimensions_id", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_dataset_type"),
        sa.UniqueConstraint("name", name="uq_dataset_type_name"),
        sa.ForeignKeyConstraint(
            ["required_dimensions_id"],
            [f"{_prefix()}required_dimensions.id"],
            name="fk_dataset_type_required_dimensions_id",
        ),
        sqlite_autoincrement=True,
        schema=_schema(),
    )


def _create_datasets() -> None:
    op.create_table(
        "dataset",
        sa.Column("id", _uuid(), nullable=False),
        sa.Column("dataset_type_id", sa.Integer, nullable=False),
        sa.Column("run_id", sa.Integer, nullable=False),
        sa.Column("ingest_nsec", sa.BigInteger, nullable=False, comment="TAI nanoseconds since 1970"),
        sa.PrimaryKeyConstraint("id", name="pk_dataset"),
        sa.ForeignKeyConstraint(
            ["dataset_type_id"], [f"{_prefix()}dataset_type.id"], name="fk_dataset_dataset_type_id"
        ),
        sa.ForeignKeyConstraint(["run_id"], [f"{_prefix()}collection.id"], name="fk_dataset_run_id"),
        schema=_schema(),
    )
    op.create_index(
        "ix_dataset_run_id_dataset_type_id", "dataset", ["run_id", "dataset_type_id"], schema=_schema()
    )
    op.create_table(
        "artifact_record",
        sa.Column("dataset_id", _uuid(), nullable=False),
        sa.Column("component", sa.String(128), nullable=False),
        sa.Column("store", sa.String(64), nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("formatter", sa.String(64), nullable=False),
        sa.Column("extension", sa.String(64), nullable=False),
        sa.Column("storage_class", sa.String(128), nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False, comment="bytes"),
        sa.Column("checksum", sa.String(80), nullable=False),
        sa.PrimaryKeyConstraint("dataset_id", "component", "store", name="pk_artifact_record"),
        sa.ForeignKeyConstraint(
            ["dataset_id"], [f"{_prefix()}dataset.id"], name="fk_artifact_record_dataset_id"
        ),
        schema=_schema(),
    )
    op.create_index("ix_artifact_record_store_key", "artifact_record", ["store", "key"], schema=_schema())


def _create_intents() -> None:
    op.create_table(
        "put_intent",
        sa.Column("dataset_id", _uuid(), nullable=False),
        sa.Column("request_id", _uuid(), nullable=False),
        sa.Column("dataset_type_id", sa.Integer, nullable=False),
        sa.Column("run_id", sa.Integer, nullable=False),
        sa.Column("data_id", sa.Text, nullable=False, comment="JSON list of required values"),
        sa.Column(
            "artifacts",
            sa.Text,
            nullable=False,
            comment="JSON list of [store, key, members, adopted, ...]",
        ),
        sa.Column("state", sa.SmallInteger, nullable=False),
        sa.Column(
            "lease_expires_nsec", sa.BigInteger, nullable=False, comment="Unix nanoseconds, database time"
        ),
        sa.PrimaryKeyConstraint("dataset_id", name="pk_put_intent"),
        sa.ForeignKeyConstraint(
            ["dataset_type_id"],
            [f"{_prefix()}dataset_type.id"],
            name="fk_put_intent_dataset_type_id",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["run_id"], [f"{_prefix()}collection.id"], name="fk_put_intent_run_id", ondelete="CASCADE"
        ),
        schema=_schema(),
    )
    op.create_index(
        "ix_put_intent_lease_expires_nsec", "put_intent", ["lease_expires_nsec"], schema=_schema()
    )


def downgrade() -> None:
    """Remove the tables."""
    for table in (
        "put_intent",
        "artifact_record",
        "dataset",
        "dataset_type",
        "required_dimensions",
        "collection",
        "revision",
        "attribute",
    ):
        op.drop_table(table, schema=_schema())
