# SPDX-License-Identifier: BSD-3-Clause
"""The invariants I1 to I10 of the design, checked by looking at rows and bytes past the product, and by asking it.

====  ==========================================================================================================
I1    every visible dataset's artifact exists with its recorded size and checksum
I2    every artifact is owned by a live record, a trash row or an intent, and no dataset has two of these
I3    an acknowledged put is gettable, same bytes
I4    an unacknowledged put is wholly there or wholly absent, a refused one absent; no rows are partial
I5    (run, type, data ID) is unique
I6    an acknowledged purge never returns; what is in the trash is not gettable
I7    a shared artifact goes exactly with its last reference
I8    restart, one emptyTrash and one reap leave no intents, no PURGING rows and no dark files
I9    the revision grows; a read after a write sees it
I10   summaries equal a recount
====  ==========================================================================================================
"""

from __future__ import annotations

__all__ = ["Violation", "check", "check_quiet", "check_settled", "settle"]

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from butler import Butler
from butler_model.artifact import DIRECT_STORE, sha256
from butler_model.collection import CollectionType
from butler_model.errors import ButlerError, MissingCollectionError

from .deployments import REPOSITORY, Deployment
from .history import History, Outcome, Put
from .snapshot import Snapshot

_PURGING = 2
_AGES_NSEC = 10 * 86_400 * 10**9
_LOOKS = 5
_PAUSE_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Violation:
    """An invariant that does not hold."""

    invariant: str
    text: str

    def __str__(self) -> str:
        return f"{self.invariant}: {self.text}"


def check(deployment: Deployment, history: History, *, checksums: str = "new") -> list[Violation]:
    """Return what is wrong with a repository in which nothing happens just now; note its revision.

    Parameters
    ----------
    checksums
        Which artifacts to read: ``new`` for those of the puts of the history, ``all``.
    """
    snapshot = Snapshot.take(deployment)
    with deployment.butler() as butler:
        found = [
            *_artifacts_exist(deployment, snapshot, history, everything=checksums == "all"),
            *_artifacts_are_owned(snapshot),
            *_puts_are_whole(snapshot, history),
            *_acknowledged_puts_are_there(snapshot, butler, history),
            *_rows_are_whole(snapshot),
            *_places_are_unique(snapshot),
            *_purged_stay_away(snapshot, history, butler),
            *_revision_grows(snapshot, history, butler),
            *_summaries_are_right(snapshot, history, butler),
        ]
    history.revision = max(history.revision, snapshot.revision)
    return found


def check_quiet(deployment: Deployment, history: History) -> list[Violation]:
    """Return what is wrong as soon as nothing happens any more: a service may still do what a dead client asked for."""
    found = check(deployment, history)
    for _ in range(_LOOKS):
        if not found:
            break
        time.sleep(_PAUSE_SECONDS)
        found = check(deployment, history)
    return found


def settle(deployment: Deployment) -> None:
    """Let all leases and delays end, and do what is left: start what ended, empty the trash once, reap once."""
    deployment.restart_dead()
    deployment.rows.execute(
        "UPDATE put_intent SET lease_expires_nsec = lease_expires_nsec - ?", (_AGES_NSEC,)
    )
    deployment.rows.execute("UPDATE artifact_trash SET due_nsec = 0")
    with deployment.butler() as butler:
        butler.trash.empty()
        butler._connection.datastore.housekeeping.reap(REPOSITORY)


def check_settled(deployment: Deployment, history: History) -> list[Violation]:
    """Return what is wrong, or left to do, after `settle`."""
    return [*_left(deployment), *check(deployment, history)]


def _left(deployment: Deployment) -> list[Violation]:
    snapshot = Snapshot.take(deployment)
    found = [Violation("I8", f"there is an intent for {dataset_id}") for dataset_id in snapshot.intents]
    for dataset_id, state in snapshot.trash_states.items():
        kind = "PURGING" if state == _PURGING else "in the trash"
        found.append(Violation("I8", f"dataset {dataset_id} is {kind}"))
    dark = snapshot.sizes.keys() - snapshot.owners.keys()
    return found + [Violation("I8", f"{key} is dark") for key in sorted(dark)]


