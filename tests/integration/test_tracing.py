# SPDX-License-Identifier: BSD-3-Clause
"""One trace goes through client, registry service, datastore service and database, to a collector on a real socket."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import uuid4

import grpc
import pytest
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from butler.remote import RemoteRepositories
from butler_model.dataset import DatasetType
from butler_model.universe import DimensionUniverse
from tools.servers.services import own_services

_JOB = """
import atexit, sys
from butler_api.tracing import start_tracing
finish = start_tracing("job")
from butler import Butler
with Butler(sys.argv[1], run="run") as butler:
    ref = butler.put(b"content", "blob")
    assert butler.get(ref) == b"content"
    try:
        butler.registry.getCollectionType("nowhere")
    except LookupError:
        pass
if finish is not None:
    finish()
"""


class Collector(trace_service_pb2_grpc.TraceServiceServicer):
    """Keeps what is sent to it: each span with the name of the service that it is of."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._spans: list[tuple[str, Span]] = []

    def Export(self, request: trace_service_pb2.ExportTraceServiceRequest, context: object) -> object:
        """Take spans."""
        with self._lock:
            for resource in request.resource_spans:
                names = {each.key: each.value.string_value for each in resource.resource.attributes}
                for scope in resource.scope_spans:
                    self._spans += [(names["service.name"], span) for span in scope.spans]
        return trace_service_pb2.ExportTraceServiceResponse()

    @property
    def spans(self) -> list[tuple[str, Span]]:
        """What has come so far."""
        with self._lock:
            return list(self._spans)


@pytest.fixture
def collector() -> Iterator[tuple[Collector, str]]:
    """Give a collector and its address."""
    server = grpc.server(ThreadPoolExecutor(2))
    made = Collector()
    add: Any = trace_service_pb2_grpc.add_TraceServiceServicer_to_server
    add(made, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield made, f"http://127.0.0.1:{port}"
    server.stop(None).wait()


def job(address: str, environment: dict[str, str]) -> None:
    """Put and get a dataset in a process of its own."""
    subprocess.run([sys.executable, "-c", _JOB, address], check=True, env={**os.environ, **environment})


def spans_of_traces(collector: Collector, wanted: set[str]) -> dict[str, list[tuple[str, Span]]]:
    """Return the spans of the traces whose root has one of the names, by that name; wait until all have come."""
    deadline = time.monotonic() + 30
    while True:
        roots = {span.name: span.trace_id for _, span in collector.spans if not span.parent_span_id}
        found = {
            name: [each for each in collector.spans if each[1].trace_id == roots[name]]
            for name in wanted & roots.keys()
        }
        services = [{service for service, _ in spans} for spans in found.values()]
        if found.keys() == wanted and all(len(each) == 3 for each in services):
            return found
        assert time.monotonic() < deadline, (wanted, roots.keys(), services)
        time.sleep(0.2)


def test_a_put_and_a_get_are_one_trace_each_from_the_client_to_the_database(
    collector: tuple[Collector, str],
    postgres_database: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made, endpoint = collector
    environment = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
        "OTEL_EXPORTER_OTLP_INSECURE": "true",
        "OTEL_BSP_SCHEDULE_DELAY": "200",
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with own_services(postgres_database, tmp_path) as address:
        repositories = RemoteRepositories(address)
        repositories.create("r", DimensionUniverse(), request_id=uuid4())
        registry = repositories.open("r")
        blob = DatasetType("blob", registry.info.universe.empty, "Bytes")
        registry.dataset_types.register(blob, request_id=uuid4())
        registry.close()
        repositories.close()
        job(f"grpc://{address}/r", environment)
        traces = spans_of_traces(made, {"butler.put", "butler.get"})

    put = traces["butler.put"]
    assert {service for service, _ in put} == {"job", "butler-registry", "butler-datastore"}
    names = {(service, span.name) for service, span in put}
    for side in ("job", "butler-registry"):
        assert (side, "butler_api.v1.DatasetService/BeginPut") in names
        assert (side, "butler_api.v1.DatasetService/CommitPut") in names
    by_id = {span.span_id: (service, span) for service, span in put}
    statements = [span for _, span in put if any(each.key == "db.query.text" for each in span.attributes)]
    assert statements
    for span in statements:
        parent_service, parent = by_id[span.parent_span_id]
        assert (parent_service, parent.kind) == ("butler-registry", Span.SPAN_KIND_SERVER)
        caller_service, caller = by_id[parent.parent_span_id]
        # Before the first write to a store the datastore asks what should be in it.
        is_asked = parent.name.rpartition("/")[2] == "ListKnownArtifacts"
        assert (caller_service, caller.kind) == (
            "butler-datastore" if is_asked else "job",
            Span.SPAN_KIND_CLIENT,
        )
    assert any(service == "butler-datastore" for service, _ in traces["butler.get"])
    failed = [span for service, span in made.spans if service == "butler-registry" and span.status.message]
    assert {(span.name.rpartition("/")[2], span.status.message) for span in failed} == {
        ("GetCollection", "NOT_FOUND")
    }


def test_nothing_of_opentelemetry_is_loaded_unless_it_is_asked_for() -> None:
    program = (
        "import sys, butler, butler.remote, butler_registry.__main__, butler_datastore.__main__, butler_api.tracing; "
        "assert not any(name.startswith('opentelemetry') for name in sys.modules), 'loaded'"
    )
    plain = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    subprocess.run([sys.executable, "-c", program], check=True, env=plain)
