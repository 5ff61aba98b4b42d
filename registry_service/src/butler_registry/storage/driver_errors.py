# SPDX-License-Identifier: BSD-3-Clause
"""What is asked of the driver itself fails as what is asked through SQLAlchemy does, and never waits for itself."""

from __future__ import annotations

__all__ = ["as_of_sqlalchemy", "refuse_while_rows_flow", "removed_meanwhile"]

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError, IntegrityError

from butler_model.errors import ButlerError, InternalError, MissingCollectionError, MissingDatasetTypeError

_ACTIVE = 1
"""What libpq calls a connection on which a statement is not over."""
_NO_SUCH_REFERENCE = "23503"


@contextmanager
def as_of_sqlalchemy(
    connection: Connection, text: str, values: Mapping[str, Any] | Sequence[Any]
) -> Iterator[None]:
    """Raise `DBAPIError` for an error of the driver in the block, and have a connection that is gone given up."""
    failures: Any = connection.dialect.loaded_dbapi.Error
    try:
        yield
    except failures as error:
        driver: Any = connection.connection.driver_connection
        if getattr(driver, "closed", False):
            # It is refused, and SQLAlchemy then gives up all connections to a server that is gone.
            connection.exec_driver_sql("SELECT 1")
        raise DBAPIError.instance(text, values, error, failures, dialect=connection.dialect) from error


def removed_meanwhile(error: IntegrityError) -> ButlerError | None:
    """Return the error for a row that refers to what others have removed since it was looked up.

    `None` if the row was refused for another reason, such as a key that is taken. SQLite has one writer, so there what
    was looked up stays.
    """
    if getattr(error.orig, "sqlstate", None) != _NO_SUCH_REFERENCE:
        return None
    constraint = str(getattr(error.orig, "diag").constraint_name)  # noqa: B009 - drivers have no common type
    if constraint.endswith("dataset_type_id"):
        return MissingDatasetTypeError(
            "A dataset type was removed while it was in use; register it, and begin anew."
        )
    return MissingCollectionError(
        "A collection was removed while something was put into it; register it, and begin anew."
    )


def refuse_while_rows_flow(driver: Any) -> None:
    """Raise `InternalError` if a connection to PostgreSQL reads a result: another statement would wait for ever."""
    if driver.pgconn.transaction_status == _ACTIVE:
        raise InternalError("A statement was asked of a connection that reads a result; that is a defect.")
