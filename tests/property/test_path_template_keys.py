# SPDX-License-Identifier: BSD-3-Clause
"""Whatever the values of a dataset are, its key stays under the root, has a bounded length, and is its own."""

from __future__ import annotations

import os.path
import uuid
from typing import Any

from hypothesis import assume, given
from hypothesis import strategies as st

from butler_model.artifact import ArtifactLayout
from butler_model.data_id import DataCoordinate
from butler_model.dataset import DatasetRef, DatasetType
from butler_model.errors import ButlerError
from butler_model.path_template import PathTemplate, check_key
from butler_model.records import DimensionRecord
from butler_model.repository import DEFAULT_TEMPLATE
from butler_model.universe import DimensionUniverse

UNIVERSE = DimensionUniverse()
GROUP = UNIVERSE.conform(["exposure", "visit", "detector", "patch", "subfilter"])
ROOT = "/the/home/of/a/store"
EVERYTHING = (
    "{run:/}/{datasetType}/{component:?/}/{band:/}/{physical_filter:?}/{detector.full_name:/}_{detector.raft:?}/"
    "{instrument}.{skymap:?}/{group}/{exposure.obs_id:?/}"
)
TEMPLATES = [PathTemplate(template) for template in (DEFAULT_TEMPLATE, EVERYTHING)]

NASTY = [
    "..",
    ".",
    "/",
    "../..",
    "/etc/passwd",
    "a/../b",
    "~",
    "C:\\x",
    "-rf",
    "%2e%2e",
    "a//b",
    "#",
    ".#",
    " ",
    "\n",
]
NAMES = ["con", "$(x)", "`x`", "‮", "．．", "́", "x" * 32, "." * 32, "/" * 32, "a/" * 16, ""]


def text(length: int) -> st.SearchStrategy[str]:
    """Return strings of at most this length that a dimension may have as a value."""
    plain = st.characters(exclude_characters="\0", exclude_categories=["Cs"])
    return st.one_of(st.sampled_from(NASTY + NAMES), st.text(plain, max_size=length)).map(
        lambda s: s[:length]
    )


numbers = st.integers(-(2**63), 2**63 - 1)
runs = st.from_regex(r"[A-Za-z0-9_+\-@][A-Za-z0-9_+\-@.,:=/]{0,254}", fullmatch=True)
types = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,127}", fullmatch=True)
layouts = st.builds(
    ArtifactLayout,
    formatter=st.just("json"),
    extension=st.from_regex(r"(\.[a-z0-9]{1,16}){0,3}", fullmatch=True),
    storage_class=st.just("Text"),
    component=st.from_regex(r"([A-Za-z_][A-Za-z0-9_]{0,127})?", fullmatch=True),
)


@st.composite
def refs(draw: st.DrawFn) -> DatasetRef:
    """Return refs with hostile values everywhere."""
    instrument, skymap, band = draw(text(32)), draw(text(64)), draw(text(32))
    name, group = draw(text(32)), draw(text(64))
    of = {"instrument": instrument}
    numbered = {
        key: draw(numbers) for key in ("detector", "visit", "exposure", "tract", "patch", "subfilter")
    }
    night = draw(numbers)
    fields: dict[str, dict[str, Any]] = {
        "instrument": {"name": instrument},
        "skymap": {"name": skymap, "hash": b""},
        "band": {"name": band},
        "subfilter": {"band": band, "id": numbered["subfilter"]},
        "physical_filter": {**of, "name": name, "band": band},
        "group": {**of, "name": group},
        "day_obs": {**of, "id": night},
        "detector": {**of, "id": numbered["detector"], "full_name": draw(text(32)), "raft": draw(text(32))},
        "visit": {**of, "id": numbered["visit"], "name": "v", "physical_filter": name, "day_obs": night},
        "exposure": {
            **of,
            "id": numbered["exposure"],
            "obs_id": draw(text(64)),
            "physical_filter": name,
            "day_obs": night,
            "group": group,
        },
        "tract": {"skymap": skymap, "id": numbered["tract"]},
        "patch": {
            "skymap": skymap,
            "tract": numbered["tract"],
            "id": numbered["patch"],
            "cell_x": 0,
            "cell_y": 0,
        },
    }
    records: dict[str, DimensionRecord | None] = {
        element: UNIVERSE[element].RecordClass(**values) for element, values in fields.items()
    }
    values = {"instrument": instrument, "skymap": skymap, **numbered}
    data_id = DataCoordinate.standardize(values, dimensions=GROUP).expanded(records)
    dataset_type = draw(types)
    assume(dataset_type not in UNIVERSE.governors)
    run = draw(runs)
    try:
        return DatasetRef(DatasetType(dataset_type, GROUP, "Text"), data_id, run, id=draw(st.uuids()))
    except ButlerError:
        assume(False)
        raise


@given(refs(), layouts, st.sampled_from(TEMPLATES))
def test_a_key_is_plain_bounded_and_ends_in_the_id(
    ref: DatasetRef, layout: ArtifactLayout, template: PathTemplate
) -> None:
    try:
        key = template.place(ref, layout)
    except ButlerError:
        # An empty value of a field that must have one, or a template longer than a key may be: never the default.
        assert template is not TEMPLATES[0]
        return
    assert check_key(key) == key
    assert os.path.normpath(f"{ROOT}/{key}") == f"{ROOT}/{key}"
    assert key.isascii()
    assert len(key) <= 1024
    assert all(0 < len(part) <= 255 for part in key.split("/"))
    assert key.endswith(f"_{ref.getCheckedId().hex[-12:]}{layout.extension}")
    assert "." not in key.rsplit("/", 1)[-1].removesuffix(layout.extension)


@given(refs(), layouts, st.uuids())
def test_two_datasets_never_share_a_key(ref: DatasetRef, layout: ArtifactLayout, other: uuid.UUID) -> None:
    assume(other.hex[-12:] != ref.getCheckedId().hex[-12:])
    twin = DatasetRef(ref.datasetType, ref.dataId, ref.run, id=other)
    assert TEMPLATES[0].place(ref, layout) != TEMPLATES[0].place(twin, layout)


@given(refs(), layouts)
def test_the_same_dataset_always_has_the_same_key(ref: DatasetRef, layout: ArtifactLayout) -> None:
    again = PathTemplate(DEFAULT_TEMPLATE)
    assert again.place(ref, layout) == TEMPLATES[0].place(ref, layout)


@given(st.text(max_size=300))
def test_a_key_that_is_accepted_never_leaves_the_root(key: str) -> None:
    try:
        check_key(key)
    except ButlerError:
        return
    assert os.path.normpath(f"{ROOT}/{key}") == f"{ROOT}/{key}"
    assert not any(part.startswith(".") for part in key.split("/"))
