# SPDX-License-Identifier: BSD-3-Clause
"""Both services in this process: the only module of the client that knows their implementations."""

from __future__ import annotations

__all__ = ["EmbeddedRepository", "create_embedded"]

import contextlib
import os
import secrets
import uuid
from pathlib import Path

from butler_datastore.application import DatastoreApplication
from butler_datastore.config import PosixStoreConfig
from butler_model.artifact import ArtifactRecord
from butler_model.errors import ConfigurationError, RepositoryExistsError
from butler_model.grants import TokenSigner
from butler_model.ports import Datastore, Registry
from butler_model.repository import Store
from butler_model.universe import DimensionUniverse
from butler_registry.application import RegistryApplication

from .configuration import CONFIGURATION_FILE, RepositoryConfiguration


class EmbeddedRepository:
    """A repository whose registry and datastore run here.

    Grants and receipts pass within the process only, so they are signed with a key that nobody else ever has.
    """

    registry: Registry
    datastore: Datastore

    def __init__(self, configuration: RepositoryConfiguration) -> None:
        signer = TokenSigner([secrets.token_bytes(32)])
        self._roots = configuration.stores
        self._repositories = _registry_application(configuration, signer)
        try:
            self.registry = self._repositories.open(configuration.repository)
            stores = {name: PosixStoreConfig(root=root) for name, root in configuration.stores.items()}
            self.datastore = DatastoreApplication(stores, signer, limits=self.registry.info.limits)
        except BaseException:
            self._repositories.close()
            raise

    def locate(self, record: ArtifactRecord) -> str:
        """Return the ``file://`` URI of an artifact."""
        return Path(self._roots[record.store], record.key).absolute().as_uri()

    def close(self) -> None:
        """Give back connections and open files."""
        self.datastore.close()
        self.registry.close()
        self._repositories.close()


def create_embedded(
    root: str | os.PathLike[str], universe: DimensionUniverse, database: str | None, *, overwrite: bool
) -> RepositoryConfiguration:
    """Create a repository in a directory; nothing that was made stays behind if that fails.

    Raises
    ------
    RepositoryExistsError
        Raised if the directory or the database holds one already.
    ConfigurationError
        Raised if the directory cannot be made.
    """
    directory = Path(root).absolute()
    configuration = RepositoryConfiguration.for_root(database)
    file = directory / CONFIGURATION_FILE
    if file.exists() and not overwrite:
        raise RepositoryExistsError(
            f"There is a repository at {str(directory)!r} already; open it with Butler({str(directory)!r}), "
            "or make the new one elsewhere.",
            path=str(file),
        )
    made = _make_directories(directory)
    draft = file.with_name(f".{CONFIGURATION_FILE}.{uuid.uuid4().hex}")
    try:
        # The URL of a database may hold a password.
        draft.touch(mode=0o600 if database else 0o644)
        # Written first, under another name, so that only a rename is left to do once the registry exists.
        draft.write_text(configuration.as_yaml(), encoding="utf-8")
        _create_registry(configuration.placed(directory), universe)
        draft.replace(file)
    except BaseException:
        draft.unlink(missing_ok=True)
        _remove_directories(made)
        raise
    return configuration.placed(directory)


def _create_registry(configuration: RepositoryConfiguration, universe: DimensionUniverse) -> None:
    repositories = _registry_application(configuration, TokenSigner([secrets.token_bytes(32)]))
    try:
        repositories.create(configuration.repository, universe, request_id=uuid.uuid4())
    finally:
        repositories.close()


def _registry_application(configuration: RepositoryConfiguration, signer: TokenSigner) -> RegistryApplication:
    stores = tuple(Store(name) for name in configuration.stores)
    return RegistryApplication(configuration.database, signer, stores=stores)


def _make_directories(directory: Path) -> list[Path]:
    missing = [path for path in (*reversed(directory.parents), directory) if not path.exists()]
    made: list[Path] = []
    try:
        for path in missing:
            path.mkdir()
            made.append(path)
        if not directory.is_dir():
            raise NotADirectoryError(f"{str(directory)!r} is a file")
    except OSError as error:
        _remove_directories(made)
        raise ConfigurationError(f"No repository can be made at {str(directory)!r}: {error}.") from error
    return made


def _remove_directories(made: list[Path]) -> None:
    for path in reversed(made):
        # Somebody else may have begun to use it.
        with contextlib.suppress(OSError):
            path.rmdir()
