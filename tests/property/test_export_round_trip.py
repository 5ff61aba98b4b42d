# SPDX-License-Identifier: BSD-3-Clause
"""Whatever a repository holds, an import of its export holds the same."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from butler import Butler, CollectionType, DatasetType, Timespan
from butler_model.timespan import MAX_NSEC, MIN_NSEC
from tests.support.contents import contents_of, save_all

RUNS = ("r/1", "r/2")
TYPES = {"number": "int", "mapping": "StructuredDataDict", "text": "Text", "raw": "Bytes"}
DETECTORS = range(4)
TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=40)
VALUES = {
    "number": st.integers(-(2**62), 2**62),
    "mapping": st.dictionaries(TEXT, st.integers() | TEXT | st.none(), max_size=3),
    "text": TEXT,
    "raw": st.binary(max_size=200),
}


@dataclass(frozen=True)
class Plan:
    """What a repository is to hold."""

    names: list[str]
    docs: list[str]
    datasets: dict[tuple[str, str, int], object]
    tagged: set[tuple[str, int]]
    validity: list[tuple[str, int, Timespan]]
    chain: list[str]


@st.composite
def timespans(draw: st.DrawFn) -> Timespan:
    """Draw a timespan that is not empty, open at either end or not."""
    begin, end = sorted(draw(st.lists(st.integers(MIN_NSEC, MAX_NSEC), min_size=2, max_size=2, unique=True)))
    return Timespan.from_nsec(draw(st.sampled_from([begin, None])), draw(st.sampled_from([end, None])))


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    """Draw what a repository is to hold."""
    places = st.tuples(st.sampled_from(RUNS), st.sampled_from(sorted(TYPES)), st.sampled_from(DETECTORS))
    datasets = {place: draw(VALUES[place[1]]) for place in draw(st.sets(places, max_size=8))}
    kinds = st.tuples(st.sampled_from(sorted(TYPES)), st.sampled_from(DETECTORS))
    return Plan(
        draw(st.lists(TEXT.filter(bool), min_size=len(DETECTORS), max_size=len(DETECTORS), unique=True)),
        draw(st.lists(TEXT, min_size=3, max_size=3)),
        datasets,
        draw(st.sets(kinds, max_size=3)),
        draw(st.lists(st.tuples(st.sampled_from(sorted(TYPES)), st.sampled_from(DETECTORS), timespans()))),
        draw(st.permutations(["tag", "calib", *RUNS])),
    )


def carry_out(butler: Butler, plan: Plan) -> None:
    """Put into an empty repository what was planned."""
    insert = butler.registry.insertDimensionData
    insert("instrument", {"name": "Cam", "detector_max": len(DETECTORS), "class_name": plan.docs[0]})
    insert(
        "detector",
        *({"instrument": "Cam", "id": i, "full_name": name} for i, name in enumerate(plan.names)),
    )
    for name, storage_class in TYPES.items():
        dataset_type = DatasetType(
            name, ["detector"], storage_class, universe=butler.dimensions, isCalibration=True
        )
        butler.registry.registerDatasetType(dataset_type)
    for run in RUNS:
        butler.registry.registerRun(run)
    refs = {
        place: butler.put(value, place[1], instrument="Cam", detector=place[2], run=place[0])
        for place, value in plan.datasets.items()
    }
    butler.collections.register("tag", CollectionType.TAGGED, doc=plan.docs[1])
    butler.collections.register("calib", CollectionType.CALIBRATION, doc=plan.docs[2])
    for (run, name, detector), ref in refs.items():
        if run == RUNS[0] and (name, detector) in plan.tagged:
            butler.registry.associate("tag", [ref])
    certified: list[tuple[str, int, Timespan]] = []
    for name, detector, timespan in plan.validity:
        found = refs.get((RUNS[0], name, detector))
        others = (t for n, d, t in certified if (n, d) == (name, detector))
        if found is not None and not any(timespan.overlaps(other) for other in others):
            butler.registry.certify("calib", [found], timespan)
            certified.append((name, detector, timespan))
    butler.collections.register("chain", CollectionType.CHAINED)
    butler.collections.redefine_chain("chain", plan.chain)


@settings(max_examples=15)
@given(plans())
def test_an_import_of_an_export_gives_the_same_repository(plan: Plan) -> None:
    # D70
    with TemporaryDirectory() as folder:
        first, second, out = (Path(folder) / name for name in ("first", "second", "out"))
        Butler.makeRepo(first)
        Butler.makeRepo(second)
        with Butler(first, writeable=True) as butler:
            carry_out(butler, plan)
            with butler.export(directory=out, format="yaml", transfer="copy") as export:
                save_all(butler, export)
            expected = contents_of(butler)
        with Butler(second, writeable=True) as butler:
            butler.import_(directory=out)
            assert contents_of(butler) == expected
