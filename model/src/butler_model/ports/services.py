# SPDX-License-Identifier: BSD-3-Clause
"""The two services as a whole."""

from __future__ import annotations

__all__ = ["Datastore", "DirectAccess", "Registry", "RegistryTransaction", "Repositories", "Transactions"]

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol
from uuid import UUID

from butler_model.artifact import ArtifactRecord, ArtifactUrl, FileToIngest, SignedReceipt
from butler_model.cancellation import Cancellation
from butler_model.composites import Composites
from butler_model.repository import RepositoryInfo
from butler_model.universe import DimensionUniverse

from .datasets import Associations, Datasets, Puts
from .definitions import Collections, DatasetTypes, DimensionRecords
from .housekeeping import Housekeeping
from .queries import Events, Queries
from .removals import Removals, Trash
from .statistics import Statistics


class Registry(Protocol):
    """The registry of one repository."""

    @property
    def info(self) -> RepositoryInfo:
        """What the repository is."""
        ...

    @property
    def revision(self) -> int:
        """A revision not later than what the latest call of this thread saw, nor earlier than what it made."""
        ...

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
    def puts(self) -> Puts: ...
    @property
    def queries(self) -> Queries: ...
    @property
    def events(self) -> Events: ...
    @property
    def statistics(self) -> Statistics: ...
    @property
    def removals(self) -> Removals: ...
    @property
    def trash(self) -> Trash: ...
    @property
    def transactions(self) -> Transactions: ...

    def close(self) -> None:
        """Give back connections."""
        ...


class RegistryTransaction(Registry, Protocol):
    """A registry all of whose calls are done, or undone, together; they see what earlier ones did.

    A call that fails leaves what others did as it was. Calls from several threads follow one another. Queries do not
    stream, but come in pages; events and transactions are those of the repository.

    Every method raises `TransactionError` once it is over: for too long nothing came, or it lasted too long, or the
    connection broke. Then all of it was undone. So is a transaction whose process ends.
    """

    @property
    def id(self) -> UUID:
        """By which to ask whether it was committed."""
        ...

    @property
    def depth(self) -> int:
        """Number of savepoints."""
        ...

    def check(self) -> None:
        """Raise `TransactionError` if it is over."""
        ...

    def savepoint(self) -> None:
        """Begin a part that can be undone by itself."""
        ...

    def release(self) -> None:
        """Make what followed the latest savepoint a part of what was before it."""
        ...

    def rollback_to(self) -> list[UUID]:
        """Undo what followed the latest savepoint, which is gone then, too.

        Returns the ids of datasets whose put was begun since. They are given up, and remain to be taken back: by
        `Puts.abort` of the transaction, which gives grants to discard what they wrote, and `Puts.finish_abort`.
        """
        ...

    def commit(self) -> None:
        """Commit all of it.

        `ServiceUnavailableError`, `DeadlineExceededError` and `InternalError` leave open whether that was done;
        `Transactions.was_committed` tells. After any other error all of it is undone.
        """
        ...

    def rollback(self) -> list[UUID]:
        """Undo all of it, unless it is undone already; nothing that can fail stops that.

        Returns the ids of datasets whose put was begun in it, which remain to be taken back by `Puts.abort` of the
        repository itself. It may be called after the end; after a commit there are none.
        """
        ...


class Transactions(Protocol):
    """Doing several things as one."""

    def begin(self, transaction_id: UUID, *, cancellation: Cancellation | None = None) -> RegistryTransaction:
        """Begin a transaction, under a new id.

        A ``cancellation`` ends a call in it for which nobody waits any more; it is to be rolled back then.

        Raises `OverloadedError` if there are too many. On SQLite it waits until no other is open.
        """
        ...

    def was_committed(self, transaction_id: UUID) -> bool:
        """Return whether a transaction was committed; one that was not never will be, from then on."""
        ...


class Repositories(Protocol):
    """All repositories of a deployment."""

    def create(
        self,
        name: str,
        universe: DimensionUniverse,
        *,
        composites: Composites | None = None,
        request_id: UUID,
    ) -> RepositoryInfo:
        """Create an empty repository; `RepositoryExistsError` if there is one of that name.

        ``composites`` says what is stored as separate components; as the deployment is set up if `None`.
        """
        ...

    def open(self, name: str) -> Registry:
        """Return the registry of a repository, shared by all who open it; safe to use from many threads.

        Raises `RepositoryNotFoundError`, or `IncompatibleVersionError` if its schema is of another version.
        """
        ...

    def names(self) -> list[str]:
        """Return the names of all repositories, ascending."""
        ...

    def close(self) -> None:
        """Give back all connections."""
        ...


