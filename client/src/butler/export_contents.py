# SPDX-License-Identifier: BSD-3-Clause
"""Writing what an export consists of, in the order in which an import needs it."""

from __future__ import annotations

__all__ = ["ExportContents", "ExportedDatasets", "Rewrite"]

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from typing import Any, TypeAlias
from uuid import UUID

from butler_model.collection import Collection, CollectionType
from butler_model.dataset import DatasetRef, DatasetType
from butler_model.errors import DatasetNotFoundError
from butler_model.ports import FoundDataset
from butler_model.query.spec import QuerySpec, ResultKind
from butler_model.timespan import Timespan

from .connect import Connection
from .export_artifacts import ExportArtifacts
from .export_formatters import foreign_name
from .export_records import ExportRecords
from .export_writing import ExportWriter, time_fields
from .ingest import FileDataset
from .ingest_files import Progress, cut

Rewrite: TypeAlias = Callable[[FileDataset], FileDataset]
"""Changes what an export says of a file."""
ExportedDatasets: TypeAlias = dict[str, dict[str, dict[UUID, Rewrite | None]]]
"""By dataset type and run, the ids of datasets."""


class ExportContents:
    """Writes the blocks of one export.

    Parameters
    ----------
    artifacts
        Brings the files of the datasets to where the export says that they are.
    """

    def __init__(
        self,
        connection: Connection,
        writer: ExportWriter,
        artifacts: ExportArtifacts,
        progress: Progress | None,
    ) -> None:
        self._registry = connection.registry
        self._batch = connection.info.limits.batch_items
        self._writer = writer
        self._artifacts = artifacts
        self._progress = progress

    def write(
        self,
        records: ExportRecords,
        collections: Mapping[str, Collection],
        dataset_types: Mapping[str, DatasetType],
        datasets: ExportedDatasets,
    ) -> None:
        """Write everything; `Butler.export` has the errors."""
        self._write_records(records)
        for collection in _children_first(collections):
            self._write_collection(collection)
        done, total = 0, sum(len(ids) for runs in datasets.values() for ids in runs.values())
        for name, runs in datasets.items():
            self._write_dataset_type(dataset_types[name])
            for run, ids in runs.items():
                written = self._dataset_records(ids, done, total)
                self._writer.write("dataset", {"dataset_type": name, "run": run}, records=written)
                done += len(ids)
        for name in sorted(collections):
            if collections[name].type is CollectionType.TAGGED:
                members = (id_ for id_, _ in self._members(name, datasets))
                self._write_members(collections[name], dataset_ids=members)
            elif collections[name].type is CollectionType.CALIBRATION:
                self._write_members(collections[name], validity_ranges=self._validity_ranges(name, datasets))
        self._writer.close()

    def _write_records(self, records: ExportRecords) -> None:
        for element, found in records:
            fields = (record.toDict() for record in found)
            self._writer.write("dimension", {"element": element}, records=map(_with_plain_times, fields))

    def _write_collection(self, collection: Collection) -> None:
        fields: dict[str, Any] = {"collection_type": collection.type.name, "name": collection.name}
        if collection.doc:
            fields["doc"] = collection.doc
        if collection.type is CollectionType.RUN:
            # Facts that runs had once; the older library still expects them.
            fields |= {"host": None, **time_fields(None, "timespan_begin", "timespan_end")}
        if collection.type is CollectionType.CHAINED:
            fields["children"] = list(collection.children)
        self._writer.write("collection", fields)

    def _write_dataset_type(self, dataset_type: DatasetType) -> None:
        fields = {
            "name": dataset_type.name,
            "dimensions": list(dataset_type.dimensions.names),
            "storage_class": dataset_type.storageClass_name,
            "is_calibration": dataset_type.isCalibration(),
        }
        self._writer.write("dataset_type", fields)

    def _dataset_records(
        self, ids: Mapping[UUID, Rewrite | None], done: int, total: int
    ) -> Iterator[dict[str, Any]]:
        for batch in cut(ids, self._batch):
            found = [
                _still_there(each, id_)
                for each, id_ in zip(
                    self._registry.datasets.get(batch, want_artifacts=True), batch, strict=True
                )
            ]
            paths = self._artifacts.transfer(found)
            groups: dict[Any, list[int]] = {}
            for i, each in enumerate(found):
                places = [(artifact.record.store, artifact.record.key) for artifact in each.artifacts]
                groups.setdefault(tuple(places) or i, []).append(i)
            for members in groups.values():
                first = members[0]
                refs = [found[i].ref for i in members]
                yield {
                    "dataset_id": [ref.id for ref in refs],
                    "data_id": [dict(ref.dataId.required) for ref in refs],
                    **_file_fields(found[first], paths[first], refs, ids[batch[first]]),
                }
            done += len(batch)
            if self._progress is not None:
                self._progress("datasets", done, total)

    def _write_members(self, collection: Collection, **members: Iterable[Any]) -> None:
        fields = {"collection": collection.name, "collection_type": collection.type.name}
        self._writer.write("associations", fields, **members)

    def _validity_ranges(self, collection: str, datasets: ExportedDatasets) -> Iterator[dict[str, Any]]:
        ranges: dict[Timespan, list[UUID]] = {}
        for id_, timespan in self._members(collection, datasets):
            ranges.setdefault(timespan, []).append(id_)
        for timespan, ids in ranges.items():
            yield {**time_fields(timespan, "begin", "end"), "dataset_ids": ids}

    def _members(self, collection: str, datasets: ExportedDatasets) -> Iterator[tuple[UUID, Timespan]]:
        """Yield the datasets of a collection that are exported, with their ranges of validity."""
        for name, runs in datasets.items():
            spec = QuerySpec(
                ResultKind.DATASETS,
                dataset_type=name,
                collections=(collection,),
                dataset_fields=("timespan",),
            )
            with closing(self._registry.queries.stream(spec)) as pages:  # type: ignore[type-var] # a generator
                for page in pages:
                    for id_, timespan in zip(page.column("id"), page.column("timespan"), strict=True):
                        if any(id_ in ids for ids in runs.values()):
                            yield id_, timespan


