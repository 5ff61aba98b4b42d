# SPDX-License-Identifier: BSD-3-Clause
"""How SQLite does what is done for many datasets at once; of a new repository it has no statistics to choose by."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, event

from butler import Butler, DatasetType


@contextmanager
def statements_that_write_to(table: str) -> Iterator[list[tuple[str, Any]]]:
    """Give a list that the statements of this process which insert into a table are added to, with their values."""
    found: list[tuple[str, Any]] = []

    def note(connection: Any, cursor: Any, statement: str, parameters: Any, context: Any, many: bool) -> None:
        if statement.startswith(f"INSERT INTO {table} "):
            found.append((statement, parameters))

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield found
    finally:
        event.remove(Engine, "before_cursor_execute", note)


def test_what_moves_to_the_trash_is_found_by_its_id_in_every_table(tmp_path: Path) -> None:
    Butler.makeRepo(tmp_path)
    with Butler(tmp_path, run="run") as butler:
        insert = butler.registry.insertDimensionData
        insert("instrument", {"name": "Cam", "detector_max": 9, "visit_max": 9, "exposure_max": 9})
        insert("detector", *({"instrument": "Cam", "id": i, "full_name": f"D{i}"} for i in range(9)))
        of_type = DatasetType(
            "note", ("instrument", "detector"), "StructuredDataDict", universe=butler.dimensions
        )
        butler.registry.registerDatasetType(of_type)
        refs = butler.put_many(({"n": i}, "note", {"instrument": "Cam", "detector": i}) for i in range(9))
        with statements_that_write_to("artifact_trash") as moves:
            butler.pruneDatasets(refs, purge=True, unstore=True)
    ((statement, values),) = moves
    (database,) = tmp_path.glob("*.sqlite3")
    with closing(sqlite3.connect(database)) as connection:
        steps = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}", values)]
    (place,) = (step for step in steps if "dataset_tags_" in step)
    assert place.endswith("(dataset_id=?)"), steps
    assert not any(step.startswith("SCAN") and "CONSTANT" not in step for step in steps), steps
