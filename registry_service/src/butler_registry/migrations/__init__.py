# SPDX-License-Identifier: BSD-3-Clause
"""Migrations of the static tables, by Alembic, in the database schema of one repository."""

from __future__ import annotations

__all__ = ["alembic_config", "upgrade"]

from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from sqlalchemy import Connection

if TYPE_CHECKING:
    from alembic.config import Config

_one_at_a_time = Lock()
"""Alembic hands its context to ``env.py`` in a global variable."""


def alembic_config(connection: Connection, schema: str | None) -> Config:
    """Return the configuration for a connection that is in a transaction, and a schema (`None`: the default)."""
    # Whoever does not migrate, and that is nearly everybody, need not wait until it is loaded.
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.attributes.update(connection=connection, schema=schema)
    return config


def upgrade(connection: Connection, schema: str | None, revision: str = "head") -> None:
    """Bring a repository's static tables to a revision."""
    from alembic import command

    with _one_at_a_time:
        command.upgrade(alembic_config(connection, schema), revision)
