# SPDX-License-Identifier: BSD-3-Clause
"""Placement: from a dataset to the key of its artifact."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from butler_model.artifact import ArtifactLayout
from butler_model.data_id import DataCoordinate
from butler_model.dataset import DatasetRef, DatasetType
from butler_model.errors import AmbiguousDatasetError, ConfigurationError, InvalidNameError
from butler_model.path_template import PathTemplate, check_key
from butler_model.records import DimensionRecord
from butler_model.repository import DEFAULT_TEMPLATE
from butler_model.universe import DimensionUniverse

UNIVERSE = DimensionUniverse()
ID = uuid.UUID("01890000-0000-7000-8000-0123456789ab")
TAIL = "0123456789ab"
LAYOUT = ArtifactLayout("json", ".json", "StructuredDataDict")


def ref(dataset_type: str = "calexp", run: str | None = "u/me/run", **fields: Any) -> DatasetRef:
    """Return a ref with records; ``fields`` are values of the filter, the detector's name and raft."""
    band, name = fields.get("band", "r"), fields.get("physical_filter", "HSC-R")
    records: dict[str, DimensionRecord | None] = {
        "instrument": UNIVERSE["instrument"].RecordClass(name="HSC"),
        "band": UNIVERSE["band"].RecordClass(name=band),
        "day_obs": UNIVERSE["day_obs"].RecordClass(instrument="HSC", id=20200101),
        "physical_filter": UNIVERSE["physical_filter"].RecordClass(instrument="HSC", name=name, band=band),
        "detector": UNIVERSE["detector"].RecordClass(
            instrument="HSC", id=3, full_name=fields.get("full_name", "1_36"), raft=fields.get("raft")
        ),
        "visit": UNIVERSE["visit"].RecordClass(
            instrument="HSC", id=7, name="v7", physical_filter=name, day_obs=20200101
        ),
        "visit_detector_region": None,
    }
    group = UNIVERSE.conform(["visit", "detector"])
    values = {"instrument": "HSC", "visit": 7, "detector": 3}
    data_id = DataCoordinate.standardize(values, dimensions=group).expanded(records)
    return DatasetRef(DatasetType(dataset_type, group, "Text"), data_id, run, id=ID if run else None)


def place(template: str, layout: ArtifactLayout = LAYOUT, **fields: Any) -> str:
    return PathTemplate(template).place(ref(**fields), layout)


def test_the_default_template_sorts_by_run_type_night_and_filter() -> None:
    expected = f"u/me/run/calexp/20200101/r/HSC-R/7/calexp_r_HSC-R_7_3_HSC_{TAIL}.json"
    assert place(DEFAULT_TEMPLATE) == expected


def test_a_component_has_a_place_of_its_own() -> None:
    layout = ArtifactLayout("parquet", ".parq", "ArrowTable", "table")
    expected = f"u/me/run/calexp/table/20200101/r/HSC-R/7/calexp_table_r_HSC-R_7_3_HSC_{TAIL}.parq"
    assert place(DEFAULT_TEMPLATE, layout) == expected


def test_a_dataset_of_no_dimensions_lies_under_run_and_type() -> None:
    empty = DataCoordinate.make_empty(UNIVERSE)
    log = DatasetRef(DatasetType("log", UNIVERSE.empty, "Text"), empty, "run", id=ID)
    assert PathTemplate(DEFAULT_TEMPLATE).place(log, LAYOUT) == f"run/log/log_{TAIL}.json"


