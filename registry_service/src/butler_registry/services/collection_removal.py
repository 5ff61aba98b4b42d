# SPDX-License-Identifier: BSD-3-Clause
"""Removing collections, and taking them out of chains first."""

from __future__ import annotations

__all__ = ["check_links", "remove_collection"]

from collections.abc import Sequence

from butler_model.access import Access, Verb, denied
from butler_model.errors import ChainMembershipError, OrphanedRecordError
from butler_registry.storage.collection_store import CollectionRow, CollectionStore

from .definitions import Definitions, Snapshot


def check_links(
    snapshot: Snapshot, store: CollectionStore, row: CollectionRow, unlink: Sequence[str], *, unlink_all: bool
) -> None:
    """Check that a collection will be in no chain any more.

    Raises
    ------
    MissingCollectionError, ChainMembershipError
        Raised if one of the chains to take it out of does not exist, or does not have it as a member.
    OrphanedRecordError
        Raised if it is in another chain.
    """
    name = row.collection.name
    parents = store.chains.parents(snapshot.connection, row.id)
    snapshot.collections(unlink)
    if unlink_all:
        _check_all_writable(snapshot.access, parents)
    strangers = [chain for chain in unlink if chain not in parents]
    if strangers:
        raise ChainMembershipError(
            f"{strangers[0]!r} is no chain with the member {name!r}, so it cannot be taken out; it is in "
            f"{', '.join(map(repr, filter(snapshot.access.sees, parents))) or 'no chain'}.",
            collection=name,
            chain=strangers[0],
        )
    left = [] if unlink_all else [chain for chain in parents if chain not in unlink]
    if left:
        raise OrphanedRecordError(
            f"Collection {name!r} is in the chain "
            f"{', '.join(map(repr, filter(snapshot.access.sees, left))) or 'of somebody else'}; take it out first, or "
            "have it unlinked with its removal (--unlink, unlink_from_chains=True).",
            collection=name,
        )


def _check_all_writable(access: Access, chains: Sequence[str]) -> None:
    for chain in chains:
        if not access.may(Verb.WRITE, chain):
            raise denied(Verb.WRITE, "each chain that it is in")


def remove_collection(definitions: Definitions, snapshot: Snapshot, row: CollectionRow) -> None:
    """Take a collection without datasets of its own out of its chains, remove it, and count that as a change.

    The caller has locked the definitions, and does nothing after this.
    """
    definitions.collections.chains.take_out(snapshot.connection, row.id)
    definitions.collections.delete(snapshot.connection, row.id)
    definitions.advance(snapshot.connection)
