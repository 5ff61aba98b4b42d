# SPDX-License-Identifier: BSD-3-Clause
"""One look at all rows that say where datasets and artifacts are."""

from __future__ import annotations

__all__ = ["Place", "Record", "Snapshot"]

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from uuid import UUID

from butler_model.artifact import DIRECT_STORE
from butler_model.collection import CollectionType

from .deployments import Deployment
from .rows import DatabaseRows


@dataclass(frozen=True, slots=True)
class Place:
    """A dataset in a RUN or TAGGED collection, or with a range of validity in a CALIBRATION collection."""

    table: str
    type_id: int
    collection_id: int
    data_id: tuple[Any, ...]
    dataset_id: UUID


@dataclass(frozen=True, slots=True)
class Record:
    """An artifact of a dataset, live or in the trash."""

    dataset_id: UUID
    component: str
    store: str
    key: str
    size: int
    checksum: str


@dataclass(frozen=True)
class Snapshot:
    """Rows of a repository, and what is in its store.

    Attributes
    ----------
    datasets
        For each id the dataset type and the run, by their numbers.
    intents
        For each id of a dataset that is being put the keys that its put may write, or adopt.
    """

    sizes: Mapping[str, int]
    collections: Mapping[int, tuple[str, CollectionType]]
    types: Mapping[int, str]
    datasets: Mapping[UUID, tuple[int, int]]
    places: tuple[Place, ...]
    live: tuple[Record, ...]
    trash: tuple[Record, ...]
    trash_states: Mapping[UUID, int]
    intents: Mapping[UUID, tuple[tuple[str, str], ...]]
    summaries: frozenset[tuple[int, int]]
    revision: int

    @classmethod
    def take(cls, deployment: Deployment) -> Snapshot:
        """Look at a deployment in which nothing happens just now."""
        rows = deployment.rows
        record = "SELECT dataset_id, component, store, key, size, checksum FROM "
        return cls(
            deployment.artifacts.sizes(),
            {
                i: (name, CollectionType(t))
                for i, name, t in rows.select("SELECT id, name, type FROM collection")
            },
            dict(rows.select("SELECT id, name FROM dataset_type")),
            {i: (t, r) for i, t, r in rows.select("SELECT id, dataset_type_id, run_id FROM dataset")},
            _places(rows),
            tuple(Record(*row) for row in rows.select(record + "artifact_record")),
            tuple(Record(*row) for row in rows.select(record + "artifact_trash")),
            dict(rows.select("SELECT dataset_id, state FROM artifact_trash")),
            {
                i: tuple((a[0], a[1]) for a in json.loads(artifacts))
                for i, artifacts in rows.select("SELECT dataset_id, artifacts FROM put_intent")
            },
            frozenset(rows.select("SELECT collection_id, dataset_type_id FROM collection_summary")),
            int(rows.select("SELECT value FROM revision")[0][0]),
        )

    @cached_property
    def owners(self) -> Mapping[str, set[str]]:
        """For each key of the store, who answers for it: ``live``, ``trash``, ``intent``."""
        owners: dict[str, set[str]] = {}
        for kind, records in (("live", self.live), ("trash", self.trash)):
            for record in records:
                if record.store != DIRECT_STORE:
                    owners.setdefault(record.key, set()).add(kind)
        for places in self.intents.values():
            for store, key in places:
                if store != DIRECT_STORE:
                    owners.setdefault(key, set()).add("intent")
        return owners

    def in_run(self, run: str, dataset_type: str = "blob") -> dict[tuple[Any, ...], UUID]:
        """Return the datasets of a type in a run by their data IDs."""
        return {
            place.data_id: place.dataset_id
            for place in self.places
            if place.table.startswith("dataset_tags")
            and self.collections[place.collection_id] == (run, CollectionType.RUN)
            and self.types[place.type_id] == dataset_type
        }


def _places(rows: DatabaseRows) -> tuple[Place, ...]:
    places: list[Place] = []
    for table in (*rows.tables("dataset_tags_"), *rows.tables("dataset_calibs_")):
        for type_id, collection_id, *data_id, dataset_id in rows.select(f"SELECT * FROM {table}"):
            places.append(Place(table, type_id, collection_id, tuple(data_id), dataset_id))
    return tuple(places)
