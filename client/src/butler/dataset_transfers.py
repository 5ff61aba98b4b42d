# SPDX-License-Identifier: BSD-3-Clause
"""Datasets on their way from one repository into another: the ids stay, files are linked, copied or streamed.

They go batch by batch: each is there wholly or not at all, and what is there already is left alone, so a transfer that
was broken off is repeated to go on.
"""

from __future__ import annotations

__all__ = ["DatasetTransfer", "TransferSummary"]

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from uuid import UUID, uuid4

from butler_model.artifact import Artifact
from butler_model.collection import CollectionType
from butler_model.data_id import DataCoordinate
from butler_model.dataset import DatasetRef, DatasetType
from butler_model.errors import (
    CollectionTypeError,
    ConflictingDefinitionError,
    IncompatibleVersionError,
    InvalidRequestError,
    MissingDatasetTypeError,
    UnsupportedOperationError,
)
from butler_model.ports import FoundDataset, Placing

from .connect import Connection
from .export_records import ExportRecords
from .group_puts import DatasetGroup, GroupPuts, SourceArtifact, cut_groups
from .ingest_files import Progress, cut
from .loading import insert_records
from .lookup import registered
from .source_contents import SourceContents
from .transfer_modes import REFERRING, RouteFinder

_STREAMING = ("auto", "copy")


@dataclass(slots=True)
class TransferSummary:
    """What a transfer did, or would do.

    Attributes
    ----------
    refs
        Datasets that are new in the target.
    found, new
        By dataset type, how many were given, and how many of these are new in the target.
    missing
        By dataset type, how many were left out because nothing is stored of them.
    artifacts, artifact_bytes
        Files of the new ones, and their length in bytes.
    """

    refs: list[DatasetRef] = field(default_factory=list)
    found: Counter[str] = field(default_factory=Counter)
    new: Counter[str] = field(default_factory=Counter)
    missing: Counter[str] = field(default_factory=Counter)
    artifacts: int = 0
    artifact_bytes: int = 0

    def add(self, dataset_type: str, groups: Iterable[DatasetGroup], refs: Mapping[UUID, DatasetRef]) -> None:
        """Count datasets that are new."""
        for group in groups:
            self.refs += [refs[id_] for id_ in group.ids]
            self.new[dataset_type] += len(group.ids)
            self.artifacts += len(group.artifacts)
            self.artifact_bytes += group.size


