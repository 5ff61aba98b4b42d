# SPDX-License-Identifier: BSD-3-Clause
"""Reading export files: what is read, and what is said of a file that is wrong."""

from __future__ import annotations

import datetime
import io
import time
from pathlib import Path
from typing import Any
from uuid import UUID

import lsst.sphgeom
import pytest
from astropy.time import Time
from hypothesis import given
from hypothesis import strategies as st

from butler.export_blocks import (
    AssociationBlock,
    CollectionBlock,
    DatasetBlock,
    DatasetTypeBlock,
    DimensionBlock,
    ExportFile,
    FileEntry,
)
from butler.export_file import read_export
from butler_model.collection import CollectionType
from butler_model.errors import IncompatibleVersionError, MalformedExportError
from butler_model.timespan import Timespan, nsec_from_time

POLYGON = lsst.sphgeom.ConvexPolygon(
    [
        lsst.sphgeom.UnitVector3d(lsst.sphgeom.LonLat.fromDegrees(*corner))
        for corner in ((0, 0), (1, 0), (0, 1))
    ]
)
PARTS = (
    "{{type: dataset, dataset_type: t, run: r, records: [{{dataset_id: 1, data_id: {{}}, components: {}}}]}}"
)
PART = "{component: a, storage_class: S, path: x}"
UUID_TEXT = "5f5a2b6c-0d4a-4b2e-9b1f-1f2f3a4b5c6d"


def read(*blocks: str, head: str = "version: 1.0.2") -> ExportFile:
    data = "".join(f"\n- {block}" for block in blocks) or " []"
    text = f"description: Butler Data Repository Export\n{head}\ndata:{data}\n"
    return read_export(io.BytesIO(text.encode()))


def read_visit(fields: str) -> dict[str, Any]:
    block = read(
        f"{{type: dimension, element: visit, records: [{{instrument: C, id: 1, {fields}}}]}}"
    ).blocks[0]
    assert isinstance(block, DimensionBlock)
    return dict(block.records[0])


def test_the_real_survey_has_its_golden_numbers_of_records(shared_data: Path) -> None:
    export = read_export(shared_data / "hsc-rc2-subset.yaml")
    assert (export.universe_namespace, export.universe_version) == ("daf_butler", 6)
    assert {b.element: len(b.records) for b in export.blocks if isinstance(b, DimensionBlock)} == {
        "instrument": 1,
        "skymap": 1,
        "group": 1,
        "day_obs": 15,
        "detector": 111,
        "physical_filter": 5,
        "tract": 2,
        "visit_system": 1,
        "patch": 2,
        "exposure": 1,
        "visit": 160,
        "visit_detector_region": 1132,
        "visit_system_membership": 160,
    }


def test_the_real_survey_is_read_in_less_than_two_seconds(shared_data: Path) -> None:
    begin = time.perf_counter()
    read_export(shared_data / "hsc-rc2-subset.yaml")
    assert time.perf_counter() - begin < 2


def test_values_of_the_real_survey_are_typed(shared_data: Path) -> None:
    blocks = read_export(shared_data / "hsc-rc2-subset.yaml").blocks
    tables = {block.element: block.records for block in blocks if isinstance(block, DimensionBlock)}
    visit = tables["visit"][0]
    assert isinstance(visit["region"], lsst.sphgeom.ConvexPolygon)
    assert visit["timespan"] == Timespan(
        Time("2014-03-25 09:34:19.634", scale="tai"), Time("2014-03-25 09:38:21.595", scale="tai")
    )
    assert len(tables["skymap"][0]["hash"]) == 20


def test_an_old_file_has_version_0_and_utc_times(shared_data: Path) -> None:
    export = read_export(shared_data / "hsc-rc2-subset-v0.yaml")
    assert (export.universe_namespace, export.universe_version) == ("daf_butler", 0)
    visit = next(b for b in export.blocks if isinstance(b, DimensionBlock) and b.element == "visit").records[
        0
    ]
    # the same visit as in the newer file, where it is written in TAI
    assert visit["timespan"].begin.isot == "2014-11-18T12:57:22.112"


