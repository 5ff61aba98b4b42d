# SPDX-License-Identifier: BSD-3-Clause
"""The part of ``butler.registry`` that is about collections."""

from __future__ import annotations

__all__ = ["RegistryCollections"]

import uuid
from collections.abc import Iterable, Iterator, Sequence

from butler.connect import Connection
from butler.dataset_arguments import check_collection
from butler.defaults import RegistryDefaults
from butler.lookup import DatasetFinder, check_writeable
from butler.query_arguments import check_collections
from butler_model.collection import ChainEdit, Collection, CollectionSummary, CollectionType
from butler_model.errors import CollectionTypeError, InvalidRequestError
from butler_model.misspellings import no_such_collection
from butler_model.ports import Collections

from .patterns import Patterns, collection_types, globs, is_glob


class RegistryCollections:
    """Collections, and what every part of the registry begins with."""

    def __init__(
        self, connection: Connection, defaults: RegistryDefaults, finder: DatasetFinder, *, writeable: bool
    ) -> None:
        self._connection = connection
        self._port = connection.registry
        self._info = connection.info
        self._finder = finder
        self._writeable = writeable
        self.defaults = defaults
        """Run, collections and governor values assumed where none are given."""

    def isWriteable(self) -> bool:
        """Return whether anything may be changed."""
        return self._writeable

    def registerRun(self, name: str, doc: str | None = None) -> bool:
        """Register a RUN collection; return whether it is new."""
        return self.registerCollection(name, CollectionType.RUN, doc)

    def registerCollection(
        self, name: str, type: CollectionType = CollectionType.TAGGED, doc: str | None = None
    ) -> bool:
        """Register a collection; return whether it is new.

        Raises
        ------
        ConflictingDefinitionError
            Raised if there is one of that name and another type.
        InvalidRequestError
            Raised for what is no `CollectionType`.
        """
        check_writeable(self._writeable, f"register collection {name!r:.300}")
        collection_types(type)
        return self._port.collections.register(Collection(name, type, doc or ""), request_id=uuid.uuid4())

    def removeCollection(self, name: str) -> None:
        """Remove a collection; of a RUN, which must have no stored artifacts, also its datasets.

        Raises
        ------
        MissingCollectionError
            Raised if there is none of that name.
        OrphanedRecordError
            Raised if it is in a chain, or is a RUN of which datasets are still stored.
        """
        check_writeable(self._writeable, f"remove collection {name!r:.300}")
        self._port.collections.remove(check_collection(name), request_id=uuid.uuid4())

    def getCollectionType(self, name: str) -> CollectionType:
        """Return the type of a collection; `MissingCollectionError` if there is none."""
        return self._port.collections.get(check_collection(name)).type

    def getCollectionChain(self, parent: str) -> tuple[str, ...]:
        """Return the members of a chain in search order.

        Raises
        ------
        MissingCollectionError, CollectionTypeError
            Raised if there is none of that name; if it is no CHAINED collection.
        """
        collection = self._port.collections.get(check_collection(parent))
        if collection.type is not CollectionType.CHAINED:
            raise CollectionTypeError(
                f"Collection {parent!r} is {collection.type.name}, not CHAINED.", collection=parent
            )
        return collection.children

    def setCollectionChain(
        self, parent: str, children: str | Iterable[str], *, flatten: bool = False, etag: str = ""
    ) -> None:
        """Set the members of a chain, in search order; of one that is given twice the first place counts.

        Parameters
        ----------
        flatten
            Whether chains among the members are replaced by what they hold now; later edits of them do not show then.
        etag
            `Collection.etag` of the chain as it was seen: if it has changed since, nothing is done.

        Raises
        ------
        MissingCollectionError, CollectionTypeError
            Raised if the chain or a member does not exist; if it is no chain.
        CollectionCycleError
            Raised if the chain would contain itself, directly or not.
        StaleEditError
            Raised if the chain is not what ``etag`` says.
        """
        check_writeable(self._writeable, f"edit chain {parent!r:.300}")
        names = check_collections(children)
        if flatten:
            names = tuple(leaf.name for leaf in leaves(self._port.collections, names))
        self._port.collections.edit_chain(
            check_collection(parent), ChainEdit.SET, names, request_id=uuid.uuid4(), etag=etag
        )

    def getCollectionParentChains(self, collection: str) -> set[str]:
        """Return the names of the chains that a collection is a member of."""
        return set(self._port.collections.parents(check_collection(collection)))

    def getCollectionDocumentation(self, collection: str) -> str | None:
        """Return the description of a collection, `None` if it has none."""
        return self._port.collections.get(check_collection(collection)).doc or None

    def setCollectionDocumentation(self, collection: str, doc: str | None) -> None:
        """Set the description of a collection."""
        check_writeable(self._writeable, f"describe collection {collection!r:.300}")
        if doc is not None and not isinstance(doc, str):
            raise InvalidRequestError(f"A description is text, not {doc!r:.80}.")
        self._port.collections.set_doc(check_collection(collection), doc or "", request_id=uuid.uuid4())

    def getCollectionSummary(self, collection: str) -> CollectionSummary:
        """Return what a collection holds now: dataset types, and values of governor dimensions."""
        return self._port.collections.summaries([check_collection(collection)])[0]

    def queryCollections(
        self,
        expression: Patterns = ...,
        *,
        collectionTypes: CollectionType | Iterable[CollectionType] | None = None,
        flattenChains: bool = False,
        includeChains: bool | None = None,
    ) -> list[str]:
        """Return the names of collections that any of the names or globs match, in the order of their names.

        Parameters
        ----------
        flattenChains
            Whether the members of chains that match are given too, depth-first, each once.
        includeChains
            Whether chains themselves are given; by default, unless they are flattened.

        Raises
        ------
        InvalidRequestError
            Raised for what is no name or glob, and for what is no `CollectionType`.
        MissingCollectionError
            Raised for a name, and no glob, that none has.
        """
        wanted = None if collectionTypes is None else collection_types(collectionTypes)
        found: Iterable[Collection] = matching(self._port.collections, globs(expression))
        if flattenChains:
            found = leaves(self._port.collections, [c.name for c in found], with_chains=True)
        with_chains = not flattenChains if includeChains is None else includeChains
        if not with_chains:
            found = (c for c in found if c.type is not CollectionType.CHAINED)
        return [c.name for c in found if wanted is None or c.type in wanted]


def matching(port: Collections, patterns: Sequence[str]) -> Sequence[Collection]:
    """Return the collections that any of some names and globs match; `MissingCollectionError` for an unknown name."""
    found = port.find(patterns)
    absent = {name for name in patterns if not is_glob(name)}.difference(c.name for c in found)
    if absent:
        raise no_such_collection(min(absent), [c.name for c in port.find(["*"])])
    return found


def leaves(port: Collections, names: Iterable[str], *, with_chains: bool = False) -> Iterator[Collection]:
    """Yield the collections that a search visits, depth-first, each once; chains themselves only if asked for."""
    seen: set[str] = set()

    def visit(name: str) -> Iterator[Collection]:
        if name in seen:
            return
        seen.add(name)
        collection = port.get(name)
        is_chain = collection.type is CollectionType.CHAINED
        if with_chains or not is_chain:
            yield collection
        for child in collection.children:
            yield from visit(child)

    for name in names:
        yield from visit(name)
