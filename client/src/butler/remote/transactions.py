# SPDX-License-Identifier: BSD-3-Clause
"""Transactions of a remote registry: the stubs of its services over one stream."""

from __future__ import annotations

__all__ = ["RemoteTransaction", "RemoteTransactions"]

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NoReturn, TypeVar
from uuid import UUID

import grpc

from butler.pages import pages
from butler_api.channel import Connection
from butler_api.convert.values import packed_uuids_from_proto
from butler_api.v1 import transaction_service_pb2 as pb
from butler_api.v1.transaction_service_pb2_grpc import TransactionServiceStub
from butler_model.cancellation import Cancellation
from butler_model.errors import (
    ButlerError,
    ServiceUnavailableError,
    TransactionError,
    UnsupportedOperationError,
)
from butler_model.paging import ResultPage
from butler_model.ports import BeginPut, Events, PutIntent
from butler_model.query.spec import QuerySpec
from butler_model.repository import RepositoryInfo

from .datasets import RemotePuts
from .patience import Patience
from .queries import RemoteQueries
from .services import RemoteServices
from .session import RepositorySession
from .transaction_stream import BrokenStreamError, TransactionStream

_Stub = TypeVar("_Stub")


class RemoteTransactions:
    """Implements `butler_model.ports.Transactions`.

    Parameters
    ----------
    events
        Of the repository: a transaction has none of its own.
    """

    def __init__(self, session: RepositorySession, events: Events) -> None:
        self.session = session
        self.events = events

    def begin(self, transaction_id: UUID, *, cancellation: Cancellation | None = None) -> RemoteTransaction:
        limits = self.session.info.limits
        begin = pb.BeginTransaction(repository=self.session.repository, transaction_id=transaction_id.bytes)
        patience = Patience()
        while True:
            stream = TransactionStream(self.session.connection, limits.transaction_seconds)
            try:
                response = stream.ask(pb.TransactRequest(begin=begin))
            except BrokenStreamError as error:
                # One that was begun all the same has done nothing, and ends with its stream.
                if not isinstance(error.cause, ServiceUnavailableError) or not patience.wait(0, error.cause):
                    raise error.cause from None
            except BaseException:
                stream.close()
                raise
            else:
                return RemoteTransaction(transaction_id, self, stream, response.revision)

    def was_committed(self, transaction_id: UUID) -> bool:
        connection = self.session.connection
        request = pb.GetTransactionOutcomeRequest(
            repository=self.session.repository, transaction_id=transaction_id.bytes
        )
        response = connection.call(connection.stub(TransactionServiceStub).GetTransactionOutcome, request)
        self.session.see(response.revision)
        return response.committed


class RemoteTransaction(RemoteServices):
    """Implements `butler_model.ports.RegistryTransaction`."""

    def __init__(
        self, transaction_id: UUID, transactions: RemoteTransactions, stream: TransactionStream, revision: int
    ) -> None:
        self.id = transaction_id
        self.transactions = transactions
        self.events = transactions.events
        self._stream = stream
        self._begun: list[set[UUID]] = [set()]
        self._over = ""
        self._start_session(revision)

    def _start_session(self, revision: int) -> None:
        """Begin anew to remember what was seen."""
        outside = self.transactions.session
        connection = _ConnectionInTransaction(self, outside.connection)
        session = RepositorySession(connection, outside.repository, outside.info)
        session.see(revision)
        super().__init__(session)
        self.puts = _NotedPuts(session, self.check, self._begun)
        self.queries = _PagedQueries(session)
        self._session = session

    @property
    def info(self) -> RepositoryInfo:
        return self._session.info

    @property
    def revision(self) -> int:
        return self._session.revision

    @property
    def depth(self) -> int:
        return len(self._begun) - 1

    def check(self) -> None:
        if self._over:
            raise TransactionError(self._over)

    def ask(self, request: pb.TransactRequest) -> pb.TransactResponse:
        """Send a request; return the response to it, or raise what it carries."""
        self.check()
        try:
            return self._stream.ask(request)
        except BrokenStreamError as error:
            carried = error.cause
            if isinstance(carried, TransactionError):
                self._over = carried.message
                raise carried from None
            self._over = f"The transaction was rolled back, since its connection broke. {carried}"
            raise TransactionError(self._over) from carried

    def savepoint(self) -> None:
        self._step(pb.TRANSACTION_STEP_SAVEPOINT)
        self._begun.append(set())

    def release(self) -> None:
        self._step(pb.TRANSACTION_STEP_RELEASE)
        self._leave_savepoint()

    def rollback_to(self) -> list[UUID]:
        # Also if it fails: the savepoint is not there any more.
        self._leave_savepoint()
        response = self._step(pb.TRANSACTION_STEP_ROLLBACK_TO)
        self._start_session(response.revision)
        return packed_uuids_from_proto(response.undone_ids, "undone_ids")

    def _leave_savepoint(self) -> None:
        if not self.depth:
            raise TransactionError(
                "The transaction has no savepoint that could be released or rolled back to."
            )
        last = self._begun.pop()
        self._begun[-1] |= last

    def commit(self) -> None:
        self.check()
        try:
            response = self._stream.ask(pb.TransactRequest(step=pb.TRANSACTION_STEP_COMMIT))
        except BrokenStreamError as error:
            self._over = f"The transaction is over, and its outcome unknown. {error.cause}"
            raise error.cause from None
        except ButlerError as error:
            self._over = error.message
            raise
        finally:
            self._stream.close()
        self._over = "The transaction is committed; begin another one."
        self._begun = [set()]
        self.transactions.session.see(response.revision)

    def rollback(self) -> list[UUID]:
        ids = list(set.union(*self._begun))
        if not self._over:
            try:
                response = self._step(pb.TRANSACTION_STEP_ROLLBACK)
                ids = packed_uuids_from_proto(response.undone_ids, "undone_ids")
            except ButlerError:
                pass  # what the registry does not hear of, it rolls back as well
            self._over = self._over or "The transaction was rolled back; begin another one."
        self._stream.close()
        return ids

    def _step(self, step: pb.TransactionStep.ValueType) -> pb.TransactResponse:
        return self.ask(pb.TransactRequest(step=step))

    def close(self) -> None:
        """Roll back."""
        self.rollback()


