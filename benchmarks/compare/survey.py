# SPDX-License-Identifier: BSD-3-Clause
"""The repository that both sides make: a camera, exposures, visits, and small datasets in runs."""

from __future__ import annotations

__all__ = [
    "CALIBRATION",
    "DETECTORS",
    "INSTRUMENT",
    "NIGHT_BEGINS",
    "OTHER",
    "RUN",
    "TYPE",
    "Subject",
    "attach",
    "prepare",
]

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lsst.sphgeom import ConvexPolygon, LonLat, UnitVector3d

from .library import STORAGE_CLASS, Library, Place

INSTRUMENT = "BenchCam"
DETECTORS = 100
RUN = "bench/run"
TYPE, OTHER, CALIBRATION = "bench_metric", "bench_other", "bench_calibration"
DIMENSIONS = ("instrument", "visit", "detector")
CHAIN, OLDER_RUN, CALIBRATION_RUN = "bench/chain", "bench/older", "bench/calibrations"
WITH_REGION = 1_000
"""Of how many datasets the region is known."""

_NIGHT = 20_250_101
NIGHT_BEGINS = 1_735_700_000 * 10**9
_EXPOSURE = 30 * 10**9


@dataclass(slots=True)
class Subject:
    """A repository that is measured, opened.

    Attributes
    ----------
    filled
        How many datasets there are in the run `RUN`, in visits of `DETECTORS` each.
    folder
        For files outside of the repository; the first ``filled`` ones are in it already.
    """

    library: Library
    place: Place
    filled: int
    folder: Path
    butler: Any

    @property
    def visits(self) -> int:
        """How many visits, and exposures, there are."""
        return self.filled // DETECTORS

    def data_id(self, number: int) -> dict[str, Any]:
        """Return the data ID of the dataset with that number, modulo the number of all."""
        visit, detector = divmod(number % self.filled, DETECTORS)
        return {"instrument": INSTRUMENT, "visit": visit, "detector": detector}

    def scattered(self, n: int, round: int) -> list[dict[str, Any]]:
        """Return data IDs that are not beside each other, others in each round."""
        return [self.data_id((round * n + i) * 7919) for i in range(n)]

    def refs(self, dataset_type: str = TYPE, collection: str = RUN, n: int | None = None) -> list[Any]:
        """Return refs of datasets that there are."""
        found = self.butler.query_datasets(
            dataset_type, collection, find_first=False, limit=None, explain=False
        )
        found = sorted(found, key=lambda ref: (ref.dataId["visit"], ref.dataId["detector"]))
        return found if n is None else found[:n]

    def get(self, number: int) -> Any:
        """Get a dataset by its data ID."""
        return self.butler.get(TYPE, self.data_id(number), collections=RUN)

    def payload(self, number: int) -> dict[str, Any]:
        """Return what a dataset holds, about 1 kB as JSON."""
        return {"number": number, "values": [round((number * 37 + i) % 1009 / 7, 6) for i in range(90)]}

    def file(self, number: int) -> str:
        """Return the path of a file that holds `payload`."""
        return str(self.folder / f"{number}.json")

    def write_files(self, n: int) -> None:
        """Write the first files."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for number in range(n):
            Path(self.file(number)).write_text(json.dumps(self.payload(number)))

    def to_ingest(self, n: int, run: str, dataset_type: str = OTHER) -> list[Any]:
        """Return files that are to become datasets of a run, which is registered if it is new."""
        types, butler = self.library.types, self.butler
        butler.registry.registerRun(run)
        of_type = butler.get_dataset_type(dataset_type)
        files = []
        for number in range(n):
            data_id = types.DataCoordinate.standardize(
                self.data_id(number), dimensions=of_type.dimensions, universe=butler.dimensions
            )
            files.append(types.FileDataset(self.file(number), [types.DatasetRef(of_type, data_id, run)]))
        return files

    def stored(self, n: int, run: str) -> list[Any]:
        """Return refs of new datasets with artifacts in the store."""
        self.butler.ingest(*self.to_ingest(n, run), transfer="copy")
        return self.refs(OTHER, run)


def prepare(library: Library, place: Place, filled: int, folder: Path) -> Subject:
    """Make a repository and fill it."""
    library.make(place)
    subject = attach(library, place, filled, folder)
    describe(subject, filled)
    subject.write_files(filled)
    subject.butler.ingest(*subject.to_ingest(filled, RUN, TYPE), transfer="copy")
    _register(subject, OLDER_RUN, TYPE, filled // 2)
    for n in (100, 1_000):
        _register(subject, f"{RUN}/{n}", TYPE, min(n, filled))
    _register(subject, CALIBRATION_RUN, CALIBRATION, filled)
    registry = subject.butler.registry
    registry.registerCollection(CHAIN, library.types.CollectionType.CHAINED)
    registry.setCollectionChain(CHAIN, [OLDER_RUN, RUN])
    return subject


def attach(library: Library, place: Place, filled: int, folder: Path) -> Subject:
    """Open a repository that is filled."""
    return Subject(library, place, filled, folder, library.open(place, collections=[RUN]))


def describe(subject: Subject, filled: int) -> None:
    """Insert the dimension records for that many datasets, and register the types."""
    insert = subject.butler.registry.insertDimensionData
    camera = {"instrument": INSTRUMENT}
    visits = filled // DETECTORS
    most = 10**8
    insert(
        "instrument", {"name": INSTRUMENT, "visit_max": most, "exposure_max": most, "detector_max": DETECTORS}
    )
    insert("physical_filter", {**camera, "name": "Bench-r", "band": "r"})
    insert("day_obs", {**camera, "id": _NIGHT})
    insert("group", *({**camera, "name": f"g{number}"} for number in range(visits)))
    insert("detector", *({**camera, "id": i, "full_name": f"D{i:03d}"} for i in range(DETECTORS)))
    insert("exposure", *(exposure(subject, number) for number in range(visits)))
    insert("visit", *(visit(subject, number) for number in range(visits)))
    # The older library exports no dataset of a visit and a detector without one.
    insert("visit_detector_region", *(_region(subject, number) for number in range(min(filled, WITH_REGION))))
    types = subject.library.types
    for name, is_calibration in ((TYPE, False), (OTHER, False), (CALIBRATION, True)):
        subject.butler.registry.registerDatasetType(
            types.DatasetType(
                name,
                DIMENSIONS,
                STORAGE_CLASS,
                universe=subject.butler.dimensions,
                isCalibration=is_calibration,
            )
        )


def visit(subject: Subject, number: int) -> dict[str, Any]:
    """Return a record of the dimension visit."""
    return {**_observation(subject, number), "name": f"visit-{number}"}


def exposure(subject: Subject, number: int) -> dict[str, Any]:
    """Return a record of the dimension exposure."""
    return {**_observation(subject, number), "obs_id": f"exposure-{number}", "group": f"g{number}"}


def data_ids(subject: Subject, n: int) -> Sequence[Mapping[str, Any]]:
    """Return the first data IDs."""
    return [subject.data_id(number) for number in range(n)]


def _observation(subject: Subject, number: int) -> dict[str, Any]:
    begin = NIGHT_BEGINS + number * _EXPOSURE
    return {
        "instrument": INSTRUMENT,
        "id": number,
        "physical_filter": "Bench-r",
        "day_obs": _NIGHT,
        "exposure_time": 30.0,
        "timespan": subject.library.timespan(begin, begin + _EXPOSURE),
    }


def _region(subject: Subject, number: int) -> dict[str, Any]:
    ra, dec = number % DETECTORS / 10, number // DETECTORS / 10
    corners = [(ra, dec), (ra + 0.1, dec), (ra + 0.1, dec + 0.1), (ra, dec + 0.1)]
    points = [UnitVector3d(LonLat.fromDegrees(*corner)) for corner in corners]
    return {**subject.data_id(number), "region": ConvexPolygon(points)}


def _register(subject: Subject, run: str, dataset_type: str, n: int) -> None:
    subject.butler.registry.registerRun(run)
    of_type = subject.butler.get_dataset_type(dataset_type)
    subject.library.register(subject.butler, of_type, data_ids(subject, n), run)
