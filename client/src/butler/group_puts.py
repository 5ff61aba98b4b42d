# SPDX-License-Identifier: BSD-3-Clause
"""Putting datasets that exist elsewhere already, under their own ids: those of an export, or of another repository."""

from __future__ import annotations

__all__ = ["DatasetGroup", "GroupBatch", "GroupPuts", "SourceArtifact", "cut_groups"]

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from uuid import UUID, uuid4, uuid5

from butler_model.artifact import ArtifactLayout
from butler_model.data_id import DataCoordinate, DataIdValue
from butler_model.dataset import DatasetRef, DatasetType
from butler_model.errors import ConflictingDefinitionError
from butler_model.failpoints import reach
from butler_model.ports import BeginPut, Placing, PutBatch, PutIntent

from .connect import Connection
from .ingest_files import FileStoring, StoredFile, cut
from .putting import Content, PutProtocol
from .transfer_modes import Route

_NAMESPACE = UUID("5b8f7d1c-3c0e-4f6e-9f3b-6f1d0c9b7a52")
_BATCH_FILES = 500
_BATCH_BYTES = 256 * 1024 * 1024
"""Limits of a batch with files, so that it is done well within its lease."""


@dataclass(frozen=True, slots=True)
class SourceArtifact:
    """What is stored of a dataset, or of a component of it, and where its bytes come from.

    Attributes
    ----------
    source
        The way of a file into the datastore, or bytes to be uploaded.
    size
        Their number; 0 if it is not known.
    checksum
        What a file must have, if it is known.
    """

    layout: ArtifactLayout
    source: Route | Content
    size: int
    checksum: str = ""


@dataclass(frozen=True, slots=True)
class DatasetGroup:
    """Datasets that share their artifacts, or one dataset.

    Attributes
    ----------
    data_ids
        One per id: the values given for the dimensions of their type, implied ones too.
    artifacts
        One, or one per component; none if the datasets are to be registered only.
    """

    ids: tuple[UUID, ...]
    data_ids: tuple[Mapping[str, DataIdValue], ...]
    artifacts: tuple[SourceArtifact, ...] = ()

    @property
    def size(self) -> int:
        """Length of the artifacts in bytes."""
        return sum(artifact.size for artifact in self.artifacts)


@dataclass(frozen=True, slots=True)
class GroupBatch:
    """Datasets of one type that are put into one run together."""

    run: str
    dataset_type: DatasetType
    groups: tuple[DatasetGroup, ...]

    @property
    def ids(self) -> list[UUID]:
        """The ids of all of its datasets."""
        return [id_ for group in self.groups for id_ in group.ids]


def cut_groups(
    run: str, dataset_type: DatasetType, groups: Iterable[DatasetGroup], limit: int
) -> Iterator[GroupBatch]:
    """Cut datasets into batches, each of which is done in time; the same groups always give the same batches.

    Parameters
    ----------
    limit
        Most datasets that a service takes in one batch.
    """
    parts = cut(
        groups,
        limit,
        (lambda group: len(group.ids), limit),
        (lambda group: len(group.artifacts), _BATCH_FILES),
        (lambda group: group.size, _BATCH_BYTES),
    )
    return (GroupBatch(run, dataset_type, tuple(part)) for part in parts)


