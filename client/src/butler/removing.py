# SPDX-License-Identifier: BSD-3-Clause
"""Removing datasets, their artifacts, and collections."""

from __future__ import annotations

__all__ = ["DatasetRemoving"]

import uuid
from collections.abc import Iterable
from uuid import UUID

from butler_api.tracing import traced
from butler_model.collection import CollectionType
from butler_model.dataset import DatasetRef
from butler_model.errors import CollectionTypeError, InvalidRequestError

from .dataset_arguments import check_collection, check_refs
from .ingest_files import Progress
from .lookup import DatasetAccess, check_writeable
from .query import Query
from .query_arguments import check_collections
from .removal_errors import (
    PurgeUnsupportedPruneCollectionsError,
    PurgeWithoutUnstorePruneCollectionsError,
    RunWithoutPurgePruneCollectionsError,
)
from .removal_work import RemovalReport, RemovalWork
from .repeating import repeated


class DatasetRemoving(DatasetAccess):
    """The methods that remove.

    Artifacts go to the trash first, together with what is removed; then the trash that came of the call is emptied.
    What cannot be deleted at once, since a service is down, say, the datastore deletes later, and the report says so.
    `butler.trash` shows it, and can restore what was not deleted yet.
    """

    _writeable: bool

    @traced("butler.pruneDatasets")
    def pruneDatasets(
        self,
        refs: Iterable[DatasetRef],
        *,
        disassociate: bool = True,
        unstore: bool = False,
        tags: str | Iterable[str] = (),
        purge: bool = False,
        run: str | None = None,
        dry_run: bool = False,
        purge_after: int = 0,
        progress: Progress | None = None,
    ) -> RemovalReport:
        """Remove datasets, their artifacts, or their tags; those that are gone already are ignored.

        All or none, up to the batch limit of the service; beyond that, all or none of each batch. What was interrupted
        is finished by calling it again.

        Parameters
        ----------
        disassociate
            Whether they are taken out of ``tags``.
        unstore
            Whether their artifacts go. A dataset without stays in its run, and its data ID stays taken.
        tags
            TAGGED collections.
        purge
            Whether they are removed for good, with their artifacts, from all collections; needs ``disassociate`` and
            ``unstore``.
        run
            Without effect: a dataset is purged from the run it is in.
        dry_run
            Whether only to count.
        purge_after
            How long the artifacts stay in the trash at least, in seconds.
        progress
            Called with a phase, what of it is done, and its total.

        Raises
        ------
        TypeError
            Raised for arguments that do not go together: a purge without ``unstore`` or ``disassociate``, and neither a
            purge nor tags to disassociate from.
        InvalidRequestError
            Raised for a ref of a component.
        AmbiguousDatasetError
            Raised for an unresolved ref.
        CollectionTypeError, MissingCollectionError
            Raised if one of the tags is no TAGGED collection.
        ReadOnlyError
            Raised if the butler is not writeable.
        """
        check_writeable(self._writeable, "prune datasets")
        if purge and not (disassociate and unstore):
            raise TypeError(
                "purge=True removes datasets for good: it needs disassociate=True and unstore=True."
            )
        names = check_collections(tags) if disassociate and not purge else ()
        if disassociate and not purge and not names:
            raise TypeError(
                "From which TAGGED collections? Give tags=…, or purge=True and unstore=True to remove the datasets, or "
                "disassociate=False and unstore=True to remove only their artifacts."
            )
        ids = _ids(refs)
        work = self._removal(dry_run, purge_after, progress)
        if unstore or names:
            work.prune(ids, unstore=unstore, purge=purge, tags=names)
        return work.finished()

    @traced("butler.pruneCollection")
    def pruneCollection(
        self,
        name: str,
        purge: bool = False,
        unstore: bool = False,
        unlink: str | Iterable[str] | None = None,
        *,
        dry_run: bool = False,
        purge_after: int = 0,
        progress: Progress | None = None,
    ) -> RemovalReport:
        """Remove a collection, and artifacts of datasets in it.

        Parameters
        ----------
        purge
            Whether it may be a RUN, which goes with its datasets; needs ``unstore``.
        unstore
            Whether artifacts go: of a RUN all, of other collections those of the datasets that a search finds there.
            These datasets stay in their runs.
        unlink
            Chains to take it out of first.
        dry_run, purge_after, progress
            As for `pruneDatasets`.

        Raises
        ------
        PruneCollectionsArgsError
            Raised, as one of its three kinds, for arguments that do not go together, or not with such a collection.
        MissingCollectionError, ChainMembershipError
            Raised if there is no such collection, or it is not in a chain to take it out of.
        OrphanedRecordError
            Raised if it is in another chain, or a put into the RUN is under way.
        ReadOnlyError
            Raised if the butler is not writeable.
        """
        check_writeable(self._writeable, f"prune collection {name!r:.300}")
        if purge and not unstore:
            raise PurgeWithoutUnstorePruneCollectionsError
        chains = () if unlink is None else check_collections(unlink)
        collections = self._connection.registry.collections
        kind = collections.get(check_collection(name)).type
        if kind is CollectionType.RUN and not purge:
            raise RunWithoutPurgePruneCollectionsError(name)
        if kind is not CollectionType.RUN and purge:
            raise PurgeUnsupportedPruneCollectionsError(name, kind.name)
        work = self._removal(dry_run, purge_after, progress)
        if purge:
            work.remove_run(name, unstore=True, unlink=chains, unlink_all=False)
            return work.finished()
        collections.remove(name, request_id=uuid.uuid4(), unlink=chains, validate_only=True)
        if unstore:
            found_first = kind is not CollectionType.CALIBRATION
            work.prune(self._ids_in(name, find_first=found_first), unstore=True)
        if not dry_run:
            request_id = uuid.uuid4()
            repeated(lambda: collections.remove(name, request_id=request_id, unlink=chains))
        return work.finished()

    @traced("butler.removeRuns")
    def removeRuns(
        self,
        names: str | Iterable[str],
        unstore: bool = True,
        *,
        unlink_from_chains: bool = False,
        dry_run: bool = False,
        purge_after: int = 0,
        progress: Progress | None = None,
    ) -> RemovalReport:
        """Remove RUN collections with all their datasets; what was interrupted is finished by calling it again.

        Parameters
        ----------
        unstore
            Whether the artifacts go; else they stay where they are, and are forgotten.
        unlink_from_chains
            Whether they are taken out of all chains; else none may be in one.
        dry_run, purge_after, progress
            As for `pruneDatasets`.

        Raises
        ------
        CollectionTypeError, MissingCollectionError
            Raised if one is no RUN, or there is none of its name; then nothing is removed.
        OrphanedRecordError
            Raised if one is in a chain, or a put into it is under way; then nothing is removed.
        ReadOnlyError
            Raised if the butler is not writeable.
        """
        runs = check_collections(names)
        check_writeable(self._writeable, f"remove run {', '.join(map(repr, runs)):.300}")
        for name in runs:
            kind = self._connection.registry.collections.get(name).type
            if kind is not CollectionType.RUN:
                raise CollectionTypeError(
                    f"{name!r} is a {kind.name} collection, not a RUN; remove it with butler.collections.remove or "
                    "'butler remove-collections'.",
                    collection=name,
                )
        work = self._removal(dry_run, purge_after, progress)
        for name in runs if len(runs) > 1 else ():
            work.check_run(name, unlink=(), unlink_all=unlink_from_chains)
        for name in runs:
            work.remove_run(name, unstore=unstore, unlink=(), unlink_all=unlink_from_chains)
        return work.finished()

    def _removal(self, dry_run: bool, purge_after: int, progress: Progress | None) -> RemovalWork:
        return RemovalWork(self._connection, dry_run=dry_run, purge_after=purge_after, progress=progress)

    def _ids_in(self, collection: str, *, find_first: bool) -> list[UUID]:
        """Return the datasets that a collection holds, each once."""
        registry = self._connection.registry
        held = registry.collections.summaries([collection])[0].dataset_types
        query = Query(self._connection, self._defaults, self._finder.types)
        types = [[self._finder.types.get(name)] for name in held]
        found = query.datasets_of(types, (collection,), find_first=find_first)
        return list(dict.fromkeys(ref.getCheckedId() for ref in found))


def _ids(refs: Iterable[DatasetRef]) -> list[UUID]:
    ids: dict[UUID, None] = {}
    for ref in check_refs(refs):
        if ref.isComponent():
            raise InvalidRequestError(
                f"{ref} is a component, which cannot be removed without the whole; give the ref of that.",
                dataset_type=ref.datasetType.name,
            )
        ids[ref.getCheckedId()] = None
    return list(ids)