def test_datasets_and_runs_of_a_real_file_are_read(shared_data: Path) -> None:
    blocks = read_export(shared_data / "datasets.yaml").blocks
    runs = [b.collection for b in blocks if isinstance(b, CollectionBlock)]
    assert [(run.name, run.type) for run in runs] == [
        ("imported_g", CollectionType.RUN),
        ("imported_r", CollectionType.RUN),
    ]
    datasets = [b for b in blocks if isinstance(b, DatasetBlock)]
    assert [(b.run, b.dataset_type, len(b.records)) for b in datasets] == [
        ("imported_g", "bias", 3),
        ("imported_g", "flat", 3),
        ("imported_r", "bias", 3),
        ("imported_r", "flat", 4),
    ]
    entry = datasets[0].records[0]
    assert entry.dataset_ids == (1001,)
    assert entry.data_ids == ({"instrument": "Cam1", "detector": 1},)
    assert entry.files == ()


def test_dataset_types_of_a_real_file_are_read(shared_data: Path) -> None:
    types = [b for b in read_export(shared_data / "base.yaml").blocks if isinstance(b, DatasetTypeBlock)]
    assert types[0].dimensions == ("instrument", "detector", "physical_filter", "band")
    assert [(t.name, t.storage_class, t.is_calibration) for t in types] == [
        ("flat", "Exposure", True),
        ("bias", "Exposure", True),
    ]


def test_one_file_may_hold_several_datasets() -> None:
    ids, data_ids = f"[!uuid '{UUID_TEXT}', 7]", "[{a: 1}, {a: x}]"
    entry = f"{{dataset_id: {ids}, data_id: {data_ids}, path: a/b.json, formatter: m.F}}"
    block = read(f"{{type: dataset, dataset_type: t, run: r, records: [{entry}]}}").blocks[0]
    assert isinstance(block, DatasetBlock)
    assert block.records[0].dataset_ids == (UUID(UUID_TEXT), 7)
    assert block.records[0].data_ids == ({"a": 1}, {"a": "x"})
    assert block.records[0].files == (FileEntry("a/b.json", "m.F"),)


def test_chains_keep_the_order_of_their_children() -> None:
    block = read("{type: collection, collection_type: CHAINED, name: c, doc: d, children: [b, a]}").blocks[0]
    assert isinstance(block, CollectionBlock)
    assert (block.collection.children, block.collection.doc) == (("b", "a"), "d")


def test_associations_of_both_kinds_are_read() -> None:
    tagged, calibration = read(
        f"{{type: associations, collection: t, collection_type: TAGGED, dataset_ids: [!uuid '{UUID_TEXT}']}}",
        "{type: associations, collection: c, collection_type: CALIBRATION, validity_ranges: "
        "[{begin: !butler_time/tai/iso '2020-01-01 00:00:00', end: null, dataset_ids: [3]}, "
        "{timespan: !lsst.daf.butler.Timespan {begin: !butler_time/tai/iso '2020-01-01 00:00:00', end: null}, "
        "dataset_ids: [4]}]}",
    ).blocks
    assert isinstance(tagged, AssociationBlock)
    assert tagged.dataset_ids == (UUID(UUID_TEXT),)
    assert isinstance(calibration, AssociationBlock)
    since = Timespan(Time("2020-01-01", scale="tai"), None)
    assert [(each.timespan, each.dataset_ids) for each in calibration.validity_ranges] == [
        (since, (3,)),
        (since, (4,)),
    ]


def test_separate_components_are_read_with_their_formatters() -> None:
    parts = (
        "[{component: a, storage_class: S, path: x.npy, butler_formatter: npy}, "
        "{component: b, storage_class: T, path: y.json, formatter: m.JsonFormatter}]"
    )
    entry = f"{{dataset_id: 1, data_id: {{}}, components: {parts}}}"
    block = read(f"{{type: dataset, dataset_type: t, run: r, records: [{entry}]}}").blocks[0]
    assert isinstance(block, DatasetBlock)
    assert block.records[0].files == (
        FileEntry("x.npy", None, "npy", "a", "S"),
        FileEntry("y.json", "m.JsonFormatter", None, "b", "T"),
    )


