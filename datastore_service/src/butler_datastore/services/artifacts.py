# SPDX-License-Identifier: BSD-3-Clause
"""What may be done in the stores, and what is answered for it."""

from __future__ import annotations

__all__ = ["ArtifactService"]

import hashlib
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TypeVar

from butler_datastore.stores.outcomes import is_refusal
from butler_datastore.stores.source_files import SourceFiles
from butler_datastore.stores.store import Store, Stored, end_of_range, resumes
from butler_datastore.stores.threads import side_by_side
from butler_model.artifact import (
    ArtifactRecord,
    FileToIngest,
    Grant,
    Operation,
    Receipt,
    SignedReceipt,
    sha256,
)
from butler_model.errors import (
    ArtifactIntegrityError,
    ArtifactNotFoundError,
    ButlerError,
    IngestPathError,
    InvalidRequestError,
    LimitExceededError,
    UploadConflictError,
)
from butler_model.failpoints import reach
from butler_model.grants import TokenSigner
from butler_model.repository import Limits

from .direct_access import DirectAccessService
from .opened_stores import OpenedStores
from .taking import FileTaking
from .verified import after, check, verified

_T = TypeVar("_T")


class ArtifactService:
    """Turns grants into bytes, and bytes into receipts; implements `butler_model.ports.Datastore`.

    Safe to use from many threads.

    Parameters
    ----------
    stores
        All stores there are.
    signer
        Shares its keys with the registry's.
    limits
        What is accepted in one call.
    sources
        The files that may be taken.
    reserved
        Keys that are no artifacts, but files of the repository itself.
    """

    def __init__(
        self,
        stores: OpenedStores,
        signer: TokenSigner,
        limits: Limits,
        sources: SourceFiles,
        reserved: Collection[str] = (),
    ) -> None:
        self._stores = stores
        self._signer = signer
        self._limits = limits
        self._sources = sources
        self._reserved = frozenset(reserved)
        self._direct_access = DirectAccessService(signer, limits, self._store, self._receipt)

    @property
    def stores(self) -> OpenedStores:
        """All stores there are."""
        return self._stores

    @property
    def direct_access(self) -> DirectAccessService:
        """Ways to the stores that do not lead through here."""
        return self._direct_access

    def write(
        self, grant: bytes, content: Iterable[bytes], *, size: int | None = None, offset: int = 0
    ) -> SignedReceipt:
        """Store an artifact from pieces; nothing is visible until it is whole and durable.

        If ``content`` raises `ServiceUnavailableError`, some stores keep what came before: see `query_write`.

        Raises
        ------
        GrantError
            Raised if the grant was altered, has expired, before the artifact is whole too, or is not to write.
        ArtifactExistsError
            Raised if there is another artifact under the key; to repeat a write is no error.
        InvalidRequestError
            Raised if the offset is negative.
        LimitExceededError
            Raised if there are more bytes than the grant allows.
        StoreFullError
            Raised if the store has no room.
        UploadConflictError
            Raised if an earlier upload under the grant does not reach to ``offset``, or is still going on.
        """
        allowed = self._signer.open_grant(grant, Operation.WRITE)
        store = self._store(allowed)
        if offset < 0:
            raise InvalidRequestError(
                f"Bytes of {allowed.key!r} cannot be written at {offset}; offsets begin at 0.",
                offset=str(offset),
            )
        if max(offset, size or 0) > allowed.size:
            raise _too_long(allowed, max(offset, size or 0))
        # A write that lasts longer than the lease of its put must not appear when that was discarded.
        gate = partial(self._signer.check_expiry, allowed)
        if resumes(store):
            upload = _upload_of(grant)
            stored = store.write_upload(allowed.key, upload, offset, content, allowed.size, gate)
        elif offset:
            raise UploadConflictError(
                f"The store {allowed.store!r} keeps nothing of uploads that broke; send {allowed.key!r} from 0.",
                key=allowed.key,
            )
        else:
            stored = store.write(allowed.key, content, allowed.size, allowed.members or None, gate)
        reach("put.datastore_ack_before_reply")
        return self._receipt(allowed, stored)

    def query_write(self, grant: bytes) -> int:
        """Return how many bytes, from the first on, are kept of an upload under a grant that broke."""
        allowed = self._signer.open_grant(grant, Operation.WRITE)
        store = self._store(allowed)
        return store.kept_of_upload(allowed.key, _upload_of(grant)) if resumes(store) else 0

    def write_batch(self, items: Sequence[tuple[bytes, bytes]]) -> list[SignedReceipt]:
        """Store small artifacts, given as (grant, content), all or none; raises as `write` does."""
        self._check_batch([len(content) for _, content in items])
        grants = [self._signer.open_grant(grant, Operation.WRITE) for grant, _ in items]
        by_store: dict[tuple[str, str, tuple[str, ...]], list[int]] = {}
        for number, (grant, (_, content)) in enumerate(zip(grants, items, strict=True)):
            if len(content) > grant.size:
                raise _too_long(grant, len(content))
            self._store(grant)
            by_store.setdefault((grant.store, grant.repository, grant.members), []).append(number)
        outcomes: dict[int, Stored] = {}
        try:
            for (_, _, members), numbers in by_store.items():
                store = self._store(grants[numbers[0]])
                contents = [(grants[number].key, items[number][1]) for number in numbers]
                gate = partial(self._check_expiry, [grants[number] for number in numbers])
                stored = store.write_many(contents, members or None, gate)
                outcomes.update(zip(numbers, stored, strict=True))
        except ButlerError as error:
            for number, outcome in outcomes.items():
                if outcome.created and is_refusal(error):
                    self._store(grants[number]).delete(grants[number].key)
            raise
        reach("put.datastore_ack_before_reply")
        return [self._receipt(grant, outcomes[number]) for number, grant in enumerate(grants)]

    def read(
        self, grant: bytes, offset: int = 0, limit: int | None = None, *, continued: bool = False
    ) -> Iterator[bytes]:
        """Yield the bytes of an artifact from ``offset`` on, at most ``limit`` of them.

        With ``continued`` the caller has those before ``offset``, and the whole is verified as if it was read.

        Raises
        ------
        GrantError
            Raised if the grant was altered, has expired, or is not to read.
        InvalidRequestError
            Raised if the range does not begin in the artifact, ``limit`` is less than 1, or it is given although
            the reading is continued.
        ArtifactNotFoundError
            Raised if the artifact is gone.
        ArtifactIntegrityError
            Raised before the first byte if the artifact has not the recorded size; before the last piece, if
            all of it is read, and has not the recorded checksum.
        """
        allowed = self._signer.open_grant(grant, Operation.READ)
        with _dataset_named(allowed):
            end_of_range(offset, limit, allowed.size)
            if continued and limit is not None:
                raise InvalidRequestError("To continue is to read all the rest; leave the limit out.")
            whole = continued or (offset == 0 and (limit is None or limit >= allowed.size))
            begin = 0 if whole else offset
            chunks = self._store(allowed).read(allowed.key, begin, limit, size=allowed.size)
            yield from after(verified(chunks, allowed), offset) if whole else chunks

    def read_batch(self, grants: Sequence[bytes], records: Sequence[ArtifactRecord] = ()) -> list[bytes]:
        """Return the whole contents of small artifacts, in order; raises as `read` does."""
        opened = [self._signer.open_grant(grant, Operation.READ) for grant in grants]
        self._check_batch([grant.size for grant in opened])
        return self._each(self._content, opened)

    def exists(self, grants: Sequence[bytes], records: Sequence[ArtifactRecord] = ()) -> list[bool]:
        """Return, for each READ grant, whether the artifact is there with its recorded size."""
        self._check_items(len(grants))
        opened = [self._signer.open_grant(grant, Operation.READ) for grant in grants]
        return self._each(lambda store, grant: store.size(grant.key, grant.size) == grant.size, opened)

    def discard(self, grants: Sequence[bytes]) -> None:
        """Remove what aborted puts may have written; absent artifacts are done already."""
        self._check_items(len(grants))
        opened = [self._signer.open_grant(grant, Operation.DISCARD) for grant in grants]
        self._each(_discard, opened)

    def ingest_roots(self) -> list[str]:
        """Return the directories from which this datastore takes files itself; none if it takes none."""
        return list(self._sources.roots)

    def store_roots(self) -> list[str]:
        """Return the directories of stores, in which ``{repository}`` stands for a name."""
        return list(self._sources.kept)

    def adopt(self, grants: Sequence[bytes]) -> list[SignedReceipt]:
        """Measure artifacts that are there already, in a store, or as ``direct`` ones in one of the ingest roots.

        Raises
        ------
        GrantError
            Raised if a grant was altered, has expired, or is not to adopt.
        ArtifactNotFoundError
            Raised if one is not there.
        IngestPathError
            Raised if a direct one is elsewhere, or is no regular file, or one in a store is a file of the repository.
        """
        self._check_items(len(grants))
        opened = [self._signer.open_grant(grant, Operation.ADOPT) for grant in grants]
        if own := [grant.key for grant in opened if grant.key in self._reserved]:
            raise IngestPathError(
                f"{own[0]!r} is a file of the repository itself, which would go with its dataset; ingest a copy.",
                path=own[0],
            )
        with self._sources.of_one_call():
            return [self._receipt(grant, _measured(self._store(grant), grant.key)) for grant in opened]

    def ingest(self, files: Sequence[FileToIngest]) -> list[SignedReceipt]:
        """Take files from the ingest roots, all or none; the sources stay.

        Raises
        ------
        GrantError
            Raised if a grant was altered, has expired, or is not to write.
        ArtifactNotFoundError
            Raised if a file is not there.
        ArtifactIntegrityError
            Raised if a file has not the size that the client saw.
        IngestPathError
            Raised if a file is elsewhere, is no regular file, or may not be read.
        ArtifactExistsError, StoreFullError
            Raised as by `write`.
        UnsupportedOperationError
            Raised if a store holds no links, or there can be no hard link to a file.
        """
        self._check_items(len(files))
        grants = [self._signer.open_grant(file.grant, Operation.WRITE) for file in files]
        taking = FileTaking(self._sources, self._store, self._check_expiry, self._limits)
        return list(map(self._receipt, grants, taking.take(list(zip(grants, files, strict=True)))))

    def finish_moves(self, moved: Sequence[tuple[bytes, str]]) -> None:
        """Remove the sources of files that were moved, given as (read grant of the artifact, absolute path).

        The grant proves that the dataset was committed. A source that is not there is done already.

        Raises
        ------
        GrantError
            Raised if a grant was altered, has expired, or is not to read.
        ArtifactNotFoundError, ArtifactIntegrityError
            Raised if the artifact is gone, or the source has not its bytes; the source stays.
        IngestPathError
            Raised if the source is not in one of the ingest roots.
        """
        self._check_items(len(moved))
        opened = [(self._signer.open_grant(grant, Operation.READ), path) for grant, path in moved]
        for grant, path in opened:
            with _dataset_named(grant):
                if self._store(grant).size(grant.key, grant.size) != grant.size:
                    raise ArtifactNotFoundError(
                        f"There is no artifact {grant.key!r} of {grant.size} bytes, so {path!r:.300} stays."
                    )
                try:
                    with self._sources.opened(path) as source:
                        check(source.checksum(), grant)
                except ArtifactNotFoundError:
                    continue
                self._sources.remove(path)

    def close(self) -> None:
        """Forget the stores that are open."""
        self._stores.close()

    def _store(self, grant: Grant) -> Store:
        return self._stores.get(grant.store, grant.repository, grant.key)

    def _check_expiry(self, grants: Iterable[Grant]) -> None:
        for grant in grants:
            self._signer.check_expiry(grant)

    def _each(self, work: Callable[[Store, Grant], _T], grants: Sequence[Grant]) -> list[_T]:
        """Do something for each grant, in as many threads as the slowest of their stores is worth."""
        tasks = [(self._store(grant), grant) for grant in grants]
        threads = max((store.capabilities.concurrency for store, _ in tasks), default=1)
        return side_by_side(lambda task: work(*task), tasks, threads)

    def _content(self, store: Store, grant: Grant) -> bytes:
        with _dataset_named(grant):
            content = b"".join(store.read(grant.key, 0, None, size=grant.size))
            check(sha256([content]), grant)
        return content

    def _receipt(self, grant: Grant, stored: Stored) -> SignedReceipt:
        receipt = Receipt(
            repository=grant.repository,
            store=grant.store,
            key=grant.key,
            dataset_id=grant.dataset_id,
            component=grant.component,
            size=stored.size,
            checksum=stored.checksum,
        )
        return SignedReceipt(receipt, self._signer.sign_receipt(receipt))

    def _check_batch(self, sizes: Sequence[int]) -> None:
        self._check_items(len(sizes))
        _check_limit("inline_bytes", max(sizes, default=0), self._limits.inline_bytes)
        _check_limit("batch_bytes", sum(sizes), self._limits.batch_bytes)

    def _check_items(self, count: int) -> None:
        _check_limit("batch_items", count, self._limits.batch_items)


