# SPDX-License-Identifier: BSD-3-Clause
"""The service that finds datasets; implements `butler_model.ports.Datasets`."""

from __future__ import annotations

__all__ = ["DatasetService"]

from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any
from uuid import UUID

from butler_model.access import Verb
from butler_model.artifact import Artifact
from butler_model.data_id import DataCoordinate
from butler_model.dataset import DatasetRef
from butler_model.errors import ButlerError, LimitExceededError, MissingDatasetTypeError
from butler_model.ports import DatasetLookup, FoundDataset
from butler_model.repository import Limits
from butler_registry.storage.calibration_search import CalibrationSearch
from butler_registry.storage.database import Database
from butler_registry.storage.dataset_store import DatasetRow, DatasetStore
from butler_registry.storage.dataset_type_store import DatasetTypeRow

from .calibration_lookup import find_valid, temporal_dimensions
from .data_id_rewriting import required_values
from .definitions import Definitions, Snapshot
from .grant_office import GrantOffice
from .limits import MAX_COLLECTIONS, check_batch

_Candidates = list[tuple[int, UUID]]
"""Datasets with the position of the collection that has them."""


class DatasetService:
    """Finds datasets by data ID or by id."""

    def __init__(
        self,
        database: Database,
        definitions: Definitions,
        datasets: DatasetStore,
        calibrations: CalibrationSearch,
        grants: GrantOffice,
        limits: Limits,
    ) -> None:
        self._database = database
        self._definitions = definitions
        self._datasets = datasets
        self._calibrations = calibrations
        self._grants = grants
        self._limits = limits

    def find(self, lookup: DatasetLookup) -> list[FoundDataset | None]:
        check_batch(len(lookup.data_ids), self._limits, "data IDs")
        if len(lookup.collections) > MAX_COLLECTIONS:
            raise LimitExceededError(f"At most {MAX_COLLECTIONS} collections can be searched in one call.")
        with self._database.reading() as connection:
            # What is cached is mostly still true, and the rows tell whether it was: that spares a round trip.
            snapshot = self._definitions.unchecked(connection)
            try:
                found, revision = self._find(snapshot, lookup)
                if revision is None:
                    revision = self._definitions.snapshot(connection).revision
                if revision == snapshot.revision:
                    return found
            except ButlerError:
                # What is missing in the cache may have been registered since.
                if self._definitions.snapshot(connection).revision == snapshot.revision:
                    raise
            found, _ = self._find(self._definitions.snapshot(connection), lookup)
            return found

    def _find(
        self, snapshot: Snapshot, lookup: DatasetLookup
    ) -> tuple[list[FoundDataset | None], int | None]:
        """Return what a snapshot gives, and the revision at which the rows were read, `None` if there are none."""
        row = snapshot.dataset_type(lookup.dataset_type)
        group = row.dataset_type.dimensions
        collections = snapshot.search(lookup.collections)
        tagged = [c.id for c in collections if not c.is_calibration]
        certified = [c.id for c in collections if c.is_calibration and row.dataset_type.isCalibration()]
        also = temporal_dimensions(snapshot.universe) if certified else ()
        values = required_values(snapshot, group, lookup.data_ids, also)
        data_ids = [tuple(v[name] for name in group.required) for v in values]
        rank = {collection.id: i for i, collection in enumerate(collections)}
        candidates: list[_Candidates] = [[] for _ in data_ids]
        rows: list[DatasetRow] = []
        if tagged and data_ids:
            rows = self._datasets.find(
                snapshot.connection, row, data_ids, tagged, want_artifacts=lookup.want_artifacts
            )
            by_key: dict[tuple[Any, ...], _Candidates] = {}
            for r in rows:
                by_key.setdefault(r.data_id, []).append((rank[r.collection_id], r.dataset_id))
            candidates = [list(by_key.get(data_id, ())) for data_id in data_ids]
        if certified and data_ids:
            valid = find_valid(snapshot, self._calibrations, row, lookup, values, certified)
            for i, datasets in valid.items():
                candidates[i] += [(rank[r.collection_id], r.dataset_id) for r in datasets]
                rows += datasets
        best = [min(each) if each else None for each in candidates]
        if lookup.want_artifacts and not snapshot.access.is_unrestricted:
            for position in {each[0] for each in best if each is not None}:
                snapshot.access.require(Verb.READ_DATA, collections[position].collection.name)
        first = [None if each is None else each[1] for each in best]
        chosen = set(first)
        by_id = self._found(snapshot, row, _each_once(r for r in rows if r.dataset_id in chosen))
        found = [None if each is None else by_id[each] for each in first]
        return found, rows[0].revision if rows else None

    def get(
        self, dataset_ids: Sequence[UUID], *, want_artifacts: bool = False, expected_type: str = ""
    ) -> list[FoundDataset | None]:
        check_batch(len(dataset_ids), self._limits, "dataset ids")
        if not dataset_ids:
            return []
        with self._database.reading() as connection:
            snapshot = self._definitions.unchecked(connection)  # as in `find`
            rows = self._rows(snapshot, dataset_ids, expected_type, want_artifacts=want_artifacts)
            if not rows or rows[0].revision != snapshot.revision:
                snapshot = self._definitions.snapshot(connection)
            by_id: dict[UUID, FoundDataset] = {}
            for row in snapshot.dataset_types_by_id(r.dataset_type_id for r in rows).values():
                some = [r for r in rows if r.dataset_type_id == row.id]
                if not snapshot.access.is_unrestricted:
                    some = self._readable(snapshot, row, some, want_artifacts=want_artifacts)
                by_id.update(self._found(snapshot, row, some))
        return [by_id.get(dataset_id) for dataset_id in dataset_ids]

    def _rows(
        self, snapshot: Snapshot, dataset_ids: Sequence[UUID], expected_type: str, *, want_artifacts: bool
    ) -> list[DatasetRow]:
        """Return the rows of datasets; those of the type that is expected take one statement, others two more."""
        rows: list[DatasetRow] = []
        missing, connection = dataset_ids, snapshot.connection
        with suppress(MissingDatasetTypeError):
            if expected_type:
                expected = snapshot.dataset_type(expected_type)
                rows = self._datasets.get(connection, expected, dataset_ids, want_artifacts=want_artifacts)
                found = {r.dataset_id for r in rows}
                missing = [dataset_id for dataset_id in dataset_ids if dataset_id not in found]
        type_ids = self._datasets.type_ids(connection, missing) if missing else {}
        for row in snapshot.dataset_types_by_id(type_ids.values()).values():
            ids = [dataset_id for dataset_id, type_id in type_ids.items() if type_id == row.id]
            rows += self._datasets.get(connection, row, ids, want_artifacts=want_artifacts)
        return rows

    def _readable(
        self, snapshot: Snapshot, row: DatasetTypeRow, rows: Sequence[DatasetRow], *, want_artifacts: bool
    ) -> list[DatasetRow]:
        """Return the rows of datasets that are in a run, or stand in a collection, which the caller may see.

        Raises `AccessDeniedError` if artifacts are wanted of one that may be seen only.
        """
        access, runs = snapshot.access, snapshot.run_names({r.run_id for r in rows})
        verb = Verb.READ_DATA if want_artifacts else Verb.READ_METADATA
        others = [r.dataset_id for r in rows if not access.may(verb, runs[r.run_id])]
        standing: dict[UUID, list[str]] = {}
        for dataset_id, name in self._datasets.standing(snapshot.connection, row, others) if others else ():
            standing.setdefault(dataset_id, []).append(name)
        readable = []
        for r in rows:
            names = (runs[r.run_id], *standing.get(r.dataset_id, ()))
            if any(access.may(verb, name) for name in names):
                readable.append(r)
            elif any(map(access.sees, names)):
                access.require(verb, next(filter(access.sees, names)))
        return readable

    def _found(
        self, snapshot: Snapshot, row: DatasetTypeRow, rows: Sequence[DatasetRow]
    ) -> dict[UUID, FoundDataset]:
        """Make the answer from rows: of each dataset as many as it has artifacts, at least one."""
        by_id: dict[UUID, list[DatasetRow]] = {}
        for r in rows:
            by_id.setdefault(r.dataset_id, []).append(r)
        runs = snapshot.run_names(r.run_id for r in rows)
        group = row.dataset_type.dimensions
        expires = self._grants.read_expiry()
        found = {}
        for dataset_id, its_rows in by_id.items():
            data_id = DataCoordinate.from_required_values(group, its_rows[0].data_id)
            ref = DatasetRef(row.dataset_type, data_id, runs[its_rows[0].run_id], id=dataset_id)
            records = [r.artifact for r in its_rows if r.artifact is not None]
            artifacts = tuple(Artifact(record, self._grants.read(record, expires)) for record in records)
            found[dataset_id] = FoundDataset(ref, artifacts)
        return found


def _each_once(rows: Iterable[DatasetRow]) -> list[DatasetRow]:
    """Return each artifact of each dataset once, though several collections have it."""
    return list(
        {
            (r.dataset_id, None if r.artifact is None else r.artifact.layout.component): r for r in rows
        }.values()
    )
