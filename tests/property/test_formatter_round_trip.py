# SPDX-License-Identifier: BSD-3-Clause
"""Whatever a formatter accepts reads back the same; the rest it refuses."""

from __future__ import annotations

import contextlib
import datetime
import io
import math
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from matplotlib.figure import Figure

from butler.formatters import default_formatters
from butler.log_records import LogRecord, LogRecords
from butler_model.errors import FormatterError
from butler_model.timespan import Timespan

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(),
    st.text(st.characters(categories=["Cs", "Cc"])),
)
ANYTHING = st.one_of(
    SCALARS, st.binary(), st.dates(), st.datetimes(), st.tuples(SCALARS), st.frozensets(st.integers())
)
KEYS = st.one_of(st.text(), st.integers(), st.floats(allow_nan=False), st.booleans(), st.none())


def nested(leaves: st.SearchStrategy[Any], keys: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.recursive(leaves, lambda inner: st.lists(inner) | st.dictionaries(keys, inner), max_leaves=12)


def round_trip(label: str, obj: Any, pytype: type) -> Any:
    formatter = default_formatters().by_label(label)
    file = io.BytesIO()
    formatter.write(obj, file)
    file.seek(0)
    return formatter.read(file, pytype)


def identical(left: Any, right: Any) -> bool:
    """Equal with equal types, all the way down; a NaN is a NaN, and the sign of zero counts."""
    if type(left) is not type(right):
        return False
    if isinstance(left, float):
        return (math.isnan(left) and math.isnan(right)) or (
            left == right and math.copysign(1, left) == math.copysign(1, right)
        )
    if isinstance(left, list):
        return len(left) == len(right) and all(map(identical, left, right))
    if isinstance(left, dict):
        return identical(list(left), list(right)) and identical(list(left.values()), list(right.values()))
    return bool(left == right)


@pytest.mark.parametrize("label", ["json", "yaml"])
@given(obj=nested(ANYTHING, KEYS))
def test_structured_data_come_back_identical_or_are_refused(label: str, obj: Any) -> None:
    try:
        read = round_trip(label, obj, object)
    except FormatterError:
        return
    assert identical(obj, read)


@given(obj=nested(st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text()), st.text()))
@pytest.mark.parametrize("label", ["json", "yaml"])
def test_the_plain_values_of_json_are_never_refused(label: str, obj: Any) -> None:
    assert identical(obj, round_trip(label, obj, object))


@given(obj=nested(st.one_of(st.binary(), st.dates(), st.integers(), st.text()), KEYS))
def test_yaml_also_keeps_bytes_dates_and_keys_that_are_no_strings(obj: Any) -> None:
    assert not isinstance(obj, datetime.datetime)
    assert identical(obj, round_trip("yaml", obj, object))


@given(text=st.text())
def test_text_comes_back_identical(text: str) -> None:
    assert round_trip("text", text, str) == text


@pytest.mark.filterwarnings("ignore:Stored array in format 3.0")
@given(
    array=hnp.arrays(
        dtype=st.one_of(hnp.scalar_dtypes(), hnp.array_dtypes(allow_subarrays=False, max_size=3)),
        shape=hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4),
        fill=st.nothing(),
    )
)
def test_arrays_come_back_identical_as_npy(array: Any) -> None:
    array = np.asarray(array)
    read = round_trip("npy", array, np.ndarray)
    assert read.dtype == array.dtype
    assert read.shape == array.shape
    assert read.tobytes() == array.tobytes()


@settings(deadline=None)
@given(
    array=hnp.arrays(
        dtype=hnp.array_dtypes(
            st.one_of(
                hnp.boolean_dtypes(),
                hnp.integer_dtypes(),
                hnp.unsigned_integer_dtypes(),
                hnp.floating_dtypes(sizes=(16, 32, 64)),
                hnp.byte_string_dtypes(max_len=4),
                hnp.unicode_string_dtypes(max_len=4),
            ),
            max_size=4,
            allow_subarrays=True,
        ),
        shape=st.tuples(st.integers(0, 5)),
    )
)
def test_structured_arrays_come_back_identical_as_parquet_or_are_refused(array: Any) -> None:
    try:
        read = round_trip("parquet", array, np.ndarray)
    except FormatterError:
        # Lone surrogates, and cells without room for a value.
        return
    assert read.dtype == array.dtype
    for name in array.dtype.names:
        np.testing.assert_array_equal(read[name], array[name])


@settings(deadline=None)
@given(values=st.lists(st.none() | st.integers(-(2**63), 2**63 - 1)), names=st.sets(st.text(), max_size=3))
def test_arrow_tables_come_back_identical(values: list[int | None], names: set[str]) -> None:
    assume(all(name.isprintable() for name in names))
    table = pa.table({name: pa.array(values, pa.int64()) for name in names})
    assert round_trip("parquet", table, pa.Table).equals(table, check_metadata=True)


