# SPDX-License-Identifier: BSD-3-Clause
"""The client's half of a transaction: whose it is, what happens after it, and what its failure leaves to be done."""

from __future__ import annotations

__all__ = ["CurrentRegistry", "take_back"]

import logging
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import wraps
from typing import ParamSpec, TypeVar
from uuid import UUID, uuid4

from butler_model.errors import (
    ButlerError,
    InternalError,
    TransactionError,
)
from butler_model.ports import (
    Associations,
    Collections,
    Datasets,
    DatasetTypes,
    Datastore,
    DimensionRecords,
    Events,
    Puts,
    Queries,
    Registry,
    RegistryTransaction,
    Removals,
    Statistics,
    Transactions,
    Trash,
)
from butler_model.repository import Limits, RepositoryInfo

from .repeating import REPEATABLE, repeated

_LOG = logging.getLogger(__name__)
_UNKNOWN = (*REPEATABLE, InternalError)

_P = ParamSpec("_P")
_T = TypeVar("_T")


class _Open:
    """A transaction that is open, and what is to be done after it, by savepoint."""

    def __init__(self, transaction: RegistryTransaction) -> None:
        self.transaction = transaction
        self.afterwards: list[list[Callable[[], object]]] = [[]]
        self.left: set[UUID] = set()
        self._process = os.getpid()

    @property
    def is_here(self) -> bool:
        """Whether this process began it: one that was forked in it has none of its connections."""
        return self._process == os.getpid()

    def check_here(self) -> None:
        if not self.is_here:
            raise TransactionError(
                "The transaction belongs to the process that began it, and this one was forked in it; do what is to be "
                "done here before it or after it."
            )


class CurrentRegistry:
    """The registry of a repository, or in a thread that has begun a transaction the one of that.

    Implements `butler_model.ports.Registry`. A transaction belongs to the thread that began it; `carried` lends it.

    Attributes
    ----------
    repository
        The registry outside of any transaction.
    """

    def __init__(self, repository: Registry, datastore: Datastore, limits: Limits) -> None:
        self.repository = repository
        self._datastore = datastore
        self._limits = limits
        self._thread = threading.local()

    @property
    def _open(self) -> _Open | None:
        return getattr(self._thread, "open", None)

    @property
    def _registry(self) -> Registry:
        current = self._open
        if current is None:
            return self.repository
        current.check_here()
        return current.transaction

    @property
    def in_transaction(self) -> bool:
        """Whether this thread has begun a transaction: what it sees may never be."""
        return self._open is not None

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Do all that this thread does in the block together, or, if it raises, not at all.

        Within another one it is a part that is undone by itself.
        """
        current = self._open
        if current is not None:
            current.check_here()
            with self._part(current):
                yield
            return
        transaction = self.repository.transactions.begin(uuid4())
        current = self._thread.open = _Open(transaction)
        try:
            yield
        except BaseException:
            self._thread.open = None
            if current.is_here:
                self._take_back(transaction.rollback(), current)
            raise
        self._thread.open = None
        current.check_here()
        self._commit(current)
        for action in current.afterwards[0]:
            action()

    @contextmanager
    def _part(self, current: _Open) -> Iterator[None]:
        transaction = current.transaction
        transaction.savepoint()
        current.afterwards.append([])
        try:
            yield
        except BaseException:
            current.afterwards.pop()
            if current.is_here:
                self._undo_part(current)
            raise
        current.check_here()
        transaction.release()
        last = current.afterwards.pop()
        current.afterwards[-1] += last

    def _undo_part(self, current: _Open) -> None:
        try:
            undone = current.transaction.rollback_to()
        except ButlerError as error:
            # The whole transaction is over, or will be, and takes back everything.
            _LOG.debug("A part of a transaction could not be undone by itself: %s", error)
            return
        self._take_back(undone, current)

    def _commit(self, current: _Open) -> None:
        transaction = current.transaction
        try:
            transaction.commit()
        except _UNKNOWN as error:
            if self._was_committed(transaction.id, error):
                return
            self._take_back(transaction.rollback(), current)
            raise TransactionError(f"The transaction was rolled back: {error}") from error
        except ButlerError:
            self._take_back(transaction.rollback(), current)
            raise

    def _was_committed(self, transaction_id: UUID, error: ButlerError) -> bool:
        """Ask for an outcome that is not known; the error given if nobody answers. Then nothing may be discarded."""
        try:
            return repeated(lambda: self.repository.transactions.was_committed(transaction_id), _UNKNOWN)
        except _UNKNOWN:
            raise error from None

    def _take_back(self, dataset_ids: Sequence[UUID], current: _Open) -> None:
        ids = [dataset_id for dataset_id in dataset_ids if dataset_id not in current.left]
        size = self._limits.batch_items
        for start in range(0, len(ids), size):
            take_back(self.puts, self._datastore, ids[start : start + size])

    def leave(self, dataset_ids: Iterable[UUID]) -> None:
        """Leave puts to their intents if the transaction is undone: something may still be written, sometime."""
        current = self._open
        if current is not None:
            current.left.update(dataset_ids)

    def after_commit(self, action: Callable[[], object]) -> None:
        """Do something once the outermost transaction of this thread is committed; at once if there is none."""
        current = self._open
        if current is None:
            action()
        else:
            current.afterwards[-1].append(action)

    def carried(self, call: Callable[_P, _T]) -> Callable[_P, _T]:
        """Return a function that does in whatever thread what it would do in this one's transaction."""
        current = self._open

        @wraps(call)
        def carry(*args: _P.args, **kwargs: _P.kwargs) -> _T:
            before, self._thread.open = self._open, current
            try:
                return call(*args, **kwargs)
            finally:
                self._thread.open = before

        return carry

    @property
    def info(self) -> RepositoryInfo:
        return self._registry.info

    @property
    def revision(self) -> int:
        return self._registry.revision

    @property
    def dimension_records(self) -> DimensionRecords:
        return self._registry.dimension_records

    @property
    def collections(self) -> Collections:
        return self._registry.collections

    @property
    def associations(self) -> Associations:
        return self._registry.associations

    @property
    def dataset_types(self) -> DatasetTypes:
        return self._registry.dataset_types

    @property
    def datasets(self) -> Datasets:
        return self._registry.datasets

    @property
    def puts(self) -> Puts:
        return self._registry.puts

    @property
    def queries(self) -> Queries:
        return self._registry.queries

    @property
    def removals(self) -> Removals:
        return self._registry.removals

    @property
    def statistics(self) -> Statistics:
        return self._registry.statistics

    @property
    def trash(self) -> Trash:
        return self._registry.trash

    @property
    def events(self) -> Events:
        return self.repository.events

    @property
    def transactions(self) -> Transactions:
        return self.repository.transactions

    def close(self) -> None:
        """Give back connections."""
        self.repository.close()


def take_back(puts: Puts, datastore: Datastore, dataset_ids: Sequence[UUID]) -> None:
    """Give up puts and discard what they wrote; what fails is logged, and left to the intents."""
    try:
        grants = puts.abort(dataset_ids, request_id=uuid4())
        if grants:
            datastore.discard(grants)
        puts.finish_abort(dataset_ids, request_id=uuid4())
    except TransactionError:
        pass  # all that was begun in it is taken back together
    except ButlerError as error:
        _LOG.warning(
            "A failed put of %d datasets could not be taken back (%s); their intents stay until somebody "
            "discards what they wrote.",
            len(dataset_ids),
            error,
        )