@pytest.mark.parametrize(
    ("template", "fields", "expected"),
    [
        ("{run:/}/{datasetType}/{visit}", {}, "u/me/run/calexp/7_T"),
        ("{run}/{datasetType}/{visit}", {}, "u_me_run/calexp/7_T"),
        ("{run:/}/{datasetType}/{detector.full_name}", {}, "u/me/run/calexp/1_36_T"),
        ("{run:/}/{datasetType}/{detector.raft:?}/x", {}, "u/me/run/calexp/x_T"),
        ("{run:/}/{datasetType}/{detector.raft|detector.full_name}/x", {}, "u/me/run/calexp/1_36/x_T"),
        (
            "{run:/}/{datasetType}/{detector.raft|detector.full_name}/x",
            {"raft": "R"},
            "u/me/run/calexp/R/x_T",
        ),
        ("{run:/}/{datasetType}/{tract|patch:?}/x", {}, "u/me/run/calexp/x_T"),
        ("{run:/}/{datasetType}/{id}", {}, f"u/me/run/calexp/{ID}_T"),
        ("{run:/}/{datasetType}/{skypix:?}/x", {}, "u/me/run/calexp/x_T"),
        ("{run:/}/{datasetType}/{detector.raft:?}/x", {"raft": "R2"}, "u/me/run/calexp/R2/x_T"),
        ("{run:/}/{datasetType}/{visit}_{detector.raft:?}_{band}", {}, "u/me/run/calexp/7_r_T"),
        (
            "{run:/}/{datasetType}/{visit}_{detector.raft:?}_{band}",
            {"raft": "R2"},
            "u/me/run/calexp/7_R2_r_T",
        ),
        ("{run:/}/{datasetType}/{tract:?}", {}, "u/me/run/calexp_T"),
        ("{run:/}/{datasetType}/{band}", {"band": "a b/c#d"}, "u/me/run/calexp/a_b_cHASHd_T"),
        ("{run:/}/{datasetType}/{band:/}", {"band": "a/b"}, "u/me/run/calexp/a/b_T"),
        ("{run:/}/{datasetType}/{band:/}/x", {"band": "../../etc"}, "u/me/run/calexp/_./_./etc/x_T"),
        ("{run:/}/{datasetType}/{band}/x", {"band": ".."}, "u/me/run/calexp/_./x_T"),
        ("{run:/}/{datasetType}/{band}/x", {"band": ".hidden"}, "u/me/run/calexp/_hidden/x_T"),
        ("{run:/}/{datasetType}/{band}", {"band": "v1.5"}, "u/me/run/calexp/v1_5_T"),
        ("{run:/}/{datasetType}/{band}", {"band": "é星\n\t'\"$`;|&"}, "u/me/run/calexp/____________T"),
    ],
)
def test_templates_name_fields_of_the_data_id_and_its_records(
    template: str, fields: dict[str, Any], expected: str
) -> None:
    # D73
    # Behaviour D73.
    found = place(template, **fields)
    if fields.get("band", "").startswith("é"):
        assert found == f"u/me/run/calexp/{'_' * 11}_{TAIL}.json"
    else:
        assert found == expected.replace("_T", f"_{TAIL}.json")


@pytest.mark.parametrize("template", ["{run}/{datasetType}/{tract}", "{run}/{datasetType}/{detector.raft}"])
def test_a_field_without_a_value_must_be_optional(template: str) -> None:
    with pytest.raises(ConfigurationError, match=r"'(tract|detector\.raft)'.*'calexp'"):
        place(template)


@pytest.mark.parametrize(
    "template",
    [
        "",
        "x",
        "{run}",
        "{datasetType}",
        "{run}/{datasetType",
        "{run}/datasetType}",
        "{run!r}/{datasetType}",
        "{run:d}/{datasetType}",
    ],
)
def test_a_malformed_template_is_refused(template: str) -> None:
    with pytest.raises(ConfigurationError):
        PathTemplate(template)


def test_only_a_resolved_ref_has_a_place() -> None:
    with pytest.raises((AmbiguousDatasetError, ConfigurationError)):
        PathTemplate(DEFAULT_TEMPLATE).place(ref(run=None), LAYOUT)


@pytest.mark.parametrize("key", ["a", "a/b", "a.b/c=d,e:f@g+h-i_j", "x" * 255, "/".join(["x" * 63] * 16)])
def test_a_plain_relative_path_is_a_key(key: str) -> None:
    assert check_key(key) == key


@pytest.mark.parametrize(
    "key",
    [
        "",
        "/",
        "/a",
        "a/",
        "a//b",
        ".",
        "..",
        "a/..",
        "../a",
        "a/../b",
        "a/./b",
        ".a",
        "a/.b",
        "~/a b",
        "a\\b",
        "a\x00",
        "a\n",
        "a b",
        "é",
        "x" * 256,
        "/".join(["x" * 64] * 16),
        "a;b",
        "$HOME",
        "a*",
    ],
)
def test_anything_else_is_no_key(key: str) -> None:
    with pytest.raises(InvalidNameError):
        check_key(key)


@pytest.mark.parametrize(
    ("field", "value"),
    [("extension", e) for e in ("json", ".JSON", "..", "./x", ".a/b", ".a.b.c.d", "." + "x" * 17, ".a\n")]
    + [("formatter", f) for f in ("", "Json", "a b", "a.b", "x" * 65, "a\n")]
    + [("component", c) for c in ("../x", "a b", "a.b", "a/b", "x" * 129, "a\0")]
    + [("storage_class", s) for s in ("", "a b", "x" * 129, "a\0")],
)
def test_a_layout_is_made_of_plain_names(field: str, value: str) -> None:
    fields = {"formatter": "json", "extension": ".json", "storage_class": "Text", "component": ""}
    with pytest.raises(InvalidNameError):
        ArtifactLayout(**{**fields, field: value})
