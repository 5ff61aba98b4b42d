# SPDX-License-Identifier: BSD-3-Clause
"""What every formatter is tried on: objects of each storage class, and when two of them are the same."""

from __future__ import annotations

__all__ = ["CASES", "Case", "frames", "hdu_list", "quantity_table", "same_array", "same_table"]

import io
import logging
from collections.abc import Callable
from dataclasses import dataclass
from tempfile import SpooledTemporaryFile
from typing import Any, BinaryIO, cast

import astropy.units as u
import numpy as np
import pandas as pd
import pyarrow as pa
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.table import Column, MaskedColumn, QTable, Table
from astropy.time import Time
from matplotlib.figure import Figure

from butler.formatters import Formatter, default_formatters
from butler.log_records import LogRecords
from butler.packages import Packages
from butler.storage_classes import default_storage_classes, resolve_pytype
from butler_model.timespan import Timespan


def same(left: Any, right: Any) -> None:
    assert type(left) is type(right)
    assert left == right


def same_table(left: Any, right: Any) -> None:
    """Equal values, dtypes, masks, units, classes and metadata of every column."""
    assert type(left) is type(right)
    assert left.colnames == right.colnames
    assert left.meta == right.meta
    for name in left.colnames:
        old, new = left[name], right[name]
        assert type(old) is type(new), name
        assert old.info.dtype == new.info.dtype, name
        assert old.shape == new.shape, name
        for attribute in ("unit", "description", "format", "meta"):
            # No metadata are None for some columns, and an empty dictionary for others.
            assert (getattr(old.info, attribute) or None) == (getattr(new.info, attribute) or None), (
                name,
                attribute,
            )
        if isinstance(old, MaskedColumn):
            assert np.array_equal(old.mask, new.mask), name
            assert np.array_equal(old.data.compressed(), new.data.compressed()), name
        elif isinstance(old, SkyCoord):
            assert np.all(old.separation(new) == 0), name
        elif getattr(old, "mask", None) is not None and not isinstance(old, Time):
            assert np.array_equal(old.mask, new.mask), name
            assert np.all(old[~old.mask] == new[~new.mask]), name
        elif isinstance(old, Column) and old.dtype.kind == "f":
            assert np.array_equal(old, new, equal_nan=True), name
        else:
            assert np.all(old == new), name


def same_array(left: Any, right: Any) -> None:
    assert type(right) is np.ndarray
    assert left.dtype == right.dtype
    assert right.flags.writeable
    for name in left.dtype.names or (...,):
        np.testing.assert_array_equal(left[name], right[name])


def same_frame(left: Any, right: Any) -> None:
    pd.testing.assert_frame_equal(left, right, check_exact=True)
    assert left.attrs == right.attrs


def same_arrow(left: Any, right: Any) -> None:
    # Parquet prescribes the name of the items of a list, which is part of the metadata of a schema.
    assert left.equals(right)
    assert left.schema.metadata == right.schema.metadata


def same_hdus(left: Any, right: Any) -> None:
    assert [type(hdu) for hdu in left] == [type(hdu) for hdu in right]
    for old, new in zip(left, right, strict=True):
        written = {"CHECKSUM", "DATASUM", "EXTEND"}
        old_cards, new_cards = (
            [card[:2] for card in hdu.header.cards if card.keyword not in written] for hdu in (old, new)
        )
        assert old_cards == new_cards
        if old.data is not None:
            np.testing.assert_array_equal(old.data, new.data)


def frames() -> list[pd.DataFrame]:
    index = pd.MultiIndex.from_tuples([(1, "a"), (2, "b")], names=["visit", "band"])
    rich = pd.DataFrame(
        {
            "flux": [1.5, np.nan],
            "name": ["x", None],
            "kind": pd.Categorical(["star", "galaxy"]),
            "count": pd.array([1, None], dtype="Int64"),
            "time": pd.to_datetime(["2020-01-01", "2021-01-01"]).tz_localize("UTC"),
        },
        index=index,
    )
    rich.attrs["origin"] = "test"
    return [
        rich,
        pd.DataFrame({"a": np.arange(3, dtype="u2")}, index=pd.Index([5, 3, 1], name="source")),
        pd.DataFrame({1: [1, 2], 2: [3.0, 4.0]}),
        pd.DataFrame({("r", 1): [1, 2], ("i", 2): [3.0, 4.0]}),
        pd.DataFrame({"a": []}),
    ]


def plain_table(**widths: str) -> Table:
    table = Table(meta={"run": [1, 2], "nested": {"scale": 0.2}})
    table["id"] = np.arange(4, dtype="i8")
    table["flux"] = MaskedColumn(
        [1.5, 2, 3, 4], mask=[0, 1, 0, 0], unit="nJy", description="a flux", format="%.3f"
    )
    table["name"] = np.array(["a", "bb", "", "ddd"], widths.get("name", "U3"))
    table["flag"] = np.array([True, False, True, True])
    table["shape"] = np.arange(24, dtype="f4").reshape(4, 3, 2)
    table["time"] = Time([50000.0, 51000, 52000, 53000.5], format="mjd", scale="tai")
    return table


