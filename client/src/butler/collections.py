# SPDX-License-Identifier: BSD-3-Clause
"""``butler.collections``: the default collections as a sequence, and everything there is to do with collections."""

from __future__ import annotations

__all__ = ["ButlerCollections", "CollectionInfo"]

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import overload
from uuid import uuid4

from butler_model.collection import ChainEdit, Collection, CollectionSummary, CollectionType
from butler_model.ports import Registry

from .dataset_arguments import check_collection
from .lookup import check_writeable
from .query_arguments import check_collections
from .registry import ButlerRegistry
from .registry.patterns import Patterns


@dataclass(frozen=True, slots=True)
class CollectionInfo:
    """What is known of a collection.

    Attributes
    ----------
    children
        Members of a CHAINED collection, in search order.
    etag
        Digest of the members: an edit that gives it is refused if the chain has changed since.
    parents
        Chains that it is a member of; `None` unless asked for.
    summary
        What it holds; `None` unless asked for.
    """

    name: str
    type: CollectionType
    doc: str
    children: tuple[str, ...]
    etag: str
    parents: frozenset[str] | None = None
    summary: CollectionSummary | None = None


class ButlerCollections(Sequence[str]):
    """Names of the default collections, in search order; its methods are about all collections of the repository."""

    def __init__(self, registry: ButlerRegistry, port: Registry) -> None:
        self._registry = registry
        self._port = port

    @property
    def defaults(self) -> tuple[str, ...]:
        """Names of the default collections, in search order."""
        return self._registry.defaults.collections

    @overload
    def __getitem__(self, index: int) -> str: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[str, ...]: ...

    def __getitem__(self, index: int | slice) -> str | tuple[str, ...]:
        return self.defaults[index]

    def __len__(self) -> int:
        return len(self.defaults)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and not isinstance(other, str) and self.defaults == tuple(other)

    def __hash__(self) -> int:
        return hash(self.defaults)

    def __str__(self) -> str:
        return str(self.defaults)

    __repr__ = __str__

    def query(
        self,
        expression: Patterns = ...,
        *,
        collection_types: CollectionType | Iterable[CollectionType] | None = None,
        flatten_chains: bool = False,
        include_chains: bool | None = None,
    ) -> list[str]:
        """Return the names of collections that match any of the globs; see `ButlerRegistry.queryCollections`."""
        return self._registry.queryCollections(
            expression,
            collectionTypes=collection_types,
            flattenChains=flatten_chains,
            includeChains=include_chains,
        )

    def query_info(
        self,
        expression: Patterns = ...,
        *,
        collection_types: CollectionType | Iterable[CollectionType] | None = None,
        flatten_chains: bool = False,
        include_chains: bool | None = None,
        include_parents: bool = False,
        include_summary: bool = False,
    ) -> list[CollectionInfo]:
        """Return what is known of the collections that `query` finds."""
        names = self.query(
            expression,
            collection_types=collection_types,
            flatten_chains=flatten_chains,
            include_chains=include_chains,
        )
        found = (
            {collection.name: collection for collection in self._port.collections.find(names)}
            if names
            else {}
        )
        summaries = (
            self._port.collections.summaries(names) if include_summary and names else [None] * len(names)
        )
        return [
            self._info(found[name], include_parents, summary)
            for name, summary in zip(names, summaries, strict=True)
            if name in found
        ]

    def get_info(
        self, name: str, *, include_parents: bool = False, include_summary: bool = False
    ) -> CollectionInfo:
        """Return what is known of a collection; `MissingCollectionError` if there is none of that name."""
        collection = self._port.collections.get(check_collection(name))
        summary = self._port.collections.summaries([name])[0] if include_summary else None
        return self._info(collection, include_parents, summary)

    def register(self, name: str, type: CollectionType = CollectionType.RUN, doc: str | None = None) -> bool:
        """Register a collection; return whether it is new."""
        return self._registry.registerCollection(name, type, doc)

    def remove(
        self, names: str | Iterable[str], *, unlink_from_chains: bool = False, dry_run: bool = False
    ) -> None:
        """Remove collections, one after the other; of RUNs, which must have no stored artifacts, also their datasets.

        If one cannot be removed, none is. A chain may be removed together with its members.

        Parameters
        ----------
        unlink_from_chains
            Whether they are taken out of all chains; else none may be in a chain that is not removed.
        dry_run
            Whether only to check that they can be removed.

        Raises
        ------
        MissingCollectionError
            Raised if there is none of a name.
        OrphanedRecordError
            Raised if one is in a chain, or is a RUN of which datasets are still stored.
        """
        removed = check_collections(names)
        check_writeable(self._registry.isWriteable(), f"remove {', '.join(map(repr, removed)):.300}")
        for validate_only in (True,) if dry_run else (True, False):
            for name in removed:
                parents = self._port.collections.parents(name)
                self._port.collections.remove(
                    name,
                    request_id=uuid4(),
                    unlink=[parent for parent in parents if parent in removed],
                    unlink_all=unlink_from_chains,
                    validate_only=validate_only,
                )

    x_remove = remove
    """The name that the field knows."""

    def extend_chain(self, parent: str, children: str | Iterable[str]) -> None:
        """Move or add members to the end of a chain, whoever else edits it at the same time."""
        self._edit(parent, ChainEdit.EXTEND, children)

    def prepend_chain(self, parent: str, children: str | Iterable[str]) -> None:
        """Move or add members to the front of a chain, whoever else edits it at the same time."""
        self._edit(parent, ChainEdit.PREPEND, children)

    def remove_from_chain(self, parent: str, children: str | Iterable[str]) -> None:
        """Take members out of a chain; those that are not in it are ignored."""
        self._edit(parent, ChainEdit.REMOVE, children)

    def redefine_chain(self, parent: str, children: str | Iterable[str], *, etag: str = "") -> None:
        """Set the members of a chain; with ``etag`` only if it has not changed since, else `StaleEditError`."""
        self._edit(parent, ChainEdit.SET, children, etag)

    def _edit(self, parent: str, edit: ChainEdit, children: str | Iterable[str], etag: str = "") -> None:
        check_writeable(self._registry.isWriteable(), f"edit chain {parent!r:.300}")
        self._port.collections.edit_chain(
            check_collection(parent), edit, check_collections(children), request_id=uuid4(), etag=etag
        )

    def _info(
        self, collection: Collection, include_parents: bool, summary: CollectionSummary | None
    ) -> CollectionInfo:
        return CollectionInfo(
            collection.name,
            collection.type,
            collection.doc,
            collection.children,
            collection.etag,
            frozenset(self._port.collections.parents(collection.name)) if include_parents else None,
            summary,
        )
