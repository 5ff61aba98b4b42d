# SPDX-License-Identifier: BSD-3-Clause
"""What a database does not take is told apart from a database that cannot be reached."""

from __future__ import annotations

from pathlib import Path

import pytest

from butler_model.errors import InternalError, ServiceUnavailableError
from butler_registry.storage.database import Database, connect_postgresql, connect_sqlite

# Neither database parses the first; the second is deeper than both allow.
STATEMENTS = ["SELECT nothing FROM WHERE", f"SELECT {'(' * 50_000}1{')' * 50_000}"]


@pytest.mark.parametrize("statement", STATEMENTS, ids=["malformed", "deep"])
def test_a_statement_that_sqlite_does_not_take_is_an_error_of_the_program(
    tmp_path: Path, statement: str, caplog: pytest.LogCaptureFixture
) -> None:
    database = Database(connect_sqlite(tmp_path / "main.sqlite3", 1))
    with (
        pytest.raises(InternalError, match="the log has the details") as caught,
        database.reading() as opened,
    ):
        opened.exec_driver_sql(statement)
    assert caught.value.metadata["id"] in caplog.text
    database.close()


@pytest.mark.parametrize("statement", STATEMENTS, ids=["malformed", "deep"])
def test_a_statement_that_postgresql_does_not_take_is_an_error_of_the_program(
    postgres_database: str, statement: str
) -> None:
    database = Database(connect_postgresql(postgres_database, 1))
    with pytest.raises(InternalError, match="the log has the details"), database.reading() as opened:
        opened.exec_driver_sql(statement)
    database.close()


def test_a_database_that_cannot_be_opened_is_unavailable(tmp_path: Path) -> None:
    database = Database(connect_sqlite(tmp_path / "nowhere" / "main.sqlite3", 1))
    with pytest.raises(ServiceUnavailableError, match="cannot reach"), database.reading() as opened:
        opened.exec_driver_sql("SELECT 1")
