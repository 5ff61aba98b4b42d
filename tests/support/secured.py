# SPDX-License-Identifier: BSD-3-Clause
"""Both services as processes that encrypt, ask who calls and know each other by certificates."""

from __future__ import annotations

__all__ = ["SecuredServices", "secured_services"]

import json
import os
import re
import secrets
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tools.servers.process import ServerProcess, free_ports, running, wait_until

from .identity import AUDIENCE, ISSUER, Certificates, Provider


@dataclass(frozen=True, slots=True)
class SecuredServices:
    """Two running services.

    Attributes
    ----------
    registry, datastore
        Their addresses, which begin with ``grpcs://``.
    machines
        The ports of the registry and of the datastore where clients have to show a certificate.
    """

    registry: str
    datastore: str
    certificates: Certificates
    provider: Provider
    folder: Path
    machines: tuple[int, int]

    def environment(self, token: str = "") -> dict[str, str]:
        """Return what a client has in its environment that has a token."""
        found = {"BUTLER_TLS_CA": str(self.certificates.ca)}
        if token:
            file = self.folder / f"{secrets.token_hex(8)}.token"
            file.write_text(token)
            file.chmod(0o600)
            found |= {"BUTLER_TOKEN_FILE": str(file), "BUTLER_TOKEN_HOSTS": "127.0.0.1"}
        return found

    def log(self, module: str) -> list[dict[str, object]]:
        """Return the lines that a service has logged, each an object."""
        lines = (self.folder / f"{module}.log").read_text().splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]


@contextmanager
def secured_services(folder: Path) -> Iterator[SecuredServices]:
    """Run both services on SQLite and files in a folder."""
    certificates, provider = Certificates(folder), Provider(folder / "jwks.json")
    keys = folder / "keys"
    keys.write_text(f"{secrets.token_hex(32)}\n")
    (folder / "tables").mkdir()
    shared = _shared(certificates, provider, keys)
    certificate, key = certificates.of_machine("datastore")
    link = {"ca": str(certificates.ca), "certificate": str(certificate), "key": str(key)}
    stores = {"main": {"root": str(folder / "store" / "{repository}"), "durable": False}}
    with ExitStack() as stack:
        # The datastore's port has to be known to the registry, and the registry's to the datastore.
        port = free_ports(1)[0]
        registry, machines = stack.enter_context(
            _served(
                "butler_registry",
                folder,
                {**shared, "DATABASE": f"sqlite:///{folder}/tables", "DATASTORE_ENDPOINT": f":{port}"},
            )
        )
        datastore, others = stack.enter_context(
            _served(
                "butler_datastore",
                folder,
                {
                    **shared,
                    "ADDRESS": f"127.0.0.1:{port}",
                    "STORES": json.dumps(stores),
                    "REGISTRY": f"grpcs://{machines}",
                    "REGISTRY_TLS": json.dumps(link),
                },
            )
        )
        first, second = (int(each.rpartition(":")[2]) for each in (machines, others))
        yield SecuredServices(
            f"grpcs://{registry}", f"grpcs://{datastore}", certificates, provider, folder, (first, second)
        )


def _shared(certificates: Certificates, provider: Provider, keys: Path) -> dict[str, str]:
    """Return the settings that both services have."""
    authentication = {
        "issuers": [{"issuer": ISSUER, "audiences": [AUDIENCE], "jwks": str(provider.file)}],
        "certificate_groups": {"datastore": ["services"]},
    }
    return {
        "SIGNING_KEYS": str(keys),
        "LOG_FORMAT": "json",
        "AUTHENTICATION": json.dumps(authentication),
        "ADDRESS": "127.0.0.1:0",
        "TLS": json.dumps(
            {
                "certificate": str(certificates.certificate),
                "key": str(certificates.key),
                "client_ca": str(certificates.ca),
            }
        ),
        "MACHINE_ADDRESS": "127.0.0.1:0",
    }


@contextmanager
def _served(module: str, folder: Path, settings: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    log = folder / f"{module}.log"
    environment = {f"{module.upper()}_{name}": value for name, value in settings.items()}
    command = [sys.executable, "-m", module, "serve"]
    with running(command, log=log, environment={**os.environ, **environment}) as process:
        yield _announced(log, process, module)


def _announced(log: Path, process: ServerProcess, module: str) -> tuple[str, str]:
    lines = re.compile(
        rf"^{module} listening on (\S+)$.*^{module} listening for machines on (\S+)$",
        re.MULTILINE | re.DOTALL,
    )
    wait_until(lambda: lines.search(log.read_text()) is not None, process, seconds=60)
    found = lines.search(log.read_text())
    assert found is not None
    return found[1], found[2]
