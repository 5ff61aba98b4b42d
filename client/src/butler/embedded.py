# SPDX-License-Identifier: BSD-3-Clause
"""Both services in this process: the only module of the client that knows their implementations."""

from __future__ import annotations

__all__ = ["EmbeddedRepository", "create_embedded"]

import contextlib
import secrets
import uuid
from collections.abc import Iterator
from pathlib import Path

from butler_datastore.application import DatastoreApplication
from butler_datastore.config import PosixStoreConfig
from butler_datastore.store_tables import store_configs
from butler_model.artifact import DIRECT_STORE, ArtifactRecord
from butler_model.composites import Composites
from butler_model.errors import ConfigurationError, RepositoryExistsError, ServiceUnavailableError
from butler_model.grants import TokenSigner
from butler_model.ports import Datastore, Registry
from butler_model.repository import Limits, Store
from butler_model.universe import DimensionUniverse
from butler_registry.application import RegistryApplication

from .config import Config
from .config.butler_config import BUTLER_ROOT
from .config.locations import without_secrets
from .configuration import RepositoryConfiguration, files_of_repository

_HEADER = f"""# SPDX-License-Identifier: BSD-3-Clause
# A data repository. {BUTLER_ROOT} stands for the directory that this file is in, unless it names a root.
"""


class EmbeddedRepository:
    """A repository whose registry and datastore run here.

    Grants and receipts pass within the process only, so they are signed with a key that nobody else ever has.
    """

    registry: Registry
    datastore: Datastore

    def __init__(self, configuration: RepositoryConfiguration) -> None:
        signer = TokenSigner([secrets.token_bytes(32)])
        self._repository = configuration.repository
        self._stores = store_configs(configuration.stores)
        # Nobody else waits for what somebody does in a process of their own.
        self._repositories = RegistryApplication(
            configuration.database, signer, limits=Limits(query_seconds=0)
        )
        try:
            with _named(configuration.database, configuration.repository):
                self.registry = self._repositories.open(configuration.repository)
            limits = self.registry.info.limits
            # Everything that this process may read.
            self.datastore = DatastoreApplication(
                self._stores,
                signer,
                limits=limits,
                ingest_roots=["/"],
                ledgers=self._repositories,
                reserved=files_of_repository(configuration.repository),
            )
        except BaseException:
            self._repositories.close()
            raise

    @property
    def store_root(self) -> str | None:
        """Directory of the first store; `None` if that is no directory."""
        first = next(iter(self._stores.values()))
        return first.root_of(self._repository) if isinstance(first, PosixStoreConfig) else None

    def locate(self, record: ArtifactRecord) -> str:
        """Return the URI of an artifact: ``file://…``, ``s3://…``, or ``butler://<store>/<key>`` where neither fits."""
        if record.store == DIRECT_STORE:
            return record.key
        uri = self._stores[record.store].uri_of(self._repository, record.key)
        return f"butler://{record.store}/{record.key}" if uri is None else uri

    def close(self) -> None:
        """Give back connections and open files."""
        self.datastore.close()
        self.registry.close()
        self._repositories.close()


def create_embedded(
    root: Path,
    file: Path,
    config: Config,
    configuration: RepositoryConfiguration,
    universe: DimensionUniverse,
    stores: tuple[Store, ...],
    composites: Composites | None,
) -> None:
    """Create a repository in a directory; nothing that was made stays behind if that fails.

    Parameters
    ----------
    root
        The directory.
    file
        What ``config`` is written to; replaced if it is there.
    configuration
        Where registry and artifacts are.
    stores
        Which of new artifacts go where.

    Raises
    ------
    RepositoryExistsError
        Raised if the database holds one already.
    ConfigurationError
        Raised if the directory cannot be made.
    """
    made = _make_directories(root)
    draft = file.with_name(f".{file.name}.{uuid.uuid4().hex}")
    try:
        made += _make_directories(file.parent)
        text = config.dump(format="json" if file.suffix == ".json" else "yaml") or ""
        draft.touch(mode=0o600 if without_secrets(text) != text else 0o644)
        # Written first, under another name, so that only a rename is left to do once the registry exists.
        draft.write_text(_HEADER + text if file.suffix != ".json" else text, encoding="utf-8")
        _create_registry(configuration, universe, stores, composites)
        draft.replace(file)
    except BaseException:
        draft.unlink(missing_ok=True)
        _remove_directories(made)
        raise


def _create_registry(
    configuration: RepositoryConfiguration,
    universe: DimensionUniverse,
    stores: tuple[Store, ...],
    composites: Composites | None,
) -> None:
    signer = TokenSigner([secrets.token_bytes(32)])
    repositories = RegistryApplication(configuration.database, signer, stores=stores)
    try:
        with _named(configuration.database, configuration.repository):
            repositories.create(
                configuration.repository, universe, composites=composites, request_id=uuid.uuid4()
            )
    finally:
        repositories.close()


@contextlib.contextmanager
def _named(database: str, repository: str) -> Iterator[None]:
    """Tell of a database that cannot be used which it is: a service does not, since its callers need not know."""
    address = without_secrets(database).replace("+psycopg", "", 1)
    try:
        yield
    except ServiceUnavailableError as error:
        raise ServiceUnavailableError(f"{error} It is {address}.") from error
    except RepositoryExistsError as error:
        raise RepositoryExistsError(
            f"The registry at {address} has a repository {repository!r} already, which is never replaced; make the new "
            "one elsewhere.",
            repository=repository,
        ) from error


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
