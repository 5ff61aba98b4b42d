# SPDX-License-Identifier: BSD-3-Clause
"""What a program does with a butler: describe the data, put it, find it, get it back.

Nothing here knows whether the repository is embedded or behind services: that is in its address only.
"""

from __future__ import annotations

__all__ = ["CATALOG", "RUN", "put_and_get"]

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from butler import Butler, DatasetRef, DatasetType, DimensionRecord, errors

from .journal import Journal
from .source_catalog import SOURCES, make_catalog, sources_within
from .survey import insert_survey

RUN = "demo/catalogs"
CATALOG = "source_catalog"

_GOT_AT_ONCE = 200
_GOT_SINGLY = 100


def put_and_get(repository: str, journal: Journal, export: Path | None = None) -> str:
    """Make a repository, put a catalogue for every region of a survey, read them all back and compare.

    Parameters
    ----------
    repository
        Directory, or ``grpc://host:port/repository``; there must be none yet.
    export
        Export of a survey's dimension records; a small survey is made up if there is none.

    Returns
    -------
    checksum
        SHA-256, in hexadecimal digits, of all that was read.
    """
    with journal.step("Create the repository", "repository") as step:
        Butler.makeRepo(repository)
        step.add(1)
    with Butler(repository, run=RUN) as butler:
        _describe(butler, journal, export)
        regions = _regions(butler, journal)
        _put(butler, journal, regions)
        refs = _find(butler, journal, regions)
        checksum = _get(butler, journal, refs, regions)
        _get_singly(butler, journal, regions)
        _put_again(butler, journal, regions[0])
    return checksum


def _describe(butler: Butler, journal: Journal, export: Path | None) -> None:
    if export is None:
        with journal.step("Insert dimension records", "records") as step:
            step.add(insert_survey(butler))
    else:
        with journal.step("Import the export", "records") as step:
            summary = butler.import_(filename=export, progress=lambda phase, done, total: step.show(done))
            step.add(sum(count.new for count in summary.dimension_records.values()))
    with journal.step("Register dataset type", "type") as step:
        catalog = DatasetType(CATALOG, ("visit", "detector"), "ArrowTable", universe=butler.dimensions)
        step.add(butler.registry.registerDatasetType(catalog))


def _regions(butler: Butler, journal: Journal) -> list[DimensionRecord]:
    with journal.step("Query regions on the sky", "regions") as step:
        found = list(step.each(butler.registry.queryDimensionRecords("visit_detector_region")))
        step.remark = f"of {butler.registry.queryDataIds('visit').count()} visits"
    return found


def _catalog(region: DimensionRecord) -> pa.Table:
    return make_catalog(region.region, (region.visit, region.detector))


def _put(butler: Butler, journal: Journal, regions: Sequence[DimensionRecord]) -> None:
    with journal.step("Make and put catalogues", "datasets", len(regions)) as step:
        items = ((_catalog(region), CATALOG, region.dataId) for region in step.each(regions))
        refs = butler.put_many(items)
        step.remark = f"{len(refs) * SOURCES:,} rows"


def _find(butler: Butler, journal: Journal, regions: Sequence[DimensionRecord]) -> list[DatasetRef]:
    with journal.step("Query all datasets", "datasets") as step:
        refs = list(step.each(butler.registry.queryDatasets(CATALOG, collections=RUN)))
    assert {_key(ref.dataId) for ref in refs} == {_key(region) for region in regions}
    with journal.step("Query those of a visit", "datasets") as step:
        one = {"instrument": regions[0].instrument, "visit": regions[0].visit}
        found = list(step.each(butler.registry.queryDatasets(CATALOG, collections=RUN, dataId=one)))
        step.remark = f"visit {regions[0].visit}"
    assert found == [ref for ref in refs if ref.dataId["visit"] == one["visit"]]
    return refs


def _get(
    butler: Butler, journal: Journal, refs: Sequence[DatasetRef], regions: Sequence[DimensionRecord]
) -> str:
    expected = {_key(region): region for region in regions}
    digest = hashlib.sha256()
    with journal.step("Get all, compare values", "datasets", len(refs)) as step:
        for ref, catalog in step.each(_read(butler, refs)):
            region = expected[_key(ref.dataId)]
            assert catalog.equals(_catalog(region)), f"{ref} is not what was put"
            assert sources_within(catalog, region.region), f"{ref} has sources outside its region"
            for column in catalog.columns:
                digest.update(column.to_numpy().tobytes())
        step.remark = f"{step.count * SOURCES:,} rows"
    return digest.hexdigest()


def _read(butler: Butler, refs: Sequence[DatasetRef]) -> Iterator[tuple[DatasetRef, pa.Table]]:
    for start in range(0, len(refs), _GOT_AT_ONCE):
        some = refs[start : start + _GOT_AT_ONCE]
        yield from zip(some, butler.get_many(some), strict=True)


def _get_singly(butler: Butler, journal: Journal, regions: Sequence[DimensionRecord]) -> None:
    some = regions[:: max(1, len(regions) // _GOT_SINGLY)]
    with journal.step("Get columns, one by one", "datasets", len(some)) as step:
        for region in step.each(some):
            positions = butler.get(CATALOG, region.dataId, parameters={"columns": ["ra", "dec"]})
            assert positions.equals(_catalog(region).select(["ra", "dec"]))


def _put_again(butler: Butler, journal: Journal, region: DimensionRecord) -> None:
    """Show that nothing is ever replaced."""
    with journal.step("Put one again: refused", "refusal") as step:
        try:
            butler.put(_catalog(region).slice(0, 1), CATALOG, region.dataId)
        except errors.ConflictingDefinitionError as error:
            journal.note(f"Refused with {type(error).__name__}: {error}")
            step.add(1)
        assert step.count == 1, "a second put of the same data ID was accepted"
    assert butler.get(CATALOG, region.dataId).equals(_catalog(region))


def _key(named: Any) -> tuple[str, int, int]:
    """Return the values that tell datasets apart, of a data ID or of a record."""
    get = named.get if isinstance(named, DimensionRecord) else named.__getitem__
    return get("instrument"), get("visit"), get("detector")