def _artifacts_exist(
    deployment: Deployment, snapshot: Snapshot, history: History, *, everything: bool
) -> Iterator[Violation]:
    new = {i for put in history.puts for i in snapshot.in_run(put.run).values()}
    for record in snapshot.live:
        if record.store == DIRECT_STORE:
            continue
        size = snapshot.sizes.get(record.key)
        if size is None:
            shared = sum(other.key == record.key for other in (*snapshot.live, *snapshot.trash)) > 1
            yield Violation("I7" if shared else "I1", f"{record.key} of dataset {record.dataset_id} is gone")
        elif size != record.size:
            yield Violation("I1", f"{record.key} has {size} bytes, {record.size} were recorded")
        elif everything or record.dataset_id in new:
            checksum = sha256([deployment.artifacts.content(record.key)])
            if checksum != record.checksum:
                yield Violation("I1", f"{record.key} has the checksum {checksum}, not {record.checksum}")


def _artifacts_are_owned(snapshot: Snapshot) -> Iterator[Violation]:
    for key in snapshot.sizes:
        if key not in snapshot.owners:
            yield Violation("I2", f"nobody owns {key}")
    live = {record.dataset_id for record in snapshot.live}
    trash = {record.dataset_id for record in snapshot.trash}
    for ids, what in (
        (live & trash, "has an artifact and is in the trash"),
        (snapshot.datasets.keys() & snapshot.intents.keys(), "is there and is being put"),
        (trash & snapshot.intents.keys(), "is in the trash and is being put"),
    ):
        for dataset_id in ids:
            yield Violation("I2", f"dataset {dataset_id} {what}")


def _puts_are_whole(snapshot: Snapshot, history: History) -> Iterator[Violation]:
    for put in history.puts:
        there = snapshot.in_run(put.run)
        detectors = {d for d in put.contents if ("Cam1", d) in there}
        if put.removal is Outcome.DONE:
            if put.purge and not _others(history, put):
                for detector in detectors:
                    yield Violation("I6", f"detector {detector} in {put.run} was purged and is there")
        elif put.removal is Outcome.UNKNOWN:
            if detectors and detectors != put.contents.keys():
                yield Violation(
                    "I4", f"of {sorted(put.contents)} a removal left {sorted(detectors)} in {put.run}"
                )
        elif put.certain:
            for detector in put.contents.keys() - detectors:
                yield Violation("I3", f"detector {detector} in {put.run} was acknowledged and is gone")
            for dataset_id in set(put.ids) - set(there.values()):
                yield Violation(
                    "I3", f"dataset {dataset_id} in {put.run} was acknowledged and is another now"
                )
        elif detectors and detectors != put.contents.keys() and not _others(history, put):
            yield Violation("I4", f"of {sorted(put.contents)} only {sorted(detectors)} are in {put.run}")
        elif detectors and put.outcome is Outcome.REFUSED and not _others(history, put):
            yield Violation("I4", f"{sorted(detectors)} are in {put.run} though they were refused")


def _others(history: History, put: Put) -> bool:
    """Return whether another put may have written the same data IDs."""
    return any(
        other is not put and other.run == put.run and other.contents.keys() & put.contents.keys()
        for other in history.puts
    )


def _acknowledged_puts_are_there(snapshot: Snapshot, butler: Butler, history: History) -> Iterator[Violation]:
    there = {name for _, (name, _) in snapshot.collections.items()}
    for put in history.puts:
        if put.run not in there and not put.certain:
            continue
        for detector, content in put.contents.items():
            where = f"detector {detector} in {put.run}"
            possible = {
                other.contents[detector]
                for other in history.puts
                if other.run == put.run and detector in other.contents
            }
            try:
                got = butler.get("blob", instrument="Cam1", detector=detector, collections=put.run)
            except ButlerError as error:
                if put.certain:
                    yield Violation("I3", f"{where} was acknowledged and cannot be got: {error}")
                continue
            if put.certain and got != content:
                yield Violation("I3", f"{where} has other bytes than were put")
            elif got not in possible:
                yield Violation("I4", f"{where} has bytes that nobody put")


