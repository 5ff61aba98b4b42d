# SPDX-License-Identifier: BSD-3-Clause
"""The composition root: from a configuration to a datastore that works."""

from __future__ import annotations

__all__ = ["DatastoreApplication"]

from collections.abc import Mapping
from functools import partial

from butler_model.grants import TokenSigner
from butler_model.repository import Limits

from .config import StoreConfig
from .services.artifacts import ArtifactService
from .stores.posix import PosixStore

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
        super().__init__({name: partial(_open, config) for name, config in stores.items()}, signer, limits)


def _open(config: StoreConfig, repository: str) -> PosixStore:
    return PosixStore(config.root_of(repository), durable=config.durable)
