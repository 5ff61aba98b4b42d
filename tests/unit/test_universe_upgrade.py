# SPDX-License-Identifier: BSD-3-Clause
"""Bringing exports of older dimension universes into the one of a repository."""

from __future__ import annotations

import io
import json
import warnings
from pathlib import Path
from typing import Any

import pytest

from butler.export_blocks import ExportFile
from butler.export_file import read_export
from butler.universe_upgrade import upgrade_export
from butler_model.errors import IncompatibleVersionError, MalformedExportError
from butler_model.timespan import Timespan
from butler_model.universe import DimensionUniverse

UNIVERSE = DimensionUniverse(version=8)
VISIT = "{instrument: C, id: 1, name: v, physical_filter: f"
DETECTOR = "{instrument: C, id: 1, full_name: a}"


def export(version: int, *blocks: str, namespace: str = "daf_butler") -> ExportFile:
    head = f"version: 1.0.2\nuniverse_version: {version}\nuniverse_namespace: {namespace}\n"
    data = "".join(f"\n- {block}" for block in blocks) or " []"
    return read_export(io.StringIO(f"{head}data:{data}\n"))


def dimension(element: str, *records: str) -> str:
    return f"{{type: dimension, element: {element}, records: [{', '.join(records)}]}}"


def other_universe(**changes: Any) -> DimensionUniverse:
    return DimensionUniverse({**json.loads(UNIVERSE.config_json), **changes})


def rows(file: ExportFile, element: str, *names: str) -> list[tuple[Any, ...]]:
    records = upgrade_export(file, UNIVERSE).records.get(element, ())
    return [tuple(record.get(name) for name in names) for record in records]


