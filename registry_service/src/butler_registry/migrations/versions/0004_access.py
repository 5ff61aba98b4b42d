# SPDX-License-Identifier: BSD-3-Clause
"""Who may do what, and API tokens."""

from __future__ import annotations

__all__ = ["downgrade", "upgrade"]

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def _schema() -> str | None:
    return op.get_context().version_table_schema


def _name(length: int) -> sa.String:
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


def _uuid() -> sa.LargeBinary:
    return sa.LargeBinary(16).with_variant(postgresql.UUID(), "postgresql")


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "access_entry",
        sa.Column("subject", _name(255), nullable=False),
        sa.Column("prefix", _name(255), nullable=False),
        sa.Column("verbs", sa.String(255), nullable=False, comment="with spaces between"),
        sa.PrimaryKeyConstraint("subject", "prefix", name="pk_access_entry"),
        schema=_schema(),
    )
    op.create_table(
        "api_token",
        sa.Column("id", _uuid(), nullable=False),
        sa.Column("digest", sa.LargeBinary(32), nullable=False, comment="SHA-256 of the token"),
        sa.Column("principal", _name(255), nullable=False),
        sa.Column("groups", sa.Text, nullable=False, comment="JSON"),
        sa.Column("scopes", sa.String(255), nullable=False, comment="verbs, with spaces between"),
        sa.Column("note", sa.String(255), nullable=False),
        sa.Column("created_by", sa.String(255), nullable=False),
        sa.Column("created_nsec", sa.BigInteger, nullable=False, comment="Unix nanoseconds, database time"),
        sa.Column("expires_nsec", sa.BigInteger, nullable=False, comment="Unix nanoseconds, database time"),
        sa.Column("revoked_nsec", sa.BigInteger, nullable=False, comment="0 if it is not"),
        sa.PrimaryKeyConstraint("id", name="pk_api_token"),
        schema=_schema(),
    )


def downgrade() -> None:
    """Undo `upgrade`; every token is worthless then, and everything denied."""
    for table in ("api_token", "access_entry"):
        op.drop_table(table, schema=_schema())
