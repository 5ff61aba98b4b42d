# SPDX-License-Identifier: BSD-3-Clause
"""What every registry answers to queries, a page at a time; in process or over the wire."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from butler_model.errors import (
    ButlerError,
    DimensionNameError,
    DimensionValueError,
    InvalidPageTokenError,
    InvalidRequestError,
    LimitExceededError,
    MissingCollectionError,
    MissingDatasetTypeError,
    UnsupportedOperationError,
)
from butler_model.paging import PageRequest, ResultType
from butler_model.query.spec import QuerySpec, ResultKind
from tests.support.registries import (  # noqa: F401 - fixtures
    LIMITS,
    RegistryHome,
    RegistrySetup,
    register_types,
    registry_home_of_module,
    registry_of_test,
)

CAM = {"instrument": "Cam1"}
DETECTORS, VISITS = (1, 2, 3, 4), (1, 2, 3, 4)
TAKEN_WITH = {1: ("Cam1-G", 20200101, "g"), 2: ("Cam1-R1", 20200102, "r"), 3: ("Cam1-R2", 20200102, "r")}
TAKEN_WITH[4] = TAKEN_WITH[2]
REDUCED = [(v, d) for v in (1, 2, 3) for d in DETECTORS]


@pytest.fixture(scope="module")
def filled(home: RegistryHome) -> RegistrySetup:
    """Give a repository with datasets in three runs, which no test changes."""
    setup = home.fresh()
    register_types(setup)
    for run in ("r1", "r2", "empty"):
        setup.register_run(run)
    setup.put("note", "r1", *({**CAM, "detector": d} for d in (1, 2, 3)))
    setup.put("note", "r2", *({**CAM, "detector": d} for d in (2, 3, 4)))
    setup.put("calexp", "r1", *({**CAM, "visit": v, "detector": d} for v, d in REDUCED))
    setup.put("calexp", "r2", {**CAM, "visit": 2, "detector": 2})
    setup.put("warp", "r1", *({"skymap": "SM1", "tract": 1, "patch": p, **CAM, "visit": 2} for p in (0, 1)))
    setup.put(
        "coadd", "r1", *({"skymap": "SM1", "tract": 1, "patch": p, "band": b} for p in (0, 1) for b in "gr")
    )
    setup.put("log", "r1", {})
    setup.put("log", "r2", {})
    return setup


def data_ids(*dimensions: str, **data_id: Any) -> QuerySpec:
    return QuerySpec(ResultKind.DATA_IDS, dimensions=dimensions, data_id=data_id)


def record_query(element: str, **data_id: Any) -> QuerySpec:
    return QuerySpec(ResultKind.DIMENSION_RECORDS, element=element, data_id=data_id)


def dataset_query(
    dataset_type: str, *collections: str, find_first: bool = False, **data_id: Any
) -> QuerySpec:
    return QuerySpec(
        ResultKind.DATASETS,
        dataset_type=dataset_type,
        collections=collections,
        find_first=find_first,
        data_id=data_id,
    )


QUERIES = {
    "data IDs": data_ids("visit", "detector"),
    "no dimensions": data_ids(),
    "bands": data_ids("band"),
    "records": record_query("visit"),
    "bands' records": record_query("band"),
    "datasets": dataset_query("calexp", "r1", "r2"),
    "datasets found first": dataset_query("calexp", "r1", "r2", find_first=True),
    "datasets of no dimensions": dataset_query("log", "r1", "r2"),
}


def test_visits_and_detectors_are_combined_in_every_way(filled: RegistrySetup) -> None:
    # Behaviour D61a: a plain product within the instrument, each row with its implied values.
    page = filled.registry.queries.page(data_ids("visit", "detector"), PageRequest(50))
    names = ["instrument", "detector", "visit", "band", "day_obs", "physical_filter"]
    assert sorted(column.name for column in page.columns) == sorted(names)
    assert page.rows == 16
    rows = set(zip(*(page.column(name) for name in names), strict=True))
    assert rows == {
        ("Cam1", d, v, TAKEN_WITH[v][2], TAKEN_WITH[v][1], TAKEN_WITH[v][0])
        for v in VISITS
        for d in DETECTORS
    }


def test_columns_have_names_and_types(filled: RegistrySetup) -> None:
    def types(spec: QuerySpec) -> dict[str, ResultType]:
        return {c.name: c.type for c in filled.registry.queries.page(spec, PageRequest(1)).columns}

    text, integer = ResultType.STRING, ResultType.INT
    assert types(data_ids("detector")) == {"instrument": text, "detector": integer}
    assert types(dataset_query("note", "r1")) == {
        "instrument": text,
        "detector": integer,
        "id": ResultType.UUID,
        "run": text,
    }
    visit = types(record_query("visit"))
    assert visit["region"] is ResultType.REGION
    assert visit["timespan"] is ResultType.TIMESPAN
    assert visit["exposure_time"] is ResultType.FLOAT
    assert types(record_query("skymap"))["hash"] is ResultType.BYTES
    assert types(record_query("exposure"))["has_simulated"] is ResultType.BOOL
    assert types(dataset_query("note", "empty")) == types(dataset_query("note", "r1"))


@pytest.mark.parametrize("rows", [1, 3, 50])
@pytest.mark.parametrize("name", [*QUERIES, "gaps", "bytes", "flags", "dataset fields"])
def test_a_stream_gives_the_rows_of_all_pages_in_their_order(
    filled: RegistrySetup, name: str, rows: int
) -> None:
    others = {
        "gaps": record_query("exposure"),
        "bytes": record_query("skymap"),
        "flags": record_query("detector"),
        "dataset fields": replace(
            dataset_query("calexp", "r1", "r2"), dataset_fields=("collection", "ingest_date")
        ),
    }
    spec = {**QUERIES, **others}[name]
    for limited in (spec, replace(spec, limit=2)):
        pages = list(filled.registry.queries.stream(limited, rows))
        columns = [[column.values for column in page.columns] for page in pages]
        streamed = [row for each in columns for row in zip(*each, strict=True)]
        if not pages[0].columns:
            streamed = [()] * sum(page.rows for page in pages)
        assert streamed == filled.rows(limited)


def test_bands_come_from_physical_filters_each_once(filled: RegistrySetup) -> None:
    # Behaviours D58 and D59.
    assert filled.rows(data_ids("band")) == [("g",), ("r",)]
    assert filled.rows(record_query("band")) == [("g",), ("r",)]
    assert filled.rows(record_query("band", band="r")) == [("r",)]
    assert filled.rows(record_query("band", band="z")) == []
    assert len(filled.rows(data_ids("physical_filter"))) == 3


def test_a_group_that_nothing_relates_is_a_product(filled: RegistrySetup) -> None:
    assert len(filled.rows(data_ids("detector", "skymap", "band"))) == 4 * 1 * 2
    assert len(filled.rows(data_ids("detector", "physical_filter"))) == 4 * 3


def test_a_visit_and_an_exposure_are_joined_by_their_definition(filled: RegistrySetup) -> None:
    # Behaviour D60.
    spec = data_ids("visit", "exposure")
    page = filled.registry.queries.page(spec, PageRequest())
    assert set(zip(page.column("visit"), page.column("exposure"), strict=True)) == {(1, 11), (2, 12), (3, 13)}


def test_no_dimensions_have_one_data_id(filled: RegistrySetup) -> None:
    assert filled.rows(data_ids()) == [()]
    assert filled.rows(data_ids(instrument="Cam1")) == [()]
    assert filled.rows(data_ids(instrument="Nope")) == []


@pytest.mark.parametrize(
    ("spec", "rows"),
    [
        (data_ids("visit", "detector", visit=2), 4),
        (data_ids("visit", "detector", visit=2, detector=3), 1),
        (data_ids("visit", "detector", visit=np.int64(2)), 4),
        (data_ids("visit", instrument="Cam1", band="r"), 3),
        (data_ids("visit", day_obs=20200102), 3),
        (data_ids("detector", visit=2), 4),
        (data_ids("detector", visit=99), 0),
        (data_ids("visit", detector=1), 4),
        (data_ids("visit", detector=99), 0),
        (data_ids("instrument", band="r"), 1),
        (data_ids("instrument", band="z"), 0),
        (data_ids("exposure", visit=2), 1),
        (data_ids("visit", instrument="Nope"), 0),
        (data_ids("visit", instrument="Cam1' OR '1'='1"), 0),
        (record_query("detector", instrument="Cam1"), 4),
        (record_query("detector", detector=3), 1),
        (record_query("visit", day_obs=20200102), 3),
        (record_query("visit", physical_filter="Cam1-R1"), 2),
        (record_query("physical_filter", band="r"), 2),
        (record_query("visit_definition", exposure=12), 1),
        (record_query("patch", skymap="SM1", tract=1), 2),
        (dataset_query("calexp", "r1", visit=2), 4),
        (dataset_query("calexp", "r1", "r2", visit=2, detector=2), 2),
        (dataset_query("calexp", "r1", band="r"), 8),
        (dataset_query("calexp", "r1", day_obs=20200101), 4),
        (dataset_query("calexp", "r1", "r2", find_first=True, band="r", detector=2), 2),
        (dataset_query("note", "r1", visit=2), 3),
        (dataset_query("note", "r1", visit=99), 0),
        (dataset_query("warp", "r1"), 2),
        (dataset_query("warp", "r1", patch=1), 1),
        (dataset_query("warp", "r1", band="r"), 2),
        (dataset_query("coadd", "r1", band="g"), 2),
        (dataset_query("coadd", "r1", physical_filter="Cam1-G"), 2),
        (dataset_query("coadd", "r1", physical_filter="Cam1-R1", patch=0), 1),
    ],
    ids=str,
)
def test_values_restrict_the_rows(filled: RegistrySetup, spec: QuerySpec, rows: int) -> None:
    assert len(filled.rows(spec)) == rows


def test_find_first_keeps_one_dataset_per_data_id_by_the_order_of_collections(filled: RegistrySetup) -> None:
    # Behaviour D61, for types without dimensions too.
    def runs(dataset_type: str, *collections: str, first: bool = True) -> list[str]:
        page = filled.registry.queries.page(
            dataset_query(dataset_type, *collections, find_first=first), PageRequest(50)
        )
        return list(page.column("run"))

    assert runs("note", "r1", "r2") == ["r1", "r1", "r1", "r2"]
    assert runs("note", "r2", "r1") == ["r1", "r2", "r2", "r2"]
    assert runs("note", "empty", "r2", "r2") == ["r2"] * 3
    assert runs("note", "r2", "r1", first=False) == ["r1", "r1", "r2", "r1", "r2", "r2"]
    assert runs("note", "r1", "r1", first=False) == ["r1"] * 3
    assert runs("log", "r1", "r2") == ["r1"]
    assert runs("log", "r2", "r1") == ["r2"]
    assert runs("log", "r2", "r1", first=False) == ["r1", "r2"]


def test_no_collections_hold_no_datasets(filled: RegistrySetup) -> None:
    # Behaviour D64.
    for find_first in (False, True):
        assert filled.rows(dataset_query("note", find_first=find_first)) == []
        assert filled.rows(dataset_query("note", "empty", find_first=find_first)) == []


def test_what_is_listed_is_what_is_found(filled: RegistrySetup) -> None:
    page = filled.registry.queries.page(dataset_query("calexp", "r2", "r1", find_first=True), PageRequest(50))
    for visit, detector, dataset_id, run in zip(
        *(page.column(name) for name in ("visit", "detector", "id", "run")), strict=True
    ):
        found = filled.find("calexp", {**CAM, "visit": visit, "detector": detector}, "r2", "r1")
        assert found is not None
        assert (found.ref.id, found.ref.run) == (dataset_id, run)
        assert isinstance(dataset_id, uuid.UUID)


# Pages.


@pytest.mark.parametrize("size", [1, 2, 3, 5, 12, 13, 16, 17, 50])
@pytest.mark.parametrize("name", QUERIES)
def test_every_row_comes_once_whatever_the_size_of_a_page(
    filled: RegistrySetup, name: str, size: int
) -> None:
    spec = QUERIES[name]
    whole = filled.registry.queries.page(spec, PageRequest(50))
    assert whole.next_token == b""
    columns = [column.values for column in whole.columns]
    rows = list(zip(*columns, strict=True)) if columns else [()] * whole.rows
    assert filled.rows(spec, size) == rows


def test_a_page_has_the_size_asked_for_within_the_limit(filled: RegistrySetup, setup: RegistrySetup) -> None:
    setup.insert("group", *({**CAM, "name": f"n{i:03}"} for i in range(120)))
    spec = record_query("group")
    for asked, given in ((0, LIMITS.default_page_rows), (1, 1), (49, 49), (10**6, LIMITS.page_rows)):
        page = setup.registry.queries.page(spec, PageRequest(asked))
        assert page.rows == given
        assert page.next_token
    with pytest.raises(InvalidRequestError, match="-1"):
        setup.registry.queries.page(spec, PageRequest(-1))


def test_pages_hold_every_row_once_while_others_write(setup: RegistrySetup) -> None:
    setup.insert("group", *({**CAM, "name": f"n{i:03}"} for i in range(0, 100, 2)))
    spec, seen, token = record_query("group"), [], b""
    for i in itertools.count():
        page = setup.registry.queries.page(spec, PageRequest(7, token))
        seen += list(page.column("name"))
        # Before and after the place where the reader stands.
        setup.insert(
            "group",
            *({**CAM, "name": f"n{n:03}"} for n in (2 * i + 1, 99 - 2 * i) if 0 < n < 100),
            skip_existing=True,
        )
        token = page.next_token
        if not token:
            break
    assert seen == sorted(set(seen))
    assert {f"n{i:03}" for i in range(0, 100, 2)} <= set(seen)


def test_pages_of_datasets_hold_every_row_once_while_others_put(setup: RegistrySetup) -> None:
    register_types(setup)
    setup.register_run("run")
    setup.insert("detector", *({**CAM, "id": i, "full_name": f"d{i}"} for i in range(5, 41)))
    setup.put("note", "run", *({**CAM, "detector": d} for d in range(2, 41, 2)))
    spec, seen, token = dataset_query("note", "run"), [], b""
    for odd in range(1, 41, 2):
        page = setup.registry.queries.page(spec, PageRequest(3, token))
        seen += list(page.column("detector"))
        setup.put("note", "run", {**CAM, "detector": odd})
        token = page.next_token
        if not token:
            break
    assert seen == sorted(set(seen))
    assert set(range(2, 41, 2)) <= set(seen)


def tokens(filled: RegistrySetup) -> Iterator[tuple[QuerySpec, bytes]]:
    for spec in QUERIES.values():
        token = filled.registry.queries.page(spec, PageRequest(1)).next_token
        if token:
            yield spec, token


def test_an_altered_token_is_refused(filled: RegistrySetup) -> None:
    for spec, token in tokens(filled):
        altered = [token[:-1], token + b"x", token[:-1] + bytes([token[-1] ^ 1]), b"x", b"\0" * 99, token[1:]]
        for each in altered:
            with pytest.raises(InvalidPageTokenError):
                filled.registry.queries.page(spec, PageRequest(1, each))


def test_a_token_of_another_query_is_refused(filled: RegistrySetup) -> None:
    given = list(tokens(filled))
    assert len(given) >= 6
    for (spec, _), (_, token) in itertools.permutations(given, 2):
        with pytest.raises(InvalidPageTokenError, match="another query"):
            filled.registry.queries.page(spec, PageRequest(1, token))
    token = filled.registry.queries.page(data_ids("visit", "detector"), PageRequest(1)).next_token
    for spec in (
        data_ids("visit", "detector", visit=1),
        data_ids("detector", "visit"),
        data_ids("exposure", "detector"),
    ):
        with pytest.raises(InvalidPageTokenError, match="another query"):
            filled.registry.queries.page(spec, PageRequest(1, token))


def test_a_grant_is_no_token(filled: RegistrySetup) -> None:
    found = filled.find("note", {**CAM, "detector": 1}, "r1", want_artifacts=True)
    assert found is not None
    with pytest.raises(InvalidPageTokenError):
        filled.registry.queries.page(data_ids("visit"), PageRequest(1, found.artifacts[0].grant))


def test_a_token_may_be_used_again_and_with_another_size(filled: RegistrySetup) -> None:
    spec = data_ids("visit", "detector")
    token = filled.registry.queries.page(spec, PageRequest(3)).next_token
    pages = [filled.registry.queries.page(spec, PageRequest(n, token)) for n in (2, 2, 5)]
    assert pages[0].columns == pages[1].columns
    assert list(pages[2].column("visit"))[:2] == list(pages[0].column("visit"))


def test_a_page_tells_the_revision_that_it_was_read_at(setup: RegistrySetup) -> None:
    before = setup.registry.queries.page(data_ids("visit"), PageRequest()).revision
    setup.insert("group", {**CAM, "name": "new"})
    assert setup.registry.queries.page(data_ids("visit"), PageRequest()).revision == before + 1


@pytest.mark.parametrize(
    ("spec", "error", "offender"),
    [
        (data_ids("nope"), DimensionNameError, "'nope'"),
        (data_ids("visit", "visit_definition"), DimensionNameError, "visit_definition"),
        (data_ids("visit", nope=1), DimensionNameError, "'nope'"),
        (data_ids("visit", visit="2"), DimensionValueError, "visit"),
        (data_ids("visit", visit=2**63), DimensionValueError, "visit"),
        (data_ids("visit", instrument="x" * 33), DimensionValueError, "instrument"),
        (data_ids("visit", instrument="a\0b"), DimensionValueError, "instrument"),
        (data_ids("visit", visit=None), DimensionValueError, "visit"),
        (data_ids("htm7"), UnsupportedOperationError, "htm7"),
        (record_query("nope"), DimensionNameError, "'nope'"),
        (record_query("htm7"), UnsupportedOperationError, "htm7"),
        (record_query("detector", full_name="Aa"), DimensionNameError, "'full_name'"),
        (record_query("detector", detector="1"), DimensionValueError, "detector"),
        (dataset_query("nope", "r1"), MissingDatasetTypeError, "'nope'"),
        (dataset_query("note", "r1", "nope"), MissingCollectionError, "'nope'"),
        (dataset_query("note", "r1", nope=1), DimensionNameError, "'nope'"),
        (dataset_query("note", "r1", detector="1"), DimensionValueError, "detector"),
        (dataset_query("note", *["r1"] * 1001), LimitExceededError, "1000"),
    ],
    ids=lambda value: str(value)[:60],
)
def test_what_cannot_be_asked_is_refused_and_the_offender_named(
    filled: RegistrySetup, spec: QuerySpec, error: type[ButlerError], offender: str
) -> None:
    with pytest.raises(error) as caught:
        filled.registry.queries.page(spec, PageRequest())
    assert type(caught.value) is error
    assert offender in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "what"), [(ResultKind.DIMENSION_RECORDS, "element"), (ResultKind.DATASETS, "dataset_type")]
)
def test_a_query_must_say_what_it_is_for(kind: ResultKind, what: str) -> None:
    with pytest.raises(InvalidRequestError, match=what):
        QuerySpec(kind)
