# SPDX-License-Identifier: BSD-3-Clause
"""A transaction that its database has rolled back already when it is told to."""

from __future__ import annotations

import uuid
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from butler_model.errors import ServiceUnavailableError
from tests.support.registries import registry_home

NOTE = {"instrument": "Cam1", "detector": 1}


def test_puts_are_given_up_though_sqlite_rolls_back_where_a_write_is_stopped(tmp_path: Path) -> None:
    with registry_home("sqlite", tmp_path, lambda: "") as home:
        setup = home.fresh()
        setup.register_type("note", ("instrument", "detector"))
        setup.register_run("run")
        transaction: Any = setup.registry.transactions.begin(uuid.uuid4())
        begun = replace(setup, registry=transaction).begin("note", "run", [NOTE])
        connection = transaction._database._connection.connection.driver_connection
        # The next write is stopped, as the cancellation of a call does it.
        stops, next_write = [], iter([True])

        def trace(statement: str) -> None:
            if statement.startswith("INSERT"):
                stops.append(next(next_write, False))

        connection.set_trace_callback(trace)
        connection.set_progress_handler(lambda: bool(stops) and stops.pop(), 1)
        with pytest.raises(ServiceUnavailableError):
            transaction.commit()
        assert setup.find("note", NOTE, "run") is None
        # Whoever cleans up knows of them, though what was begun in the transaction is gone.
        (intent,) = begun
        assert len(setup.registry.puts.abort([intent.dataset_id], request_id=uuid.uuid4())) == 1
