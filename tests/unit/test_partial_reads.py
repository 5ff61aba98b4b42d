# SPDX-License-Identifier: BSD-3-Clause
"""A part of a large dataset costs little more than the part."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from butler.formatters import default_formatters
from tests.support.counting import CountingFile

MIB = 1024 * 1024
RNG = np.random.default_rng(1)
IMAGE = RNG.random((4096, 4096), dtype="f4")


def written(label: str, obj: object, **parameters: object) -> bytes:
    sink = io.BytesIO()
    default_formatters().by_label(label).write(obj, sink, parameters)
    return sink.getvalue()


def read(label: str, source: CountingFile, pytype: type, **parameters: object) -> Any:
    return default_formatters().by_label(label).read(source, pytype, parameters=parameters)


@pytest.fixture(scope="module")
def table() -> bytes:
    columns = {f"c{number}": RNG.random(131_072) for number in range(100)}
    return written("parquet", pa.table(columns), compression="none")


@pytest.fixture(scope="module")
def image() -> bytes:
    return written("fits", IMAGE)


@pytest.fixture(scope="module")
def array() -> bytes:
    return written("hdf5", IMAGE)


def test_two_columns_of_a_hundred_move_two_columns(table: bytes) -> None:
    assert len(table) >= 100 * MIB
    source = CountingFile(table)
    assert read("parquet", source, pa.Table, columns=["c7", "c70"]).num_rows == 131_072
    assert source.moved < 5 * MIB


def test_a_section_of_an_image_moves_the_rows_that_hold_it(image: bytes) -> None:
    assert len(image) >= 64 * MIB
    source = CountingFile(image)
    np.testing.assert_array_equal(
        read("fits", source, np.ndarray, section="100:300, 1000:1200"), IMAGE[100:300, 1000:1200]
    )
    assert source.moved < 5 * MIB


def test_the_same_over_a_buffer_as_a_service_is_read(image: bytes) -> None:
    source = CountingFile(image)
    buffered = io.BufferedReader(source, 64 * 1024)
    part = (
        default_formatters()
        .by_label("fits")
        .read(buffered, np.ndarray, parameters={"section": (slice(100, 200), slice(1000, 1200))})
    )
    np.testing.assert_array_equal(part, IMAGE[100:200, 1000:1200])
    assert source.moved < 5 * MIB


def test_the_header_of_an_image_moves_no_pixels(image: bytes) -> None:
    from astropy.io.fits import Header

    source = CountingFile(image)
    header = default_formatters().by_label("fits").read(source, Header, component="header")
    assert isinstance(header, Header)
    assert (header["NAXIS1"], header["NAXIS2"]) == (4096, 4096)
    assert source.moved < MIB


def test_a_section_of_a_compressed_image_moves_the_tiles_that_hold_it() -> None:
    pixels = IMAGE[:1024]
    content = written("fits", pixels, compression="GZIP_2", tile_shape=[64, 64])
    source = CountingFile(content)
    np.testing.assert_array_equal(
        read("fits", source, np.ndarray, section="10:50, 100:200"), pixels[10:50, 100:200]
    )
    assert source.moved < len(content) / 20


def test_slices_of_an_array_move_the_chunks_that_hold_them(array: bytes) -> None:
    assert len(array) >= 64 * MIB
    source = CountingFile(array)
    np.testing.assert_array_equal(
        read("hdf5", source, np.ndarray, slices="100:300, 1000:1200"), IMAGE[100:300, 1000:1200]
    )
    assert source.moved < 5 * MIB
