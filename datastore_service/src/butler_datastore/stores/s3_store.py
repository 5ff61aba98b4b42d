# SPDX-License-Identifier: BSD-3-Clause
"""A store in a bucket of S3, or of a server that speaks its protocol."""

from __future__ import annotations

__all__ = ["S3Store"]

import base64
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress

from butler_datastore.config import S3StoreConfig
from butler_model.artifact import sha256
from butler_model.errors import (
    ArtifactExistsError,
    ArtifactNotFoundError,
    ButlerError,
    InvalidRequestError,
)
from butler_model.failpoints import reach

from .blocks import blocks
from .outcomes import is_refusal
from .presence import Presence
from .s3 import S3Bucket
from .store import (
    Gate,
    Listed,
    SignedUrl,
    StoreCapabilities,
    Stored,
    check_no_members,
    check_size,
    end_of_range,
    no_gate,
    within_limit,
)
from .threads import side_by_side

# Up to here an artifact is one request, and held in memory.
_WHOLE_BYTES = 64 * 1024 * 1024
_THREADS = 16
_LONGEST_SECONDS = 604_800


class S3Store:
    """Artifacts as objects of a bucket, whose names are a prefix and their keys.

    What a killed process leaves of a large artifact is an upload that is not complete, which nobody sees; a rule
    of the bucket's life cycle should remove those after a day.

    Parameters
    ----------
    config
        The bucket, and how to reach it.
    repository
        Whose artifacts they are.
    """

    def __init__(self, config: S3StoreConfig, repository: str) -> None:
        self._objects = S3Bucket(config, repository)

    @property
    def capabilities(self) -> StoreCapabilities:
        """In what this store differs from others."""
        return StoreCapabilities(persistent=True, signs_urls=True, concurrency=_THREADS)

    @property
    def presence(self) -> Presence:
        """Whether the bucket is there."""
        return self._objects.upkeep

    def write(
        self,
        key: str,
        chunks: Iterable[bytes],
        size_limit: int,
        members: tuple[str, ...] | None = None,
        gate: Gate = no_gate,
    ) -> Stored:
        """Store an artifact, which is seen whole or not at all; see `Store.write`.

        Above 64 MiB it is uploaded in parts of 8 MiB (later more) as it arrives, so no more of it is in memory.
        """
        check_no_members(members)
        self._objects.name(key)
        digest = hashlib.sha256()
        size = 0
        held: list[bytearray] = []
        arriving = blocks(within_limit(chunks, key, size_limit))
        for block in arriving:
            digest.update(block)
            size += len(block)
            held.append(block)
            if size > _WHOLE_BYTES:
                return self._write_parts(key, held, arriving, digest, gate)
        return self._put(key, held, size, f"sha256:{digest.hexdigest()}", gate)

    def write_many(
        self,
        items: Sequence[tuple[str, bytes]],
        members: tuple[str, ...] | None = None,
        gate: Gate = no_gate,
    ) -> list[Stored]:
        """Store artifacts given as (key, content), all or none; see `Store.write_many`."""
        check_no_members(members)
        for key, _ in items:
            self._objects.name(key)

        def put(item: tuple[str, bytes]) -> Stored | ButlerError:
            try:
                reach("put.upload_0")
                return self._put(item[0], [item[1]], len(item[1]), sha256([item[1]]), gate)
            except ButlerError as error:
                return error

        outcomes = side_by_side(put, items, _THREADS)
        done = [outcome for outcome in outcomes if isinstance(outcome, Stored)]
        if len(done) == len(items):
            return done
        errors = [outcome for outcome in outcomes if not isinstance(outcome, Stored)]
        refusals = list(filter(is_refusal, errors))
        if not refusals:
            # Like an I/O error: a repeat may have found these artifacts, and be acknowledged already.
            raise errors[0]
        created = [
            key
            for (key, _), outcome in zip(items, outcomes, strict=True)
            if isinstance(outcome, Stored) and outcome.created
        ]
        side_by_side(self.delete, created, _THREADS)
        raise refusals[0]

    def read(self, key: str, offset: int, limit: int | None, *, size: int) -> Iterator[bytes]:
        """Yield bytes of an artifact that must have ``size`` bytes; see `Store.read`."""
        end = end_of_range(offset, limit, size)
        if offset < end:
            yield from self._objects.get(key, offset, end, size=size)
            return
        actual = self.size(key)
        if actual is None:
            raise ArtifactNotFoundError(f"There is no artifact {key!r} in its store.", key=key)
        check_size(key, actual, size)

    def size(self, key: str, recorded: int | None = None) -> int | None:
        """Return the length of an artifact in bytes, `None` if it is not there."""
        there = self._objects.head(key)
        return None if there is None else there.size

    def delete(self, key: str) -> bool:
        """Remove an artifact; return whether it was there. Older versions, if the bucket keeps such, stay."""
        there = self._objects.head(key) is not None
        # Without one, too: only this answer tells a bucket that is gone from an object that is.
        with suppress(ArtifactNotFoundError):
            self._objects.delete(key)
        return there

    def delete_many(self, keys: Sequence[str]) -> dict[str, Exception]:
        """Remove artifacts, up to 1,000 with a request; see `Store.delete_many`."""
        return self._objects.upkeep.delete_many(keys)

    def listing(self) -> Iterator[Listed]:
        """Yield all artifacts by key; see `Store.listing`."""
        return self._objects.upkeep.listing()

    def quarantine(self, key: str) -> bool:
        """Move an artifact below ``.quarantine`` in the prefix; return whether it was there."""
        if self._objects.head(key) is None:
            return False
        self._objects.upkeep.quarantine(key)
        return True

    def sweep(self, age_seconds: float) -> int:
        """Abort uploads that are not complete and were begun so long ago; return how many."""
        return self._objects.upkeep.sweep(age_seconds)

    def sign_read(self, key: str, seconds: int) -> SignedUrl:
        """Return what allows to GET an artifact, or ranges of it, for at most a week."""
        return SignedUrl(self._objects.sign("get_object", key, _checked(seconds), {}), {})

    def sign_write(self, key: str, seconds: int, size: int, checksum: str = "") -> SignedUrl:
        """Return what allows to PUT an artifact of ``size`` bytes where there is none, for at most a week.

        With a ``checksum``, as it is recorded, the server takes nothing else, and `measure` need not read it.
        """
        parameters: dict[str, object] = {"IfNoneMatch": "*", "ContentLength": size}
        headers = {"If-None-Match": "*", "Content-Length": str(size)}
        if checksum:
            digest = base64.b64encode(bytes.fromhex(checksum.removeprefix("sha256:"))).decode()
            parameters["ChecksumSHA256"] = headers["x-amz-checksum-sha256"] = digest
        url = self._objects.sign("put_object", key, _checked(seconds), parameters)
        return SignedUrl(url, headers)

    def measure(self, key: str) -> Stored | None:
        """Return size and checksum of an artifact, `None` if it is not there.

        It is read, unless the server computed the checksum. What its writer noted counts for nothing.
        """
        there = self._objects.head(key)
        if there is None:
            return None
        checksum = there.computed or sha256(self.read(key, 0, None, size=there.size))
        return Stored(there.size, checksum, created=False)

    def _put(
        self, key: str, held: Sequence[bytes | bytearray], size: int, checksum: str, gate: Gate
    ) -> Stored:
        reach("put.upload_all_before_fsync")
        gate()
        created = self._objects.put(key, held, checksum)
        reach("put.after_rename_before_dirsync")
        return Stored(size, checksum, created=True) if created else self._same(key, size, checksum)

    def _write_parts(
        self,
        key: str,
        held: list[bytearray],
        arriving: Iterator[bytearray],
        digest: hashlib._Hash,
        gate: Gate,
    ) -> Stored:
        upload = self._objects.begin_parts(key)
        size = 0
        try:
            while held:
                size += len(held[0])
                self._objects.add_part(key, upload, held.pop(0))
            for block in arriving:
                digest.update(block)
                size += len(block)
                self._objects.add_part(key, upload, block)
            reach("put.after_fsync_before_rename")
            gate()
            created = self._objects.complete_parts(key, upload)
        except BaseException:
            self._objects.abort_parts(key, upload)
            raise
        checksum = f"sha256:{digest.hexdigest()}"
        if created:
            return Stored(size, checksum, created=True)
        self._objects.abort_parts(key, upload)
        return self._same(key, size, checksum)

    def _same(self, key: str, size: int, checksum: str) -> Stored:
        """Return what is there if it is the same; `ArtifactExistsError` if not."""
        there = self._objects.head(key)
        # One of another size need not be read.
        if (
            there is None
            or there.size != size
            or checksum != (there.computed or there.noted or sha256(self.read(key, 0, None, size=size)))
        ):
            raise ArtifactExistsError(
                f"There is another artifact under the key {key!r}, or below it; artifacts are never replaced.",
                key=key,
            )
        return Stored(size, checksum, created=False)


def _checked(seconds: int) -> int:
    if not 0 < seconds <= _LONGEST_SECONDS:
        raise InvalidRequestError(
            f"A URL cannot be signed for {seconds} seconds; use 1 to {_LONGEST_SECONDS}.",
            seconds=str(seconds),
        )
    return seconds