def wide_table() -> Table:
    """With what only a binary format keeps."""
    table = plain_table(name="U10")
    table["code"] = np.array([b"q", b"", b"rr", b"s"], "S4")
    table["swapped"] = np.arange(4, dtype=">i2")
    table["unmasked"] = MaskedColumn([1, 2, 3, 4], mask=False)
    table["cells"] = MaskedColumn(np.arange(8).reshape(4, 2), mask=np.arange(8).reshape(4, 2) % 3 == 0)
    return table


def quantity_table() -> QTable:
    table = QTable(meta={"origin": "test"})
    table["flux"] = np.arange(3.0) * u.nJy
    table["shape"] = np.ones((3, 2)) * u.arcsec
    table["place"] = SkyCoord([1.0, 2, 3], [4.0, 5, 6], unit="deg")
    table["time"] = Time([50000.0, 51000, 52000], format="mjd", scale="tai")
    return table


def structured_array() -> np.ndarray[Any, Any]:
    dtype = [
        ("a", ">f8"),
        ("b", "U4", (2,)),
        ("t", "M8[us]"),
        ("d", "m8[s]"),
        ("day", "M8[D]"),
        ("ok", "?"),
        ("h", "f2"),
    ]
    array = np.zeros(3, dtype)
    array["a"] = [np.nan, np.inf, -0.0]
    array["b"] = [["x", "yyyy"], ["", "é"], ["z", "z"]]
    array["t"] = np.array(["2020-01-01T00:00:00.000001", "NaT", "1960-01-01"], "M8[us]")
    array["day"] = "2024-02-29"
    return array


def hdu_list() -> fits.HDUList:
    columns = [
        fits.Column("id", "J", array=np.arange(3)),
        fits.Column("name", "5A", array=np.array(["x", "yy", "z"])),
    ]
    science = fits.ImageHDU(np.arange(12, dtype="u2").reshape(3, 4), name="SCI")
    science.header["EXPTIME"] = (30.0, "seconds")
    compressed = fits.CompImageHDU(np.arange(5000, dtype="i4").reshape(50, 100), name="COMP")
    return fits.HDUList(
        [fits.PrimaryHDU(), science, compressed, fits.BinTableHDU.from_columns(columns, name="CAT")]
    )


def arrow_tables() -> list[pa.Table]:
    rich = pa.table(
        {
            "a": pa.array([1, None, 3], pa.int32()),
            "l": [[1], [], None],
            "d": pa.array(["x", "y", "x"]).dictionary_encode(),
        }
    )
    return [
        rich.replace_schema_metadata({"key": "value"}),
        pa.table({"t": pa.array([0], pa.timestamp("ns", "UTC"))}),
    ]


def fits_table() -> Table:
    table = plain_table()
    table.meta = {"RUN": 1, "ORIGIN": "test"}
    table["flux"].format = None
    table["empty"] = MaskedColumn(["", "x", "y", ""], mask=[False, True, False, True])
    table["nan"] = [np.nan, 1.0, np.inf, -0.0]
    return table


def log_records() -> LogRecords:
    records = [
        logging.LogRecord("survey.isr", logging.INFO, __file__, 1, "flat %s of é\n%d", ("r", 3), None),
        logging.makeLogRecord({"name": "survey", "levelno": 35, "msg": "failed", "data_id": {"visit": 5}}),
    ]
    records[1].exc_text = "Traceback\nValueError: a reason"
    for record in records:
        record.created = 1_700_000_000.25
    return LogRecords.from_logging(records)


def figure() -> Figure:
    figure = Figure(figsize=(2, 1))
    figure.subplots().plot([1, 2, 3])
    return figure


def shows(drawn: Any, image: Any) -> None:
    sink = io.BytesIO()
    drawn.savefig(sink, format="png", metadata={"Software": None})
    # A figure that was only looked at again is compared with itself.
    assert drawn is image or not isinstance(image, bytes) or image == sink.getvalue()


@dataclass(frozen=True)
class Case:
    label: str
    storage_class: str
    examples: Callable[[], list[Any]]
    check: Callable[[Any, Any], None] = same
    wrong: Any = ...
    delimited: bool = True
    """Whether the format can tell that its end is missing; elsewhere the recorded size and checksum tell."""
    read_as: type | None = None
    """What it is read as, where that is not what was written."""

    @property
    def formatter(self) -> Formatter:
        return default_formatters().by_label(self.label)

    @property
    def pytype(self) -> type:
        return self.read_as or resolve_pytype(default_storage_classes().getStorageClass(self.storage_class))

    def written(self, obj: Any, **parameters: object) -> bytes:
        # Such a file is what a dataset that is put is written to.
        with SpooledTemporaryFile(1024) as file:
            sink = cast(BinaryIO, file)
            self.formatter.write(obj, sink, parameters)
            sink.seek(0)
            return sink.read()