def _children_first(collections: Mapping[str, Collection]) -> Iterator[Collection]:
    """Yield collections by name, chains after all others and after what is in them."""
    done: set[str] = set()

    def visit(name: str) -> Iterator[Collection]:
        if name in collections and name not in done:
            done.add(name)
            for child in collections[name].children:
                yield from visit(child)
            yield collections[name]

    for name in sorted(collections, key=lambda each: (bool(collections[each].children), each)):
        yield from visit(name)


def _with_plain_times(fields: dict[str, Any]) -> dict[str, Any]:
    if "timespan" in fields:
        fields |= time_fields(fields.pop("timespan"), "datetime_begin", "datetime_end")
    return fields


def _still_there(found: FoundDataset | None, id_: UUID) -> FoundDataset:
    if found is None:
        raise DatasetNotFoundError(
            f"The dataset with the id {id_} was removed while it was exported; export again.",
            dataset_id=str(id_),
        )
    return found


def _file_fields(
    found: FoundDataset, paths: Sequence[str], refs: Sequence[DatasetRef], rewrite: Rewrite | None
) -> dict[str, Any]:
    """Return what a record says of the files of datasets; nothing if nothing is stored."""
    entries = []
    for artifact, path in zip(found.artifacts, paths, strict=True):
        layout = artifact.record.layout
        label = layout.formatter
        if rewrite is not None:
            rewritten = rewrite(FileDataset(path, refs, label))
            path, label = str(rewritten.path), rewritten.formatter or label
        entry = (
            {"component": layout.component, "storage_class": layout.storage_class} if layout.component else {}
        )
        foreign = foreign_name(label, layout.storage_class)
        entry |= {"path": path} | ({"butler_formatter": label} if foreign is None else {"formatter": foreign})
        entries.append(entry)
    if any("component" in entry for entry in entries):
        return {"components": entries}
    return entries[0] if entries else {}
