# SPDX-License-Identifier: BSD-3-Clause
"""Transactions; implements `butler_model.ports.Transactions`.

A transaction has services of its own, over one pinned connection. So nothing that is not committed gets into a cache
that others use; what they cached is out of date once it is committed, since the revision is then another one.
"""

from __future__ import annotations

__all__ = ["RegistryServices", "RepositoryTransaction", "ServicesOverDatabase", "TransactionService"]

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol
from uuid import UUID

from butler_model.cancellation import Cancellation
from butler_model.errors import ButlerError, InvalidRequestError, TransactionError
from butler_model.failpoints import reach
from butler_model.ports import (
    Associations,
    Collections,
    Datasets,
    DatasetTypes,
    DimensionRecords,
    Events,
    Queries,
    Removals,
    Statistics,
    Trash,
)
from butler_model.repository import RepositoryInfo
from butler_registry.storage.database import Database
from butler_registry.storage.intent_store import IntentRow
from butler_registry.storage.pinned_database import PinnedDatabase
from butler_registry.storage.request_store import RequestStore

from .begun_puts import BegunPuts
from .definitions import Definitions
from .puts import PutService
from .transaction_room import TransactionRoom

_LOGGER = logging.getLogger(__name__)
_COMMITTED, _ROLLED_BACK = ("transaction", "committed"), ("transaction", "rolled back")
"""What is noted under the id of a transaction: whichever is first stands, and who comes second waits to see it."""
_ROLLED_BACK_MESSAGE = "The transaction was rolled back; begin another one."


class RegistryServices(Protocol):
    """The services of a registry over one database."""

    @property
    def definitions(self) -> Definitions: ...
    @property
    def dimension_records(self) -> DimensionRecords: ...
    @property
    def collections(self) -> Collections: ...
    @property
    def associations(self) -> Associations: ...
    @property
    def dataset_types(self) -> DatasetTypes: ...
    @property
    def datasets(self) -> Datasets: ...
    @property
    def puts(self) -> PutService: ...
    @property
    def queries(self) -> Queries: ...
    @property
    def removals(self) -> Removals: ...
    @property
    def statistics(self) -> Statistics: ...
    @property
    def trash(self) -> Trash: ...


ServicesOverDatabase = Callable[[PinnedDatabase, BegunPuts], RegistryServices]
"""Makes services, with empty caches, over the database of a transaction."""


class TransactionService:
    """Begins transactions of one repository.

    Parameters
    ----------
    room
        Shared by all repositories that share connections: has a place for each transaction that may be open.
    caller
        Whose transactions they are; empty where nobody is asked.
    """

    def __init__(
        self,
        database: Database,
        requests: RequestStore,
        events: Events,
        info: RepositoryInfo,
        room: TransactionRoom,
        caller: str,
        make_services: ServicesOverDatabase,
    ) -> None:
        self._database = database
        self._requests = requests
        self.events = events
        self.info = info
        self._room = room
        self._caller = caller
        self.make_services = make_services

    def begin(
        self, transaction_id: UUID, *, cancellation: Cancellation | None = None
    ) -> RepositoryTransaction:
        self._room.take(self._caller)
        try:
            return RepositoryTransaction(transaction_id, self, PinnedDatabase(self._database, cancellation))
        except BaseException:
            self._room.give_back(self._caller)
            raise

    def was_committed(self, transaction_id: UUID) -> bool:
        try:
            with self._database.writing() as connection:
                self._requests.is_repeat(connection, transaction_id, *_ROLLED_BACK)
        except InvalidRequestError:
            return True
        return False

    def note_commit(self, transaction_id: UUID, database: PinnedDatabase) -> None:
        """Note in a transaction that it is committed; `TransactionError` if somebody was told that it never will."""
        try:
            with database.writing() as connection:
                is_over = self._requests.is_repeat(connection, transaction_id, *_COMMITTED)
        except InvalidRequestError:
            is_over = True
        if is_over:
            raise TransactionError(
                f"The id {transaction_id} is that of a transaction that is over; use a new one."
            )

    def give_up(self, begun: Sequence[IntentRow]) -> None:
        """Give up puts of a transaction whose own connection was not good for that any more; one of its own does it."""
        try:
            database = PinnedDatabase(self._database, None)
            try:
                self.make_services(database, BegunPuts()).puts.give_up(begun)
                database.commit()
            finally:
                database.end(_ROLLED_BACK_MESSAGE)
        except ButlerError as error:
            _LOGGER.warning(
                "The puts of a transaction that was rolled back could not be given up (%s); their intents stay until "
                "their leases end.",
                error,
            )

    def end(self) -> None:
        """Give a place back."""
        self._room.give_back(self._caller)


