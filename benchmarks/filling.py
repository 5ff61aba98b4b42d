# SPDX-License-Identifier: BSD-3-Clause
"""A repository of a given size, whose datasets are 1 kB of bytes each."""

from __future__ import annotations

__all__ = ["DETECTORS", "PAYLOAD", "RUN", "TYPE", "data_id", "describe"]

import random
from collections.abc import Mapping

from butler import Butler, DatasetType, Timespan

INSTRUMENT = "BenchCam"
DETECTORS = 100
RUN = "bench/run"
TYPE = "thousand_bytes"
PAYLOAD = random.Random(1).randbytes(1000)

_NIGHT = 20_250_101
_NIGHT_BEGINS = 1_735_700_000 * 10**9
_EXPOSURE = 30 * 10**9


def data_id(number: int) -> Mapping[str, str | int]:
    """Return the data ID of the dataset with that number: visits of `DETECTORS` datasets each."""
    visit, detector = divmod(number, DETECTORS)
    return {"instrument": INSTRUMENT, "visit": visit, "detector": detector}


def describe(butler: Butler, datasets: int) -> None:
    """Insert the dimension records for that many datasets, and register their type."""
    insert = butler.registry.insertDimensionData
    instrument = {"instrument": INSTRUMENT}
    visits = -(-datasets // DETECTORS)
    insert(
        "instrument",
        {"name": INSTRUMENT, "visit_max": visits, "exposure_max": visits, "detector_max": DETECTORS},
    )
    insert("physical_filter", {**instrument, "name": "Bench-r", "band": "r"})
    night = Timespan.from_nsec(_NIGHT_BEGINS, _NIGHT_BEGINS + visits * _EXPOSURE)
    insert("day_obs", {**instrument, "id": _NIGHT, "timespan": night})
    insert(
        "detector",
        *({**instrument, "id": number, "full_name": f"D{number:03d}"} for number in range(DETECTORS)),
    )
    insert("visit", *(_visit(number) for number in range(visits)))
    dataset_type = DatasetType(TYPE, ("visit", "detector"), "Bytes", universe=butler.dimensions)
    butler.registry.registerDatasetType(dataset_type)


def _visit(number: int) -> dict[str, object]:
    begin = _NIGHT_BEGINS + number * _EXPOSURE
    return {
        "instrument": INSTRUMENT,
        "id": number,
        "name": f"visit-{number}",
        "physical_filter": "Bench-r",
        "day_obs": _NIGHT,
        "exposure_time": 30.0,
        "timespan": Timespan.from_nsec(begin, begin + _EXPOSURE),
    }
