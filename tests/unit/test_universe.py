# SPDX-License-Identifier: BSD-3-Clause
"""Dimension universes: the two that are shipped, and what makes a configuration one."""

from __future__ import annotations

import copy
import json
import pickle
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest

from butler_model.dimensions import ColumnType
from butler_model.errors import ConfigurationError, DimensionNameError, IncompatibleVersionError
from butler_model.universe import DimensionGroup, DimensionUniverse, shipped_universe_versions

V8, V0 = DimensionUniverse(), DimensionUniverse(version=0)

# For each element: keys, what it requires, what it implies, metadata; a number is the length of a string.
Table = dict[str, tuple[str, str, str, str]]
TABLE_8: Table = {
    "instrument": (
        "name:32",
        "",
        "",
        "visit_max:i visit_system:i exposure_max:i detector_max:i class_name:64",
    ),
    "band": ("name:32", "", "", ""),
    "physical_filter": ("name:32", "instrument", "band", ""),
    "subfilter": ("id:i", "band", "", ""),
    "detector": ("id:i full_name:32", "instrument", "", "name_in_raft:32 raft:32 purpose:32"),
    "group": ("name:64", "instrument", "", ""),
    "day_obs": ("id:i", "instrument", "", ""),
    "visit": (
        "id:i name:64",
        "instrument",
        "physical_filter day_obs",
        "seq_num:i exposure_time:f target_name:64 observation_reason:68 science_program:64 azimuth:f zenith_angle:f",
    ),
    "exposure": (
        "id:i obs_id:64",
        "instrument",
        "physical_filter group day_obs",
        (
            "exposure_time:f dark_time:f observation_type:16 observation_reason:68 seq_num:i seq_start:i seq_end:i "
            "target_name:64 science_program:64 tracking_ra:f tracking_dec:f sky_angle:f azimuth:f zenith_angle:f "
            "has_simulated:b can_see_sky:b"
        ),
    ),
    "skymap": ("name:64 hash:h40", "", "", "tract_max:i patch_nx_max:i patch_ny_max:i"),
    "tract": ("id:i", "skymap", "", ""),
    "patch": ("id:i", "skymap tract", "", "cell_x:i! cell_y:i!"),
    "visit_detector_region": ("", "instrument visit detector", "", ""),
    "visit_system": ("id:i name:32", "instrument", "", ""),
    "visit_definition": ("", "instrument exposure visit", "", ""),
    "visit_system_membership": ("", "instrument visit visit_system", "", ""),
    "ssp_hypothesis_table": ("name:64", "", "", ""),
    "ssp_hypothesis_bundle": ("id:i", "ssp_hypothesis_table", "", ""),
    "ssp_balanced_index": ("id:i", "ssp_hypothesis_table", "", ""),
}
TABLE_0: Table = {
    "instrument": ("name:16", "", "", "visit_max:i exposure_max:i detector_max:i class_name:64"),
    "skymap": TABLE_8["skymap"],
    "band": TABLE_8["band"],
    "physical_filter": TABLE_8["physical_filter"],
    "subfilter": TABLE_8["subfilter"],
    "detector": TABLE_8["detector"],
    "visit_system": TABLE_8["visit_system"],
    "visit": (
        "id:i name:64",
        "instrument",
        "physical_filter visit_system",
        "day_obs:i exposure_time:f target_name:64 observation_reason:32 science_program:64 zenith_angle:f",
    ),
    "exposure": (
        "id:i obs_id:64",
        "instrument",
        "physical_filter",
        (
            "exposure_time:f dark_time:f observation_type:16 observation_reason:32 day_obs:i seq_num:i group_name:64 "
            "group_id:i target_name:64 science_program:64 tracking_ra:f tracking_dec:f sky_angle:f zenith_angle:f"
        ),
    ),
    "tract": TABLE_8["tract"],
    "patch": TABLE_8["patch"],
    "visit_detector_region": TABLE_8["visit_detector_region"],
    "visit_definition": ("", "instrument visit_system exposure", "visit", ""),
}
ORDER_0 = (
    "band instrument skymap detector physical_filter subfilter tract visit_system exposure patch visit "
    "visit_definition visit_detector_region"
)
KINDS = {ColumnType.INT: "i", ColumnType.FLOAT: "f", ColumnType.BOOL: "b"}


