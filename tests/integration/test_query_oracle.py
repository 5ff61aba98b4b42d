# SPDX-License-Identifier: BSD-3-Clause
"""Random expressions over random records: both databases select what plain evaluation selects.

``make fuzz-queries CASES=5000`` tries more of them.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from butler import Butler, Timespan
from butler_model.query.expression import Expression
from butler_model.query.parser import parse
from tests.support.butlers import new_repository
from tests.support.expressions import conditions
from tests.support.observed import DAY, START, square
from tests.support.oracle import Row, selects

CASES = int(os.environ.get("BUTLER_FUZZ_QUERIES", "300"))
"""For each database."""

VISITS = 14


@pytest.fixture(scope="module", params=["embedded-sqlite", "embedded-postgresql"])
def survey(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Butler, list[Row]]]:
    """Give a butler of a repository with random records, and a row for each visit and detector of Cam1."""
    with (
        new_repository(request, tmp_path_factory.mktemp("oracle")) as place,
        Butler(place.root, writeable=True) as butler,
    ):
        insert_survey(butler, "Cam1", random.Random(1))
        insert_survey(butler, "Cam2", random.Random(2))
        yield butler, rows_of(butler)


def insert_survey(butler: Butler, camera: str, generator: random.Random) -> None:
    insert, cam = butler.registry.insertDimensionData, {"instrument": camera}
    insert("instrument", {"name": camera})
    bands = {f"{camera}-G": "g", f"{camera}-R1": "r", f"{camera}-R2": "r"}
    insert("physical_filter", *({**cam, "name": name, "band": band} for name, band in bands.items()))
    insert("day_obs", {**cam, "id": 20200101})
    names = [("Aa", "A"), ("Ab", None), ("b", "B")]
    insert(
        "detector",
        *(
            {**cam, "id": i, "full_name": n, "raft": raft, "name_in_raft": n}
            for i, (n, raft) in enumerate(names)
        ),
    )

    def some(value: Any) -> Any:
        return value if generator.random() < 0.8 else None

    for i in range(VISITS):
        begin = START + generator.randrange(60) * DAY // 24
        end = begin + generator.choice([0, DAY // 24, DAY // 8, DAY])
        insert(
            "visit",
            {
                **cam,
                "id": i - 2,
                "name": f"v{i}",
                "day_obs": 20200101,
                "physical_filter": generator.choice(list(bands)),
                "seq_num": some(generator.randrange(-6, 6)),
                "exposure_time": some(generator.randrange(-8, 40) / 4),
                "zenith_angle": some(generator.randrange(8) / 2),
                "science_program": some(generator.choice(["prog%_1", "g", "it's", "é", "", "a\\b", "[a]"])),
                "timespan": some(Timespan.makeEmpty() if i == 3 else Timespan.from_nsec(begin, end)),
                "region": some(square(generator.randrange(40), generator.randrange(-2, 2))),
            },
        )


def rows_of(butler: Butler) -> list[Row]:
    registry = butler.registry
    bands = {r.name: r.band for r in registry.queryDimensionRecords("physical_filter")}
    rows: list[Row] = []
    for visit in registry.queryDimensionRecords("visit", instrument="Cam1"):
        span = visit.timespan
        fields = {
            f"visit.{name}": getattr(visit, name) for name in ("id", "name", "seq_num", "exposure_time")
        }
        fields |= {
            f"visit.{name}": getattr(visit, name) for name in ("zenith_angle", "science_program", "region")
        }
        fields |= {"visit.timespan": None if span is None else span.nsec}
        ends = (None, None) if span is None else span.nsec
        fields |= {"visit.timespan.begin": ends[0], "visit.timespan.end": ends[1]}
        filter_ = visit.physical_filter
        fields |= {"visit": visit.id, "physical_filter": filter_, "band": bands.get(filter_)}
        for detector in registry.queryDimensionRecords("detector", instrument="Cam1"):
            own = {f"detector.{name}": getattr(detector, name) for name in ("id", "full_name", "raft")}
            rows.append({**fields, **own, "detector": detector.id})
    return rows


@settings(
    max_examples=CASES,
    phases=[Phase.explicit, Phase.generate, Phase.shrink],
    suppress_health_check=list(HealthCheck),
)
@given(condition=conditions())
def test_a_database_selects_what_plain_evaluation_selects(
    survey: tuple[Butler, list[Row]], condition: Expression
) -> None:
    butler, rows = survey
    expected = {(row["visit"], row["detector"]) for row in rows if selects(condition, row)}
    where = f"instrument = 'Cam1' AND ({condition})"
    results = butler.registry.queryDataIds(["visit", "detector"], where=where)
    found = [(d["visit"], d["detector"]) for d in results]
    assert len(found) == len(set(found))
    assert set(found) == expected
    assert results.count() == len(expected)


@settings(max_examples=500)
@given(condition=conditions())
def test_an_expression_is_read_as_it_is_written(condition: Expression) -> None:
    assert parse(str(condition)) == condition
