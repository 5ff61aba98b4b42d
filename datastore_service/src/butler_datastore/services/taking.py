# SPDX-License-Identifier: BSD-3-Clause
"""Taking files into stores, all or none."""

from __future__ import annotations

__all__ = ["FileTaking"]

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import cast

from butler_datastore.stores.outcomes import is_refusal
from butler_datastore.stores.source_files import SourceFile, SourceFiles
from butler_datastore.stores.store import LinkingStore, Store, Stored
from butler_model.artifact import FileToIngest, Grant, TransferMode
from butler_model.errors import ButlerError, LimitExceededError, UnsupportedOperationError
from butler_model.failpoints import reach
from butler_model.repository import Limits

_COPIED_INSTEAD = {TransferMode.AUTO, TransferMode.MOVE}
"""What makes copies in a store that holds no links."""
_FIRST_LINK = {
    TransferMode.AUTO: TransferMode.HARDLINK,
    TransferMode.LINK: TransferMode.HARDLINK,
    TransferMode.MOVE: TransferMode.HARDLINK,
}
"""What is tried first."""
_LEAVING = {TransferMode.SYMLINK, TransferMode.RELSYMLINK}
"""After these the bytes are where they were."""


class FileTaking:
    """One call of ``ingest``.

    Parameters
    ----------
    store_of
        Gives the store of a grant.
    check_expiry
        Raises `GrantError` if one of some grants has expired by now.
    """

    def __init__(
        self,
        sources: SourceFiles,
        store_of: Callable[[Grant], Store],
        check_expiry: Callable[[Iterable[Grant]], None],
        limits: Limits,
    ) -> None:
        self._sources = sources
        self._store_of = store_of
        self._check_expiry = check_expiry
        self._limits = limits
        self._stored: dict[int, tuple[Grant, Stored]] = {}
        self._linked: dict[tuple[str, str], list[Grant]] = {}
        self._small: dict[int, tuple[Grant, bytes]] = {}
        self._small_bytes = 0

    def take(self, files: Sequence[tuple[Grant, FileToIngest]]) -> list[Stored]:
        """Take files, and return what is stored, in order; if one cannot be taken, none is.

        After an I/O error, whose outcome is unknown, some of them may be there.
        """
        try:
            with self._sources.of_one_call():
                for number, (grant, file) in enumerate(files):
                    reach("ingest.between_files" if number else "ingest.before_copy")
                    with self._sources.opened(file.source) as source:
                        source.check_size(file.size)
                        self._take(number, grant, source, file.mode)
            self._write_small()
            self._settle_links()
            reach("ingest.after_copy")
        except ButlerError as error:
            for grant, stored in self._stored.values():
                if stored.created and is_refusal(error):
                    self._store_of(grant).delete(grant.key)
            raise
        return [self._stored[number][1] for number in range(len(files))]

    def _take(self, number: int, grant: Grant, source: SourceFile, mode: TransferMode) -> None:
        if source.status.st_size > grant.size:
            raise LimitExceededError(
                f"The file {source.path!r:.300} has {source.status.st_size} bytes; its grant allows {grant.size}.",
                limit="size",
            )
        if mode is TransferMode.MOVE:
            self._sources.check_outside(source.path, grant.repository, "moved")
        store = self._store_of(grant)
        if mode is TransferMode.COPY or (mode in _COPIED_INSTEAD and not store.capabilities.links):
            self._copy(number, grant, source)
            return
        try:
            stored = self._link(store, grant, source, _FIRST_LINK.get(mode, mode))
        except UnsupportedOperationError:
            if mode is TransferMode.MOVE:
                self._copy(number, grant, source)
                return
            if mode not in _FIRST_LINK:
                raise
            stored = self._link(store, grant, source, TransferMode.SYMLINK)
        self._stored[number] = (grant, stored)
        self._linked.setdefault((grant.store, grant.repository), []).append(grant)

    def _link(self, store: Store, grant: Grant, source: SourceFile, mode: TransferMode) -> Stored:
        if not store.capabilities.links:
            raise UnsupportedOperationError(
                f"Store {grant.store!r} holds no links; use transfer='copy'.", store=grant.store
            )
        if mode in _LEAVING:
            # A link would lead nowhere once that dataset is removed.
            self._sources.check_outside(source.real_path, grant.repository, "linked to")
        gate = partial(self._check_expiry, [grant])
        return cast(LinkingStore, store).link(grant.key, source, mode, gate)

    def _settle_links(self) -> None:
        for grants in self._linked.values():
            cast(LinkingStore, self._store_of(grants[0])).settle(grant.key for grant in grants)

    def _copy(self, number: int, grant: Grant, source: SourceFile) -> None:
        size = source.status.st_size
        if size > self._limits.inline_bytes:
            stored = self._store_of(grant).write(
                grant.key,
                source.chunks(),
                grant.size,
                grant.members or None,
                partial(self._check_expiry, [grant]),
            )
            self._stored[number] = (grant, stored)
            return
        # Small ones together, so that they wait for the disk together.
        if self._small_bytes + size > self._limits.batch_bytes:
            self._write_small()
        self._small[number] = (grant, b"".join(source.chunks()))
        self._small_bytes += size

    def _write_small(self) -> None:
        by_store: dict[tuple[str, str, tuple[str, ...]], list[int]] = {}
        for number, (grant, _) in self._small.items():
            by_store.setdefault((grant.store, grant.repository, grant.members), []).append(number)
        for (_, _, members), numbers in by_store.items():
            items = [self._small[number] for number in numbers]
            store = self._store_of(items[0][0])
            contents = [(grant.key, content) for grant, content in items]
            gate = partial(self._check_expiry, [grant for grant, _ in items])
            outcomes = store.write_many(contents, members or None, gate)
            for number, (grant, _), stored in zip(numbers, items, outcomes, strict=True):
                self._stored[number] = (grant, stored)
        self._small.clear()
        self._small_bytes = 0