def shown(columns: tuple[Any, ...], *, keys: bool = False) -> set[str]:
    texts = set()
    for column in columns:
        kind = KINDS.get(column.type) or (f"h{column.nbytes}" if column.nbytes else str(column.length))
        texts.add(f"{column.name}:{kind}" + ("!" if not column.nullable and not keys else ""))
    return texts


@pytest.mark.parametrize(("universe", "table"), [(V8, TABLE_8), (V0, TABLE_0)], ids=["8", "0"])
def test_a_shipped_universe_has_the_elements_of_its_table(universe: DimensionUniverse, table: Table) -> None:
    found = {element.name for element in universe if not element.skypix}
    assert found == set(table)
    for name, (keys, required, implied, metadata) in table.items():
        element = universe[name]
        own = ((element.primary_key,) if element.primary_key else ()) + element.alternate_keys
        assert shown(own, keys=True) == set(keys.split()), name
        assert (element.primary_key.name if element.primary_key else "") == keys.split(":")[0], name
        assert set(element.required) == {*required.split(), *([name] if keys else [])}, name
        assert set(element.implied) == set(implied.split()), name
        assert shown(element.metadata) == set(metadata.split()), name


@pytest.mark.parametrize(
    ("universe", "temporal"),
    [(V8, ("exposure", "visit", "day_obs")), (V0, ("exposure", "visit"))],
    ids=["8", "0"],
)
def test_a_shipped_universe_has_its_families(universe: DimensionUniverse, temporal: tuple[str, ...]) -> None:
    assert universe.families == {
        "spatial": {
            "observation_regions": ("visit_detector_region", "visit"),
            "skymap_regions": ("patch", "tract"),
        },
        "temporal": {"observation_timespans": temporal},
    }
    assert {e.name for e in universe if e.temporal} == set(temporal)
    assert {e.name for e in universe if e.spatial and not e.skypix} == {
        "visit_detector_region",
        "visit",
        "patch",
        "tract",
    }
    for element in universe:
        names = [column.name for column in element.columns]
        assert ("region" in names) is (element.spatial is not None and element.skypix is None)
        assert ("timespan" in names) is (element.temporal is not None)


def test_skypix_levels_and_the_common_one() -> None:
    assert {e.name for e in V8 if e.skypix} == {f"htm{i}" for i in range(25)} | {
        f"healpix{i}" for i in range(18)
    }
    assert {e.name for e in V0 if e.skypix} == {f"htm{i}" for i in range(25)}
    assert V8.commonSkyPix.name == V0.commonSkyPix.name == "htm7"


def test_governors_and_what_has_a_table() -> None:
    assert set(V8.governors) == set(V0.governors) == {"instrument", "skymap"}
    assert V8["band"].view_of == "physical_filter"
    assert not V8["band"].has_table
    assert not V8["htm7"].has_table
    assert V8["visit_definition"].has_table
    assert {e.name for e in V8 if e.always_join} == {"visit_definition", "visit_system_membership"}
    assert {e.name for e in V0 if e.always_join} == {"visit_definition"}


def test_elements_come_after_all_that_they_depend_on() -> None:
    assert " ".join(e.name for e in V0 if not e.skypix) == ORDER_0
    for universe in (V8, V0):
        seen: set[str] = set()
        for element in universe:
            assert {*element.required, *element.implied} - {element.name} <= seen
            seen.add(element.name)
    assert V8.sorted(["visit", "band", "visit", "instrument"]) == ["band", "instrument", "visit"]