def test_the_real_survey_keeps_every_record(shared_data: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        records = upgrade_export(read_export(shared_data / "hsc-rc2-subset.yaml"), UNIVERSE).records
    assert {element: len(found) for element, found in records.items()} == {
        "instrument": 1,
        "skymap": 1,
        "day_obs": 15,
        "detector": 111,
        "group": 1,
        "physical_filter": 5,
        "tract": 2,
        "visit_system": 1,
        "exposure": 1,
        "patch": 2,
        "visit": 160,
        "visit_detector_region": 1132,
        "visit_system_membership": 160,
    }
    assert list(records) == UNIVERSE.sorted(records)
    assert {record.can_see_sky for record in records["exposure"]} == {None}


def test_the_real_survey_of_version_0_comes_out_as_version_8(shared_data: Path) -> None:
    file = read_export(shared_data / "hsc-rc2-subset-v0.yaml")
    with pytest.warns(UserWarning, match="visit") as caught:
        records = upgrade_export(file, UNIVERSE).records
    assert {element: len(found) for element, found in records.items()} == {
        "instrument": 1,
        "skymap": 1,
        "day_obs": 3,
        "detector": 3,
        "group": 1,
        "physical_filter": 2,
        "tract": 2,
        "visit_system": 1,
        "exposure": 1,
        "patch": 2,
        "visit": 2,
        "visit_system_membership": 2,
    }
    assert sorted(str(each.message).partition(";")[0] for each in caught) == [
        f"{file.name}: visit has no day_obs",
        f"{file.name}: visit.seeing does not exist in the dimension universe 'daf_butler' version 8",
    ]
    assert all(str(each.message).endswith("(2 of its records).") for each in caught)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_old_and_new_exports_of_the_real_survey_agree(shared_data: Path) -> None:
    old, new = (
        upgrade_export(read_export(shared_data / name), UNIVERSE).records
        for name in ("hsc-rc2-subset-v0.yaml", "hsc-rc2-subset.yaml")
    )
    for element, records in old.items():
        known = {record: record for record in new[element]}
        for record in records:
            if record in known:
                # The nights of visits were not in the old file; the guess is what was recorded later.
                assert known[record].differences(record) == {}
            else:
                assert element == "day_obs"


def test_a_visit_without_a_night_gets_the_one_in_which_it_began() -> None:
    before = VISIT + ", datetime_begin: !butler_time/tai/iso '2020-03-01 11:59:59.999999999'}"
    after = before.replace("id: 1", "id: 2").replace("11:59:59.999999999", "12:00:00")
    with pytest.warns(UserWarning, match=r"visit has no day_obs.*\(2 of its records\)"):
        assert rows(export(0, dimension("visit", before, after)), "visit", "day_obs") == [
            (20200229,),
            (20200301,),
        ]


@pytest.mark.parametrize("time", ["", ", timespan: {begin: null, end: 5}", ", timespan: {begin: 9, end: 5}"])
def test_a_visit_with_neither_night_nor_beginning_is_refused(time: str) -> None:
    with pytest.raises(MalformedExportError, match=r"block 1 \(dimension visit\), record 1: has no day_obs"):
        upgrade_export(export(0, dimension("visit", VISIT + time + "}")), UNIVERSE)


def test_nights_of_visits_and_exposures_become_records_once() -> None:
    visit = VISIT + ", day_obs: 20200101}"
    exposure = (
        "{instrument: C, id: 5, obs_id: e, physical_filter: f, day_obs: 20200101, group_name: g, group_id: 3}"
    )
    file = export(5, dimension("visit", visit), dimension("exposure", exposure))
    assert rows(file, "day_obs", "instrument", "id", "timespan") == [("C", 20200101, Timespan(None, None))]
    assert rows(file, "group", "instrument", "name") == [("C", "g")]
    assert rows(file, "exposure", "day_obs", "group") == [(20200101, "g")]


def test_a_night_that_the_file_defines_is_left_as_it_is() -> None:
    night = dimension("day_obs", "{instrument: C, id: 20200101, timespan: {begin: 5, end: 9}}")
    file = export(5, dimension("visit", VISIT + ", day_obs: 20200101}"), night)
    assert rows(file, "day_obs", "timespan") == [(Timespan.from_nsec(5, 9),)]


def test_an_exposure_without_a_group_is_a_group_of_its_own() -> None:
    exposure = "{instrument: C, id: 5, obs_id: e, physical_filter: f, day_obs: 20200101, group_name: null}"
    with pytest.warns(UserWarning, match=r"exposure has no group_name.*\(1 of its records\)"):
        assert rows(export(3, dimension("exposure", exposure)), "group", "name") == [("5",)]


@pytest.mark.parametrize("version", [0, 1])
def test_the_visit_system_of_a_visit_becomes_a_membership(version: int) -> None:
    visit = VISIT + ", day_obs: 20200101, visit_system: 4}"
    file = export(version, dimension("visit", visit))
    assert rows(file, "visit_system_membership", "instrument", "visit", "visit_system") == [("C", 1, 4)]


def test_a_visit_in_two_systems_has_one_definition_and_two_memberships() -> None:
    definition = "{{instrument: C, exposure: 5, visit: 1, visit_system: {}}}"
    file = export(0, dimension("visit_definition", definition.format(0), definition.format(1)))
    assert rows(file, "visit_definition", "instrument", "exposure", "visit") == [("C", 5, 1)]
    assert rows(file, "visit_system_membership", "visit", "visit_system") == [(1, 0), (1, 1)]


@pytest.mark.parametrize("version", range(9))
def test_every_version_of_the_universe_is_accepted(version: int) -> None:
    exposure = "{instrument: C, id: 5, obs_id: e, physical_filter: f, exposure_time: 3, day_obs: 20200101"
    exposure += ", group_name: g}" if version < 6 else ", group: g}"
    file = export(version, dimension("exposure", exposure))
    assert rows(file, "exposure", "exposure_time", "group", "day_obs", "azimuth") == [
        (3.0, "g", 20200101, None)
    ]


def test_nothing_changes_between_equal_versions() -> None:
    old = DimensionUniverse(version=0)
    visit = VISIT + ", day_obs: 20200101, visit_system: 4}"
    records = upgrade_export(export(0, dimension("visit", visit)), old).records
    assert list(records) == ["visit"]
    assert (records["visit"][0].visit_system, records["visit"][0].day_obs) == (4, 20200101)


def test_a_column_of_a_newer_universe_is_left_out_with_a_warning() -> None:
    visit = VISIT + ", visit_system: 4, azimuth: 5.0}"
    with pytest.warns(UserWarning, match=r"visit\.azimuth does not exist .* version 0"):
        upgrade_export(export(0, dimension("visit", visit)), DimensionUniverse(version=0))


@pytest.mark.parametrize(("theirs", "mine"), [(8, 0), (9, 8), (99, 8), (-1, 8)])
def test_a_file_newer_than_the_repository_is_refused(theirs: int, mine: int) -> None:
    with pytest.raises(
        IncompatibleVersionError, match=f"version {theirs}, the repository has .* version {mine}"
    ):
        upgrade_export(export(theirs), DimensionUniverse(version=mine))


def test_other_namespaces_go_into_equal_universes_only() -> None:
    universe = other_universe(namespace="lab", version=2)
    assert upgrade_export(export(2, namespace="lab"), universe).records == {}
    for version, namespace in ((1, "lab"), (2, "daf_butler")):
        with pytest.raises(IncompatibleVersionError, match="only into the same version"):
            upgrade_export(export(version, namespace=namespace), universe)


def test_a_later_universe_of_a_known_version_may_have_its_own_configuration() -> None:
    universe = other_universe(version=9)
    assert universe.version == 9
    assert upgrade_export(export(9), universe).records == {}


@pytest.mark.parametrize(
    ("block", "what"),
    [
        (dimension("star", "{id: 1}"), r"block 1 \(dimension star\), record 1: 'star' is no element"),
        (dimension("band", "{name: g}"), "'band' is no element .* records of its own"),
        (dimension("htm7", "{id: 5}"), "'htm7' is no element"),
        (
            dimension("detector", "{instrument: C, id: 1, full_name: a}", "{instrument: C}"),
            "record 2: .* needs a value for 'id'",
        ),
        (dimension("detector", "{instrument: C, id: '5'}"), r"detector\.id = '5' is a str; it must be int"),
        (dimension("detector", "{instrument: C, id: 1, colour: red}"), "has no field 'colour'"),
        (
            dimension("detector", f"{{instrument: C, id: 1, full_name: a, raft: {'x' * 33}}}"),
            "33 characters long; the limit is 32",
        ),
        (dimension("detector", "{instrument: C, id: 1, detector: 2}"), "two values for 'id'"),
        (
            dimension("detector", DETECTOR, DETECTOR.replace("a}", "b}")),
            "another record already",
        ),
        (
            dimension("visit", "{instrument: C, id: 1, name: v, physical_filter: f, day_obs: [1]}"),
            "day_obs = ",
        ),
    ],
)
@pytest.mark.parametrize("version", [5, 8])
def test_a_record_that_the_universe_does_not_allow_is_refused_with_its_place(
    version: int, block: str, what: str
) -> None:
    with pytest.raises(MalformedExportError, match=what):
        upgrade_export(export(version, block), UNIVERSE)


def test_a_record_that_is_repeated_is_there_once() -> None:
    file = export(8, dimension("detector", DETECTOR, DETECTOR))
    assert rows(file, "detector", "id") == [(1,)]


def dataset_type(dimensions: str, name: str = "calexp", storage_class: str = "Exposure") -> str:
    return f"{{type: dataset_type, name: {name}, dimensions: {dimensions}, storage_class: {storage_class}}}"


def test_dimensions_of_dataset_types_follow_the_universe() -> None:
    file = export(
        0,
        dataset_type("[band, instrument, detector, physical_filter, visit_system, visit]"),
        dataset_type("[band, instrument, physical_filter, exposure]", "raw"),
        dataset_type("[instrument, visit_system]", "rules"),
    )
    types = upgrade_export(file, UNIVERSE).dataset_types
    assert set(types["calexp"].dimensions.required) == {"instrument", "detector", "visit"}
    assert set(types["calexp"].dimensions.implied) == {"band", "physical_filter", "day_obs"}
    assert set(types["raw"].dimensions.names) >= {"exposure", "group", "day_obs"}
    assert set(types["rules"].dimensions.names) == {"instrument", "visit_system"}


@pytest.mark.parametrize("version", [2, 8])
def test_a_visit_system_that_no_visit_implies_stays(version: int) -> None:
    file = export(version, dataset_type("[instrument, visit, visit_system]"))
    assert "visit_system" in upgrade_export(file, UNIVERSE).dataset_types["calexp"].dimensions.required


@pytest.mark.parametrize(
    ("block", "what"),
    [
        (dataset_type("[instrument, colour]"), "no dimension or element 'colour'"),
        (dataset_type("[visit_definition]"), "is not a dimension"),
        (dataset_type("[instrument]", "a.b"), "component"),
        (dataset_type("[instrument]", "'a b'"), "no dataset type name"),
        (dataset_type("[instrument]"), "'calexp' has another definition in an earlier block"),
    ],
)
def test_a_dataset_type_that_cannot_be_is_refused_with_its_place(block: str, what: str) -> None:
    with pytest.raises(MalformedExportError, match=rf"block 2 \(dataset_type\): .*{what}"):
        upgrade_export(export(8, dataset_type("[skymap, tract]"), block), UNIVERSE)