@pytest.mark.parametrize("tag", ["!<lsst.sphgeom.{}>", "!lsst.sphgeom.{}"])
@pytest.mark.parametrize(
    "region",
    [
        POLYGON,
        lsst.sphgeom.Box.full(),
        lsst.sphgeom.Circle(lsst.sphgeom.UnitVector3d.Z(), lsst.sphgeom.Angle(0.1)),
        lsst.sphgeom.Ellipse(lsst.sphgeom.UnitVector3d.X(), lsst.sphgeom.Angle(0.1)),
        lsst.sphgeom.UnionRegion(POLYGON, lsst.sphgeom.Box.full()),
        lsst.sphgeom.IntersectionRegion(POLYGON, lsst.sphgeom.Box.full()),
    ],
)
def test_every_kind_of_region_is_read(region: lsst.sphgeom.Region, tag: str) -> None:
    written = f"region: {tag.format(type(region).__name__)} {{encoded: {region.encode().hex()}}}"
    found = read_visit(written)["region"]
    assert type(found) is type(region)
    assert found.encode() == region.encode()


@given(st.integers(0, 47_481 * 86_400 * 10**9))
def test_tai_times_are_exact_to_the_nanosecond(nsec: int) -> None:
    seconds, fraction = divmod(nsec, 10**9)
    moment = datetime.datetime(1970, 1, 1) + datetime.timedelta(seconds=seconds)  # noqa: DTZ001
    text = f"datetime_begin: !butler_time/tai/iso '{moment:%Y-%m-%d %H:%M:%S}.{fraction:09d}'"
    assert read_visit(text)["timespan"] == Timespan.from_nsec(nsec, None)


@given(st.datetimes(datetime.datetime(1972, 1, 1), datetime.datetime(2027, 1, 1)))  # noqa: DTZ001
def test_utc_times_are_converted_as_astropy_does(moment: datetime.datetime) -> None:
    # YAML has no times with fewer than four digits of the year, and always writes six of the fraction.
    text = f"datetime_end: {moment:%Y-%m-%d %H:%M:%S.%f}"
    assert read_visit(text)["timespan"] == Timespan.from_nsec(None, nsec_from_time(Time(moment, scale="utc")))


def test_a_time_with_a_zone_is_the_same_instant() -> None:
    assert read_visit("datetime_begin: 2020-01-01 02:00:00+02:00") == read_visit(
        "datetime_begin: 2020-01-01 00:00:00"
    )


@pytest.mark.parametrize("tag", ["", "!<lsst.daf.butler.Timespan> ", "!lsst.daf.butler.Timespan "])
def test_timespans_in_nanoseconds_are_read(tag: str) -> None:
    assert read_visit(f"timespan: {tag}{{begin: 5, end: 9}}")["timespan"] == Timespan.from_nsec(5, 9)


def test_an_instant_is_one_nanosecond_long() -> None:
    assert read_visit("timespan: {begin: 5, end: 5}")["timespan"] == Timespan.from_nsec(5, 6)


def test_absent_times_are_unbounded() -> None:
    assert read_visit("datetime_begin: null, datetime_end: null")["timespan"] == Timespan(None, None)


@pytest.mark.parametrize("version", ["0", "'1.0'", "1.0.0", "1.0.1", "1.0.2", "1.0.99"])
def test_known_versions_are_read(version: str) -> None:
    assert read(head=f"version: {version}").blocks == ()


@pytest.mark.parametrize("version", ["2.0.0", "1.1.0", "0.9.0", "2", "'10.0.1'"])
def test_other_versions_are_refused_by_name(version: str) -> None:
    with pytest.raises(
        IncompatibleVersionError, match=r"version {}.*reads 0 and 1\.0\.x".format(version.strip("'"))
    ):
        read(head=f"version: {version}")