def test_a_universe_is_one_object_per_configuration() -> None:
    assert DimensionUniverse() is DimensionUniverse(version=8) is V8
    assert DimensionUniverse(json.loads(V8.config_json)) is V8
    assert pickle.loads(pickle.dumps(V8)) is V8
    assert copy.deepcopy(V8) is V8
    assert V8 is not V0
    assert V8.digest != V0.digest
    assert V8["visit"] is not V0["visit"]
    assert pickle.loads(pickle.dumps(V8["visit"])) is V8["visit"]


def test_the_shipped_versions_are_known_and_others_named() -> None:
    assert shipped_universe_versions() == (0, 8)
    for version in (-1, 1, 9):
        with pytest.raises(IncompatibleVersionError, match=f"version {version}"):
            DimensionUniverse(version=version)


def test_an_unknown_name_is_named() -> None:
    with pytest.raises(DimensionNameError, match="'nope'"):
        V8["nope"]
    with pytest.raises(DimensionNameError, match="'visit_definition'"):
        V8.dimension("visit_definition")
    assert V8.get("nope") is None
    assert "nope" not in V8
    assert "visit" in V8


def test_a_group_closes_over_what_its_members_require_and_imply() -> None:
    visit = V8.conform(["visit", "detector"])
    assert set(visit.required) == {"instrument", "visit", "detector"}
    assert set(visit.implied) == {"band", "day_obs", "physical_filter"}
    assert visit.names == visit.required + visit.implied
    assert visit.governors == ("instrument",)
    assert {"visit_detector_region", "visit", "band"} <= set(visit.elements)
    assert V8.conform("tract").required == ("skymap", "tract")


def test_a_dimension_is_implied_only_where_another_implies_it() -> None:
    assert "band" in V8.conform(["visit", "band"]).implied
    assert V8.conform(["band"]).required == ("band",)
    assert V8.conform(["day_obs"]).required == ("instrument", "day_obs")


def test_a_group_has_the_elements_that_relate_its_members() -> None:
    assert "visit_definition" in V8.conform(["visit", "exposure"]).elements
    assert "visit_definition" in V0.conform(["visit", "exposure"]).elements
    assert "visit_definition" not in V8.conform(["visit"]).elements
    assert "visit_system_membership" in V8.conform(["visit", "visit_system"]).elements


def test_groups_of_the_same_dimensions_are_one_object() -> None:
    group = V8.conform(["visit", "detector"])
    for same in (
        ["detector", "visit"],
        ("visit", "detector", "band"),
        group.names,
        group,
        {"detector", "visit"},
    ):
        assert V8.conform(same) is group
    assert pickle.loads(pickle.dumps(group)) is group
    assert V8.conform(()) is V8.empty


