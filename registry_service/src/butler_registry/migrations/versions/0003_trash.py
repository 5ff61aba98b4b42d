# SPDX-License-Identifier: BSD-3-Clause
"""The trash, the log of deletions, answers to repeated requests, and intents that refer to nothing."""

from __future__ import annotations

__all__ = ["downgrade", "upgrade"]

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def _schema() -> str | None:
    return op.get_context().version_table_schema


def _name(length: int) -> sa.String:
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


def _key() -> sa.Text:
    return sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def _uuid() -> sa.LargeBinary:
    return sa.LargeBinary(16).with_variant(postgresql.UUID(), "postgresql")


def _time(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, nullable=False, comment="Unix nanoseconds, database time")


def upgrade() -> None:
    """Make the tables, and change those that were there."""
    _create_trash()
    _create_deletion_log()
    op.add_column(
        "request_log",
        sa.Column("response", sa.Text, nullable=True, comment="JSON, where a repeat needs it"),
        schema=_schema(),
    )
    _free_intents()
    _sort_keys("C")


def _sort_keys(collation: str) -> None:
    """Sort the keys of artifacts as stores list them; SQLite always does."""
    if op.get_context().dialect.name == "postgresql":
        op.alter_column("artifact_record", "key", type_=sa.Text(collation=collation), schema=_schema())


def _create_trash() -> None:
    op.create_table(
        "artifact_trash",
        sa.Column("dataset_id", _uuid(), nullable=False),
        sa.Column("component", sa.String(128), nullable=False),
        sa.Column("store", sa.String(64), nullable=False),
        sa.Column("key", _key(), nullable=False),
        sa.Column("formatter", sa.String(64), nullable=False),
        sa.Column("extension", sa.String(64), nullable=False),
        sa.Column("storage_class", sa.String(128), nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False, comment="bytes"),
        sa.Column("checksum", sa.String(80), nullable=False),
        sa.Column("dataset_type", _name(128), nullable=False),
        sa.Column("run", _name(255), nullable=False),
        sa.Column("data_id", sa.Text, nullable=False, comment="JSON list of required values"),
        sa.Column("ingest_nsec", sa.BigInteger, nullable=False, comment="TAI nanoseconds since 1970"),
        sa.Column("purged", sa.Boolean, nullable=False, comment="whether the dataset is gone, too"),
        sa.Column("trash_id", _uuid(), nullable=False, comment="request that moved it here"),
        sa.Column("trashed_by", sa.String(255), nullable=False),
        _time("trashed_nsec"),
        sa.Column("state", sa.SmallInteger, nullable=False),
        _time("due_nsec"),
        sa.Column("claim_id", _uuid(), nullable=True),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("last_error", sa.Text, nullable=True),
        sa.PrimaryKeyConstraint("dataset_id", "component", "store", name="pk_artifact_trash"),
        schema=_schema(),
    )
    for columns in (["due_nsec"], ["trash_id"], ["claim_id"], ["store", "key"]):
        op.create_index(f"ix_artifact_trash_{'_'.join(columns)}", "artifact_trash", columns, schema=_schema())


def _create_deletion_log() -> None:
    op.create_table(
        "deletion_log",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), nullable=False),
        _time("time_nsec"),
        sa.Column("reason", sa.SmallInteger, nullable=False),
        sa.Column("dataset_id", _uuid(), nullable=False),
        sa.Column("store", sa.String(64), nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("requested_by", sa.String(255), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_deletion_log"),
        sqlite_autoincrement=True,
        schema=_schema(),
    )
    op.create_index("ix_deletion_log_time_nsec", "deletion_log", ["time_nsec"], schema=_schema())


def _free_intents() -> None:
    """Let intents refer to nothing: one of a transaction is committed before what it would refer to."""
    with op.batch_alter_table("put_intent", schema=_schema()) as table:
        table.drop_constraint("fk_put_intent_dataset_type_id", type_="foreignkey")
        table.drop_constraint("fk_put_intent_run_id", type_="foreignkey")
        table.add_column(
            sa.Column(
                "adopts",
                sa.Boolean,
                nullable=False,
                server_default=sa.false(),
                comment="whether an artifact was there before, in a store",
            )
        )
    with op.batch_alter_table("put_intent", schema=_schema()) as table:
        table.alter_column("adopts", server_default=None)
    op.create_index(
        "ix_put_intent_adopts",
        "put_intent",
        ["adopts"],
        schema=_schema(),
        postgresql_where=sa.text("adopts"),
        sqlite_where=sa.text("adopts"),
    )


def downgrade() -> None:
    """Undo `upgrade`; what is in the trash then belongs to nobody."""
    _sort_keys("default")
    op.drop_index("ix_put_intent_adopts", "put_intent", schema=_schema())
    with op.batch_alter_table("put_intent", schema=_schema()) as table:
        table.drop_column("adopts")
        table.create_foreign_key(
            "fk_put_intent_dataset_type_id",
            "dataset_type",
            ["dataset_type_id"],
            ["id"],
            referent_schema=_schema(),
            ondelete="CASCADE",
        )
        table.create_foreign_key(
            "fk_put_intent_run_id",
            "collection",
            ["run_id"],
            ["id"],
            referent_schema=_schema(),
            ondelete="CASCADE",
        )
    op.drop_column("request_log", "response", schema=_schema())
    for table_name in ("deletion_log", "artifact_trash"):
        op.drop_table(table_name, schema=_schema())
