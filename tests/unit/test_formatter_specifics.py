# SPDX-License-Identifier: BSD-3-Clause
"""What each formatter does of its own."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import astropy.units as u
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from astropy.io import fits
from astropy.table import MaskedColumn, QTable, Table
from astropy.time import Time, TimeDelta

from butler.formatters import default_formatters
from butler_model.errors import FormatterError, StorageClassError
from tests.support.counting import CountingFile
from tests.support.formatter_cases import frames, hdu_list, quantity_table, same_array, same_table

PARQUET = default_formatters().by_label("parquet")


def as_parquet(obj: object) -> CountingFile:
    sink = io.BytesIO()
    PARQUET.write(obj, sink)
    return CountingFile(sink.getvalue())


def test_columns_are_read_in_the_order_wanted_and_nothing_else_is_moved() -> None:
    rng = np.random.default_rng(1)
    source = as_parquet(pa.table({f"c{n}": rng.random(5_000) for n in range(50)}))
    table = PARQUET.read(source, pa.Table, parameters={"columns": ["c40", "c2"]})
    assert isinstance(table, pa.Table)
    assert table.column_names == ["c40", "c2"]
    assert source.moved < len(source.getvalue()) / 10


def test_globs_stand_for_all_columns_that_they_match() -> None:
    table = pa.table({"flux_r": [1], "id": [2], "flux_g": [3], "flux*": [4]})
    for columns, names in (
        ("flux_?", ["flux_r", "flux_g"]),
        (["id", "flux_*", "flux_r"], ["id", "flux_r", "flux_g"]),
        ("flux*", ["flux*"]),
    ):
        read = PARQUET.read(as_parquet(table), pa.Table, parameters={"columns": columns})
        assert isinstance(read, pa.Table)
        assert read.column_names == names


FILTERED = pa.table({"id": range(10), "a.b": ["x", "y"] * 5, "c": [0.5] * 10}).replace_schema_metadata(
    {"k": "v"}
)


@pytest.mark.parametrize(
    ("filters", "ids"),
    [
        ([("id", "<", 3)], [0, 1, 2]),
        ([("id", ">=", 4), ("a.b", "=", "x")], [4, 6, 8]),
        ([[("id", "in", [7, 1])], [("id", "==", 5)]], [1, 5, 7]),
        ([("id", "<", 0)], []),
    ],
)
def test_filters_keep_the_rows_that_they_hold_for(filters: object, ids: list[int]) -> None:
    read = PARQUET.read(as_parquet(FILTERED), pa.Table, parameters={"filters": filters})
    assert read == FILTERED.take(pa.array(ids, pa.int64()))
    part = PARQUET.read(
        as_parquet(FILTERED), pa.Table, parameters={"filters": filters, "columns": ["c", "a.b"]}
    )
    assert isinstance(part, pa.Table)
    assert part.equals(FILTERED.select(["c", "a.b"]).take(pa.array(ids, pa.int64())), check_metadata=True)


def test_dictionaries_in_a_frame_come_back_with_their_own_keys_or_are_refused() -> None:
    same = pd.DataFrame({"a": [{"x": 1, "y": "b"}, None, {"y": "c", "x": None}]})
    read = PARQUET.read(as_parquet(same), pd.DataFrame)
    assert isinstance(read, pd.DataFrame)
    assert read["a"].tolist() == same["a"].tolist()
    for others in ([{"x": 1}, {"y": 2}], [{"x": 1, "y": 2}, {}]):
        with pytest.raises(FormatterError, match="'a' has dictionaries of different keys"):
            as_parquet(pd.DataFrame({"a": others}))


@pytest.mark.parametrize("pytype", [pd.DataFrame, Table, np.ndarray])
def test_filters_serve_every_kind_of_table(pytype: type) -> None:
    frame = pd.DataFrame({"a": [1, 2, 3], "b": [1.5, 2.5, 3.5]}, index=pd.Index([7, 8, 9], name="i"))
    read: Any = PARQUET.read(
        as_parquet(frame), pytype, parameters={"filters": [("b", ">", 2)], "columns": "a"}
    )
    assert list(read["a"]) == [2, 3]
    if pytype is pd.DataFrame:
        pd.testing.assert_frame_equal(read, frame.loc[[8, 9], ["a"]])


@pytest.mark.parametrize(
    "filters", ["id < 3", [("id", "~", 3)], [("nonsense", "<", 3)], [("id", "<", "x")], 5]
)
def test_filters_of_another_form_or_of_unknown_columns_are_refused(filters: object) -> None:
    with pytest.raises(FormatterError, match="'parquet'"):
        PARQUET.read(as_parquet(FILTERED), pa.Table, parameters={"filters": filters})


def test_small_groups_of_rows_let_filters_skip_what_the_footer_rules_out() -> None:
    table = pa.table({"id": range(100_000), "x": np.random.default_rng(1).random(100_000)})
    sink = io.BytesIO()
    PARQUET.write(table, sink, {"row_group_size": 2_000, "compression": "none"})
    source = CountingFile(sink.getvalue())
    read = PARQUET.read(source, pa.Table, parameters={"filters": [("id", "=", 5_000)]})
    assert isinstance(read, pa.Table)
    assert read.num_rows == 1
    assert source.moved < len(source.getvalue()) / 10


@pytest.mark.parametrize(
    ("component", "pytype", "value"),
    [("columns", list, ["a", "b"]), ("rowcount", int, 4), ("columns", pd.Index, pd.Index(["a", "b"]))],
)
def test_components_of_a_table_need_its_footer_only(component: str, pytype: type, value: Any) -> None:
    frame = pd.DataFrame({"a": range(4), "b": 1.0}, index=pd.Index([4, 3, 2, 1], name="i"))
    read = PARQUET.read(as_parquet(frame), pytype, component=component)
    assert list(read) == list(value) if isinstance(value, pd.Index) else read == value  # type: ignore[call-overload]


def test_the_schema_is_a_component_and_components_take_no_parameters() -> None:
    table = pa.table({"a": [1]})
    assert PARQUET.read(as_parquet(table), pa.Schema, component="schema") == table.schema
    with pytest.raises(StorageClassError, match="takes no parameters"):
        PARQUET.read(as_parquet(table), int, component="rowcount", parameters={"columns": "a"})


@pytest.mark.parametrize("frame", frames()[:2], ids=["multi-index", "named index"])
def test_the_index_of_a_frame_comes_with_any_columns(frame: pd.DataFrame) -> None:
    name = frame.columns[0]
    read = PARQUET.read(as_parquet(frame), pd.DataFrame, parameters={"columns": name})
    pd.testing.assert_frame_equal(frame[[name]], read)


def test_a_mixin_column_is_asked_for_by_its_own_name() -> None:
    table = quantity_table()
    read = PARQUET.read(as_parquet(table), QTable, parameters={"columns": ["place", "flux"]})
    same_table(table["place", "flux"], read)
    assert PARQUET.read(as_parquet(table), list, component="columns") == table.colnames


@pytest.mark.parametrize("columns", ["nonsense", ["a", "nonsense"], [1], 5, {"a": 1}])
def test_columns_that_do_not_exist_or_are_no_names_are_refused(columns: object) -> None:
    with pytest.raises(FormatterError, match="column"):
        PARQUET.read(as_parquet(pa.table({"a": [1]})), pa.Table, parameters={"columns": columns})


@pytest.mark.parametrize("pytype", [pa.Table, pd.DataFrame, Table, QTable, np.ndarray])
@pytest.mark.parametrize(
    "written",
    [
        pa.table({"a": [1, 2], "b": ["x", "yy"]}),
        pd.DataFrame({"a": [1, 2], "b": ["x", "yy"]}),
        Table({"a": [1, 2], "b": ["x", "yy"]}),
        np.array([(1, "x"), (2, "yy")], [("a", "i8"), ("b", "U2")]),
    ],
    ids=lambda obj: type(obj).__name__,
)
def test_what_one_library_wrote_the_others_read(written: object, pytype: type) -> None:
    read = PARQUET.read(as_parquet(written), pytype)
    assert isinstance(read, pytype)
    as_dict: Any = read.to_pydict() if isinstance(read, pa.Table) else read
    assert [int(value) for value in as_dict["a"]] == [1, 2]
    assert [str(value) for value in as_dict["b"]] == ["x", "yy"]


def test_units_become_quantities_when_asked_for() -> None:
    table = Table({"flux": [1.0, 2.0]}, units={"flux": "nJy"})
    read = PARQUET.read(as_parquet(table), QTable)
    assert isinstance(read, QTable)
    assert isinstance(read["flux"], u.Quantity)


def test_missing_values_need_a_type_that_can_express_them() -> None:
    array = PARQUET.read(as_parquet(pa.table({"a": pa.array([1.5, None])})), np.ndarray)
    assert isinstance(array, np.ndarray)
    assert np.isnan(array["a"][1])
    with pytest.raises(FormatterError, match="'a' misses values"):
        PARQUET.read(as_parquet(pa.table({"a": pa.array([1, None])})), np.ndarray)
    masked = PARQUET.read(as_parquet(pa.table({"a": pa.array([1, None])})), Table)
    assert isinstance(masked, Table)
    assert masked["a"].mask.tolist() == [False, True]


def test_integers_among_objects_keep_all_digits_where_others_are_missing() -> None:
    ids = pd.Series([2**60 + 1, None, 3], dtype=object)
    read = PARQUET.read(
        as_parquet(pd.DataFrame({"id": ids, "n": pd.array([1, None, 2], "Int64")})), pd.DataFrame
    )
    assert isinstance(read, pd.DataFrame)
    assert read["id"].tolist() == [2**60 + 1, None, 3]
    assert read["n"].dtype == "Int64"


@pytest.mark.parametrize("kind", ["M8[ns]", "M8[us]", "M8[ms]", "m8[s]", "m8[ns]"])
def test_masked_times_stay_masked_and_others_may_be_none(kind: str) -> None:
    table = Table({"t": MaskedColumn(np.array([5, "NaT", 7], kind), mask=[False, False, True])})
    read = PARQUET.read(as_parquet(table), Table)
    assert isinstance(read, Table)
    same_table(table[:1], read[:1])
    assert read["t"].mask.tolist() == [False, False, True]
    assert np.isnat(read["t"].data.data[1])


@pytest.mark.parametrize(
    "obj",
    [
        Table({"a": np.array([1, "x"], dtype=object)}),
        Table({"a": [1 + 2j]}),
        Table({"a": [1]}, meta={"x": object()}),
        Table({"a": np.array([2**40], "M8[D]")}),
        np.array([(1, None)], [("a", int), ("b", object)]),
        np.zeros(3, np.dtype([("a", "i1"), ("b", "f8")], align=True)),
        np.ma.zeros(3, dtype=[("a", int)]),
        pd.DataFrame({"a": [1, "x"]}),
        pd.DataFrame([[1, 2]], columns=["a", "a"]),
    ],
)
def test_a_table_that_would_come_back_different_is_refused(obj: object) -> None:
    with pytest.raises(FormatterError, match="'parquet'"):
        as_parquet(obj)


@pytest.mark.parametrize("label", ["parquet", "fits"])
def test_a_flipped_bit_in_the_data_is_noticed(label: str) -> None:
    obj: Any = pa.table({"a": np.random.default_rng(2).random(1000)}) if label == "parquet" else hdu_list()
    sink = io.BytesIO()
    default_formatters().by_label(label).write(obj, sink)
    content = bytearray(sink.getvalue())
    content[3000 if label == "parquet" else 2880 * 2 + 10] ^= 1
    with pytest.raises(FormatterError, match=f"'{label}'"):
        default_formatters().by_label(label).read(io.BytesIO(content), type(obj))


def test_compressed_fits_images_are_read_as_arrays() -> None:
    pixels = np.arange(5000, dtype="i4").reshape(50, 100)
    sink = io.BytesIO()
    default_formatters().by_label("fits").write(
        fits.HDUList([fits.PrimaryHDU(), fits.CompImageHDU(pixels), fits.ImageHDU(np.zeros((9, 9)))]), sink
    )
    same_array(pixels, default_formatters().by_label("fits").read(sink, np.ndarray))


def test_a_fits_image_is_found_without_reading_what_follows() -> None:
    pixels = np.ones((10, 10))
    sink = io.BytesIO()
    fits.HDUList([fits.PrimaryHDU(pixels), fits.ImageHDU(np.zeros((1000, 1000)))]).writeto(sink)
    source = CountingFile(sink.getvalue())
    same_array(pixels, default_formatters().by_label("fits").read(source, np.ndarray))
    assert source.moved < 100_000


def test_fits_without_an_image_has_none_to_give() -> None:
    sink = io.BytesIO()
    default_formatters().by_label("fits").write(fits.HDUList([fits.PrimaryHDU()]), sink)
    with pytest.raises(FormatterError, match="no HDU holds"):
        default_formatters().by_label("fits").read(sink, np.ndarray)


@pytest.mark.parametrize("obj", [np.ma.array([1], mask=[True]), [1] * u.m, [1]])
def test_npy_refuses_subclasses_that_it_would_strip(obj: object) -> None:
    with pytest.raises(FormatterError, match="'npy'"):
        default_formatters().by_label("npy").write(obj, io.BytesIO())


def test_npy_refuses_more_fields_than_it_would_read_back() -> None:
    array = np.zeros(1, [(f"field_with_a_long_name_{number}", "f8") for number in range(30_000)])
    with pytest.raises(FormatterError, match="30000 fields"):
        default_formatters().by_label("npy").write(array, io.BytesIO())


def test_npy_never_unpickles() -> None:
    sink = io.BytesIO()
    np.save(sink, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    sink.seek(0)
    with pytest.raises(FormatterError, match="pickle"):
        default_formatters().by_label("npy").read(sink, np.ndarray)


def test_yaml_never_constructs_python_objects() -> None:
    source = io.BytesIO(b"!!python/object/apply:os.getcwd []")
    with pytest.raises(FormatterError, match="'yaml'"):
        default_formatters().by_label("yaml").read(source, object)


@pytest.mark.parametrize("label", ["json", "yaml"])
def test_the_place_of_a_value_that_would_change_is_named(label: str) -> None:
    with pytest.raises(FormatterError, match=r"\['a'\]\[1\]"):
        default_formatters().by_label(label).write({"a": [0, (1, 2)]}, io.BytesIO())
    circular: list[object] = []
    circular.append(circular)
    with pytest.raises(FormatterError, match=f"'{label}'"):
        default_formatters().by_label(label).write(circular, io.BytesIO())


@pytest.mark.parametrize("text", [" a", "a ", "\t", "\x0b"])
def test_ecsv_refuses_text_that_it_would_change(text: str) -> None:
    with pytest.raises(FormatterError, match="column 'name' would come back different"):
        default_formatters().by_label("ecsv").write(Table({"name": ["x", text]}), io.BytesIO())


@pytest.mark.parametrize(
    "times",
    [
        Time(["2020-01-01T00:00:00.123456789", "2020-01-01T00:00:01"], scale="tai"),
        Time([58849.0, 58850.5], [1e-12, 0], format="mjd", scale="utc"),
        TimeDelta([1.0, 2.0], [1e-17, 0], format="jd"),
    ],
)
@pytest.mark.parametrize("masked", [False, True])
def test_ecsv_keeps_times_to_the_last_digit(times: Any, masked: bool) -> None:
    table = QTable({"t": times.copy()})
    table["t"][1] = np.ma.masked if masked else times[1]
    sink = io.BytesIO()
    default_formatters().by_label("ecsv").write(table, sink)
    sink.seek(0)
    read: Any = default_formatters().by_label("ecsv").read(sink, QTable)["t"]  # type: ignore[index]
    assert (read.format, read.scale, list(read.mask)) == (times.format, times.scale, [False, masked])
    assert (read.jd1[0], read.jd2[0]) == (times.jd1[0], times.jd2[0])
    assert table["t"].info.serialize_method["ecsv"] == "formatted_value"


def test_ecsv_tells_empty_text_from_no_text() -> None:
    table = Table({"name": MaskedColumn(["", "x", "y", "a\nb"], mask=[False, True, False, False])})
    sink = io.BytesIO()
    default_formatters().by_label("ecsv").write(table, sink)
    sink.seek(0)
    same_table(table, default_formatters().by_label("ecsv").read(sink, Table))


def test_text_that_is_not_utf_8_is_refused() -> None:
    with pytest.raises(FormatterError, match="'text'"):
        default_formatters().by_label("text").read(io.BytesIO(b"\xff"), str)


def test_an_artifact_that_reads_like_a_file_name_opens_no_file(tmp_path: Path) -> None:
    sink = io.BytesIO()
    ecsv = default_formatters().by_label("ecsv")
    ecsv.write(Table({"secret": [1]}), sink)
    path = tmp_path / "secret.ecsv"
    path.write_bytes(sink.getvalue())
    for name in (str(path), path.as_uri()):
        with pytest.raises(FormatterError, match="'ecsv'"):
            ecsv.read(io.BytesIO(name.encode()), Table)
