# SPDX-License-Identifier: BSD-3-Clause
"""URLs by which clients and stores exchange bytes by themselves, and receipts for what was uploaded so."""

from __future__ import annotations

__all__ = ["DirectAccessService"]

import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from butler_datastore.stores.store import SignedUrl, Store, Stored, has_paths, signs_urls
from butler_model.artifact import ArtifactUrl, Grant, Operation, SignedReceipt
from butler_model.errors import (
    ArtifactNotFoundError,
    InvalidRequestError,
    LimitExceededError,
    UnsupportedOperationError,
)
from butler_model.failpoints import reach
from butler_model.grants import TokenSigner
from butler_model.path_template import check_key
from butler_model.repository import Limits

_CHECKSUM = re.compile(r"sha256:[0-9a-f]{64}")
_MOST_SECONDS = 900
"""A URL cannot be taken back, so none is valid for longer."""


class DirectAccessService:
    """Implements `butler_model.ports.DirectAccess`. Safe to use from many threads.

    Parameters
    ----------
    signer
        Shares its keys with the registry's.
    limits
        What is accepted in one call.
    store_of, receipt_of
        Give the store that a grant is for, and the receipt of what is there.
    """

    def __init__(
        self,
        signer: TokenSigner,
        limits: Limits,
        store_of: Callable[[Grant], Store],
        receipt_of: Callable[[Grant, Stored], SignedReceipt],
    ) -> None:
        self._signer = signer
        self._limits = limits
        self._store_of = store_of
        self._receipt_of = receipt_of

    def sign_urls(
        self, grants: Sequence[bytes], sizes: Sequence[int] = (), checksums: Sequence[str] = ()
    ) -> list[ArtifactUrl]:
        """Return where to read or write each artifact; without a URL if its store has none.

        Raises
        ------
        GrantError
            Raised if a grant was altered, has expired, or is neither to read nor to write.
        InvalidRequestError
            Raised if there are ``sizes`` or ``checksums``, but not one per grant, or a checksum is none.
        LimitExceededError
            Raised if there are too many grants, or an artifact is longer than its grant allows.
        """
        self._check_items(len(grants))
        for name, given in (("sizes", sizes), ("checksums", checksums)):
            if len(given) not in (0, len(grants)):
                raise InvalidRequestError(
                    f"There are {len(grants)} grants and {len(given)} {name}; give one for each, or none.",
                    given=name,
                )
        if bad := [each for each in checksums if each and not _CHECKSUM.fullmatch(each)]:
            raise InvalidRequestError(
                f"{bad[0]!r:.100} is no checksum; give sha256: and 64 lower-case hexadecimal digits."
            )
        opened = [self._signer.open_grant(grant, Operation.READ, Operation.WRITE) for grant in grants]
        return [
            self._url(*each)
            for each in zip(opened, sizes or [0] * len(opened), checksums or [""] * len(opened), strict=True)
        ]

    def finish_writes(self, grants: Sequence[bytes]) -> list[SignedReceipt]:
        """Return the receipts of what was uploaded by URL, for grants to write; to repeat it is harmless.

        Raises
        ------
        GrantError
            Raised if a grant was altered, has expired, or is not to write.
        ArtifactNotFoundError
            Raised if nothing is there.
        LimitExceededError
            Raised if there are too many grants, or an artifact is longer than its grant allows.
        UnsupportedOperationError
            Raised if a store has no URLs to write to.
        """
        self._check_items(len(grants))
        opened = [self._signer.open_grant(grant, Operation.WRITE) for grant in grants]
        receipts = [self._receipt_of(grant, self._measured(grant)) for grant in opened]
        reach("put.datastore_ack_before_reply")
        return receipts

    def _url(self, grant: Grant, size: int, checksum: str) -> ArtifactUrl:
        reading = grant.operation is Operation.READ
        if reading:
            checksum = grant.checksum
        length = grant.size if reading else size
        if not 0 <= length <= grant.size:
            raise _bad_length(grant, length)
        now = int(time.time())
        expires = min(grant.expires, now + _MOST_SECONDS)
        store = self._store_of(grant)
        if has_paths(store) and reading:
            url, root = (Path(path).as_uri() for path in (f"{store.root}/{check_key(grant.key)}", store.root))
            return ArtifactUrl(url, "", {}, expires, length, checksum, root)
        signed, method = _signed(store, grant, length, checksum, expires - now)
        return ArtifactUrl(signed.url, method, signed.headers, expires, length, checksum)

    def _measured(self, grant: Grant) -> Stored:
        store = self._store_of(grant)
        if not signs_urls(store):
            raise UnsupportedOperationError(
                f"The store {grant.store!r} has no URLs to write to; send {grant.key!r} with Write.",
                key=grant.key,
            )
        stored = store.measure(grant.key)
        if stored is None:
            raise ArtifactNotFoundError(
                f"Nothing was uploaded for {grant.key!r}; upload it first, then finish the write.",
                key=grant.key,
                dataset_id=str(grant.dataset_id),
            )
        if stored.size > grant.size:
            raise _bad_length(grant, stored.size)
        # What the store took too late stays until its put is reaped: a repeat may be of one that was committed.
        self._signer.check_expiry(grant)
        return stored

    def _check_items(self, count: int) -> None:
        if count > self._limits.batch_items:
            raise LimitExceededError(
                f"A batch has batch_items = {count}; at most {self._limits.batch_items} are accepted.",
                limit="batch_items",
            )


def _signed(store: Store, grant: Grant, length: int, checksum: str, seconds: int) -> tuple[SignedUrl, str]:
    """Return the URL, empty if there is none, and the method to use it with."""
    # A grant may be in its last second; a URL of no seconds is none.
    if signs_urls(store) and seconds > 0:
        if grant.operation is Operation.READ:
            return store.sign_read(grant.key, seconds), "GET"
        return store.sign_write(grant.key, seconds, length, checksum), "PUT"
    return SignedUrl("", {}), ""


def _bad_length(grant: Grant, length: int) -> LimitExceededError:
    return LimitExceededError(
        f"The artifact {grant.key!r} has {length} bytes; its grant allows {grant.size}.",
        key=grant.key,
        limit="size",
    )