class DirectAccess(Protocol):
    """Ways to a store that do not lead through the datastore."""

    def sign_urls(
        self, grants: Sequence[bytes], sizes: Sequence[int] = (), checksums: Sequence[str] = ()
    ) -> list[ArtifactUrl]:
        """Return where to read or write each artifact; without a URL if its store has none.

        Parameters
        ----------
        sizes
            For each grant to write the length of the artifact in bytes, for others 0; needless if all are to read.

        checksums
            For each grant to write the checksum of the artifact, which the store then verifies; empty if not known.

        Raises
        ------
        GrantError, InvalidRequestError, LimitExceededError
            Raised if a grant is none to read or write, sizes or checksums are not as many as the grants, there are too
            many of them, or an artifact would be longer than its grant allows.
        """
        ...

    def finish_writes(self, grants: Sequence[bytes]) -> list[SignedReceipt]:
        """Return the receipts of what was uploaded by URL, for grants to write.

        Raises `GrantError`, `ArtifactNotFoundError` if nothing is there, `LimitExceededError` if it is too long, and
        `UnsupportedOperationError` if the store has no URLs.
        """
        ...


class Datastore(Protocol):
    """The datastore: it turns grants into bytes, and bytes into receipts."""

    @property
    def direct_access(self) -> DirectAccess: ...
    @property
    def housekeeping(self) -> Housekeeping: ...

    def write(
        self, grant: bytes, content: Iterable[bytes], *, size: int | None = None, offset: int = 0
    ) -> SignedReceipt:
        """Store an artifact from pieces; nothing is visible until it is whole and durable.

        Parameters
        ----------
        content
            If it can be iterated anew, an upload that breaks is taken up again.
        size
            Length of all of it in bytes, if known.
        offset
            Where ``content`` begins: at most `query_write` bytes into the artifact.

        Raises
        ------
        GrantError, ArtifactExistsError, LimitExceededError, StoreFullError
            Raised if it cannot be stored.
        UploadConflictError
            Raised if an earlier upload under the grant does not reach to ``offset``, or is still going on.
        """
        ...

    def query_write(self, grant: bytes) -> int:
        """Return how many bytes, from the first on, are kept of an upload under a grant that broke."""
        ...

    def write_batch(self, items: Sequence[tuple[bytes, bytes]]) -> list[SignedReceipt]:
        """Store small artifacts, given as (grant, content), all or none."""
        ...

    def read(
        self, grant: bytes, offset: int = 0, limit: int | None = None, *, continued: bool = False
    ) -> Iterator[bytes]:
        """Yield the bytes of an artifact from ``offset`` on, at most ``limit`` of them.

        What is read whole is verified; so it is if ``continued``, which says that the caller has the bytes before
        ``offset`` already.

        Raises `GrantError`, `ArtifactNotFoundError`, `ArtifactIntegrityError`.
        """
        ...

    def read_batch(self, grants: Sequence[bytes], records: Sequence[ArtifactRecord] = ()) -> list[bytes]:
        """Return the whole contents of small artifacts, in order.

        Parameters
        ----------
        records
            Of the artifacts, or none; with them a file that is seen from here is read without a call.
        """
        ...

    def exists(self, grants: Sequence[bytes], records: Sequence[ArtifactRecord] = ()) -> list[bool]:
        """Return, for each READ grant, whether the artifact is there with its recorded size."""
        ...

    def discard(self, grants: Sequence[bytes]) -> None:
        """Remove what aborted puts may have written; absent artifacts are done already."""
        ...

    def ingest_roots(self) -> list[str]:
        """Return the directories from which the datastore takes files itself; none if it takes none."""
        ...

    def store_roots(self) -> list[str]:
        """Return the directories of its stores, in which ``{repository}`` stands for a name."""
        ...

    def adopt(self, grants: Sequence[bytes]) -> list[SignedReceipt]:
        """Measure artifacts that are there already, in a store or, as ``direct`` ones, in a directory to ingest from.

        Raises `GrantError`, `ArtifactNotFoundError`, `IngestPathError`.
        """
        ...

    def ingest(self, files: Sequence[FileToIngest]) -> list[SignedReceipt]:
        """Take files from the directories to ingest from, all or none; the sources stay.

        Raises `GrantError`, `ArtifactNotFoundError`, `ArtifactIntegrityError`, `ArtifactExistsError`,
        `IngestPathError`, `StoreFullError`, and `UnsupportedOperationError` if a store cannot link.
        """
        ...

    def finish_moves(self, moved: Sequence[tuple[bytes, str]]) -> None:
        """Remove the sources of files that were moved, given as (read grant of the artifact, absolute path).

        A source that is not there is done already; one that is not what was stored stays.

        Raises `GrantError`, `ArtifactNotFoundError`, `ArtifactIntegrityError`, `IngestPathError`.
        """
        ...

    def close(self) -> None:
        """Give back what is held open."""
        ...
