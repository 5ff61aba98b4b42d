# SPDX-License-Identifier: BSD-3-Clause
"""Pages, programs that speak JSON, and gRPC reach both services through Envoy as the chart configures it."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import secrets
import shlex
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import descriptor_pb2

from butler import Butler, DatasetType
from butler_api.v1 import dataset_service_pb2, datastore_service_pb2, models_pb2, values_pb2
from tests.support.secured import SecuredServices, secured_services
from tests.support.survey import insert_survey
from tests.support.web import PORTAL, Answer, Web, grpc_web, services_with_web, web_access
from tools.deployment import CHART, GOLDEN, ROOT, objects_of

CONTENT = secrets.token_bytes(2_500_000)
STREAMS = ("DatastoreService/Write", "TransactionService/Transact")


@dataclass(frozen=True, slots=True)
class Open:
    """Services that ask nobody, behind Envoy, with a dataset."""

    web: Web
    address: str
    folder: Path


@dataclass(frozen=True, slots=True)
class Closed:
    """Services that take nobody without a certificate, and ask who calls, behind Envoy."""

    web: Web
    services: SecuredServices


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Open]:
    folder = tmp_path_factory.mktemp("services")
    with services_with_web(folder) as web:
        address = f"grpc://127.0.0.1:{web.port}/main"
        Butler.makeRepo(address)
        with Butler(address, run="run") as butler:
            insert_survey(butler)
            kind = DatasetType("blob", ("instrument", "detector"), "Bytes", universe=butler.dimensions)
            butler.registry.registerDatasetType(kind)
            butler.put(CONTENT, "blob", instrument="Cam1", detector=2)
        yield Open(web, address, folder)


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Closed]:
    with secured_services(tmp_path_factory.mktemp("secured")) as services:
        mounted = tmp_path_factory.mktemp("tls")
        # Under a name by which the services would know a machine.
        certificate, key = services.certificates.of_machine("datastore", "127.0.0.1", "localhost")
        for name, file in (("tls.crt", certificate), ("tls.key", key), ("ca.crt", services.certificates.ca)):
            (mounted / name).write_bytes(file.read_bytes())
        with web_access("mtls-oidc", *services.machines, tls=mounted) as web:
            yield Closed(web, services)


def test_a_call_in_json_is_answered_in_json(opened: Open) -> None:
    answer = opened.web.call("RepositoryService/GetRepository", {"repository": "main"})
    assert answer.status == 200
    found = answer.json()
    assert int(found["limits"]["message_bytes"]) == 16 << 20
    assert "universe_json" in found


def test_a_query_in_json_gives_a_table(opened: Open) -> None:
    where = {"where": "instrument = 'Cam1' AND detector.full_name = 'Ab'"}
    request = {"repository": "main", "dimensions": ["detector"], "filter": where}
    page = opened.web.call("QueryService/QueryDataIds", request).json()["page"]
    assert page["rows"]["rows"] == 1
    columns = {column["name"]: column for column in page["rows"]["columns"]}
    assert columns["detector"]["ints"]["values"] == ["2"]
    assert columns["instrument"]["strings"]["dictionary"] == ["Cam1"]


@pytest.mark.parametrize(
    "names", [("page_size", "page_token"), ("pageSize", "pageToken")], ids=["proto", "json"]
)
def test_a_query_in_json_goes_on_at_its_page_token(opened: Open, names: tuple[str, str]) -> None:
    size, token = names
    request = {"repository": "main", "dimensions": ["detector"], "filter": {"where": "instrument = 'Cam1'"}}
    found, place = [], ""
    while place is not None:
        call = {**request, "paging": {size: 3, token: place}}
        page = opened.web.call("QueryService/QueryDataIds", call).json()["page"]
        (column,) = (each for each in page["rows"]["columns"] if each["name"] == "detector")
        found.append(column["ints"]["values"])
        place = page.get("next_page_token")
    assert found == [["1", "2", "3"], ["4"]]


def info_of(answer: Answer) -> dict[str, object]:
    (info,) = (each for each in answer.json()["details"] if each["@type"].endswith("google.rpc.ErrorInfo"))
    return dict(info)


def test_an_error_is_json_with_its_reason(opened: Open) -> None:
    answer = opened.web.call("CollectionService/GetCollection", {"repository": "main", "name": "no/such"})
    assert answer.status == 404
    assert answer.json()["code"] == grpc.StatusCode.NOT_FOUND.value[0]
    assert "no/such" in answer.json()["message"]
    assert info_of(answer)["reason"] == "MISSING_COLLECTION"
    assert info_of(answer)["domain"] == "butler"
    assert "no/such" in str(info_of(answer)["metadata"])


def test_what_is_no_request_is_refused_with_400(opened: Open) -> None:
    path = "/butler_api.v1.RepositoryService/GetRepository"
    for body in (b"{", b'{"repository": ["main"]}', b'{"repository": 1.5}', b"[]", b"\xff"):
        answer = opened.web.send(path, body, content_type="application/json")
        assert answer.status == 400, body


def found_blob(web: Web, *, text: bool = False) -> models_pb2.Artifact:
    """Find the dataset as a page does."""
    columns = [
        values_pb2.Column(
            name="instrument", strings=values_pb2.StringColumn(dictionary=["Cam1"], indexes=[0])
        ),
        values_pb2.Column(name="detector", ints=values_pb2.IntColumn(values=[2])),
    ]
    request = dataset_service_pb2.FindDatasetsRequest(
        repository="main",
        dataset_type="blob",
        data_ids=values_pb2.Table(columns=columns, rows=1),
        collections=["run"],
        want_artifacts=True,
    )
    kind = dataset_service_pb2.FindDatasetsResponse
    (answer,), trailers = grpc_web(web, "DatasetService/FindDatasets", request, kind, text=text)
    assert trailers["grpc-status"] == "0"
    return answer.datasets[0].artifacts[0]


@pytest.mark.parametrize("text", [False, True], ids=["binary", "text"])
def test_a_page_reads_the_bytes_of_a_dataset(opened: Open, text: bool) -> None:
    artifact = found_blob(opened.web, text=text)
    request = datastore_service_pb2.ReadRequest(grant=artifact.read_grant)
    kind = datastore_service_pb2.ReadResponse
    messages, trailers = grpc_web(opened.web, "DatastoreService/Read", request, kind, text=text)
    assert trailers["grpc-status"] == "0"
    assert len(messages) > 1
    content = b"".join(each.chunk.content for each in messages)
    assert f"sha256:{hashlib.sha256(content).hexdigest()}" == artifact.record.checksum
    assert content == CONTENT


def test_a_stream_in_json_is_a_line_for_each_message(opened: Open) -> None:
    grant = base64.b64encode(found_blob(opened.web).read_grant).decode()
    answer = opened.web.call("DatastoreService/Read", {"grant": grant, "limit": "1500000"})
    assert answer.status == 200
    lines = [json.loads(line) for line in answer.body.splitlines()]
    assert len(lines) > 1
    assert b"".join(base64.b64decode(each["chunk"]["content"]) for each in lines) == CONTENT[:1_500_000]


def test_a_page_is_told_the_reason_of_an_error(opened: Open) -> None:
    request = datastore_service_pb2.ReadRequest(grant=b"none")
    messages, trailers = grpc_web(
        opened.web, "DatastoreService/Read", request, datastore_service_pb2.ReadResponse
    )
    assert messages == []
    assert trailers["grpc-status"] == str(grpc.StatusCode.PERMISSION_DENIED.value[0])
    details = trailers["grpc-status-details-bin"]
    assert b"GRANT" in base64.b64decode(details + "=" * (-len(details) % 4))


def test_a_stream_that_fails_late_is_told_of_as_it_can_be(opened: Open) -> None:
    record = found_blob(opened.web).record
    (file,) = (each for each in opened.folder.rglob("*") if str(each).endswith(record.key))
    file.chmod(0o600)
    with file.open("r+b") as stream:
        stream.write(bytes([CONTENT[0] ^ 1]))
    try:
        grant = found_blob(opened.web).read_grant
        request = datastore_service_pb2.ReadRequest(grant=grant)
        kind = datastore_service_pb2.ReadResponse
        _, trailers = grpc_web(opened.web, "DatastoreService/Read", request, kind)
        assert trailers["grpc-status"] == str(grpc.StatusCode.DATA_LOSS.value[0])
        answer = opened.web.call("DatastoreService/Read", {"grant": base64.b64encode(grant).decode()})
        lines = [json.loads(line) for line in answer.body.splitlines()]
        assert sum(len(base64.b64decode(each["chunk"]["content"])) for each in lines) < len(CONTENT)
    finally:
        with file.open("r+b") as stream:
            stream.write(CONTENT[:1])


def test_the_manual_shows_what_is_answered(opened: Open) -> None:
    manual = (ROOT / "docs/operations.md").read_text().partition("## Web access")[2]
    examples = re.findall(r"```sh\n(curl .*?)```\n\n```json\n(.*?)```", manual, re.DOTALL)
    assert len(examples) == 2
    for command, wanted in examples:
        words = shlex.split(command.replace("\\\n", " "))
        path = words[2].removeprefix("$BUTLER")
        answer = opened.web.send(path, words[words.index("--data") + 1].encode(), content_type=words[4][14:])
        # How often the registry was changed is not what the example is about.
        found, shown = (re.sub(r'"revision":"\d+"', "", text) for text in (answer.body.decode(), wanted))
        assert found == shown.strip()


def preflight(web: Web, origin: str) -> Answer:
    return web.send(
        "/butler_api.v1.RepositoryService/GetRepository",
        b"",
        method="OPTIONS",
        origin=origin,
        access_control_request_method="POST",
        access_control_request_headers="content-type,x-grpc-web,authorization",
    )


def test_pages_of_named_origins_may_call_and_no_others(opened: Open) -> None:
    allowed = preflight(opened.web, PORTAL)
    assert allowed.status == 200
    assert allowed.headers["access-control-allow-origin"] == PORTAL
    assert "x-grpc-web" in allowed.headers["access-control-allow-headers"]
    for origin in ("https://elsewhere.example.org", f"{PORTAL}.example.com"):
        refused = preflight(opened.web, origin)
        assert "access-control-allow-origin" not in refused.headers


def test_a_page_may_read_answers_and_errors(opened: Open) -> None:
    for repository in ("main", "no_such"):
        answer = opened.web.call("RepositoryService/GetRepository", {"repository": repository}, origin=PORTAL)
        assert answer.headers["access-control-allow-origin"] == PORTAL
        assert "grpc-status-details-bin" in answer.headers["access-control-expose-headers"]


def test_grpc_goes_through_the_same_port(opened: Open) -> None:
    with Butler(opened.address, run="other") as butler:
        with butler.transaction():
            ref = butler.put(CONTENT[::-1], "blob", instrument="Cam1", detector=3)
        assert butler.get(ref) == CONTENT[::-1]


@pytest.mark.parametrize("method", STREAMS)
@pytest.mark.parametrize("form", ["application/json", "application/grpc-web+proto"])
def test_streams_of_a_client_need_grpc(opened: Open, method: str, form: str) -> None:
    answer = opened.web.send(f"/butler_api.v1.{method}", b"[]", content_type=form)
    assert answer.status == 415
    assert b"needs gRPC" in answer.body


@pytest.mark.parametrize(
    "path",
    [
        "/grpc.health.v1.Health/Check",
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        "/butler_api.v1.LedgerService/CountDueTrash",
        "/butler_api.v1.RepositoryService/NoSuchMethod",
        "/ready",
        "/stats",
        "/",
    ],
)
def test_what_is_not_for_pages_is_not_found(opened: Open, path: str) -> None:
    assert opened.web.send(path, b"{}", content_type="application/json").status == 404


def unary(channel: grpc.Channel, path: str) -> object:
    """Call a method with an empty request."""
    call: Any = channel.unary_unary(path)
    return call(b"", timeout=30)


def test_what_is_not_for_pages_is_unknown_to_grpc(opened: Open) -> None:
    with grpc.insecure_channel(f"127.0.0.1:{opened.web.port}") as channel:
        for path in ("/grpc.health.v1.Health/Check", "/butler_api.v1.LedgerService/CountDueTrash"):
            with pytest.raises(grpc.RpcError) as caught:
                unary(channel, path)
            assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


def test_json_of_any_size_is_not_held(opened: Open) -> None:
    expression = "detector.full_name = 'Ab' OR " * 100_000 + "detector = 1"
    request = {"repository": "main", "dimensions": ["detector"], "filter": {"where": expression}}
    answer = opened.web.call("QueryService/QueryDataIds", request)
    assert answer.status == 400
    assert info_of(answer)["reason"] == "LIMIT_EXCEEDED"  # 3 MB come through to the service
    request["filter"] = {"where": expression * 10}
    assert opened.web.call("QueryService/QueryDataIds", request).status == 413


def test_probes_and_prometheus_see_one_page_each(opened: Open) -> None:
    health, metrics = opened.web.pages
    with urllib.request.urlopen(f"http://127.0.0.1:{metrics}/metrics", timeout=30) as answer:
        assert b"envoy_cluster_upstream_rq_total" in answer.read()
    for port, path in ((health, "/stats"), (metrics, "/ready"), (metrics, "/quitquitquit")):
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=30)


def test_who_calls_is_asked_of_pages(closed: Closed) -> None:
    token = closed.services.provider.token("alice")
    call = "RepositoryService/ListRepositories"
    assert closed.web.call(call, {}, authorization=f"Bearer {token}").status == 200
    others = ["", "none", "Bearer", "Bearer x", f"Basic {token}", closed.services.provider.token(exp=1)]
    for headers in ({}, *({"authorization": other} for other in others)):
        refused = closed.web.call(call, {}, origin=PORTAL, **headers)
        assert refused.status == 401, headers
        assert refused.headers["access-control-allow-origin"] == PORTAL
        assert info_of(refused)["reason"] == "AUTHENTICATION"


def test_the_certificate_of_envoy_speaks_for_nobody(closed: Closed) -> None:
    assert closed.web.ca is not None
    credentials = grpc.ssl_channel_credentials(closed.web.ca.read_bytes())
    with grpc.secure_channel(f"localhost:{closed.web.port}", credentials) as channel:
        for method in ("RepositoryService/ListRepositories", "DatastoreService/GetIngestRoots"):
            assert closed.web.call(method, {}).status == 401
            with pytest.raises(grpc.RpcError) as caught:
                unary(channel, f"/butler_api.v1.{method}")
            assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED


def shown_certificate(web: Web) -> str:
    return ssl.get_server_certificate(("127.0.0.1", web.port), timeout=30)


def test_a_renewed_certificate_is_taken_without_a_restart(closed: Closed) -> None:
    assert closed.web.ca is not None
    before = shown_certificate(closed.web)
    files = closed.services.certificates.of_machine("datastore", "127.0.0.1", "localhost")
    for name, file in zip(("tls.crt", "tls.key"), files, strict=True):
        file.replace(closed.web.ca.with_name(name))
    deadline = time.monotonic() + 30
    while shown_certificate(closed.web) == before:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    token = closed.services.provider.token("alice")
    call = "RepositoryService/ListRepositories"
    assert closed.web.call(call, {}, authorization=f"Bearer {token}").status == 200


def test_pages_ask_before_they_have_shown_a_token(closed: Closed) -> None:
    assert preflight(closed.web, PORTAL).headers["access-control-allow-origin"] == PORTAL


def test_the_chart_knows_every_service_of_the_contract() -> None:
    described = descriptor_pb2.FileDescriptorSet.FromString((CHART / "files/web.binpb").read_bytes())
    services = {f"{file.package}.{each.name}" for file in described.file for each in file.service}
    (config,) = (
        each["data"]["envoy.yaml"]
        for each in objects_of((GOLDEN / "mtls-oidc.yaml").read_text())
        if each["kind"] == "ConfigMap" and each["metadata"]["name"] == "butler-web"
    )
    assert {name for name in services if f"- {name}\n" not in config} == {"butler_api.v1.LedgerService"}
    streams = {
        f"/{file.package}.{service.name}/{method.name}"
        for file in described.file
        for service in file.service
        for method in service.method
        if method.client_streaming
    }
    assert streams == {f"/butler_api.v1.{each}" for each in STREAMS}
