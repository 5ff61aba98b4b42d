# SPDX-License-Identifier: BSD-3-Clause
"""All that a repository holds, as values that compare: what an export, an import or a transfer must bring along."""

from __future__ import annotations

__all__ = ["Contents", "contents_of", "save_all", "second_repository"]

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from butler import Butler, CollectionType, DatasetType
from butler.export_context import RepositoryExport
from tests.support.butlers import Deployment


@dataclass(frozen=True)
class Contents:
    """What two repositories that hold the same have in common.

    Attributes
    ----------
    records
        By element, what each record says, in text.
    collections
        Type, description and members, by name.
    dataset_types
        What those are, in text, of which there are datasets.
    datasets
        By id: type, run, data ID, and the bytes of each artifact by component.
    members
        Datasets of each collection that is no chain, and when they are valid.
    """

    records: dict[str, list[str]]
    collections: dict[str, tuple[str, str, tuple[str, ...]]]
    dataset_types: list[str]
    datasets: dict[UUID, tuple[str, str, dict[str, Any], dict[str, bytes]]]
    members: dict[str, list[tuple[UUID, str]]]


def contents_of(butler: Butler) -> Contents:
    """Return what a repository holds."""
    records = {
        element.name: sorted(_text(record) for record in butler.registry.queryDimensionRecords(element.name))
        for element in butler.dimensions
        if element.has_table
    }
    datasets = dict(_datasets(butler))
    names = {name for name, *_ in datasets.values()}
    types = [each for each in butler.registry.queryDatasetTypes() if each.name in names]
    infos = butler.collections.query_info("*")
    return Contents(
        {name: found for name, found in records.items() if found},
        {info.name: (info.type.name, info.doc, info.children) for info in infos},
        sorted(str(_facts(each)) for each in types),
        datasets,
        {
            info.name: sorted(
                (association.ref.getCheckedId(), str(association.timespan))
                for dataset_type in types
                for association in butler.registry.queryDatasetAssociations(
                    dataset_type, collections=info.name
                )
            )
            for info in infos
            if info.type is not CollectionType.CHAINED
        },
    )


def _facts(dataset_type: DatasetType) -> tuple[object, ...]:
    return (
        dataset_type.name,
        dataset_type.dimensions.names,
        dataset_type.storageClass_name,
        dataset_type.isCalibration(),
    )


def save_all(butler: Butler, export: RepositoryExport) -> None:
    """Export everything that a repository holds."""
    for element in butler.dimensions:
        if element.has_table:
            export.saveDimensionData(element, butler.registry.queryDimensionRecords(element.name))
    for name in butler.registry.queryCollections():
        export.saveCollection(name)
    export.saveDatasets(butler.query_all_datasets("*", find_first=False, limit=None, explain=False))


@contextmanager
def second_repository(place: Deployment, name: str = "second", **options: Any) -> Iterator[Butler]:
    """Make another repository beside the first, of the same services or in a directory of its own; give a butler."""
    address = place.other(name)
    Butler.makeRepo(address, **options)
    with Butler(address, writeable=True) as butler:
        yield butler


def _text(record: Any) -> str:
    fields = record.toDict()
    if fields.get("region") is not None:
        fields["region"] = fields["region"].encode().hex()
    return str(fields)


def _datasets(butler: Butler) -> Iterator[tuple[UUID, tuple[str, str, dict[str, Any], dict[str, bytes]]]]:
    for ref in butler.query_all_datasets("*", find_first=False, limit=None, explain=False):
        artifacts = {}
        (found,) = butler._connection.registry.datasets.get([ref.getCheckedId()], want_artifacts=True)
        assert found is not None
        for artifact in found.artifacts:
            content = b"".join(butler._connection.datastore.read(artifact.grant))
            artifacts[artifact.record.layout.component + ":" + artifact.record.layout.formatter] = content
        yield (
            ref.getCheckedId(),
            (
                ref.datasetType.name,
                str(ref.run),
                dict(ref.dataId.required),
                artifacts,
            ),
        )