def _rows_are_whole(snapshot: Snapshot) -> Iterator[Violation]:
    tags = [place for place in snapshot.places if place.table.startswith("dataset_tags")]
    in_run = {(p.dataset_id, p.collection_id, p.type_id) for p in tags}
    for dataset_id, (type_id, run_id) in snapshot.datasets.items():
        if (dataset_id, run_id, type_id) not in in_run:
            yield Violation("I4", f"dataset {dataset_id} has no place in its run")
    for place in snapshot.places:
        if place.dataset_id not in snapshot.datasets:
            yield Violation("I4", f"{place.table} has a place of {place.dataset_id}, which is no dataset")
    for record in snapshot.live:
        if record.dataset_id not in snapshot.datasets:
            yield Violation(
                "I4", f"there is a record of {record.key} for {record.dataset_id}, which is no dataset"
            )


def _places_are_unique(snapshot: Snapshot) -> Iterator[Violation]:
    tags = (place for place in snapshot.places if place.table.startswith("dataset_tags"))
    counted = Counter((place.table, place.collection_id, place.type_id, place.data_id) for place in tags)
    for (_, collection_id, type_id, data_id), number in counted.items():
        if number > 1:
            name, kind = snapshot.collections[collection_id], snapshot.types[type_id]
            yield Violation("I5", f"{name} has {number} datasets of type {kind} with {data_id}")


def _purged_stay_away(snapshot: Snapshot, history: History, butler: Butler) -> Iterator[Violation]:
    live = {record.dataset_id for record in snapshot.live}
    for dataset_id in history.purged & (snapshot.datasets.keys() | live):
        yield Violation("I6", f"dataset {dataset_id} was purged and is there")
    for dataset_id in history.trashed & live:
        yield Violation("I6", f"dataset {dataset_id} was trashed and is stored")
    some = list(history.purged | history.trashed)[-5:]
    for found in butler._connection.registry.datasets.get(some):
        try:
            if found is not None:
                butler.get(found.ref)
                yield Violation("I6", f"dataset {found.ref.id} was trashed and can be got")
        except ButlerError:
            pass


def _revision_grows(snapshot: Snapshot, history: History, butler: Butler) -> Iterator[Violation]:
    if snapshot.revision < history.revision:
        yield Violation("I9", f"the revision went from {history.revision} back to {snapshot.revision}")
    seen = butler._connection.registry.info.revision
    if seen < snapshot.revision:
        yield Violation("I9", f"the registry tells revision {seen}, its database {snapshot.revision}")


def _summaries_are_right(snapshot: Snapshot, history: History, butler: Butler) -> Iterator[Violation]:
    held: dict[int, set[int]] = {}
    for place in snapshot.places:
        held.setdefault(place.collection_id, set()).add(place.type_id)
    for collection_id, types in held.items():
        for type_id in types:
            if (collection_id, type_id) not in snapshot.summaries:
                name = snapshot.collections.get(collection_id, ("?",))[0]
                yield Violation("I10", f"the summary of {name} knows nothing of {snapshot.types[type_id]}")
    mine = {put.run for put in history.puts}
    for collection_id, (name, kind) in snapshot.collections.items():
        if kind is CollectionType.CHAINED or name not in mine:
            continue
        try:
            told = butler.registry.getCollectionSummary(name).dataset_types
        except MissingCollectionError:
            yield Violation("I10", f"{name} has a row and is not there")
            continue
        counted = sorted(snapshot.types[type_id] for type_id in held.get(collection_id, ()))
        if list(told) != counted:
            yield Violation("I10", f"the summary of {name} tells {list(told)}, there are {counted}")
