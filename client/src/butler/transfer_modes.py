# SPDX-License-Identifier: BSD-3-Clause
"""What becomes of a file that is ingested: the rules of ``transfer``."""

from __future__ import annotations

__all__ = ["REFERRING", "Route", "RouteFinder", "local_path"]

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from butler_model.artifact import TransferMode
from butler_model.errors import (
    IngestPathError,
    InvalidNameError,
    InvalidRequestError,
    UnsupportedOperationError,
)
from butler_model.file_uri import file_uri, path_of_file_uri
from butler_model.ports import Datastore, Placing

_BY_SERVICE = {
    "hardlink": TransferMode.HARDLINK,
    "link": TransferMode.LINK,
    "symlink": TransferMode.SYMLINK,
    "relsymlink": TransferMode.RELSYMLINK,
}
"""What only a datastore that reaches the file can do."""
_BY_EITHER = {"auto": TransferMode.AUTO, "copy": TransferMode.COPY, "move": TransferMode.MOVE}
"""What uploading does as well."""
REFERRING = (*_BY_SERVICE, "direct")
"""After these the bytes may stay where they are, or be shared with what is there."""
_MODES = (*_BY_EITHER, *_BY_SERVICE, "direct", "split", None)


@dataclass(frozen=True, slots=True)
class Route:
    """How one file gets to be an artifact.

    Attributes
    ----------
    path
        Absolute, but for one given by its key.
    placing
        IN_STORE or DIRECT for a file that stays where it is, under ``key``.
    mode
        How the datastore takes it; `None` if it is uploaded, or stays.
    removed
        Whether the source is removed at the end.
    """

    path: str
    placing: Placing
    key: str = ""
    mode: TransferMode | None = None
    removed: bool = False


class RouteFinder:
    """Applies one transfer mode to files.

    Parameters
    ----------
    transfer
        As `Butler.ingest` takes it.
    store_root
        Directory of the store for new artifacts if it is in this process, else `None`.
    datastore
        Tells the directories from which it takes files itself, and those from which nothing is moved.

    Raises
    ------
    UnsupportedOperationError
        Raised if there is no such mode.
    """

    def __init__(self, transfer: str | None, store_root: str | None, datastore: Datastore) -> None:
        if transfer not in _MODES:
            raise UnsupportedOperationError(
                f"There is no transfer mode {transfer!r:.80}; use one of {', '.join(map(repr, _MODES))}.",
                transfer=str(transfer)[:80],
            )
        self._transfer = transfer
        self._store_root = None if store_root is None else os.path.realpath(store_root)
        self._datastore = datastore

    def routes(self, paths: Iterable[str]) -> list[Route]:
        """Return how each file goes; nothing is done yet.

        Raises
        ------
        IngestPathError
            Raised if a file is to stay where it is in the store, and is not there.
        InvalidRequestError
            Raised for files inside and outside of the store with ``auto``.
        InvalidNameError
            Raised if a path cannot be the key of a file that stays outside.
        """
        if self._transfer is None:
            return [self._in_place(path) for path in paths]
        absolute = [os.path.abspath(path) for path in paths]
        if self._transfer == "direct":
            return [_direct(path) for path in absolute]
        keys = [self._key_in_store(path) for path in absolute] if self._transfer in ("auto", "split") else []
        if self._transfer == "split":
            return [
                _direct(path) if key is None else Route(path, Placing.IN_STORE, key)
                for path, key in zip(absolute, keys, strict=True)
            ]
        inside = [
            Route(p, Placing.IN_STORE, k) for p, k in zip(absolute, keys, strict=False) if k is not None
        ]
        if inside and len(inside) < len(absolute):
            outside = next(path for path, key in zip(absolute, keys, strict=True) if key is None)
            raise InvalidRequestError(
                f"{inside[0].path!r:.300} is in the store and {outside!r:.300} is not: with transfer='auto' they do "
                "not go together. Use 'split' to leave both where they are, or ingest them one after the other.",
                path=outside[:300],
            )
        return inside or [self._moved(path) for path in absolute]

    def moved(self, path: str) -> Route:
        """Return how a file goes that is no artifact of the store, given by its absolute path."""
        return _direct(path) if self._transfer == "direct" else self._moved(path)

    def _in_place(self, path: str) -> Route:
        if not os.path.isabs(path):
            return Route(path, Placing.IN_STORE, path)
        key = self._key_in_store(path)
        if key is None:
            where = "of the service" if self._store_root is None else f"in {self._store_root!r:.300}"
            raise IngestPathError(
                f"{path!r:.300} is not in the store {where}, so it cannot be ingested with transfer=None; give its "
                "path relative to the store, or use transfer='copy' or 'direct'.",
                path=path[:300],
            )
        return Route(path, Placing.IN_STORE, key)

    def _key_in_store(self, path: str) -> str | None:
        """Return the path of a file relative to the store, `None` if it is outside, or nobody here knows."""
        if self._store_root is None:
            return None
        directory, name = os.path.split(path)
        key = os.path.relpath(os.path.join(os.path.realpath(directory), name), self._store_root)
        return None if key.split(os.sep)[0] == os.pardir else key

    def _moved(self, path: str) -> Route:
        transfer = str(self._transfer)
        if transfer in _BY_SERVICE:
            return Route(path, Placing.TEMPLATE, mode=_BY_SERVICE[transfer])
        reached = any(root == "/" or path.startswith(f"{root}/") for root in self._roots)
        mode = _BY_EITHER[transfer] if reached else None
        if transfer == "move" and not reached:
            self._check_movable(path)
        return Route(path, Placing.TEMPLATE, mode=mode, removed=transfer == "move")

    @cached_property
    def _roots(self) -> Sequence[str]:
        return self._datastore.ingest_roots()

    @cached_property
    def _kept(self) -> Sequence[re.Pattern[str]]:
        """What the paths of files in the stores of the datastore begin with."""
        roots = (re.escape(os.path.realpath(root)) for root in self._datastore.store_roots())
        return [re.compile(root.replace(re.escape("{repository}"), "[^/]+") + "(?=/)") for root in roots]

    def _check_movable(self, path: str) -> None:
        """Raise `IngestPathError` for what is in a store that this process sees: another dataset may have it."""
        directory, name = os.path.split(path)
        real = os.path.join(os.path.realpath(directory), name)
        for root in filter(None, (kept.match(real) for kept in self._kept)):
            # Elsewhere that path may be of something else; the first write to a store makes this.
            if os.path.isdir(f"{root[0]}/.tmp"):
                raise IngestPathError(
                    f"{path!r:.300} is in the store in {root[0]!r:.300}, where other datasets may have it, so it is "
                    "not moved; use transfer='copy'.",
                    path=path[:300],
                )


def local_path(path: str | os.PathLike[str]) -> str:
    """Return the path that a path or ``file://`` URI stands for.

    Raises `UnsupportedOperationError` for another URI, `InvalidNameError` for what can be no file's name in UTF-8.
    """
    text = os.fspath(path)
    scheme, separator, _ = text.partition("://")
    if separator and scheme == "file":
        return path_of_file_uri(text)
    if separator and scheme.isalnum():
        raise UnsupportedOperationError(
            f"{text!r:.300} cannot be ingested: only files can; download it first.", path=text[:300]
        )
    try:
        usable = "\0" not in text and bool(text.encode())
    except UnicodeEncodeError:
        usable = False
    if not usable:
        raise InvalidNameError(f"{text!r:.300} can be no file's name in UTF-8.", path=ascii(text)[:300])
    return text


def _direct(path: str) -> Route:
    return Route(path, Placing.DIRECT, file_uri(path))
