# SPDX-License-Identifier: BSD-3-Clause
"""The service for TAGGED and CALIBRATION collections; implements `butler_model.ports.Associations`."""

from __future__ import annotations

__all__ = ["AssociationService"]

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from butler_model.access import Verb
from butler_model.collection import CollectionType
from butler_model.errors import (
    CalibrationTypeError,
    CollectionTypeError,
    DatasetNotFoundError,
    InvalidRequestError,
)
from butler_model.repository import Limits
from butler_model.timespan import Timespan
from butler_registry.storage.association_store import AssociationStore
from butler_registry.storage.collection_store import CollectionRow
from butler_registry.storage.database import Connection, Database
from butler_registry.storage.dataset_store import DatasetStore
from butler_registry.storage.dataset_type_store import DatasetTypeRow
from butler_registry.storage.summary_store import Holding

from .data_id_rewriting import required_values
from .definitions import Definitions, Snapshot
from .limits import check_batch
from .repeats import Repeats


class AssociationService:
    """Says which datasets stand where besides their run."""

    def __init__(
        self,
        database: Database,
        definitions: Definitions,
        datasets: DatasetStore,
        associations: AssociationStore,
        repeats: Repeats,
        limits: Limits,
    ) -> None:
        self._database = database
        self._definitions = definitions
        self._datasets = datasets
        self._associations = associations
        self._repeats = repeats
        self._limits = limits

    def associate(self, collection: str, dataset_ids: Sequence[UUID], *, request_id: UUID) -> None:
        ids = self._checked(dataset_ids)
        new: set[Holding] = set()

        def effect() -> None:
            snapshot = self._definitions.snapshot(connection)
            into = _collection(snapshot, collection, CollectionType.TAGGED)
            by_type = self._by_type(snapshot, ids)
            self._check_readable(snapshot, ids)
            new.update(self._record(connection, into, by_type))
            for row, some in by_type:
                self._associations.associate(connection, row, into, some)

        with self._database.writing() as connection:
            self._repeats.once(connection, request_id, ("associate", collection, _names(ids)), effect)
        self._definitions.summaries.learn(new)

    def disassociate(self, collection: str, dataset_ids: Sequence[UUID], *, request_id: UUID) -> None:
        ids = self._checked(dataset_ids)

        def effect() -> None:
            snapshot = self._definitions.snapshot(connection)
            out_of = _collection(snapshot, collection, CollectionType.TAGGED)
            for row, some in self._by_type(snapshot, ids, removing=True):
                self._associations.disassociate(connection, row, out_of.id, some)

        with self._database.writing() as connection:
            self._repeats.once(connection, request_id, ("disassociate", collection, _names(ids)), effect)

    def certify(
        self, collection: str, dataset_ids: Sequence[UUID], timespan: Timespan, *, request_id: UUID
    ) -> None:
        ids = self._checked(dataset_ids)
        _refuse_empty(timespan)
        new: set[Holding] = set()

        def effect() -> None:
            snapshot = self._definitions.snapshot(connection)
            into = _collection(snapshot, collection, CollectionType.CALIBRATION)
            # Whoever writes ranges of this collection holds its row, so between check and insert nobody else does.
            # It comes before the datasets, as everywhere.
            self._definitions.collections.lock(connection, into.id)
            by_type = self._by_type(snapshot, ids)
            self._check_readable(snapshot, ids)
            for row, _ in by_type:
                _require_calibration_type(row)
            new.update(self._record(connection, into, by_type))
            for row, some in by_type:
                self._associations.certify(connection, row, into, some, timespan.nsec)

        what = ("certify", collection, _names(ids), timespan.nsec)
        with self._database.writing() as connection:
            self._repeats.once(connection, request_id, what, effect)
        self._definitions.summaries.learn(new)

    def decertify(
        self,
        collection: str,
        dataset_type: str,
        timespan: Timespan,
        *,
        request_id: UUID,
        data_ids: Sequence[Mapping[str, Any]] | None = None,
    ) -> None:
        check_batch(len(data_ids or ()), self._limits, "data IDs")
        _refuse_empty(timespan)

        def effect() -> None:
            snapshot = self._definitions.snapshot(connection)
            out_of = _collection(snapshot, collection, CollectionType.CALIBRATION)
            row = snapshot.dataset_type(dataset_type)
            _require_calibration_type(row)
            keys = None
            if data_ids is not None:
                group = row.dataset_type.dimensions
                values = required_values(snapshot, group, data_ids)
                keys = [tuple(each[name] for name in group.required) for each in values]
                if not keys:
                    return
            self._definitions.collections.lock(connection, out_of.id)
            self._associations.decertify(connection, row, out_of.id, timespan.nsec, keys)

        given = None if data_ids is None else [sorted(each.items()) for each in data_ids]
        what = ("decertify", collection, dataset_type, timespan.nsec, given)
        with self._database.writing() as connection:
            self._repeats.once(connection, request_id, what, effect)

    def _checked(self, dataset_ids: Sequence[UUID]) -> list[UUID]:
        check_batch(len(dataset_ids), self._limits, "datasets")
        return sorted(set(dataset_ids))

    def _by_type(
        self, snapshot: Snapshot, ids: Sequence[UUID], *, removing: bool = False
    ) -> list[tuple[DatasetTypeRow, list[UUID]]]:
        # Before what refers to them, since whoever prunes some of them locks the same rows in the same order.
        types = self._datasets.keep(snapshot.connection, ids, alone=removing)
        missing = [dataset_id for dataset_id in ids if dataset_id not in types]
        if missing and not removing:
            raise DatasetNotFoundError(
                f"There is no dataset with the id {missing[0]}"
                + (f", nor with {len(missing) - 1} others of these." if len(missing) > 1 else "."),
                dataset_id=str(missing[0]),
            )
        grouped: dict[int, list[UUID]] = defaultdict(list)
        for dataset_id, type_id in types.items():
            grouped[type_id].append(dataset_id)
        rows = snapshot.dataset_types_by_id(grouped)
        return [(rows[type_id], grouped[type_id]) for type_id in sorted(grouped)]

    def _check_readable(self, snapshot: Snapshot, ids: Sequence[UUID]) -> None:
        """Refuse datasets of runs that the caller may not read: to put them elsewhere would show them there."""
        access = snapshot.access
        if access.is_unrestricted:
            return
        for dataset_id, run in self._datasets.runs(snapshot.connection, ids):
            if not access.sees(run):
                raise DatasetNotFoundError(
                    f"There is no dataset with the id {dataset_id}.", dataset_id=str(dataset_id)
                )
            access.require(Verb.READ_DATA, run)

    def _record(
        self, connection: Connection, into: CollectionRow, by_type: list[tuple[DatasetTypeRow, list[UUID]]]
    ) -> set[Holding]:
        """Record what the collection will hold; return what is to be remembered after the commit."""
        new: set[Holding] = set()
        for row, ids in by_type:
            governors = self._associations.governors(connection, row, ids)
            new |= {Holding(into.id, row.id, values) for values in governors}
        new = self._definitions.summaries.unknown(new)
        self._definitions.summaries.record(connection, new)
        return new


def _names(ids: Sequence[UUID]) -> list[str]:
    return [dataset_id.hex for dataset_id in ids]


def _collection(snapshot: Snapshot, name: str, wanted: CollectionType) -> CollectionRow:
    row = snapshot.collections([name])[0]
    if row.collection.type is not wanted:
        raise CollectionTypeError(
            f"{name!r} is a {row.collection.type.name} collection; this is for {wanted.name} ones.",
            collection=name,
        )
    return row


def _require_calibration_type(row: DatasetTypeRow) -> None:
    if not row.dataset_type.isCalibration():
        raise CalibrationTypeError(
            f"Dataset type {row.dataset_type.name!r} is not registered as a calibration type (isCalibration=True), so "
            "its datasets have no ranges of validity.",
            dataset_type=row.dataset_type.name,
        )


def _refuse_empty(timespan: Timespan) -> None:
    if timespan.isEmpty():
        raise InvalidRequestError("An empty range of validity means nothing; give one that holds an instant.")
