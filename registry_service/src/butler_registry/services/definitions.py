# SPDX-License-Identifier: BSD-3-Clause
"""Definitions (collections, dataset types, dimension records) as of one revision, cached between requests.

Every request reads the revision first. What was cached at another revision is not used, so a change made by any
process is seen by the next request of every other one.
"""

from __future__ import annotations

__all__ = ["Definitions", "SeenDefinitions", "Snapshot"]

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from threading import local
from typing import Any

from butler_model.access import UNRESTRICTED, Access
from butler_model.collection import CollectionType
from butler_model.dimensions import DimensionElement
from butler_model.errors import MissingCollectionError
from butler_model.misspellings import no_such_collection, no_such_dataset_type
from butler_model.records import DimensionRecord
from butler_model.universe import DimensionUniverse
from butler_registry.storage.attribute_store import AttributeStore
from butler_registry.storage.collection_store import CollectionRow, CollectionStore
from butler_registry.storage.database import Connection
from butler_registry.storage.dataset_type_store import DatasetTypeRow, DatasetTypeStore
from butler_registry.storage.dimension_store import DimensionStore, has_siblings
from butler_registry.storage.summary_store import SummaryStore

_MAX_CACHED_RECORDS = 100_000
_MAX_CACHED_NAMES = 10_000


@dataclass(slots=True)
class _Cache:
    """What was read at one revision. Requests that read at an older one fill a cache that nobody uses again."""

    revision: int
    collections: dict[str, CollectionRow] = field(default_factory=dict)
    collections_by_id: dict[int, CollectionRow] = field(default_factory=dict)
    searches: dict[tuple[Access, tuple[str, ...]], list[CollectionRow]] = field(default_factory=dict)
    dataset_types: dict[str, DatasetTypeRow] = field(default_factory=dict)
    dataset_types_by_id: dict[int, DatasetTypeRow] = field(default_factory=dict)
    records: dict[tuple[str, tuple[Any, ...]], DimensionRecord | None] = field(default_factory=dict)
    """`None` for a record that was looked for and does not exist."""
    asked: set[tuple[Any, ...]] = field(default_factory=set)
    """Elements with a key without the dimension in which siblings differ, of which one record was wanted already."""
    values: dict[str, set[Any]] = field(default_factory=dict)
    """Values that dimensions without a table of their own are known to have."""


class Definitions:
    """Gives snapshots of a repository's definitions."""

    access: Access = UNRESTRICTED
    """What is to be seen in them, and what may be done to them."""
    principal: str = ""
    """Name of who sees them; empty where nobody is asked."""

    def __init__(
        self,
        universe: DimensionUniverse,
        attributes: AttributeStore,
        collections: CollectionStore,
        dataset_types: DatasetTypeStore,
        dimensions: DimensionStore,
        summaries: SummaryStore,
    ) -> None:
        self.universe = universe
        self.attributes = attributes
        self.collections = collections
        self.dataset_types = dataset_types
        self.dimensions = dimensions
        self.summaries = summaries
        self._cache = _Cache(0)
        self._observed = local()

    def snapshot(self, connection: Connection) -> Snapshot:
        """Read the revision and return the definitions at it, for use with this connection."""
        revision = self.attributes.revision(connection)
        cache = self._cache
        if cache.revision != revision:
            cache = self._cache = _Cache(revision)
        self._observed.revision = revision
        return Snapshot(self, connection, cache)

    def unchecked(self, connection: Connection) -> Snapshot:
        """Return definitions without reading the revision: enough to look things up by id, which never changes."""
        self._observed.revision = self._cache.revision
        return Snapshot(self, connection, self._cache)

    def lock(self, connection: Connection) -> Snapshot:
        """Keep others from changing definitions until the transaction ends, and return them as they are."""
        self.attributes.lock_revision(connection)
        return self.snapshot(connection)

    def advance(self, connection: Connection) -> None:
        """Count one change of definitions; call it last, since others wait for the row until the commit."""
        self._observed.revision = self.attributes.advance(connection)

    @property
    def observed_revision(self) -> int:
        """The revision that this thread last read or made."""
        return getattr(self._observed, "revision", 0)


