# SPDX-License-Identifier: BSD-3-Clause
"""A PgBouncer in transaction mode in front of a PostgreSQL server, from the package that the system has."""

from __future__ import annotations

__all__ = ["PgBouncer", "pgbouncer_in_front_of"]

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg

from tests.support.requirement import unavailable
from tools.servers.process import free_ports, running, wait_until

_START_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class PgBouncer:
    """A running pooler.

    Attributes
    ----------
    port
        Where it listens on the loopback address.
    pool_size
        The most connections that it opens to one database.
    """

    port: int
    pool_size: int

    def url(self, direct: str) -> str:
        """Return the URL of a database through the pooler, given that of the server itself."""
        parts = urlsplit(direct)
        return urlunsplit(parts._replace(netloc=f"{parts.username}@127.0.0.1:{self.port}"))


@contextmanager
def pgbouncer_in_front_of(server: str, *, pool_size: int) -> Iterator[PgBouncer]:
    """Run a pooler for all databases of a server, given the URL of one of them; skip the test if there is none here."""
    folder = Path(tempfile.mkdtemp(prefix="butler-pgbouncer-"))
    program = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if program is None:
        unavailable("pgbouncer", "it is not installed; on Debian: apt-get install pgbouncer")
    parts = urlsplit(server)
    port = free_ports(1)[0]
    users = folder / "users.txt"
    users.write_text(f'"{parts.username}" ""\n')
    config = folder / "pgbouncer.ini"
    config.write_text(
        f"""
[databases]
* = host={parts.hostname} port={parts.port} user={parts.username}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = trust
auth_file = {users}
pool_mode = transaction
default_pool_size = {pool_size}
max_client_conn = 1000
server_lifetime = 60
"""
    )
    # It refuses to run as root; what it reads is readable by all.
    user = "nobody" if os.geteuid() == 0 else None
    if user is not None:
        shutil.chown(folder, user)
    made = PgBouncer(port, pool_size)
    with running([program, str(config)], log=folder / "pgbouncer.log", user=user, remove=folder) as process:
        wait_until(lambda: _answers(made.url(server)), process, seconds=_START_SECONDS)
        yield made


def _answers(url: str) -> bool:
    try:
        psycopg.connect(url.replace("postgresql+psycopg", "postgresql"), connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True
