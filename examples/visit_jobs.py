# SPDX-License-Identifier: BSD-3-Clause
"""The jobs that examples run on clusters: each detector of a visit is measured, and then each visit summed up.

A job gets a butler that was pickled, which is the address of the repository and little more. The process that runs the
job opens it anew, and all of its butlers share one connection. A job that is run again, because a worker died, finds
that its dataset is there already.
"""

from __future__ import annotations

__all__ = ["DataId", "Visit", "compare", "describe", "measure", "sum_up", "visits_of"]

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, islice
from typing import Any

from butler import Butler, DatasetType, errors

from .journal import Journal
from .survey import insert_survey

MEASUREMENT = "measurement"
SUMMARY = "visit_summary"
DataId = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Visit:
    """A visit, and the data IDs of its detectors."""

    data_id: DataId
    detectors: Sequence[DataId]

    @property
    def numbers(self) -> list[int]:
        """Which detectors it has."""
        return [data_id["detector"] for data_id in self.detectors]


def describe(repository: str, run: str) -> None:
    """Make a repository with a survey and the dataset types of the jobs."""
    Butler.makeRepo(repository)
    with Butler(repository, run=run) as butler:
        insert_survey(butler)
        for name, dimensions in ((MEASUREMENT, ("visit", "detector")), (SUMMARY, ("visit",))):
            butler.registry.registerDatasetType(
                DatasetType(name, dimensions, "StructuredDataDict", universe=butler.dimensions)
            )


def visits_of(butler: Butler, count: int) -> list[Visit]:
    """Return the first visits of a survey."""
    found = butler.registry.queryDataIds(["visit", "detector"]).order_by("visit", "detector")
    plain = (dict(data_id.required) for data_id in found)
    visits = []
    for _, group in islice(groupby(plain, key=lambda data_id: data_id["visit"]), count):
        detectors = list(group)
        visit = {name: detectors[0][name] for name in ("instrument", "visit")}
        visits.append(Visit(visit, detectors))
    return visits


def measure(butler: Butler, data_id: DataId) -> int:
    """Put the measurement of a detector; return its value."""
    value = _value(data_id)
    _put_once(butler, {"value": value}, MEASUREMENT, data_id)
    return value


def sum_up(butler: Butler, visit: DataId, detectors: Sequence[int], values: Sequence[int]) -> int:
    """Get the measurements of a visit, and put their sum; return it.

    Raises
    ------
    RuntimeError
        If other measurements are stored than the jobs told.
    """
    stored = [butler.get(MEASUREMENT, visit, detector=detector)["value"] for detector in detectors]
    if stored != list(values):
        raise RuntimeError(f"{visit}: {stored} was stored, not {list(values)}")
    _put_once(butler, {"sum": sum(stored)}, SUMMARY, visit)
    return sum(stored)


def compare(butler: Butler, visits: Sequence[Visit], journal: Journal) -> int:
    """Look whether all is there that jobs of some visits put; return how many datasets that is.

    Raises
    ------
    RuntimeError
        If a dataset is lost, or has another content than was put.
    """
    with journal.step("Compare", "datasets") as step:
        expected = {visit.data_id["visit"]: sum(map(_value, visit.detectors)) for visit in visits}
        refs = list(butler.registry.queryDatasets(SUMMARY))
        pairs = zip(refs, butler.get_many(refs), strict=True)
        stored = {ref.dataId["visit"]: value["sum"] for ref, value in pairs}
        if stored != expected:
            raise RuntimeError(f"sums of {len(stored)} visits are there, and not as expected")
        measured = sum(len(visit.detectors) for visit in visits)
        count = butler.registry.queryDatasets(MEASUREMENT).count()
        if count != measured:
            raise RuntimeError(f"{count} measurements are there of {measured}")
        step.add(count + len(stored))
    return count + len(stored)


def _value(data_id: DataId) -> int:
    return int(data_id["visit"]) + int(data_id["detector"])


def _put_once(butler: Butler, value: object, dataset_type: str, data_id: DataId) -> None:
    """Put a dataset, unless a job that was run before has put the same."""
    try:
        butler.put(value, dataset_type, data_id)
    except errors.ConflictingDefinitionError:
        if butler.get(dataset_type, data_id) != value:
            raise