class DatasetTransfer:
    """Transfers datasets from one repository into another.

    Parameters
    ----------
    transfer, skip_missing, register_dataset_types
        As `Butler.transfer_from` takes them; it has the errors, too.
    dry_run
        Whether only to look.
    """

    def __init__(
        self,
        source: Connection,
        target: Connection,
        *,
        transfer: str = "auto",
        skip_missing: bool = True,
        register_dataset_types: bool = False,
        dry_run: bool = False,
    ) -> None:
        if transfer not in (*_STREAMING, *REFERRING):
            raise InvalidRequestError(
                f"Datasets are not transferred between repositories by {transfer!r:.80}: what is in the source must "
                f"stay there. Use one of {', '.join(map(repr, (*_STREAMING, *REFERRING)))}.",
                transfer=str(transfer)[:80],
            )
        if source.info.universe is not target.info.universe:
            raise IncompatibleVersionError(
                f"The source has {source.info.universe}, the target has {target.info.universe}; export the datasets "
                "from the one and import them into the other, which brings older universes up to newer ones.",
                version=str(source.info.universe.version),
                supported=str(target.info.universe.version),
            )
        self._source = source
        self._target = target
        self._transfer = transfer
        self._skip_missing = skip_missing
        self._register_types = register_dataset_types
        self._dry_run = dry_run
        self._finder = RouteFinder(transfer, target.store_root, target.datastore)
        self._puts = GroupPuts(target)
        self._types: dict[str, bool] = {}
        self._runs: dict[str, bool] = {}
        self._batch = min(source.info.limits.batch_items, target.info.limits.batch_items)

    def transfer_records(self, data_ids: Iterable[DataCoordinate]) -> Mapping[str, int]:
        """Insert the dimension records of data IDs, but for those that are there; return how many are new, by element.

        Nothing is inserted in a dry run.
        """
        records = ExportRecords(self._source)
        groups: dict[object, list[DataCoordinate]] = {}
        for data_id in data_ids:
            groups.setdefault(data_id.dimensions, []).append(data_id)
        for of_group in groups.values():
            for some in cut(of_group, self._batch):
                records.add_data_ids(some, None)
        records.complete()
        if self._dry_run:
            return {}
        counts = insert_records(self._target, dict(records), _ignore)
        return {element: count.new for element, count in counts.items()}

    def transfer(self, refs: Sequence[DatasetRef], progress: Progress | None) -> TransferSummary:
        """Transfer datasets, given by resolved refs of the source."""
        summary = TransferSummary()
        report = progress or _ignore
        done = 0
        report("datasets", done, len(refs))
        for part in cut(refs, self._batch):
            ids = list(dict.fromkeys(ref.getCheckedId() for ref in part))
            datasets = self._source.registry.datasets.get(ids, want_artifacts=True)
            places: dict[tuple[str, str], list[FoundDataset]] = {}
            for each in map(registered, datasets, ids):
                places.setdefault((each.ref.datasetType.name, str(each.ref.run)), []).append(each)
            for (_, run), found in places.items():
                self._transfer_to(run, found, summary)
            done += len(part)
            report("datasets", done, len(refs))
        return summary

    def _transfer_to(self, run: str, found: Sequence[FoundDataset], summary: TransferSummary) -> None:
        """Transfer datasets of one type and run."""
        dataset_type = found[0].ref.datasetType
        name = dataset_type.name
        summary.found[name] += len(found)
        is_there = self._has_type(dataset_type) & self._has_run(run)
        refs = {each.ref.getCheckedId(): each.ref for each in found}
        stored = {each.ref.getCheckedId(): each.artifacts for each in found}
        contents = SourceContents(self._source)
        for batch in cut_groups(run, dataset_type, self._groups(found, contents), self._batch):
            missing = self._puts.missing(batch)
            kept = self._kept(missing, stored) if self._skip_missing else missing
            summary.missing[name] += _datasets(missing) - _datasets(kept)
            if not kept:
                continue
            rest = replace(batch, groups=tuple(kept))
            contents.expect([artifact for group in kept for artifact in stored[group.ids[0]]])
            new = kept
            if not self._dry_run:
                new = self._puts.put(rest)
            elif is_there:
                self._puts.check(rest)
            summary.add(name, new, refs)

    def _groups(self, found: Sequence[FoundDataset], contents: SourceContents) -> Iterator[DatasetGroup]:
        shared: dict[object, list[FoundDataset]] = {}
        for each in found:
            places = tuple((artifact.record.store, artifact.record.key) for artifact in each.artifacts)
            shared.setdefault(places or each.ref.id, []).append(each)
        for members in shared.values():
            artifacts = members[0].artifacts
            yield DatasetGroup(
                tuple(each.ref.getCheckedId() for each in members),
                tuple(each.ref.dataId.mapping for each in members),
                tuple(self._artifact(artifact, contents) for artifact in artifacts),
            )

    def _artifact(self, artifact: Artifact, contents: SourceContents) -> SourceArtifact:
        record = artifact.record
        path = self._source.file_of(record)
        if path is not None:
            route = self._finder.moved(path)
            if route.mode is not None or route.placing is not Placing.TEMPLATE:
                return SourceArtifact(record.layout, route, record.size, record.checksum)
        if self._transfer in _STREAMING:
            return SourceArtifact(record.layout, contents.content(artifact), record.size)
        raise UnsupportedOperationError(
            f"{record.key!r:.300} of the source is no file that can be seen from here, so it cannot be transferred by "
            f"{self._transfer!r}; use 'copy'.",
            transfer=self._transfer,
        )

    def _kept(
        self, groups: Sequence[DatasetGroup], stored: Mapping[UUID, Sequence[Artifact]]
    ) -> list[DatasetGroup]:
        """Return those groups of which everything is stored in the source."""
        artifacts = [stored[group.ids[0]] for group in groups]
        grants = [artifact.grant for some in artifacts for artifact in some]
        exist = iter(self._source.datastore.exists(grants)) if grants else iter(())
        kept = []
        for group, some in zip(groups, artifacts, strict=True):
            present = [next(exist) for _ in some]
            if present and all(present):
                kept.append(group)
        return kept

    def _has_type(self, dataset_type: DatasetType) -> bool:
        """Register a dataset type if need be, and return whether the target has it now."""
        name = dataset_type.name
        if name not in self._types:
            there = self._target.registry.dataset_types.find([name])
            if there and there[0] != dataset_type:
                raise ConflictingDefinitionError(
                    f"The source has {dataset_type}, the target has {there[0]}; rename one of them.",
                    dataset_type=name,
                )
            if not there and not self._register_types:
                raise MissingDatasetTypeError(
                    f"The target has no dataset type {name!r}; register it, or use register_dataset_types=True.",
                    dataset_type=name,
                )
            if not there and not self._dry_run:
                self._target.registry.dataset_types.register(dataset_type, request_id=uuid4())
            self._types[name] = bool(there) or not self._dry_run
        return self._types[name]

    def _has_run(self, run: str) -> bool:
        """Register a run if need be, and return whether the target has it now."""
        if run not in self._runs:
            there = self._target.registry.collections.find([run])
            if there and there[0].type is not CollectionType.RUN:
                raise CollectionTypeError(
                    f"{run!r} is a RUN of the source, and {there[0].type.name} in the target.", collection=run
                )
            if not there and not self._dry_run:
                collection = self._source.registry.collections.get(run)
                self._target.registry.collections.register(collection, request_id=uuid4())
            self._runs[run] = bool(there) or not self._dry_run
        return self._runs[run]


def _datasets(groups: Iterable[DatasetGroup]) -> int:
    return sum(len(group.ids) for group in groups)


def _ignore(phase: str, done: int, total: int, /) -> None:
    pass
