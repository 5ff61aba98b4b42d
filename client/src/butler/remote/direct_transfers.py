# SPDX-License-Identifier: BSD-3-Clause
"""Bytes that do not pass through the datastore service, where there is a way."""

from __future__ import annotations

__all__ = ["DirectTransfers"]

import os
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Any
from urllib.parse import unquote, urlsplit

from butler_api.channel import Connection
from butler_model.artifact import ArtifactUrl, SignedReceipt, sha256
from butler_model.checksum import Checksum
from butler_model.errors import (
    ArtifactExistsError,
    ArtifactIntegrityError,
    ArtifactNotFoundError,
    IncompatibleVersionError,
    TruncatedUploadError,
)

from .direct_access import RemoteDirectAccess
from .http_transfers import NoWayError, get_range, give_up, put, reachable
from .patience import Patience
from .shared_files import OPEN_FLAGS, SharedFiles

_PIECE_BYTES = 1024 * 1024
_MARGIN_SECONDS = 10
_MOST_REMEMBERED = 1_000
_MOST_PUT_BYTES = 5 * 2**30
"""A PUT of S3 takes no more."""


class DirectTransfers:
    """Moves the bytes of artifacts by URL. Safe to share between threads, to pickle, and to use after a fork.

    Attributes
    ----------
    files
        Small artifacts of which the records are known.

    Parameters
    ----------
    connection
        To the datastore service, which signs.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._access = RemoteDirectAccess(connection)
        self._urls: dict[bytes, ArtifactUrl] = {}
        self._signs = True
        self.files = SharedFiles(lambda grant: self._sign(grant)[0])

    def __reduce__(self) -> tuple[Any, ...]:
        return DirectTransfers, (self._connection,)

    def read(self, grant: bytes, offset: int, limit: int | None) -> Iterator[bytes]:
        """Yield bytes of an artifact; all of it is verified before its last piece is given.

        Raises
        ------
        NoWayError
            Raised if the rest must come through the service.
        ArtifactIntegrityError
            Raised if all of it was read and has not the recorded checksum.
        """
        url = self._url(grant)
        end = url.size if limit is None else min(url.size, offset + limit)
        if not 0 <= offset < end:
            raise NoWayError("no bytes are asked for, or those of no artifact")
        pieces = self._pieces(grant, url, offset, end)
        return _verified(pieces, url) if (offset, end) == (0, url.size) else pieces

    def write(self, grant: bytes, content: Iterable[bytes], size: int) -> SignedReceipt:
        """Upload an artifact of ``size`` bytes.

        Raises
        ------
        NoWayError
            Raised if it must go through the service.
        ArtifactExistsError, ArtifactIntegrityError, TruncatedUploadError
            Raised if there is another artifact, what is there is not what was sent, or the content has another length.
        """
        if size > _MOST_PUT_BYTES:
            raise NoWayError("it is too long for one request")
        # Before anything is read: most stores have no URLs.
        (url,) = self._sign(grant, [size])
        if not reachable(url) or url.method != "PUT":
            raise NoWayError("there is no URL to write to")
        # With it the store verifies what comes, and nobody has to read it again to know what is there.
        checksum = sha256(_of_length(content, size))
        patience = Patience()
        renewed = False
        while True:
            (url,) = self._sign(grant, [size], [checksum])
            try:
                created = put(url, _of_length(content, size))
            except NoWayError as error:
                if error.expired and not renewed:
                    renewed = True
                elif not (error.passing and patience.wait(0)):
                    raise
            else:
                return self._finished(grant, checksum, created)

    def _finished(self, grant: bytes, checksum: str, created: bool) -> SignedReceipt:
        try:
            (signed,) = self._access.finish_writes([grant])
        except ArtifactNotFoundError as error:
            # Whatever was there has gone, or the server has lost it: the service can tell more.
            raise NoWayError(str(error)) from error
        receipt = signed.receipt
        if receipt.checksum == checksum:
            return signed
        if created:
            raise ArtifactIntegrityError(
                f"The artifact {receipt.key!r} was uploaded with the checksum {checksum}, but {receipt.checksum} is "
                "there; put it again.",
                key=receipt.key,
            )
        raise ArtifactExistsError(
            f"There is another artifact under the key {receipt.key!r}; artifacts are never replaced.",
            key=receipt.key,
        )

    def _pieces(self, grant: bytes, url: ArtifactUrl, offset: int, end: int) -> Iterator[bytes]:
        if url.url.startswith("file:"):
            yield from _of_file(url, offset, end)
            return
        patience = Patience()
        renewed = False
        while offset < end:
            try:
                for piece in get_range(url, offset, end):
                    offset += len(piece)
                    yield piece
            except NoWayError as error:
                if error.expired and not renewed:
                    renewed = True
                    self._urls.pop(grant, None)
                    url = self._url(grant)
                elif not (error.passing and patience.wait(offset)):
                    raise

    def _url(self, grant: bytes) -> ArtifactUrl:
        """Return a URL to read that is valid for a while; `NoWayError` if there is none."""
        url = self._urls.get(grant)
        if url is None or url.expires < time.time() + _MARGIN_SECONDS:
            (url,) = self._sign(grant)
            if len(self._urls) >= _MOST_REMEMBERED:
                self._urls.clear()
            self._urls[grant] = url
        if not reachable(url):
            raise NoWayError("there is no URL to read from")
        return url

    def _sign(
        self, grant: bytes, sizes: Sequence[int] = (), checksums: Sequence[str] = ()
    ) -> list[ArtifactUrl]:
        if not self._signs:
            raise NoWayError("the service knows no URLs")
        try:
            return self._access.sign_urls([grant], sizes, checksums)
        except IncompatibleVersionError as error:
            self._signs = False
            raise NoWayError(str(error)) from error


def _of_length(content: Iterable[bytes], size: int) -> Iterator[bytes]:
    """Yield the pieces; `TruncatedUploadError` if they have not the length that was announced."""
    found = 0
    for piece in content:
        found += len(piece)
        if found > size:
            break
        yield piece
    if found != size:
        raise TruncatedUploadError(
            f"An upload of {size} bytes was announced, but its content has {'more' if found > size else found}.",
            size=str(size),
        )


def _of_file(url: ArtifactUrl, offset: int, end: int) -> Iterator[bytes]:
    path = unquote(urlsplit(url.url).path)
    try:
        descriptor = os.open(path, OPEN_FLAGS)
    except OSError as error:
        # Where artifacts were, directories stay: without one, this is another file system.
        if not os.path.isdir(os.path.dirname(path)):
            give_up(url, error)
        raise NoWayError(str(error)) from error
    try:
        if os.fstat(descriptor).st_size != url.size:
            raise NoWayError("the file has another length")
        while offset < end:
            piece = os.pread(descriptor, min(_PIECE_BYTES, end - offset), offset)
            if not piece:
                raise NoWayError("the file became shorter")
            offset += len(piece)
            yield piece
    except OSError as error:
        raise NoWayError(str(error)) from error
    finally:
        os.close(descriptor)


def _verified(pieces: Iterator[bytes], url: ArtifactUrl) -> Iterator[bytes]:
    """Yield all pieces of an artifact, the last one only if the checksum is right."""
    checksum = Checksum()
    left = url.size
    for piece in pieces:
        checksum.add(piece)
        left -= len(piece)
        found = "" if left else checksum.text
        if found and found != url.checksum:
            raise ArtifactIntegrityError(
                f"What {urlsplit(url.url).path!r} gave has the checksum {found}, but {url.checksum} was recorded.",
                checksum=url.checksum,
            )
        yield piece