NESTED = {"a": [1, -2.5, None, True, {"b": "é\n\u2028 ", "": []}], "big": 10**30, "tiny": 5e-324}
UNENDING = {"inf": float("inf"), "-inf": [float("-inf")]}
IMAGES = [
    np.arange(6, dtype=kind).reshape(2, 3)
    for kind in ("u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f4", "f8")
]
CUBES = [np.arange(24, dtype="f4").reshape(2, 3, 4), np.arange(5, dtype="i2"), np.ones((1, 2, 2, 2))]
CHUNKED = [
    np.arange(3),
    np.asfortranarray(np.ones((200, 300), ">f8")),
    np.array([b"a", b""]),
    np.array([True, False]),
    np.array([(1, 2.5)], [("a", "i2"), ("b", "f8")]),
    np.array([1 + 2j, np.nan]),
]
ARRAYS = [
    np.arange(3),
    np.array(1.5),
    np.zeros((0, 3), "f4"),
    np.asfortranarray(np.ones((2, 3))),
    np.array(["é", ""]),
    np.zeros(2, [(f"flux_of_band_{number}", "f8") for number in range(1_000)]),
]

CASES = [
    Case("json", "StructuredDataDict", lambda: [{}, NESTED, UNENDING], wrong={"a": {1, 2}}),
    Case("json", "StructuredDataList", lambda: [[], [NESTED, "x"]], wrong=[(1, 2)]),
    Case(
        "json",
        "StructuredData",
        lambda: [None, True, [1], {"a": 1}, "x"],
        wrong=np.float64(1),
        delimited=False,
    ),
    Case("json", "int", lambda: [0, -(10**40)], wrong=np.int64(1), delimited=False),
    Case("json", "float", lambda: [0.1, -0.0, float("inf")], wrong=np.float64(1), delimited=False),
    Case("json", "str", lambda: ["", 'a"\\é\x00'], wrong=b"x"),
    Case(
        "yaml",
        "StructuredDataDict",
        lambda: [{}, NESTED, UNENDING, {1: "a", None: b"\x00"}],
        wrong={"a": (1,)},
        delimited=False,
    ),
    Case("text", "Text", lambda: ["", "a\r\nb\ré\x00"], wrong=b"x", delimited=False),
    Case("bytes", "Bytes", lambda: [b"", bytes(range(256))], wrong="x", delimited=False),
    Case("parquet", "DataFrame", frames, same_frame),
    Case("parquet", "ArrowTable", arrow_tables, same_arrow),
    Case("parquet", "ArrowAstropy", lambda: [wide_table(), wide_table()[:0], Table()], same_table),
    Case("parquet", "ArrowAstropy", lambda: [quantity_table()], same_table),
    Case(
        "parquet", "ArrowNumpy", lambda: [structured_array(), structured_array()[:0]], same_array, np.zeros(3)
    ),
    Case("ecsv", "AstropyTable", lambda: [plain_table()], same_table, delimited=False),
    Case("ecsv", "AstropyQTable", lambda: [quantity_table()], same_table, delimited=False),
    Case("npy", "NumpyArray", lambda: [*ARRAYS, structured_array()], same_array, np.array([None])),
    Case("fits", "FitsHDUList", lambda: [hdu_list(), fits.HDUList([fits.PrimaryHDU()])], same_hdus),
    Case("fits", "FitsImage", lambda: [*IMAGES, *CUBES], same_array, np.zeros((0, 2))),
    Case("fits", "FitsTable", lambda: [fits_table()], same_table, Table({"a": ["x "]})),
    Case("hdf5", "Hdf5Array", lambda: CHUNKED, same_array, np.array(["é"])),
    Case("matplotlib", "Plot", lambda: [figure()], shows, b"x", read_as=bytes),
    Case("logs", "LogRecords", lambda: [LogRecords(), log_records()], wrong=[], delimited=False),
    Case(
        "simple",
        "Packages",
        lambda: [Packages({}), Packages({"numpy": "2.0", "python": "3.12"}), Packages.from_system()],
        wrong={"numpy": "2"},
        delimited=False,
    ),
    Case(
        "simple",
        "Timespan",
        lambda: [Timespan(None, None), Timespan.EMPTY, Timespan.from_nsec(5, 10**18)],
        wrong=[1, 2],
        delimited=False,
    ),
    Case("pickle", "Pickle", lambda: [None, {"a": {1, 2}}, 1 + 2j], wrong=lambda: None),
]