class SeenDefinitions(Definitions):
    """Definitions as somebody sees them who may not see all; what is cached is cached once for everybody."""

    def __init__(self, definitions: Definitions, access: Access, principal: str) -> None:
        self.universe = definitions.universe
        self.attributes = definitions.attributes
        self.collections = definitions.collections
        self.dataset_types = definitions.dataset_types
        self.dimensions = definitions.dimensions
        self.summaries = definitions.summaries
        self.access = access
        self.principal = principal
        self._all = definitions

    def snapshot(self, connection: Connection) -> Snapshot:
        return self._all.snapshot(connection).seen_by(self.access)

    def unchecked(self, connection: Connection) -> Snapshot:
        return self._all.unchecked(connection).seen_by(self.access)

    def advance(self, connection: Connection) -> None:
        self._all.advance(connection)

    @property
    def observed_revision(self) -> int:
        return self._all.observed_revision


class Snapshot:
    """Definitions as of one revision; reads what is not cached through its connection.

    A collection that the caller may not see is answered for as if it did not exist.
    """

    def __init__(
        self,
        definitions: Definitions,
        connection: Connection,
        cache: _Cache,
        access: Access = UNRESTRICTED,
    ) -> None:
        self._definitions = definitions
        self._cache = cache
        self._access = access
        self.connection = connection

    def seen_by(self, access: Access) -> Snapshot:
        """Return the same for somebody who may not see all."""
        return Snapshot(self._definitions, self.connection, self._cache, access)

    @property
    def access(self) -> Access:
        """What the caller may do."""
        return self._access

    @property
    def unrestricted(self) -> Snapshot:
        """The same with all collections."""
        return self.seen_by(UNRESTRICTED)

    @property
    def revision(self) -> int:
        """The revision that was read."""
        return self._cache.revision

    @property
    def universe(self) -> DimensionUniverse:
        """The universe of the repository."""
        return self._definitions.universe

    @property
    def summaries(self) -> SummaryStore:
        """What collections may hold."""
        return self._definitions.summaries

    def collections(self, names: Sequence[str]) -> list[CollectionRow]:
        """Return collections in the order of their names; `MissingCollectionError` for one that does not exist."""
        if self._access.is_unrestricted:
            return self._all_collections(names)
        for name in names:
            if not self._access.sees(name):
                raise self._no_collection(name)
        return [self._as_seen(row) for row in self._all_collections(names)]

    def _no_collection(self, name: str) -> MissingCollectionError:
        # One that may not be seen is neither told of nor told from one that does not exist.
        near = self._definitions.collections.near(self.connection, name)
        return no_such_collection(name, list(filter(self._access.sees, near)))

    def _as_seen(self, row: CollectionRow) -> CollectionRow:
        children = row.collection.children
        seen = tuple(filter(self._access.sees, children))
        return row if seen == children else replace(row, collection=replace(row.collection, children=seen))

    def _all_collections(self, names: Sequence[str]) -> list[CollectionRow]:
        cached = self._cache.collections
        missing = [name for name in names if name not in cached]
        if missing:
            found = self._definitions.collections.by_name(self.connection, missing)
            for name in missing:
                if name not in found:
                    raise self._no_collection(name)
            if len(cached) < _MAX_CACHED_NAMES:
                cached.update(found)
            return [found.get(name) or cached[name] for name in names]
        return [cached[name] for name in names]

    def search(self, names: Sequence[str]) -> list[CollectionRow]:
        """Return the collections that a search visits: chains by their members, depth-first, each once.

        Raises `MissingCollectionError` for a name that does not exist.
        """
        key = self._access, tuple(names)
        found = self._cache.searches.get(key)
        if found is None:
            found = self._visited(key[1])
            if len(self._cache.searches) < _MAX_CACHED_NAMES:
                self._cache.searches[key] = found
        return found

    def _visited(self, names: Sequence[str]) -> list[CollectionRow]:
        seen: set[int] = set()
        found: list[CollectionRow] = []
        # A stack, since chains may be nested deeper than Python's calls.
        waiting = self.collections(names)[::-1]
        while waiting:
            row = waiting.pop()
            if row.id in seen:
                continue
            seen.add(row.id)
            if row.collection.type is CollectionType.CHAINED:
                waiting += self.collections(row.collection.children)[::-1]
            else:
                found.append(row)
        return found

    def run_names(self, ids: Iterable[int]) -> dict[int, str]:
        """Return the names of collections by id; `MissingCollectionError` if one was removed."""
        cached, wanted = self._cache.collections_by_id, set(ids)
        missing = [i for i in wanted if i not in cached]
        found = self._definitions.collections.by_id(self.connection, missing) if missing else {}
        if len(found) < len(missing):
            raise MissingCollectionError(
                "A run was removed while something was put into it; register it, and begin anew."
            )
        if len(cached) < _MAX_CACHED_NAMES:
            cached.update(found)
        return {i: (found.get(i) or cached[i]).collection.name for i in wanted}

    def dataset_type(self, name: str) -> DatasetTypeRow:
        """Return a dataset type; `MissingDatasetTypeError` if there is none of that name."""
        row = self._cache.dataset_types.get(name)
        if row is None:
            row = self._definitions.dataset_types.by_name(self.connection, [name]).get(name)
            if row is None:
                known = self._definitions.dataset_types.near(self.connection, name)
                raise no_such_dataset_type(name, known)
            self._cache.dataset_types[name] = row
        return row

    def dataset_types_by_id(self, ids: Iterable[int]) -> dict[int, DatasetTypeRow]:
        """Return those of the dataset types that exist, by id."""
        cached, wanted = self._cache.dataset_types_by_id, set(ids)
        missing = [i for i in wanted if i not in cached]
        if missing:
            cached.update(self._definitions.dataset_types.by_id(self.connection, missing))
        return {i: cached[i] for i in wanted if i in cached}

    def records(
        self, element: DimensionElement, keys: Iterable[tuple[Any, ...]]
    ) -> dict[tuple[Any, ...], DimensionRecord]:
        """Return those records that exist, by the values of the required dimensions."""
        cached, name = self._cache.records, element.name
        wanted = list(keys)
        missing = [key for key in wanted if (name, key) not in cached]
        fetched: dict[tuple[Any, ...], DimensionRecord | None] = {}
        if missing:
            fetched = self._fetched(element, missing)
            if len(cached) + len(fetched) > _MAX_CACHED_RECORDS:
                # What others are reading stays as it is.
                self._cache.records = {}
            self._cache.records.update({(name, key): record for key, record in fetched.items()})
        found = {key: fetched[key] if key in fetched else cached[name, key] for key in wanted}
        return {key: record for key, record in found.items() if record is not None}

    def _fetched(
        self, element: DimensionElement, keys: list[tuple[Any, ...]]
    ) -> dict[tuple[Any, ...], DimensionRecord | None]:
        """Read records that are not cached, `None` where there is none, and perhaps others that will be wanted."""
        store, fetched = self._definitions.dimensions, dict[tuple[Any, ...], DimensionRecord | None]()
        if len(keys) == 1 and has_siblings(element):
            # Who puts one detector of a visit after the other is spared a statement for each of them.
            *others, _, last = keys[0]
            visit, asked = (element.name, *others, last), self._cache.asked
            if visit in asked:
                fetched = store.fetch_siblings(self.connection, element, keys[0])
            elif len(asked) < _MAX_CACHED_NAMES:
                asked.add(visit)
        if keys[0] not in fetched:
            found = store.fetch(self.connection, element, keys)
            fetched.update((key, found.get(key)) for key in keys)
        return fetched

    def matching_records(
        self, element: DimensionElement, fields: dict[str, Any], limit: int
    ) -> list[DimensionRecord]:
        """Return records whose fields have the given values, at most ``limit``."""
        return self._definitions.dimensions.match(self.connection, element, fields, limit)

    def existing_values(self, element: DimensionElement, values: set[Any]) -> set[Any]:
        """Return which values a dimension without a table of its own has."""
        known = self._cache.values.setdefault(element.name, set())
        missing = values - known
        if missing:
            known |= self._definitions.dimensions.existing_values(self.connection, element, missing)
        return values & known
