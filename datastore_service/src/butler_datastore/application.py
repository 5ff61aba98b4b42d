# SPDX-License-Identifier: BSD-3-Clause
"""The composition root: from a configuration to a datastore that works."""

from __future__ import annotations

__all__ = ["DatastoreApplication"]

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from butler_model.artifact import DIRECT_STORE
from butler_model.errors import ConfigurationError
from butler_model.grants import TokenSigner
from butler_model.repository import Limits

from .config import StoreConfig, check_ingest_roots
from .services.artifacts import ArtifactService
from .stores.direct import DirectStore
from .stores.posix import PosixStore
from .stores.source_files import SourceFiles
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
    ingest_roots
        Directories from which files may be taken, linked or read directly; see `config.check_ingest_roots`.

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
    ) -> None:
        if DIRECT_STORE in stores:
            raise ConfigurationError(
                f"No store can have the name {DIRECT_STORE!r}, which is that of the files outside of all stores."
            )
        sources = SourceFiles(check_ingest_roots(ingest_roots, stores.values()))
        openers: dict[str, Callable[[str], Store]] = {
            name: partial(_open, config, sources) for name, config in stores.items()
        }
        openers[DIRECT_STORE] = lambda repository: DirectStore(sources)
        super().__init__(openers, signer, limits, sources)


def _open(config: StoreConfig, sources: SourceFiles, repository: str) -> PosixStore:
    return PosixStore(config.root_of(repository), durable=config.durable, sources=sources)
