# SPDX-License-Identifier: BSD-3-Clause
"""Small artifacts of stores whose files this machine sees: read where they are, without a call."""

from __future__ import annotations

__all__ = ["OPEN_FLAGS", "SharedFiles"]

import os
from collections.abc import Callable, Sequence
from urllib.parse import unquote, urlsplit

from butler_model.artifact import ArtifactRecord, ArtifactUrl, sha256

from .http_transfers import NoWayError, give_up, reachable

OPEN_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
"""How a file of a store is opened: never over a link, and without waiting for what is no file."""


class SharedFiles:
    """Finds artifacts by their records, once it has learnt where a store keeps them. Safe to share between threads.

    What it does not find, or finds to be something else, the service has to tell about.

    Parameters
    ----------
    sign
        Gives the URL of an artifact by its grant; raises `NoWayError` if the service knows no URLs.
    """

    def __init__(self, sign: Callable[[bytes], ArtifactUrl]) -> None:
        self._sign = sign
        self._roots: dict[str, tuple[str, ArtifactUrl] | None] = {}

    def contents(self, grants: Sequence[bytes], records: Sequence[ArtifactRecord]) -> list[bytes | None]:
        """Return the contents of artifacts, `None` for one that is not here with its recorded length and checksum."""
        return [self._content(*each) for each in zip(grants, records, strict=True)]

    def present(self, grants: Sequence[bytes], records: Sequence[ArtifactRecord]) -> list[bool]:
        """Return whether artifacts are here with their recorded lengths."""
        found = []
        for each in zip(grants, records, strict=True):
            descriptor = self._open(*each)
            found.append(descriptor is not None)
            if descriptor is not None:
                os.close(descriptor)
        return found

    def _content(self, grant: bytes, record: ArtifactRecord) -> bytes | None:
        descriptor = self._open(grant, record)
        if descriptor is None:
            return None
        try:
            content = os.read(descriptor, record.size + 1)
        except OSError:
            return None
        finally:
            os.close(descriptor)
        return content if sha256([content]) == record.checksum else None

    def _open(self, grant: bytes, record: ArtifactRecord) -> int | None:
        """Open the file of an artifact; `None` if there is none of its length."""
        root = self._root(grant, record.store)
        if root is None:
            return None
        # It is opened to be looked at, too: what a network file system says of a file that is not may be old.
        try:
            descriptor = os.open(f"{root}/{record.key}", OPEN_FLAGS)
        except OSError as error:
            self._note(record.store, error)
            return None
        if os.fstat(descriptor).st_size == record.size:
            return descriptor
        os.close(descriptor)
        return None

    def _root(self, grant: bytes, store: str) -> str | None:
        """Return the directory of a store, learnt with the first grant for it; `None` if it is not seen from here."""
        if store not in self._roots:
            try:
                url = self._sign(grant)
            except NoWayError:
                self._roots[store] = None
                return None
            self._roots[store] = (unquote(urlsplit(url.root).path), url) if url.root else None
        known = self._roots[store]
        return known[0] if known is not None and reachable(known[1]) else None

    def _note(self, store: str, error: OSError) -> None:
        """Look elsewhere from now on if not even the directory of a store is here."""
        known = self._roots[store]
        if known is not None and not os.path.isdir(known[0]):
            give_up(known[1], error)
