# SPDX-License-Identifier: BSD-3-Clause
"""Chains, summaries of collections, requests that were done, and the outbox."""

from __future__ import annotations

__all__ = ["downgrade", "upgrade"]

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def _schema() -> str | None:
    return op.get_context().version_table_schema


def _prefix() -> str:
    return f"{_schema()}." if _schema() else ""


def _name(length: int) -> sa.String:
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


def upgrade() -> None:
    """Make the tables."""
    _create_collection_chain()
    _create_collection_summary()
    _create_request_log()
    _create_outbox()


def _create_collection_chain() -> None:
    op.create_table(
        "collection_chain",
        sa.Column("parent_id", sa.Integer, nullable=False),
        sa.Column("position", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("child_id", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("parent_id", "position", name="pk_collection_chain"),
        sa.ForeignKeyConstraint(
            ["parent_id"],
            [f"{_prefix()}collection.id"],
            name="fk_collection_chain_parent_id",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["child_id"], [f"{_prefix()}collection.id"], name="fk_collection_chain_child_id"
        ),
        schema=_schema(),
    )
    op.create_index("ix_collection_chain_child_id", "collection_chain", ["child_id"], schema=_schema())


def _create_collection_summary() -> None:
    op.create_table(
        "collection_summary",
        sa.Column("collection_id", sa.Integer, nullable=False),
        sa.Column("dataset_type_id", sa.Integer, nullable=False),
        sa.Column(
            "governors",
            _name(1024),
            nullable=False,
            comment="JSON list of the values of the type's governor dimensions, in the order of its dimensions",
        ),
        sa.PrimaryKeyConstraint(
            "collection_id", "dataset_type_id", "governors", name="pk_collection_summary"
        ),
        sa.ForeignKeyConstraint(
            ["collection_id"],
            [f"{_prefix()}collection.id"],
            name="fk_collection_summary_collection_id",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["dataset_type_id"],
            [f"{_prefix()}dataset_type.id"],
            name="fk_collection_summary_dataset_type_id",
            ondelete="CASCADE",
        ),
        schema=_schema(),
    )
    op.create_index(
        "ix_collection_summary_dataset_type_id", "collection_summary", ["dataset_type_id"], schema=_schema()
    )


def _create_request_log() -> None:
    op.create_table(
        "request_log",
        sa.Column(
            "request_id",
            sa.LargeBinary(16).with_variant(postgresql.UUID(), "postgresql"),
            nullable=False,
        ),
        sa.Column("digest", sa.String(64), nullable=False, comment="of what was asked for"),
        sa.Column("time_nsec", sa.BigInteger, nullable=False, comment="Unix nanoseconds, database time"),
        sa.PrimaryKeyConstraint("request_id", name="pk_request_log"),
        schema=_schema(),
    )
    op.create_index("ix_request_log_time_nsec", "request_log", ["time_nsec"], schema=_schema())


def _create_outbox() -> None:
    op.create_table(
        "outbox",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), nullable=False),
        sa.Column("transaction_id", sa.BigInteger, nullable=False),
        sa.Column("kind", sa.SmallInteger, nullable=False),
        sa.Column("dataset_type", _name(128), nullable=False),
        sa.Column("run", _name(255), nullable=False),
        sa.Column("dataset_ids", sa.LargeBinary, nullable=False, comment="UUIDs, 16 bytes each"),
        sa.Column("time_nsec", sa.BigInteger, nullable=False, comment="Unix nanoseconds, database time"),
        sa.PrimaryKeyConstraint("id", name="pk_outbox"),
        sqlite_autoincrement=True,
        schema=_schema(),
    )
    op.create_index("ix_outbox_transaction_id_id", "outbox", ["transaction_id", "id"], schema=_schema())
    op.create_index("ix_outbox_time_nsec", "outbox", ["time_nsec"], schema=_schema())


def downgrade() -> None:
    """Remove the tables."""
    for table in ("outbox", "request_log", "collection_summary", "collection_chain"):
        op.drop_table(table, schema=_schema())