class GroupPuts:
    """Puts batches so that each is there wholly or not at all, and so that all can be repeated."""

    def __init__(self, connection: Connection) -> None:
        self._registry = connection.registry
        self._protocol = PutProtocol(connection.registry, connection.datastore, connection.info.limits)
        self._storing = FileStoring(connection, None)

    def missing(self, batch: GroupBatch) -> list[DatasetGroup]:
        """Return what of a batch is not there already.

        Raises
        ------
        ConflictingDefinitionError
            Raised if an id is that of another dataset.
        """
        wanted = batch.ids
        found = dict(zip(wanted, self._registry.datasets.get(wanted), strict=True))
        groups = []
        for group in batch.groups:
            absent = []
            for i, (id_, data_id) in enumerate(zip(group.ids, group.data_ids, strict=True)):
                there = found[id_]
                if there is None:
                    absent.append(i)
                else:
                    _check_same(batch, data_id, there.ref)
            if absent:
                ids = tuple(group.ids[i] for i in absent)
                data_ids = tuple(group.data_ids[i] for i in absent)
                groups.append(replace(group, ids=ids, data_ids=data_ids))
        return groups

    def put(self, batch: GroupBatch) -> list[DatasetGroup]:
        """Put a batch; return what of it was not there already.

        Raises
        ------
        ConflictingDefinitionError
            Raised if the run has another dataset of one of the data IDs, or an id is that of another dataset.
        """
        missing = self.missing(batch)
        if sum(len(group.ids) for group in missing) < len(batch.ids):
            reach("import.resume")
        while missing:
            try:
                self._put(batch, missing)
                return missing
            except ConflictingDefinitionError:
                # Someone else may be putting the same datasets.
                rest = self.missing(replace(batch, groups=tuple(missing)))
                if [group.ids for group in rest] == [group.ids for group in missing]:
                    raise
                missing = rest
        return []

    def check(self, batch: GroupBatch) -> None:
        """Raise what beginning to put a batch would; nothing is begun."""
        batches = tuple(_put_batch(batch, members) for members in _by_kind(batch.groups))
        self._registry.puts.begin(BeginPut(uuid4(), batch.run, batches, validate_only=True))

    def _put(self, batch: GroupBatch, groups: Sequence[DatasetGroup]) -> None:
        kinds = _by_kind(groups)
        ordered = [group for members in kinds for group in members]
        # The same batch is always the same request, so what was killed can be taken up again.
        request_id = uuid5(_NAMESPACE, " ".join(map(str, batch.ids)))
        begin = BeginPut(request_id, batch.run, tuple(_put_batch(batch, m) for m in kinds))
        files: list[StoredFile] = []

        def store(begun: Sequence[Sequence[PutIntent]]) -> list[list[bytes]]:
            contents: list[tuple[bytes, Content]] = []
            intents = iter(begun[0])
            for group in ordered:
                first, *_ = (next(intents) for _ in group.ids)
                tokens = {grant.component: grant.token for grant in first.grants}
                for artifact in group.artifacts:
                    component = artifact.layout.component
                    if isinstance(artifact.source, Route):
                        file = StoredFile(
                            artifact.source, tokens[component], first.dataset_id, component, artifact.checksum
                        )
                        files.append(file)
                    else:
                        contents.append((tokens[component], artifact.source))
            return [self._storing.store([files], self._protocol)[0] + self._protocol.upload(contents)]

        self._protocol.carry_out([begin], store)
        self._registry.after_commit(lambda: self._storing.remove_sources(files))


def _by_kind(groups: Iterable[DatasetGroup]) -> list[list[DatasetGroup]]:
    kinds: dict[tuple[object, ...], list[DatasetGroup]] = {}
    for group in groups:
        kinds.setdefault(_kind(group), []).append(group)
    return list(kinds.values())


def _kind(group: DatasetGroup) -> tuple[object, ...]:
    """Return what datasets have in common that travel as one batch of a request."""
    layouts = tuple(artifact.layout for artifact in group.artifacts)
    return layouts, _placing(group), frozenset(group.data_ids[0])


def _placing(group: DatasetGroup) -> Placing:
    placings = {a.source.placing for a in group.artifacts if isinstance(a.source, Route)}
    return placings.pop() if placings else Placing.TEMPLATE


def _put_batch(batch: GroupBatch, groups: Sequence[DatasetGroup]) -> PutBatch:
    keys = [
        artifact.source.key
        for group in groups
        for artifact in group.artifacts
        if isinstance(artifact.source, Route) and artifact.source.key
    ]
    shared = any(len(group.ids) > 1 for group in groups)
    return PutBatch(
        batch.dataset_type.name,
        batch.dataset_type.storageClass_name,
        [data_id for group in groups for data_id in group.data_ids],
        [id_ for group in groups for id_ in group.ids],
        tuple(artifact.layout for artifact in groups[0].artifacts),
        tuple(len(group.ids) for group in groups) if shared else (),
        _placing(groups[0]),
        tuple(keys),
    )


def _check_same(batch: GroupBatch, data_id: Mapping[str, DataIdValue], there: DatasetRef) -> None:
    mine = DataCoordinate.standardize(data_id, dimensions=batch.dataset_type.dimensions)
    wanted = (batch.dataset_type.name, batch.run, mine)
    if wanted != (there.datasetType.name, there.run, there.dataId):
        raise ConflictingDefinitionError(
            f"The repository has {there}; in what is to be put this id belongs to {batch.dataset_type.name}@"
            f"{dict(data_id)} in {batch.run}.",
            existing_id=str(there.id),
            dataset_type=batch.dataset_type.name,
            run=batch.run,
        )
