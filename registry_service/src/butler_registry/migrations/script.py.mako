# SPDX-License-Identifier: BSD-3-Clause
"""${message}."""

from __future__ import annotations

__all__ = ["downgrade", "upgrade"]

import sqlalchemy as sa
from alembic import op

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
branch_labels = None
depends_on = None

def upgrade() -> None:
    """Go to the newer schema."""
    ${upgrades if upgrades else "pass"}


def downgrade() -> None:
    """Go back to the older schema."""
    ${downgrades if downgrades else "pass"}
