# SPDX-License-Identifier: BSD-3-Clause
"""A repository of a given size, whose datasets are 1 kB of bytes each."""

from __future__ import annotations

__all__ = ["DETECTORS", "PAYLOAD", "RUN", "SERVER_SETTINGS", "TYPE", "data_id", "describe", "register"]

import random
from collections.abc import Mapping
from uuid import uuid4

from butler import Butler, DatasetType, Timespan
from butler.connect import connect
from butler_model.dataset import new_dataset_id
from butler_model.ports import BeginPut, PutBatch

INSTRUMENT = "BenchCam"
DETECTORS = 100
RUN = "bench/run"
TYPE = "thousand_bytes"
PAYLOAD = random.Random(1).randbytes(1000)
SERVER_SETTINGS = {"shared_buffers": "2GB", "max_wal_size": "4GB"}
"""Of the database of a million datasets, which has a gigabyte: a part of the memory, as its manual says."""

_NIGHT = 20_250_101
_NIGHT_BEGINS = 1_735_700_000 * 10**9
_EXPOSURE = 30 * 10**9
_BATCH = 5_000


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


def register(address: str, datasets: int) -> None:
    """Put that many datasets without bytes."""
    connection = connect(address)
    try:
        puts = connection.registry.puts
        for first in range(0, datasets, _BATCH):
            data_ids = [data_id(number) for number in range(first, min(first + _BATCH, datasets))]
            ids = [new_dataset_id() for _ in data_ids]
            puts.begin(BeginPut(uuid4(), RUN, (PutBatch(TYPE, "Bytes", data_ids, ids, ()),)))
            puts.commit(ids, [], request_id=uuid4())
    finally:
        connection.release()


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