class _NotedPuts(RemotePuts):
    """Remembers what was begun, for when the registry cannot be asked any more."""

    def __init__(self, session: RepositorySession, check: Callable[[], None], begun: list[set[UUID]]) -> None:
        super().__init__(session)
        self._check = check
        self._begun = begun

    def begin(self, request: BeginPut) -> list[PutIntent]:
        self._check()
        if not request.validate_only:
            self._begun[-1].update(each for batch in request.batches for each in batch.dataset_ids)
        return super().begin(request)

    def finish_abort(self, dataset_ids: Sequence[UUID], *, request_id: UUID) -> None:
        super().finish_abort(dataset_ids, request_id=request_id)
        for level in self._begun:
            level.difference_update(dataset_ids)


class _PagedQueries(RemoteQueries):
    """Asks for pages: other calls may come between them, on the same stream."""

    def stream(
        self, spec: QuerySpec, page_rows: int = 0, *, cancellation: Cancellation | None = None
    ) -> Iterator[ResultPage]:
        yield from pages(self, spec, page_rows)


class _ConnectionInTransaction(Connection):
    """Makes the calls of stubs within a transaction."""

    def __init__(self, transaction: RemoteTransaction, outside: Connection) -> None:
        super().__init__(outside.address, call_seconds=outside.call_seconds, security=outside.security)
        self._channel: Any = _Channel(transaction)
        self._made: dict[object, Any] = {}

    def metadata(self) -> None:
        """Return nothing: the stream has said who calls."""

    def stub(self, make: Callable[[grpc.Channel], _Stub]) -> _Stub:
        found: _Stub | None = self._made.get(make)
        if found is None:
            found = self._made[make] = make(self._channel)
        return found


class _Channel:
    """What generated stubs take for a channel."""

    def __init__(self, transaction: RemoteTransaction) -> None:
        self._transaction = transaction

    def unary_unary(
        self,
        method: str,
        request_serializer: Callable[[Any], bytes],
        response_deserializer: Callable[[bytes], Any],
        _registered_method: bool = False,
    ) -> Callable[..., Any]:
        """Return what makes a call."""

        def call(request: Any, timeout: float | None = None, metadata: Any = None) -> Any:
            within = pb.CallInTransaction(method=method, request=request_serializer(request))
            return response_deserializer(self._transaction.ask(pb.TransactRequest(call=within)).response)

        return call

    def unary_stream(self, method: str, *_: Any, **__: Any) -> Callable[..., NoReturn]:
        """Return what refuses a call."""

        def refuse(*_: Any, **__: Any) -> NoReturn:
            raise UnsupportedOperationError(f"{method} cannot be called in a transaction.")

        return refuse