@pytest.mark.parametrize("head", ["x: 1", "version: null", "version: true", "version: new", "version: [1]"])
def test_a_file_without_a_version_is_no_export(head: str) -> None:
    with pytest.raises(MalformedExportError, match="version"):
        read(head=head)


@pytest.mark.parametrize("head", ["universe_version: new", "universe_version: 1.0", "universe_namespace: 3"])
def test_the_universe_must_be_named_properly(head: str) -> None:
    with pytest.raises(MalformedExportError, match="universe_version"):
        read(head=f"version: 0\n{head}")


@pytest.mark.parametrize("text", ["", "just words", "[1, 2]", "version: 0", "version: 0\ndata: 5"])
def test_other_yaml_is_no_export(text: str) -> None:
    with pytest.raises(MalformedExportError, match="the export"):
        read_export(io.StringIO(text))


@pytest.mark.parametrize(
    "content",
    [
        b"a: [1",
        b"a: b: c",
        b"\xff\xfe\x00",
        b"a: \x00",
        b"%",
        b"[" * 100_000,
        b"- " * 30_000,
        b"{<<: {a: 1}}",
        b"a: *b",
    ],
)
def test_what_is_not_yaml_is_refused(content: bytes) -> None:
    with pytest.raises(MalformedExportError):
        read_export(io.BytesIO(content))


@pytest.mark.parametrize(
    "value",
    [
        "!!python/object/apply:os.system ['true']",
        "!!python/name:os.system ''",
        "!!python/object:lsst.sphgeom.Box {}",
        "!unknown 1",
        "!<lsst.sphgeom.Pixelization> {encoded: '00'}",
        "!<lsst.sphgeom.Box> {encoded: '00'}",
        "!<lsst.sphgeom.Box> {encoded: zz}",
        "!<lsst.sphgeom.Box> {encoded: 5}",
        "!<lsst.sphgeom.Box> {}",
        "!<lsst.sphgeom.Box> 5",
        f"!<lsst.sphgeom.Box> {{encoded: {POLYGON.encode().hex()}}}",
        f"!<lsst.sphgeom.ConvexPolygon> {{encoded: {POLYGON.encode().hex()[:-16]}}}",
        "!uuid '123'",
        "!butler_time/tai/iso 'today'",
        "!butler_time/tai/iso '2020-02-30 00:00:00'",
        "!butler_time/tai/iso '2020-02-01 24:00:00'",
        "!butler_time/tai/iso [1]",
        "2020-02-30 00:00:00",
        "9" * 5000,
    ],
)
def test_a_value_that_cannot_be_constructed_is_refused_with_its_line(value: str) -> None:
    with pytest.raises(MalformedExportError, match="the export, line 5:") as caught:
        read("type: dimension", f"x: {value}")
    assert caught.value.metadata["line"] == "5"


