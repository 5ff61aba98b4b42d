# SPDX-License-Identifier: BSD-3-Clause
"""Both services as processes of their own, as they are deployed, on free ports of the loopback address."""

from __future__ import annotations

__all__ = ["new_keys", "own_datastore", "own_services"]

import json
import re
import secrets
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType

from .process import free_ports, running, wait_until

START_SECONDS = 30.0
_ANNOUNCEMENT = re.compile(rb"^\w+ listening on (\S+)$", re.MULTILINE)


@contextmanager
def own_services(
    database: str,
    folder: Path,
    *,
    housekeeping_seconds: float = 60.0,
    stores: Mapping[str, Mapping[str, object]] | None = None,
    ingest_roots: Sequence[Path] = (),
    environments: Mapping[str, Mapping[str, str]] = MappingProxyType({}),
) -> Iterator[str]:
    """Run a datastore service and a registry service; give the ``host:port`` of the registry service.

    Parameters
    ----------
    database
        SQLAlchemy URL for the registry.
    folder
        An existing folder for signing keys, logs and, in ``artifacts``, a folder per repository.
    housekeeping_seconds
        How long the datastore's worker waits between its rounds.
    stores
        For each store its name and its table in the configuration of the datastore; one in the folder if absent.
    ingest_roots
        Directories from which the datastore takes files itself.
    environments
        Further variables for ``butler_registry`` and for ``butler_datastore``, by those names.
    """
    keys = new_keys(folder)
    if stores is None:
        stores = {"main": {"root": f"{folder}/artifacts/{{repository}}", "durable": True}}
    # Each is told where the other one is.
    registry_address = f"127.0.0.1:{free_ports(1)[0]}"
    housekeeping = {"REGISTRY": registry_address, "HOUSEKEEPING_SECONDS": str(housekeeping_seconds)}
    housekeeping["INGEST_ROOTS"] = json.dumps([str(each) for each in ingest_roots])
    datastore = {"SIGNING_KEYS": str(keys), "STORES": json.dumps(stores), **housekeeping}
    others = {name: environments.get(name, {}) for name in ("butler_registry", "butler_datastore")}
    with _serving("butler_datastore", datastore, folder, others["butler_datastore"]) as datastore_address:
        registry = {
            "ADDRESS": registry_address,
            "SIGNING_KEYS": str(keys),
            "DATABASE": database,
            "DATASTORE_ENDPOINT": datastore_address,
        }
        with _serving("butler_registry", registry, folder, others["butler_registry"]):
            yield registry_address


@contextmanager
def own_datastore(
    stores: Mapping[str, Mapping[str, object]], keys: Path, folder: Path, **others: str
) -> Iterator[str]:
    """Run a datastore service; give its ``host:port``.

    Parameters
    ----------
    stores
        For each store its name and its table in the configuration.
    keys
        The file of signing keys.
    folder
        An existing folder for the log.
    others
        Further settings, by the ends of the names of their variables.
    """
    settings = {"SIGNING_KEYS": str(keys), "STORES": json.dumps(stores), **others}
    with _serving("butler_datastore", settings, folder) as address:
        yield address


def new_keys(folder: Path) -> Path:
    """Write a new signing key to a file in a folder, and return its path."""
    keys = folder / "signing-keys"
    keys.touch(mode=0o600)
    keys.write_text(secrets.token_hex(32) + "\n")
    return keys


@contextmanager
def _serving(
    program: str, settings: Mapping[str, str], folder: Path, others: Mapping[str, str] = MappingProxyType({})
) -> Iterator[str]:
    """Run a service, which chooses its port; give the address that it announces."""
    settings = {"ADDRESS": "127.0.0.1:0", **settings}
    environment = {**{f"{program.upper()}_{name}": value for name, value in settings.items()}, **others}
    log = folder / f"{program}.log"

    def announced() -> re.Match[bytes] | None:
        return _ANNOUNCEMENT.search(log.read_bytes())

    with running([sys.executable, "-m", program, "serve"], log=log, environment=environment) as process:
        wait_until(lambda: announced() is not None, process, seconds=START_SECONDS)
        found = announced()
        assert found is not None
        yield found[1].decode()
