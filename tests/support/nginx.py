# SPDX-License-Identifier: BSD-3-Clause
"""A balancer between clients and replicas: the nginx that the system has."""

from __future__ import annotations

__all__ = ["nginx_in_front_of"]

import os
import shutil
import socket
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.support.requirement import unavailable
from tools.servers.process import free_ports, running, wait_until

_START_SECONDS = 20.0

# docs/operations.md has the same, with TLS.
_SERVER = """
    upstream {name} {{
{replicas}
        keepalive 16;
    }}
    server {{
        listen 127.0.0.1:{port} http2;
        client_max_body_size 0;
        client_body_timeout 3600s;
        grpc_read_timeout 3600s;
        grpc_send_timeout 3600s;
        location / {{
            grpc_pass grpc://{name};
            # Every mutation carries the id by which a repeat is known, so each may be given to the next replica.
            grpc_next_upstream error timeout non_idempotent;
            grpc_next_upstream_tries 3;
            error_page 502 504 = @unavailable;
        }}
        location @unavailable {{
            internal;
            default_type application/grpc;
            add_header grpc-status 14 always;
            add_header grpc-message "no replica answers" always;
            return 204;
        }}
    }}
"""
_CONFIG = """
daemon off;
worker_processes 1;
pid {folder}/pid;
error_log {folder}/error.log;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
{servers}
}}
"""


@contextmanager
def nginx_in_front_of(replicas: Mapping[str, Sequence[int]]) -> Iterator[dict[str, str]]:
    """Run a balancer for services, given the ports of their replicas; give the address of each service.

    The test is skipped if there is no nginx here.
    """
    program = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if program is None:
        unavailable("nginx", "it is not installed; on Debian: apt-get install nginx-light")
    folder = Path(tempfile.mkdtemp(prefix="butler-nginx-"))
    ports = dict(zip(replicas, free_ports(len(replicas)), strict=True))
    servers = "".join(
        _SERVER.format(
            name=name,
            port=ports[name],
            replicas="\n".join(
                f"        server 127.0.0.1:{port} max_fails=1 fail_timeout=1s;" for port in each
            ),
        )
        for name, each in replicas.items()
    )
    config = folder / "nginx.conf"
    config.write_text(_CONFIG.format(folder=folder, servers=servers))
    command = [program, "-c", str(config), "-p", str(folder), "-e", str(folder / "error.log")]
    if os.geteuid() == 0:
        command += ["-g", "user root;"]
    with running(command, log=folder / "log", stop_signal="SIGQUIT", remove=folder) as process:
        wait_until(lambda: all(map(_listens, ports.values())), process, seconds=_START_SECONDS)
        yield {name: f"127.0.0.1:{port}" for name, port in ports.items()}


def _listens(port: int) -> bool:
    with socket.socket() as attempt:
        return attempt.connect_ex(("127.0.0.1", port)) == 0
