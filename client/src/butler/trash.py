# SPDX-License-Identifier: BSD-3-Clause
"""``butler.trash``: what was removed and is not deleted yet."""

from __future__ import annotations

__all__ = ["ButlerTrash"]

import html
import uuid
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from uuid import UUID

from butler_model.dataset import DatasetRef
from butler_model.errors import ButlerError, InvalidRequestError
from butler_model.trash import PurgeProgress, TrashedArtifact, TrashSelection, TrashState

from .connect import Connection
from .dataset_arguments import several
from .ingest_files import Progress
from .lookup import check_writeable, dataset_uuid
from .repeating import repeated


class ButlerTrash:
    """The trash of a repository.

    Arguments select what is meant: ids of the requests that trashed it (`RemovalReport.trash_ids`), datasets as refs or
    ids, names of stores, states. What is not given does not restrict it.
    """

    def __init__(self, connection: Connection, *, writeable: bool) -> None:
        self._connection = connection
        self._writeable = writeable

    def entries(
        self,
        *,
        trash_ids: Iterable[UUID] = (),
        datasets: Iterable[DatasetRef | UUID] = (),
        stores: Iterable[str] = (),
        states: Iterable[TrashState | str] = (),
    ) -> Iterator[TrashedArtifact]:
        """Yield what is in the trash, in the order of datasets and components."""
        selection = _selection(trash_ids, datasets, stores, states)
        token = b""
        while True:
            page = self._connection.registry.trash.entries(selection, page_token=token)
            yield from page.artifacts
            token = page.next_page_token
            if not token:
                return

    def count(
        self,
        *,
        trash_ids: Iterable[UUID] = (),
        datasets: Iterable[DatasetRef | UUID] = (),
        stores: Iterable[str] = (),
        states: Iterable[TrashState | str] = (),
    ) -> Mapping[str, int]:
        """Return how many artifacts there are in each state: ``trashed``, ``purging``, ``failed``."""
        return self._connection.registry.trash.count(_selection(trash_ids, datasets, stores, states))

    def undelete(self, *, trash_ids: Iterable[UUID] = (), datasets: Iterable[DatasetRef | UUID] = ()) -> int:
        """Restore datasets with all their artifacts, all or none; return how many artifacts were restored.

        A purged dataset is in its run again, which is registered if it is gone; it is in no other collection.

        Raises
        ------
        InvalidRequestError
            Raised if nothing is selected.
        TrashClaimedError
            Raised if the deletion of an artifact was begun.
        ConflictingDefinitionError
            Raised if a run has another dataset of that type and data ID by now.
        MissingDatasetTypeError
            Raised if a dataset type is gone.
        ReadOnlyError
            Raised if the butler is not writeable.
        """
        check_writeable(self._writeable, "restore datasets")
        selection = _selection(trash_ids, datasets, (), ())
        if selection == TrashSelection():
            raise InvalidRequestError("Say what is to be restored: give trash_ids or datasets.")
        request_id = uuid.uuid4()
        return repeated(lambda: self._connection.registry.trash.undelete(selection, request_id=request_id))

    def empty(
        self,
        *,
        trash_ids: Iterable[UUID] = (),
        datasets: Iterable[DatasetRef | UUID] = (),
        stores: Iterable[str] = (),
        dry_run: bool = False,
        progress: Progress | None = None,
    ) -> PurgeProgress:
        """Delete what is due, for good; return how far that came.

        Parameters
        ----------
        dry_run
            Whether only to count what is due.
        progress
            Called with a phase, what of it is done, and its total.

        Raises
        ------
        ServiceUnavailableError
            Raised if the registry cannot be reached or cannot write; then nothing is deleted.
        ReadOnlyError
            Raised if the butler is not writeable.
        InvalidRequestError
            Raised within a transaction.
        """
        check_writeable(self._writeable, "empty its trash")
        if self._connection.registry.in_transaction:
            raise InvalidRequestError(
                "What is deleted does not come back, whatever becomes of the transaction; empty the trash after it."
            )
        selection = _selection(trash_ids, datasets, stores, ())
        now = PurgeProgress()
        housekeeping = self._connection.datastore.housekeeping
        for now in housekeeping.empty_trash(self._connection.info.name, selection, dry_run=dry_run):
            done = now.deleted + now.kept + now.failed
            if progress is not None:
                progress("empty trash", done, done + now.remaining)
        return now

    def __repr__(self) -> str:
        try:
            counts = self.count()
        except ButlerError as error:
            return f"ButlerTrash({error})"
        return f"ButlerTrash({', '.join(f'{state}={number}' for state, number in counts.items()) or 'empty'})"

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><th>{html.escape(state)}</th><td>{number}</td></tr>"
            for state, number in self.count().items()
        )
        return f"<table><caption>Trash</caption>{rows or '<tr><td>empty</td></tr>'}</table>"


def _selection(
    trash_ids: Iterable[UUID],
    datasets: Iterable[DatasetRef | UUID],
    stores: Iterable[str],
    states: Iterable[TrashState | str],
) -> TrashSelection:
    """Return a selection; `InvalidRequestError` for a state that there is not, `AmbiguousDatasetError` for a ref."""
    known = {state.value: state for state in TrashState}
    wanted = set()
    for state in (states,) if isinstance(states, str) else states:
        if not isinstance(state, TrashState) and state not in known:
            raise InvalidRequestError(f"There is no state {state!r:.80}; there are {', '.join(known)}.")
        wanted.add(state if isinstance(state, TrashState) else known[state])
    return TrashSelection(
        tuple(map(dataset_uuid, several(trash_ids, "trash_ids", "ids, as butler.trash lists them"))),
        tuple(map(_dataset_id, several(datasets, "datasets", "refs or ids of datasets"))),
        (stores,) if isinstance(stores, str) else tuple(stores),
        frozenset(wanted),
    )


def _dataset_id(given: Any) -> UUID:
    return given.getCheckedId() if isinstance(given, DatasetRef) else dataset_uuid(given)
