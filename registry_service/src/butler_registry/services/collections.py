# SPDX-License-Identifier: BSD-3-Clause
"""The service for collections; implements `butler_model.ports.Collections`."""

from __future__ import annotations

__all__ = ["CollectionService"]

from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

from butler_model.collection import ChainEdit, Collection, CollectionSummary, CollectionType
from butler_model.errors import (
    CollectionCycleError,
    CollectionTypeError,
    ConflictingDefinitionError,
    InvalidRequestError,
    LimitExceededError,
    StaleEditError,
)
from butler_registry.storage.collection_store import CollectionRow
from butler_registry.storage.database import Connection, Database
from butler_registry.storage.dataset_removal import DatasetRemoval

from .collection_removal import check_links, remove_collection
from .collection_summaries import summarise
from .definitions import Definitions, Snapshot
from .limits import MAX_COLLECTIONS, check_patterns
from .name_patterns import NamePatterns
from .repeats import Repeats


class CollectionService:
    """Registers, edits, removes and lists collections."""

    def __init__(
        self,
        database: Database,
        definitions: Definitions,
        repeats: Repeats,
        removal: DatasetRemoval,
    ) -> None:
        self._database = database
        self._definitions = definitions
        self._repeats = repeats
        self._removal = removal

    def register(self, collection: Collection, *, request_id: UUID) -> bool:
        if collection.children:
            raise InvalidRequestError(
                f"Register the chain {collection.name!r} without members and edit it then.",
                collection=collection.name,
            )
        what = ("register collection", collection.name, collection.type.name)
        with self._database.writing() as connection:
            existing = self._definitions.collections.insert_or_get(connection, collection)
            if existing is None:
                self._definitions.advance(connection)
                return self._repeats.noted(connection, request_id, what, changed=True)
            self._definitions.snapshot(connection)
            repeated = self._repeats.noted(connection, request_id, what, changed=False)
        if existing.collection.type is not collection.type:
            raise ConflictingDefinitionError(
                f"There is a collection {collection.name!r} already, and it is {existing.collection.type.name}, not "
                f"{collection.type.name}.",
                collection=collection.name,
            )
        return repeated

    def get(self, name: str) -> Collection:
        with self._database.reading() as connection:
            return self._definitions.snapshot(connection).collections([name])[0].collection

    def find(
        self, patterns: Sequence[str], types: frozenset[CollectionType] | None = None
    ) -> list[Collection]:
        check_patterns(patterns)
        wanted = NamePatterns(patterns)
        with self._database.reading() as connection:
            self._definitions.snapshot(connection)
            everything = self._definitions.collections.all(connection)
        access = self._definitions.access
        if not access.is_unrestricted:
            everything = [
                replace(c, children=tuple(filter(access.sees, c.children)))
                for c in everything
                if access.sees(c.name)
            ]
        return [c for c in everything if (types is None or c.type in types) and wanted.match(c.name)]

    def remove(
        self,
        name: str,
        *,
        request_id: UUID,
        unlink: Sequence[str] = (),
        unlink_all: bool = False,
        validate_only: bool = False,
    ) -> None:
        if validate_only:
            with self._database.reading() as connection:
                snapshot = self._definitions.snapshot(connection)
                self._check_removable(snapshot, name, unlink, unlink_all, lock=False)
            return

        def effect() -> None:
            snapshot = self._definitions.lock(connection)
            row = self._check_removable(snapshot, name, unlink, unlink_all, lock=True)
            if row.collection.type is CollectionType.RUN:
                self._removal.delete_all_of_run(connection, row)
            remove_collection(self._definitions, snapshot, row)

        what = ("remove collection", name, sorted(unlink), unlink_all)
        with self._database.writing() as connection:
            self._repeats.once(connection, request_id, what, effect)

    def _check_removable(
        self, snapshot: Snapshot, name: str, unlink: Sequence[str], unlink_all: bool, *, lock: bool
    ) -> CollectionRow:
        row = snapshot.collections([name])[0]
        store = self._definitions.collections
        check_links(snapshot, store, row, unlink, unlink_all=unlink_all)
        if row.collection.type is CollectionType.RUN:
            if lock:
                store.lock_for_removal(snapshot.connection, row.id)
            self._removal.refuse_use(snapshot.connection, row)
        return row

    def set_doc(self, name: str, doc: str, *, request_id: UUID) -> None:
        Collection(name, CollectionType.RUN, doc)  # raises if the text cannot be stored
        what = ("set doc", name, doc)
        with self._database.writing() as connection:
            self._repeats.once(connection, request_id, what, lambda: self._set_doc(connection, name, doc))

    def _set_doc(self, connection: Connection, name: str, doc: str) -> None:
        row = self._definitions.lock(connection).collections([name])[0]
        self._definitions.collections.set_doc(connection, row.id, doc)
        self._definitions.advance(connection)

    def edit_chain(
        self, name: str, edit: ChainEdit, children: Sequence[str], *, request_id: UUID, etag: str = ""
    ) -> Collection:
        what = ("edit chain", name, edit.value, tuple(children), etag)
        with self._database.writing() as connection:
            doc, *members = self._repeats.once(
                connection, request_id, what, lambda: self._edit_chain(connection, name, edit, children, etag)
            )
        return Collection(
            name, CollectionType.CHAINED, doc, tuple(filter(self._definitions.access.sees, members))
        )

    def _edit_chain(
        self, connection: Connection, name: str, edit: ChainEdit, children: Sequence[str], etag: str
    ) -> list[str]:
        """Return the chain's description and then its members."""
        # Of two edits one waits for the other, so together they can make no cycle and lose nothing.
        snapshot = self._definitions.lock(connection)
        chain = snapshot.collections([name])[0]
        if chain.collection.type is not CollectionType.CHAINED:
            raise CollectionTypeError(
                f"{name!r} is a {chain.collection.type.name} collection; only CHAINED ones have members.",
                collection=name,
            )
        if etag and etag != chain.collection.etag:
            raise StaleEditError(
                f"The members of {name!r} have changed since they were read: they are now "
                f"{', '.join(chain.collection.children) or 'none'}. Read them again and repeat the edit.",
                collection=name,
            )
        snapshot.collections(children)
        # From here on with the members that the caller does not see: they stay where they are.
        snapshot = snapshot.unrestricted
        seen, chain = chain.collection.children, snapshot.collections([name])[0]
        hidden = set(chain.collection.children) - set(seen)
        members = _edited(chain.collection.children, edit, children)
        if hidden and edit is ChainEdit.SET:
            members += tuple(member for member in chain.collection.children if member in hidden)
        if len(members) > MAX_COLLECTIONS:
            raise LimitExceededError(
                f"A chain has at most {MAX_COLLECTIONS} members, not {len(members)}; chain chains.",
                limit=str(MAX_COLLECTIONS),
            )
        rows = snapshot.collections(members)
        _refuse_cycle(snapshot, chain, rows)
        if members != chain.collection.children:
            self._definitions.collections.chains.replace(connection, chain.id, [row.id for row in rows])
            self._definitions.advance(connection)
        return [chain.collection.doc, *members]

    def parents(self, name: str) -> list[str]:
        with self._database.reading() as connection:
            row = self._definitions.snapshot(connection).collections([name])[0]
            parents = self._definitions.collections.chains.parents(connection, row.id)
        return list(filter(self._definitions.access.sees, parents))

    def summaries(self, names: Sequence[str]) -> list[CollectionSummary]:
        if len(names) > MAX_COLLECTIONS:
            raise LimitExceededError(
                f"At most {MAX_COLLECTIONS} collections can be summarised in one call.",
                limit=str(MAX_COLLECTIONS),
            )
        with self._database.reading() as connection:
            snapshot = self._definitions.snapshot(connection)
            return summarise(snapshot, self._definitions.summaries, names)


def _edited(members: tuple[str, ...], edit: ChainEdit, given: Sequence[str]) -> tuple[str, ...]:
    if edit is ChainEdit.SET:
        return tuple(dict.fromkeys(given))
    others = tuple(name for name in members if name not in set(given))
    if edit is ChainEdit.PREPEND:
        return (*dict.fromkeys(given), *others)
    if edit is ChainEdit.EXTEND:
        return (*others, *dict.fromkeys(given))
    return others


def _refuse_cycle(snapshot: Snapshot, chain: CollectionRow, members: Sequence[CollectionRow]) -> None:
    seen: set[int] = set()
    waiting = list(members)
    while waiting:
        row = waiting.pop()
        if row.id == chain.id:
            raise CollectionCycleError(
                f"The chain {chain.collection.name!r} would contain itself.", collection=chain.collection.name
            )
        if row.id not in seen:
            seen.add(row.id)
            waiting += snapshot.collections(row.collection.children)
