# SPDX-License-Identifier: BSD-3-Clause
"""Both services in one process, for development and for one person."""

from __future__ import annotations

__all__ = ["serve"]

import secrets
from pathlib import Path
from uuid import uuid4

import click

from butler.configuration import (
    CONFIGURATION_FILE,
    RepositoryConfiguration,
    database_url,
    files_of_repository,
    load_universe,
)
from butler.database_credentials import with_credentials
from butler_model.errors import ConfigurationError, InvalidRequestError, RepositoryNotFoundError
from butler_model.grants import TokenSigner
from butler_model.ports import Repositories
from butler_model.repository import Limits, Store

from .arguments import json_option
from .output import Output

try:
    from butler_api.process import configure_logs
    from butler_api.process import serve as serve_calls
    from butler_api.server import Transport, build_server
    from butler_datastore.application import DatastoreApplication
    from butler_datastore.servicers import datastore_services
    from butler_datastore.store_tables import store_configs
    from butler_registry.application import RegistryApplication
    from butler_registry.servicers import registry_services
except ModuleNotFoundError as error:
    raise ConfigurationError(
        f"The services are not installed here ({error}); pip install 'butler-grpc-client[embedded]'."
    ) from error

_GRACE_SECONDS = 5.0
_HOUSEKEEPING_SECONDS = 60.0


@click.command()
@click.option(
    "--data-root",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIRECTORY",
    help="Where artifacts and, without --database, the registry are; it may be a repository that 'butler create' made.",
)
@click.option(
    "--database",
    metavar="URL",
    help="postgresql://USER@HOST/NAME, to have the registry there and not in SQLite.",
)
@click.option("--repository", "name", metavar="NAME", help="The repository to serve; main if absent.")
@click.option("--create", is_flag=True, help="Create the repository if there is none of that name.")
@click.option(
    "--address",
    default="127.0.0.1:50051",
    show_default=True,
    metavar="HOST:PORT",
    help="Where to listen; port 0 takes a free one.",
)
@click.option(
    "--allow-plaintext",
    is_flag=True,
    help="Let other machines reach it, though nothing is encrypted and nobody is asked who calls.",
)
@json_option
def serve(
    data_root: Path,
    database: str | None,
    name: str | None,
    create: bool,
    address: str,
    allow_plaintext: bool,
    output: Output,
) -> None:
    """Run both services in one process, for development.

    Prints the address of the repository as soon as it can be used, and answers until Ctrl-C or SIGTERM; it then ends
    what was begun, and with exit code 0. There is neither encryption nor any check of who calls. The services proper
    are 'python -m butler_registry serve' and 'python -m butler_datastore serve'.
    """
    configuration = _configuration(data_root.absolute(), database, name)
    configure_logs("text")
    limits = Limits()
    # Nobody else makes or checks grants, so no one else needs the key.
    signer = TokenSigner([secrets.token_bytes(32)])
    stores = tuple(map(Store, configuration.stores))
    repositories = RegistryApplication(configuration.database, signer, stores=stores, limits=limits)
    datastore = DatastoreApplication(
        store_configs(configuration.stores),
        signer,
        limits=limits,
        ledgers=repositories,
        reserved=files_of_repository(configuration.repository),
    )
    try:
        _check_repository(repositories, configuration.repository, create=create)
        services = {**registry_services(repositories, limits), **datastore_services(datastore, limits)}
        server = build_server(
            services, address, limits=limits, transport=Transport(allow_plaintext=allow_plaintext)
        )
        where = f"grpc://{server.address}/{configuration.repository}"
        with datastore.keeping_house(_HOUSEKEEPING_SECONDS):
            serve_calls(
                server,
                name="butler serve",
                grace_seconds=_GRACE_SECONDS,
                announce=lambda _: output.record({"address": where}),
            )
    finally:
        datastore.close()
        repositories.close()


def _configuration(data_root: Path, database: str | None, name: str | None) -> RepositoryConfiguration:
    """Return where everything is; stores have a directory for each repository, unless they are an embedded one's."""
    if (data_root / CONFIGURATION_FILE).exists():
        found = RepositoryConfiguration.read(data_root)
        if database is not None or name not in (None, found.repository):
            raise InvalidRequestError(
                f"{str(data_root)!r} is a repository: its {CONFIGURATION_FILE} says which database it has and that its "
                f"name is {found.repository!r}; leave --database and --repository out."
            )
        return found
    stores = {"main": {"root": f"{data_root}/{{repository}}"}}
    url = f"sqlite:///{data_root}" if database is None else with_credentials(database_url(database))
    return RepositoryConfiguration(name or "main", url, stores)


def _check_repository(repositories: Repositories, name: str, *, create: bool) -> None:
    if name in repositories.names():
        repositories.open(name)
    elif create:
        repositories.create(name, load_universe(None), request_id=uuid4())
    else:
        raise RepositoryNotFoundError(
            f"There is no repository {name!r} here; --create makes one.", repository=name
        )
