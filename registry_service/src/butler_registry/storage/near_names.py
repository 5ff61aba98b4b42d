# SPDX-License-Identifier: BSD-3-Clause
"""Names that somebody may have meant who misspelt one."""

from __future__ import annotations

__all__ = ["near_names"]

from typing import Any

from sqlalchemy import ColumnElement, Connection, select

from butler_model.text import unfit_text

_NEIGHBOURS = 100


def near_names(connection: Connection, column: ColumnElement[Any], name: str) -> list[str]:
    """Return the hundred names before and after a name in the order of an index: few, however many there are."""
    if unfit_text(name):
        return []
    before = select(column).where(column < name).order_by(column.desc()).limit(_NEIGHBOURS)
    after = select(column).where(column > name).order_by(column).limit(_NEIGHBOURS)
    return [found for neighbours in (before, after) for found in connection.execute(neighbours).scalars()]
