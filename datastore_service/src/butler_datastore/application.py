# SPDX-License-Identifier: BSD-3-Clause
"""The composition root: from a configuration to a datastore that works."""

from __future__ import annotations

__all__ = ["DatastoreApplication", "open_store"]

import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial

from butler_model.artifact import DIRECT_STORE
from butler_model.errors import ConfigurationError
from butler_model.grants import TokenSigner
from butler_model.ports import Ledgers
from butler_model.repository import Limits

from .config import (
    ChainStoreConfig,
    MemberConfig,
    MemoryStoreConfig,
    PosixStoreConfig,
    StoreConfig,
    check_ingest_roots,
    places_of,
)
from .services.artifacts import ArtifactService
from .services.holdings import committed_keys
from .services.housekeeping import GUARD_SECONDS, HousekeepingService
from .services.opened_stores import OpenedStores
from .services.worker import HousekeepingWorker
from .stores.chain import ChainStore
from .stores.direct import DirectStore
from .stores.memory import MemoryStore
from .stores.posix import PosixStore
from .stores.posix_presence import NOTHING_KNOWN, Holdings
from .stores.source_files import SourceFiles
from .stores.store import Store

_LIMITS = Limits()
_NO_SOURCES = SourceFiles(())


class DatastoreApplication(ArtifactService):
    """The datastore on the stores of a configuration.

    Parameters
    ----------
    stores
        For each store its name and where it is.
    signer
        Shares its keys with the registry's.
    limits
        What is accepted in one call.
    ingest_roots
        Directories from which files may be taken, linked or read directly; see `config.check_ingest_roots`.
    ledgers
        What the registry knows; without it there is no housekeeping.
    guard_seconds
        How long after its end a put is left alone, and how long what nobody knows of.
    reserved
        Keys in the stores that are no artifacts, but files of the repository itself.

    Raises
    ------
    ConfigurationError
        Raised if a store has the name ``direct``, or files cannot be taken from one of the directories.
    """

    def __init__(
        self,
        stores: Mapping[str, StoreConfig],
        signer: TokenSigner,
        *,
        limits: Limits = _LIMITS,
        ingest_roots: Sequence[str] = (),
        ledgers: Ledgers | None = None,
        guard_seconds: int = GUARD_SECONDS,
        reserved: Collection[str] = (),
    ) -> None:
        if DIRECT_STORE in stores:
            raise ConfigurationError(
                f"No store can have the name {DIRECT_STORE!r}, which is that of the files outside of all stores."
            )
        kept = [
            os.path.abspath(store.root)
            for store in _members(stores.values())
            if isinstance(store, PosixStoreConfig)
        ]
        sources = SourceFiles(check_ingest_roots(ingest_roots, stores.values()), kept)
        openers: dict[str, Callable[[str], Store]] = {
            name: partial(_open_store, config, name, sources, ledgers) for name, config in stores.items()
        }
        openers[DIRECT_STORE] = lambda repository: DirectStore(sources)
        opened = OpenedStores(openers)
        super().__init__(opened, signer, limits, sources, reserved)
        self._ledgers = ledgers
        self._housekeeping = HousekeepingService(
            ledgers,
            opened,
            guard_seconds=guard_seconds,
            reserved=reserved,
            places={name: partial(places_of, config) for name, config in stores.items()},
        )

    @property
    def housekeeping(self) -> HousekeepingService:
        """What it does besides answering for single artifacts."""
        return self._housekeeping

    @contextmanager
    def keeping_house(self, interval_seconds: float) -> Iterator[None]:
        """Have a worker in the background meanwhile, unless the interval is 0 or the registry is not known."""
        if self._ledgers is None or not interval_seconds:
            yield
            return
        worker = HousekeepingWorker(self._ledgers, self._housekeeping, interval_seconds)
        worker.start()
        try:
            yield
        finally:
            worker.stop()


def open_store(
    config: StoreConfig,
    repository: str,
    sources: SourceFiles = _NO_SOURCES,
    holdings: Holdings = NOTHING_KNOWN,
) -> Store:
    """Return the store of one repository, which may link to the sources and should have the holdings."""
    if isinstance(config, ChainStoreConfig):
        return ChainStore(
            {
                name: _open_member(
                    member,
                    repository,
                    sources,
                    replace(holdings, store=f"member {name!r} of {holdings.store}"),
                )
                for name, member in config.members.items()
            }
        )
    return _open_member(config, repository, sources, holdings)


def _open_store(
    config: StoreConfig, name: str, sources: SourceFiles, ledgers: Ledgers | None, repository: str
) -> Store:
    holdings = NOTHING_KNOWN
    if ledgers is not None:
        keys = partial(committed_keys, ledgers, repository, name)
        holdings = Holdings(f"store {name!r}", keys)
    return open_store(config, repository, sources, holdings)


def _members(stores: Iterable[StoreConfig]) -> Iterator[MemberConfig]:
    for store in stores:
        yield from store.members.values() if isinstance(store, ChainStoreConfig) else (store,)


def _open_member(config: MemberConfig, repository: str, sources: SourceFiles, holdings: Holdings) -> Store:
    if isinstance(config, PosixStoreConfig):
        root, shared = config.root_of(repository), config.shared_path
        return PosixStore(root, durable=config.durable, shared=shared, sources=sources, holdings=holdings)
    if isinstance(config, MemoryStoreConfig):
        return MemoryStore(config.max_bytes)
    # A service that has no bucket does not load what is needed for one.
    from .stores.s3_store import S3Store

    return S3Store(config, repository)