@pytest.mark.parametrize(
    ("block", "what"),
    [
        ("5", r"block 2 \(unknown\): None is no type of block"),
        ("{type: other}", "'other' is no type of block"),
        ("{type: [1]}", "is no type of block"),
        ("{type: dimension, records: []}", r"block 2 \(dimension\): has no element"),
        ("{type: dimension, element: visit}", r"block 2 \(dimension visit\): has no records"),
        ("{type: dimension, element: visit, records: {a: 1}}", "must be a list"),
        ("{type: dimension, element: visit, records: [{id: 1}, 5]}", r"\(dimension visit\), record 2: is 5"),
        ("{type: dimension, element: visit, records: [{1: 1}]}", "record 1: .* not a mapping from names"),
        ("{type: dimension, element: visit, records: [{datetime_begin: x}]}", "record 1: has a time"),
        (
            "{type: dimension, element: visit, records: [{datetime_begin: 2020-01-01}]}",
            "2020-01-01 is no time",
        ),
        ("{type: dimension, element: visit, records: [{datetime_begin: 1800-01-01 00:00:00}]}", "is no time"),
        ("{type: dimension, element: visit, records: [{timespan: 5}]}", "mapping of begin and end"),
        ("{type: dimension, element: visit, records: [{timespan: {start: 5}}]}", "mapping of begin and end"),
        ("{type: dimension, element: v, records: [{timespan: {begin: 5}, datetime_end: 6}]}", "has both"),
        ("{type: dimension, element: v, records: [{timespan: {begin: -6, end: -5}}]}", "cannot be held"),
        ("{type: run}", r"\(run\): has no name, which must be a string"),
        ("{type: run, name: ../x}", "no collection name"),
        ("{type: collection, name: c}", "has no collection_type"),
        ("{type: collection, name: c, collection_type: HEAP}", "Unknown collection type 'HEAP'"),
        ("{type: collection, name: c, collection_type: CHAINED}", "has no children"),
        ("{type: collection, name: c, collection_type: CHAINED, children: [1]}", "list of strings"),
        ("{type: collection, name: c, collection_type: RUN, doc: 5}", "has 5 as doc"),
        ("{type: dataset_type, name: t, storage_class: S}", "has no dimensions"),
        ("{type: dataset_type, name: t, dimensions: [], storage_class: 5}", "has 5 as storage_class"),
        (
            "{type: dataset_type, name: t, dimensions: [], storage_class: S, is_calibration: 1}",
            "true or false",
        ),
        ("{type: dataset, dataset_type: t, records: []}", "has no run"),
        (
            "{type: dataset, dataset_type: t, run: r, records: [{data_id: {}}]}",
            "record 1: has None as dataset_id",
        ),
        (
            "{type: dataset, dataset_type: t, run: r, records: [{dataset_id: x, data_id: {}}]}",
            "'x' as dataset_id",
        ),
        (
            "{type: dataset, dataset_type: t, run: r, records: [{dataset_id: 1}]}",
            "1 dataset_id but 0 data_id",
        ),
        (
            "{type: dataset, dataset_type: t, run: r, records: [{dataset_id: 1, data_id: 5}]}",
            "has 5 as data_id",
        ),
        (
            "{type: dataset, dataset_type: t, run: r, records: [{dataset_id: 1, data_id: {a: 1.5}}]}",
            "as data_id",
        ),
        (
            "{type: dataset, dataset_type: t, run: r, records: [{dataset_id: 1, data_id: {}, path: 5}]}",
            "as path",
        ),
        (PARTS.format("5"), "as components"),
        (PARTS.format("[5]"), "something else than a mapping"),
        (PARTS.format("[{component: a, path: x}]"), "storage_class"),
        (PARTS.format("[{component: a, storage_class: S}]"), "has no path"),
        (PARTS.format(f"[{PART}, {PART}]"), "'a' twice"),
        (PARTS.format(f"[{PART}], path: y"), "a file of its own"),
        ("{type: associations, collection: c, collection_type: RUN}", "only TAGGED and CALIBRATION"),
        ("{type: associations, collection: c, collection_type: TAGGED, dataset_ids: [x]}", "as dataset_ids"),
        (
            "{type: associations, collection: c, collection_type: CALIBRATION, validity_ranges: [1]}",
            "record 1",
        ),
        (
            "{type: associations, collection: c, collection_type: CALIBRATION, validity_ranges: [{timespan: 5}]}",
            "has 5 as timespan",
        ),
    ],
)
def test_a_block_of_another_shape_is_refused_with_its_number(block: str, what: str) -> None:
    with pytest.raises(MalformedExportError, match=what) as caught:
        read("{type: run, name: good}", block)
    assert caught.value.metadata["block"] == "2"


def test_a_file_cut_anywhere_is_refused_or_has_fewer_records(shared_data: Path) -> None:
    content = (shared_data / "hsc-rc2-subset-v0.yaml").read_bytes()
    for size in range(1200, len(content), 97):
        try:
            export = read_export(io.BytesIO(content[:size]))
        except MalformedExportError:
            continue
        assert len(export.blocks) <= 9


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"absent\.yaml"):
        read_export(tmp_path / "absent.yaml")