def test_threads_that_make_a_group_at_once_get_one_object() -> None:
    config = json.loads(V8.config_json)
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for turn in range(20):
            universe = DimensionUniverse({**config, "namespace": f"turn{turn}"})
            found: list[DimensionGroup] = []
            barrier = threading.Barrier(4)

            def make(
                universe: DimensionUniverse = universe, found: Any = found, barrier: Any = barrier
            ) -> None:
                barrier.wait()
                found.extend(
                    universe.conform(names) for names in (["visit", "detector"], ["tract"], ["exposure"])
                )

            threads = [threading.Thread(target=make) for _ in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert len({id(group) for group in found}) == 3
    finally:
        sys.setswitchinterval(before)


def test_groups_are_ordered_by_inclusion_and_combined() -> None:
    visit, detector = V8.conform(["visit"]), V8.conform(["detector"])
    both = V8.conform(["visit", "detector"])
    assert visit | detector is both
    assert visit & detector is V8.conform(["instrument"])
    assert visit < both
    assert both >= detector
    assert not visit <= detector
    assert not visit < visit
    assert "visit" in visit
    assert "detector" not in visit
    assert len(both) == 6
    assert list(both) == list(both.names)


def test_the_records_of_every_group_can_be_looked_up_in_order() -> None:
    for universe in (V8, V0):
        everything = universe.conform([e.name for e in universe if e.is_dimension])
        known = set(everything.required)
        for element in everything.lookup_order:
            assert known >= set(element.required)
            known |= {element.name, *element.implied}
        assert known >= set(everything.names)


def changed(change: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
    config: dict[str, Any] = json.loads(V8.config_json)
    change(config)
    return config


def element(**definition: Any) -> Callable[[dict[str, Any]], Any]:
    return lambda config: config["elements"].update(thing=definition)


KEY = {"name": "id", "type": "int"}


@pytest.mark.parametrize(
    ("change", "offender"),
    [
        (lambda c: c.pop("version"), "version"),
        (lambda c: c.pop("elements"), "elements"),
        (lambda c: c.update(version="eight"), "eight"),
        (lambda c: c.update(elements=[], topology={}), "elements"),
        (lambda c: c.update(elements={"thing": 5}, topology={}), "thing"),
        (lambda c: c["skypix"].update(common="htm99"), "htm99"),
        (lambda c: c["skypix"].update(quadtree={}), "quadtree"),
        (lambda c: c["skypix"]["htm"].update(max_level=99), "99"),
        (lambda c: c["topology"]["spatial"].update(more=["nope"]), "nope"),
        (element(keys=[KEY], requires=["nope"]), "nope"),
        (element(keys=[KEY], implies=["nope"]), "nope"),
        (element(keys=[KEY], requires=["visit_definition"]), "visit_definition"),
        (lambda c: c["elements"]["instrument"].update(requires=["visit"]), "instrument"),
        (lambda c: c["elements"]["band"].update(implies=["physical_filter"]), "band"),
        (lambda c: c["elements"].update({"Bad Name": {"keys": [KEY]}}), "Bad Name"),
        (lambda c: c["elements"].update({"x" * 63: {"keys": [KEY]}}), "xxx"),
        (element(keys=[{"name": "id", "type": "float"}]), "id"),
        (element(keys=[{"name": "id", "type": "complex"}]), "complex"),
        (element(keys=[{"type": "int"}]), "name"),
        (element(keys=[{"name": "name", "type": "string"}]), "length"),
        (element(keys=[{"name": "name", "type": "string", "length": -1}]), "-1"),
        (element(keys=[KEY], metadata=[{"name": "sum", "type": "hash"}]), "nbytes"),
        (element(keys=[KEY], metadata=[{"name": "a b", "type": "int"}]), "a b"),
        (element(keys=[KEY], metadata=[{"name": 'x"; --', "type": "int"}]), "x"),
        (element(keys=[KEY], metadata=[{"name": "id", "type": "int"}]), "id"),
        (
            element(keys=[KEY], requires=["instrument"], metadata=[{"name": "instrument", "type": "int"}]),
            "instrument",
        ),
        (element(keys=[KEY], metadata=[{"name": "region", "type": "int"}]), "region"),
        (element(keys=[KEY], metadata=[{"name": "timespan", "type": "int"}]), "timespan"),
        (element(keys=[KEY], metadata=[{"name": "a", "type": "int"}, {"name": "a", "type": "int"}]), "a"),
        (element(keys=KEY), "thing"),
        (element(keys=[KEY], requires=5), "thing"),
        (element(keys=[KEY], view_of="nope"), "nope"),
    ],
)
def test_a_malformed_configuration_is_refused_and_the_offender_named(
    change: Callable[[dict[str, Any]], Any], offender: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        DimensionUniverse(changed(change))
    assert offender in str(caught.value)


@pytest.mark.parametrize("config", [{"version": {1, 2}}, {"version": float("nan")}, {(1, 2): 3}])
def test_a_configuration_is_made_of_plain_values(config: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match="plain values"):
        DimensionUniverse(config)