NUMBERS = st.one_of(
    hnp.boolean_dtypes(),
    hnp.integer_dtypes(),
    hnp.unsigned_integer_dtypes(),
    hnp.floating_dtypes(sizes=(32, 64)),
)
SHAPES = hnp.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=4)


@settings(deadline=None)
@given(array=hnp.arrays(st.one_of(NUMBERS, hnp.complex_number_dtypes(), hnp.byte_string_dtypes()), SHAPES))
def test_arrays_in_chunks_come_back_identical(array: Any) -> None:
    read = round_trip("hdf5", array, np.ndarray)
    assert (read.dtype, read.tobytes()) == (array.dtype, array.tobytes())


@settings(deadline=None)
@given(array=hnp.arrays(NUMBERS, SHAPES), compression=st.sampled_from([None, "GZIP_1", "GZIP_2", "RICE_1"]))
def test_images_come_back_with_equal_values_or_are_refused(array: Any, compression: str | None) -> None:
    fits = default_formatters().by_label("fits")
    file = io.BytesIO()
    try:
        fits.write(array, file, {} if compression is None else {"compression": compression})
    except FormatterError:
        assert array.dtype.kind == "b" or compression is not None
        return
    read: Any = fits.read(file, np.ndarray)
    assert read.dtype == array.dtype.newbyteorder("=")
    np.testing.assert_array_equal(read, array)


@settings(deadline=None)
@given(
    columns=st.dictionaries(
        st.text("abcXYZ_", min_size=1, max_size=5),
        hnp.arrays(st.one_of(NUMBERS, hnp.unicode_string_dtypes(max_len=3)), 3),
        max_size=3,
    )
)
@pytest.mark.filterwarnings("ignore")
def test_fits_tables_come_back_with_equal_values_or_are_refused(columns: dict[str, Any]) -> None:
    from astropy.table import Table

    table = Table(columns)
    try:
        read = round_trip("fits", table, Table)
    except FormatterError:
        return
    assert read.colnames == table.colnames
    for name in table.colnames:
        np.testing.assert_array_equal(read[name], table[name])


@given(
    messages=st.lists(st.text(), max_size=3),
    extra=st.dictionaries(st.text(), st.text(), max_size=2),
    time=st.datetimes(timezones=st.timezones()),
)
def test_log_records_come_back_equal(
    messages: list[str], extra: dict[str, str], time: datetime.datetime
) -> None:
    with contextlib.suppress(OverflowError):
        records = LogRecords(LogRecord(time, 20, "survey", message, extra, message) for message in messages)
        assert round_trip("logs", records, LogRecords) == records


@pytest.mark.filterwarnings("ignore::astropy.utils.exceptions.AstropyWarning")
@settings(deadline=None)
@given(data=st.data())
@pytest.mark.parametrize(
    "label", ["parquet", "npy", "fits", "ecsv", "yaml", "json", "hdf5", "logs", "matplotlib", "simple"]
)
def test_damaged_bytes_raise_nothing_but_formatter_errors(label: str, data: st.DataObject) -> None:
    from astropy.io.fits import HDUList
    from astropy.table import Table

    pytypes: dict[str, type] = {
        "parquet": pa.Table,
        "npy": np.ndarray,
        "fits": HDUList,
        "ecsv": Table,
        "hdf5": np.ndarray,
        "logs": LogRecords,
        "matplotlib": bytes,
        "simple": Timespan,
    }
    examples: dict[str, Any] = {
        "parquet": pa.table({"a": [1, 2, None], "b": ["x", "y", "z"]}),
        "npy": np.arange(10),
        "fits": None,
        "ecsv": Table({"a": [1, 2], "b": ["x", "y"]}),
        "yaml": {"a": [1, 2.5, None, "x"]},
        "json": {"a": [1, 2.5, None, "x"]},
        "hdf5": np.arange(10),
        "logs": LogRecords([LogRecord(datetime.datetime.now(datetime.UTC), 20, "survey", "done")]),
        "matplotlib": Figure(figsize=(1, 1)),
        "simple": Timespan(None, None),
    }
    if label == "fits":
        from astropy.io import fits

        examples["fits"] = fits.HDUList([fits.PrimaryHDU(np.zeros((2, 2)))])
    formatter = default_formatters().by_label(label)
    file = io.BytesIO()
    formatter.write(examples[label], file)
    content = bytearray(file.getvalue())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(FormatterError):
        formatter.read(io.BytesIO(bytes(content)), pytypes.get(label, object))