class RepositoryTransaction:
    """One transaction; implements `butler_model.ports.RegistryTransaction`."""

    def __init__(
        self, transaction_id: UUID, transactions: TransactionService, database: PinnedDatabase
    ) -> None:
        self.id = transaction_id
        self.transactions = transactions
        self.events = transactions.events
        self._limits = transactions.info.limits
        self._database = database
        self._begun = BegunPuts()
        self._ended = threading.Event()
        self._latest_end = time.monotonic() + self._limits.transaction_seconds
        self._take(transactions.make_services(database, self._begun))
        threading.Thread(target=self._watch, name="transaction", daemon=True).start()

    def _take(self, services: RegistryServices) -> None:
        self._definitions = services.definitions
        self.dimension_records = services.dimension_records
        self.collections = services.collections
        self.associations = services.associations
        self.dataset_types = services.dataset_types
        self.datasets = services.datasets
        self.puts = services.puts
        self.queries = services.queries
        self.removals = services.removals
        self.statistics = services.statistics
        self.trash = services.trash

    @property
    def info(self) -> RepositoryInfo:
        with self._database.reading() as connection:
            return replace(self.transactions.info, revision=self._definitions.snapshot(connection).revision)

    @property
    def revision(self) -> int:
        return self._definitions.observed_revision

    @property
    def depth(self) -> int:
        return self._database.depth

    def check(self) -> None:
        self._database.check()

    def savepoint(self) -> None:
        with self._database.alone():
            self._database.savepoint()
            self._begun.savepoint()

    def release(self) -> None:
        with self._database.alone():
            self._database.release()
            self._begun.release()

    def rollback_to(self) -> list[UUID]:
        with self._database.alone():
            self._database.rollback_to()
            undone = self._begun.rollback_to()
            # What was undone may be in the caches, even under a revision that comes again.
            self._take(self.transactions.make_services(self._database, self._begun))
            if undone:
                self.puts.give_up(undone)
        return [intent.dataset_id for intent in undone]

    def commit(self) -> None:
        with self._database.alone():
            try:
                self.transactions.note_commit(self.id, self._database)
            except ButlerError:
                self._undo(_ROLLED_BACK_MESSAGE)
                raise
            try:
                reach("transact.before_commit")
                self._database.commit()
                reach("transact.after_commit_before_reply")
                self._begun.clear()
            finally:
                self._end("The transaction is committed; begin another one.")

    def rollback(self) -> list[UUID]:
        self._undo(_ROLLED_BACK_MESSAGE)
        return [intent.dataset_id for intent in self._begun.all]

    def close(self) -> None:
        """Roll back."""
        self.rollback()

    def _undo(self, why: str) -> None:
        with self._database.alone():
            if self._ended.is_set():
                return
            begun = self._begun.all
            undone = False
            try:
                self._database.undo()
                if begun:
                    self.puts.give_up(begun)
                    # On SQLite, what was just written; on PostgreSQL, nothing.
                    self._database.commit()
                undone = True
            except ButlerError:
                _LOGGER.info(
                    "A transaction ends with its connection, which could not undo it.", exc_info=True
                )
            finally:
                self._end(why)
        if begun and not undone:
            self.transactions.give_up(begun)

    def _end(self, why: str) -> None:
        self._database.end(why)
        self._ended.set()
        self.transactions.end()

    def _watch(self) -> None:
        """Roll back when it lasts too long, or nobody uses it."""
        while not self._ended.wait(self._remaining()):
            with self._database.alone():
                if self._remaining() <= 0:
                    self._undo(self._reason())

    def _remaining(self) -> float:
        now = time.monotonic()
        until_end = self._latest_end - now
        if self._begun.any_under_way:
            return min(until_end, self._limits.transaction_idle_seconds)
        until_idle = self._database.last_used + self._limits.transaction_idle_seconds - now
        return min(until_end, until_idle)

    def _reason(self) -> str:
        limits = self._limits
        if time.monotonic() >= self._latest_end:
            return f"The transaction was rolled back, since it lasted longer than {limits.transaction_seconds} s."
        return (
            f"The transaction was rolled back, since nothing came for {limits.transaction_idle_seconds} s; do what "
            "takes long before it begins."
        )
