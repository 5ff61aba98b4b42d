# SPDX-License-Identifier: BSD-3-Clause
"""Parts, compression and other options of the formatters for arrays, figures and pickles."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import MaskedColumn, Table
from matplotlib.figure import Figure

from butler.formatters import default_formatters
from butler.formatters.slicing import slices_within
from butler_model.errors import FormatterError
from tests.support.formatter_cases import fits_table, same_array

FLOATS = np.random.default_rng(1).normal(100, 5, (256, 256)).astype("f4")
COUNTS = np.arange(64 * 64, dtype="i4").reshape(64, 64)


def written(label: str, obj: object, **parameters: object) -> io.BytesIO:
    sink = io.BytesIO()
    default_formatters().by_label(label).write(obj, sink, parameters)
    return sink


def read(
    label: str,
    source: io.BytesIO,
    pytype: type = np.ndarray,
    component: str | None = None,
    **parameters: object,
) -> Any:
    source.seek(0)
    return default_formatters().by_label(label).read(source, pytype, component, parameters)


# ------------------------------------------------------------------------------------------ parts of an array


@pytest.mark.parametrize(("label", "name"), [("fits", "section"), ("hdf5", "slices")])
@pytest.mark.parametrize(
    ("part", "same"),
    [
        ("1:3", np.s_[1:3]),
        (":, 5:9", np.s_[:, 5:9]),
        ("-2:, ::2", np.s_[-2:, ::2]),
        (slice(0, 4), np.s_[:4]),
        ([slice(None), slice(2, 10, 3)], np.s_[:, 2:10:3]),
    ],
)
def test_a_part_is_what_numpy_would_cut_out(label: str, name: str, part: object, same: Any) -> None:
    formatter = default_formatters().by_label(label)
    same_array(COUNTS[same], formatter.read(written(label, COUNTS), np.ndarray, parameters={name: part}))


@pytest.mark.parametrize(("label", "name"), [("fits", "section"), ("hdf5", "slices")])
@pytest.mark.parametrize(
    "part", ["1", "a:b", "0:65", "5:5", "9:3", "1:2,1:2,1:2", "::-1", "1:2:3:4", 5, [1, 2], (3,)]
)
def test_a_part_that_is_not_all_there_is_refused(label: str, name: str, part: object) -> None:
    with pytest.raises(FormatterError, match=f"'{label}'"):
        default_formatters().by_label(label).read(written(label, COUNTS), np.ndarray, parameters={name: part})


def test_a_part_of_an_empty_axis_is_the_whole_axis() -> None:
    assert slices_within(":", (0, 3)) == (slice(0, 0, 1), slice(0, 3, 1))


def test_only_an_image_has_sections_and_a_header_none() -> None:
    source = written("fits", fits_table())
    with pytest.raises(FormatterError, match="only an image has sections"):
        read("fits", source, Table, section="1:2")
    with pytest.raises(FormatterError, match="the header takes no parameters"):
        read("fits", source, fits.Header, "header", section="1:2")
    with pytest.raises(FormatterError, match="the shape takes no parameters"):
        read("hdf5", written("hdf5", COUNTS), list, "shape", slices="1:2")


def test_a_section_of_a_truncated_image_is_refused() -> None:
    content = written("fits", np.zeros((64, 64))).getvalue()
    with pytest.raises(FormatterError, match="truncated"):
        read("fits", io.BytesIO(content[:-2880]), section="0:1")


def test_the_shape_of_an_array_and_the_header_of_a_table_are_components() -> None:
    assert read("hdf5", written("hdf5", COUNTS), list, "shape") == [64, 64]
    header = read("fits", written("fits", fits_table()), fits.Header, "header")
    assert (header["XTENSION"], header["ORIGIN"]) == ("BINTABLE", "test")
    assert (
        read("fits", written("fits", fits.HDUList([fits.PrimaryHDU()])), fits.Header, "header")["NAXIS"] == 0
    )


# ------------------------------------------------------------------------------------------------ compression


@pytest.mark.parametrize("kind", ["u1", "i2", "u2", "i4", "i8", "f4", "f8"])
def test_lossless_images_come_back_as_they_were(kind: str) -> None:
    pixels = COUNTS.astype(kind)
    recipe = default_formatters().by_label("fits").write_recipes["lossless"]
    same_array(pixels, read("fits", written("fits", pixels, **recipe)))


def test_lossy_images_keep_what_is_above_the_noise_and_are_the_same_file_each_time() -> None:
    recipe = default_formatters().by_label("fits").write_recipes["lossy"]
    first = written("fits", FLOATS, **recipe)
    difference = np.abs(read("fits", first) - FLOATS).max()
    assert 0 < difference < 1
    assert len(first.getvalue()) < FLOATS.nbytes
    same_array(read("fits", first), read("fits", written("fits", FLOATS, **recipe)))


@pytest.mark.parametrize(
    ("pixels", "parameters", "message"),
    [
        (FLOATS, {"compression": "RICE_1"}, "RICE_1 loses something of floats; use one of GZIP_1"),
        (COUNTS.astype("i8"), {"compression": "RICE_1"}, "would change these values of int64"),
        (FLOATS, {"quantize_level": 4}, "say nothing without 'compression'"),
        (np.ones(()), {}, "is no image"),
    ],
)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_an_image_that_would_lose_something_unasked_is_refused(
    pixels: Any, parameters: dict[str, object], message: str
) -> None:
    with pytest.raises(FormatterError, match=message):
        written("fits", pixels, **parameters)


def test_a_flipped_bit_in_a_compressed_image_or_a_chunk_is_noticed() -> None:
    image = written("fits", COUNTS, compression="GZIP_2")
    array = written("hdf5", FLOATS)
    for label, source in (("fits", image), ("hdf5", array)):
        content = bytearray(source.getvalue())
        content[{"fits": 3 * 2880 + 100, "hdf5": len(content) - 1000}[label]] ^= 1
        with pytest.raises(FormatterError, match=f"'{label}'"):
            read(label, io.BytesIO(content))


def test_arrays_in_chunks_take_their_shape_and_compression() -> None:
    import h5py

    recipe = default_formatters().by_label("hdf5").write_recipes["compressed"]
    sink = written("hdf5", COUNTS, chunks=[8, 64], **recipe)
    same_array(COUNTS, read("hdf5", sink))
    with h5py.File(sink) as file:
        assert (file["data"].chunks, file["data"].compression) == ((8, 64), "gzip")
    with pytest.raises(FormatterError, match="'hdf5'"):
        written("hdf5", COUNTS, chunks=[100, 100])


def test_an_array_that_is_in_another_file_is_not_followed_there(tmp_path: Path) -> None:
    import h5py

    secret = tmp_path / "secret.h5"
    with h5py.File(secret, "w") as file:
        file["data"] = COUNTS
    layout = h5py.VirtualLayout(COUNTS.shape, COUNTS.dtype)
    layout[:] = h5py.VirtualSource(secret, "data", COUNTS.shape)
    raw = tmp_path / "raw"
    raw.write_bytes(COUNTS.tobytes())
    makers: tuple[Callable[[Any], Any], ...] = (
        lambda file: file.__setitem__("data", h5py.ExternalLink(secret, "data")),
        lambda file: file.__setitem__("data", h5py.SoftLink("/other")),
        lambda file: file.create_virtual_dataset("data", layout),
        lambda file: file.create_dataset(
            "data", COUNTS.shape, COUNTS.dtype, external=[(raw, 0, COUNTS.nbytes)]
        ),
        lambda file: file.create_group("data"),
    )
    for make in makers:
        sink = io.BytesIO()
        with h5py.File(sink, "w") as file:
            file["other"] = COUNTS
            make(file)
        with pytest.raises(FormatterError, match=r"of its own|in another file"):
            read("hdf5", sink)


# ----------------------------------------------------------------------------------------- tables in FITS files


@pytest.mark.parametrize(
    "table",
    [
        Table({"a": [1]}, meta={"lower": 1}),
        Table({"a": [1]}, meta={"MAP": {"a": 1}}),
        Table({"a": ["x "]}),
        Table({"a": ["é"]}),
        Table({"a": [b"x"]}),
        Table({"a": np.arange(3, dtype="i1")}),
        Table({"a": np.array([1, "x"], dtype=object)}),
    ],
    ids=["lower-case name", "mapping", "white space", "not ASCII", "bytes", "int8", "objects"],
)
@pytest.mark.filterwarnings("ignore")
def test_a_table_that_fits_would_change_is_refused(table: Table) -> None:
    with pytest.raises(FormatterError, match="'fits'"):
        written("fits", table)


def test_empty_text_and_not_a_number_are_no_masked_values() -> None:
    table = Table({"a": MaskedColumn([np.nan, 1.0], mask=[False, True]), "b": ["", "x"]})
    back = read("fits", written("fits", table), Table)
    assert back["a"].mask.tolist() == [False, True]
    assert np.isnan(back["a"][0])
    assert list(back["b"]) == ["", "x"]


# ------------------------------------------------------------------------------------------ figures and pickles


def test_a_figure_comes_back_as_the_image_it_is_and_says_so_when_asked_for_a_figure() -> None:
    source = written("matplotlib", Figure(figsize=(1, 1)), dpi=50)
    assert read("matplotlib", source, bytes, "png") == source.getvalue()
    with pytest.raises(FormatterError, match="get its component 'png'"):
        read("matplotlib", source, Figure)
    content = bytearray(source.getvalue())
    content[40] ^= 1
    with pytest.raises(FormatterError, match="does not have the sum"):
        read("matplotlib", io.BytesIO(content), bytes, "png")


@pytest.mark.parametrize("value", [None, "0", "true"])
def test_pickle_is_off_unless_the_environment_of_the_client_says_otherwise(
    value: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("BUTLER_ALLOW_PICKLE", raising=False)
    if value is not None:
        monkeypatch.setenv("BUTLER_ALLOW_PICKLE", value)
    for act in (lambda: written("pickle", {1}), lambda: read("pickle", io.BytesIO(b"N."), object)):
        with pytest.raises(FormatterError, match=r"runs whatever program .* set BUTLER_ALLOW_PICKLE=1"):
            act()
