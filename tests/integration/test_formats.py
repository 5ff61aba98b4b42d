# SPDX-License-Identifier: BSD-3-Clause
"""Storage classes that are shipped, with the formatters that are configured for them, in a repository."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from astropy.table import Table

from butler import Butler, DatasetType
from butler.log_records import LogRecords
from butler.packages import Packages
from butler_model.errors import FormatterError, StorageClassError
from butler_model.timespan import Timespan
from tests.support.formatter_cases import figure, log_records, same_array

# Larger than what is read at once, so that parts come in ranges.
IMAGE = np.arange(1200 * 1200, dtype="f8").reshape(1200, 1200)


@pytest.fixture(scope="module")
def butler(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Butler]:
    root = tmp_path_factory.mktemp("repository")
    Butler.makeRepo(root)
    with Butler(root, run="run", writeable=True) as butler:
        butler.registry.insertDimensionData("instrument", {"name": "HSC"})
        yield butler


def put(butler: Butler, storage_class: str, obj: object) -> DatasetType:
    kind = DatasetType(storage_class.lower(), ["instrument"], storage_class, universe=butler.dimensions)
    butler.registry.registerDatasetType(kind)
    butler.put(obj, kind, instrument="HSC")
    return kind


@pytest.mark.parametrize(
    "obj",
    [
        LogRecords(),
        log_records(),
        Packages({"numpy": "2.0"}),
        Timespan.from_nsec(5, None),
    ],
    ids=["no logs", "logs", "packages", "timespan"],
)
def test_small_values_come_back_equal(tmp_path: Path, obj: object) -> None:
    Butler.makeRepo(tmp_path)
    with Butler(tmp_path, run="run", writeable=True) as butler:
        butler.registry.insertDimensionData("instrument", {"name": "HSC"})
        kind = put(butler, type(obj).__name__, obj)
        assert butler.get(kind, instrument="HSC") == obj


@pytest.mark.parametrize(("storage_class", "parameter"), [("FitsImage", "section"), ("Hdf5Array", "slices")])
def test_a_part_of_an_array_is_a_parameter(butler: Butler, storage_class: str, parameter: str) -> None:
    kind = put(butler, storage_class, IMAGE)
    same_array(IMAGE, butler.get(kind, instrument="HSC"))
    part = butler.get(kind, instrument="HSC", parameters={parameter: "5:8, 1000:1004"})
    same_array(IMAGE[5:8, 1000:1004], part)
    with pytest.raises(StorageClassError, match="nonsense"):
        butler.get(kind, instrument="HSC", parameters={"nonsense": 1})


def test_the_header_of_a_table_and_the_image_of_a_figure_are_components(butler: Butler) -> None:
    put(butler, "FitsTable", Table({"a": [1, 2]}, meta={"RUN": 5}))
    assert butler.get("fitstable.header", instrument="HSC")["RUN"] == 5
    put(butler, "Plot", figure())
    assert butler.get("plot.png", instrument="HSC").startswith(b"\x89PNG")
    with pytest.raises(FormatterError, match="get its component 'png'"):
        butler.get("plot", instrument="HSC")


def test_rows_and_columns_of_a_table_are_chosen_by_parameters(butler: Butler) -> None:
    table = pa.table({"id": range(5), "flux_r": [0.5] * 5, "flux_g": [1.5] * 5})
    kind = put(butler, "ArrowTable", table)
    part: Any = butler.get(
        kind, instrument="HSC", parameters={"columns": "flux_*", "filters": [("id", ">", 2)]}
    )
    assert part == table.select(["flux_r", "flux_g"]).slice(3)


def test_pickles_are_written_and_read_where_the_environment_allows_it_only(
    butler: Butler, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(FormatterError, match="BUTLER_ALLOW_PICKLE"):
        put(butler, "Pickle", {1, 2})
    monkeypatch.setenv("BUTLER_ALLOW_PICKLE", "1")
    kind = put(butler, "Pickle", {1, 2})
    assert butler.get(kind, instrument="HSC") == {1, 2}
    monkeypatch.delenv("BUTLER_ALLOW_PICKLE")
    with pytest.raises(FormatterError, match="BUTLER_ALLOW_PICKLE"):
        butler.get(kind, instrument="HSC")
