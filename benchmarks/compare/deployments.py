# SPDX-License-Identifier: BSD-3-Clause
"""Everything that both sides need: databases, services, their remote server, buckets; and where repositories are."""

from __future__ import annotations

__all__ = ["Deployments", "deployed"]

import json
import sqlite3
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

from tests.support.s3 import S3Server, s3_server_for_tests
from tests.support.stores import s3_settings
from tools.servers.postgres import own_postgres_server, programs_with_extension
from tools.servers.process import ServerProcess, free_ports, running, wait_until
from tools.servers.services import own_services

from .library import Place

_START_SECONDS = 60.0
_NEVER = 86_400.0
_EXTENSION = "btree_gist"


@dataclass(frozen=True, slots=True)
class Deployments:
    """What runs.

    Attributes
    ----------
    places
        Where the repository of each side is, by its name.
    environment
        What all processes of sides need, for S3 and for the remote server.
    address
        Of the registry service.
    ours, theirs
        SQLAlchemy URLs of the databases.
    """

    folder: Path
    older_python: Path
    address: str
    ours: str
    theirs: str
    places: dict[str, Place]
    environment: dict[str, str]
    stack: ExitStack = field(repr=False)

    def start_remote(self) -> None:
        """Start their remote server over their repository with a bucket, which must be there."""
        port = free_ports(1)[0]
        address = f"http://127.0.0.1:{port}"
        repositories = {"bench": {"config_uri": self.places["theirs-s3"].root, "authorized_groups": ["*"]}}
        settings = {
            "DAF_BUTLER_SERVER_REPOSITORIES": json.dumps(repositories),
            "DAF_BUTLER_SERVER_GAFAELFAWR_URL": "DISABLED",
            "DAF_BUTLER_SERVER_AUTHENTICATION": "rubin_science_platform",
        }
        application = "lsst.daf.butler.remote_butler.server:create_app"
        command = [str(self.older_python), "-m", "uvicorn", "--factory", application, "--port", str(port)]
        command += ["--host", "127.0.0.1", "--log-level", "warning", "--no-access-log"]
        log = self.folder / "remote.log"
        server = self.stack.enter_context(running(command, log=log, environment=self.environment | settings))
        _wait_for(server, address)
        self.places["theirs-remote"] = Place(f"{address}/api/butler/repo/bench")

    def analyze(self) -> None:
        """Have every database look at its tables, so that its planner knows their sizes."""
        for url in (self.ours, self.theirs):
            with psycopg.connect(url.replace("+psycopg", "", 1), autocommit=True) as connection:
                connection.execute("ANALYZE")
        for side in ("ours-sqlite", "theirs-sqlite"):
            for file in Path(self.places[side].root).glob("*.sqlite3"):
                with sqlite3.connect(file) as file_connection:
                    file_connection.execute("ANALYZE")


@contextmanager
def deployed(folder: Path, older_python: Path) -> Iterator[Deployments]:
    """Start everything but the remote server.

    Raises
    ------
    RuntimeError
        Raised if there is no PostgreSQL with the extension that the older library needs.
    """
    programs = programs_with_extension(_EXTENSION)
    if programs is None:
        raise RuntimeError(
            f"The older library needs PostgreSQL with the extension {_EXTENSION}, which the package that the tests use "
            "has not. Install PostgreSQL with its contrib modules (on Debian: postgresql)."
        )
    with ExitStack() as stack:
        server = stack.enter_context(own_postgres_server(programs, max_connections=300))
        ours, theirs = server.create_database(), server.create_database()
        with psycopg.connect(theirs.replace("+psycopg", "", 1), autocommit=True) as connection:
            connection.execute(f"CREATE EXTENSION {_EXTENSION}")
        s3 = stack.enter_context(s3_server_for_tests())
        services = _folders(folder, "services", "services-s3")
        main = {"main": {"root": f"{folder}/artifacts/{{repository}}", "durable": True, "shared_path": True}}
        address = stack.enter_context(
            own_services(
                ours,
                services[0],
                housekeeping_seconds=_NEVER,
                stores=main,
                ingest_roots=_folders(folder, "files-ours-grpc"),
            )
        )
        bucket = {"main": s3_settings(s3, s3.create_bucket(), services[1])}
        address_s3 = stack.enter_context(
            own_services(server.create_database(), services[1], housekeeping_seconds=_NEVER, stores=bucket)
        )
        places = {
            "theirs-sqlite": Place(f"{folder}/theirs_sqlite"),
            "ours-sqlite": Place(f"{folder}/ours_sqlite"),
            "theirs-postgresql": Place(f"{folder}/theirs_postgresql", theirs),
            "ours-postgresql": Place(f"{folder}/ours_postgresql", ours),
            "ours-grpc": Place(f"grpc://{address}/bench"),
            "theirs-s3": Place(f"{folder}/theirs_s3", theirs, f"s3://{s3.create_bucket()}/theirs"),
            "ours-s3": Place(f"grpc://{address_s3}/bench"),
        }
        environment = {**_s3_environment(s3), "BUTLER_RUBIN_ACCESS_TOKEN": "none"}
        yield Deployments(folder, older_python, address, ours, theirs, places, environment, stack)


def _folders(folder: Path, *names: str) -> list[Path]:
    made = [folder / name for name in names]
    for each in made:
        each.mkdir()
    return made


def _s3_environment(s3: S3Server) -> Mapping[str, str]:
    return {
        "S3_ENDPOINT_URL": s3.endpoint,
        "AWS_ACCESS_KEY_ID": s3.access_key,
        "AWS_SECRET_ACCESS_KEY": s3.secret_key,
        "AWS_DEFAULT_REGION": s3.region,
    }


def _wait_for(server: ServerProcess, address: str) -> None:
    def answers() -> bool:
        try:
            urllib.request.urlopen(address, timeout=2).close()
        except urllib.error.HTTPError:
            return True
        except OSError:
            return False
        return True

    wait_until(answers, server, seconds=_START_SECONDS)
