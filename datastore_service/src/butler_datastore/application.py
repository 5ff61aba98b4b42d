# SPDX-License-Identifier: BSD-3-Clause
"""The composition root: from a configuration to a datastore that works."""

from __future__ import annotations

__all__ = ["DatastoreApplication", "open_store"]

from collections.abc import Mapping
from functools import partial

from butler_model.grants import TokenSigner
from butler_model.repository import Limits

from .config import ChainStoreConfig, MemberConfig, MemoryStoreConfig, PosixStoreConfig, StoreConfig
from .services.artifacts import ArtifactService
from .stores.chain import ChainStore
from .stores.memory import MemoryStore
from .stores.posix import PosixStore
from .stores.store import Store

_LIMITS = Limits()


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
    """

    def __init__(
        self, stores: Mapping[str, StoreConfig], signer: TokenSigner, *, limits: Limits = _LIMITS
    ) -> None:
        super().__init__(
            {name: partial(open_store, config) for name, config in stores.items()}, signer, limits
        )


def open_store(config: StoreConfig, repository: str) -> Store:
    """Return the store of one repository."""
    if isinstance(config, ChainStoreConfig):
        return ChainStore({name: _open_member(member, repository) for name, member in config.members.items()})
    return _open_member(config, repository)


def _open_member(config: MemberConfig, repository: str) -> Store:
    if isinstance(config, PosixStoreConfig):
        return PosixStore(config.root_of(repository), durable=config.durable, shared=config.shared_path)
    if isinstance(config, MemoryStoreConfig):
        return MemoryStore(config.max_bytes)
    # A service that has no bucket does not load what is needed for one.
    from .stores.s3_store import S3Store

    return S3Store(config, repository)