def _measured(store: Store, key: str) -> Stored:
    if (stored := store.measure(key)) is None:
        raise ArtifactNotFoundError(f"There is no artifact {key!r:.300} to adopt.", key=key[:300])
    return stored


def _discard(store: Store, grant: Grant) -> None:
    store.delete(grant.key)
    if resumes(store):
        store.discard_uploads(grant.key)


def _upload_of(grant: bytes) -> str:
    """Return what tells the uploads under this grant from those under others."""
    return hashlib.sha256(grant).hexdigest()


def _too_long(grant: Grant, size: int) -> LimitExceededError:
    return LimitExceededError(
        f"The artifact {grant.key!r} has {size} bytes; its grant allows {grant.size}.",
        key=grant.key,
        limit="size",
    )


def _check_limit(name: str, value: int, limit: int) -> None:
    if value > limit:
        raise LimitExceededError(f"A batch has {name} = {value}; at most {limit} are accepted.", limit=name)


@contextmanager
def _dataset_named(grant: Grant) -> Iterator[None]:
    """Add to the errors of a store, which knows keys only, whose artifact it is."""
    try:
        yield
    except (ArtifactNotFoundError, ArtifactIntegrityError) as error:
        raise type(error)(
            f"{error.message} It belongs to dataset {grant.dataset_id}.",
            **error.metadata,
            dataset_id=str(grant.dataset_id),
            store=grant.store,
        ) from error
