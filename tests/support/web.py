# SPDX-License-Identifier: BSD-3-Clause
"""Web access as the chart has it: its configuration of Envoy on ports of a test, and what a page sends there."""

from __future__ import annotations

__all__ = ["PORTAL", "Answer", "Web", "grpc_web", "services_with_web", "web_access"]

import base64
import http.client
import json
import ssl
import struct
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from google.protobuf.message import Message

from tools.deployment import GOLDEN, objects_of
from tools.servers.process import free_ports
from tools.servers.services import own_services

from .envoy import running_envoy

PORTAL = "https://portal.example.org"
"""The origin whose pages may call, in the examples."""
_SECONDS = 60.0
_TRAILERS = 0x80
_Answered = TypeVar("_Answered", bound=Message)


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: status, headers by their names in small letters, and the body."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """Return the body's value."""
        assert self.headers["content-type"] == "application/json", self
        return json.loads(self.body)


@dataclass(frozen=True, slots=True)
class Web:
    """Envoy in front of both services.

    Attributes
    ----------
    port
        Where it answers on this machine.
    pages
        The ports of probes and of Prometheus.
    ca
        The authority of its certificate; `None` if nothing is encrypted.
    """

    port: int
    pages: tuple[int, int]
    ca: Path | None = None

    def send(self, path: str, body: bytes, *, method: str = "POST", **headers: str) -> Answer:
        """Send a request as a page does; names of headers have ``_`` for ``-``."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        with closing(self._connection()) as connection:
            # What is too long is answered, and the connection ended, before all of it was sent.
            with suppress(ConnectionError):
                connection.request(method, path, body, named)
            answer = connection.getresponse()
            return Answer(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())

    def call(self, method: str, request: Mapping[str, Any], **headers: str) -> Answer:
        """Call ``Service/Method`` with JSON."""
        body = json.dumps(request).encode()
        return self.send(f"/butler_api.v1.{method}", body, content_type="application/json", **headers)

    def _connection(self) -> http.client.HTTPConnection:
        if self.ca is None:
            return http.client.HTTPConnection("127.0.0.1", self.port, timeout=_SECONDS)
        context = ssl.create_default_context(cafile=self.ca)
        return http.client.HTTPSConnection("127.0.0.1", self.port, timeout=_SECONDS, context=context)


@contextmanager
def web_access(
    example: str, registry: int, datastore: int, *, port: int = 0, tls: Path | None = None, origin: str = ""
) -> Iterator[Web]:
    """Run Envoy as an example of the chart configures it.

    Parameters
    ----------
    example
        The name of a rendered file.
    registry, datastore
        The ports of the services on this machine.
    port
        Where it is to answer; any if 0.
    tls
        A folder with ``tls.crt``, ``tls.key`` and ``ca.crt``, as Kubernetes mounts it.
    origin
        Of which pages may call, instead of `PORTAL`.
    """
    (config,) = (
        each
        for each in objects_of((GOLDEN / f"{example}.yaml").read_text())
        if each["kind"] == "ConfigMap" and each["metadata"]["name"] == "butler-web"
    )
    folder = Path(tempfile.mkdtemp(prefix="butler-web-"))
    front, health, metrics, admin = free_ports(4)
    front = port or front
    places = {
        "/etc/butler/": f"{folder}/",
        "/run/butler/tls": str(tls),
        "butler-registry.butler.svc": "localhost",
        "butler-datastore.butler.svc": "localhost",
        "0.0.0.0": "127.0.0.1",
        PORTAL: origin or PORTAL,
    }
    ports = {50051: registry, 50052: datastore, 8080: front, 50060: health, 9464: metrics, 9901: admin}
    places |= {f"port_value: {old} ": f"port_value: {new} " for old, new in ports.items()}
    for name, text in config["data"].items():
        for old, new in places.items():
            text = text.replace(old, new)
        (folder / name).write_text(text)
    for name, content in config["binaryData"].items():
        (folder / name).write_bytes(base64.b64decode(content))
    with running_envoy(folder / "envoy.yaml", f"http://127.0.0.1:{health}/ready"):
        yield Web(front, (health, metrics), tls and tls / "ca.crt")


@contextmanager
def services_with_web(folder: Path, *, origin: str = "") -> Iterator[Web]:
    """Run both services on SQLite, which ask nobody, behind Envoy; ``origin`` as of `web_access`."""
    (folder / "tables").mkdir()
    front, datastore = free_ports(2)
    # Clients that come through Envoy find the datastore there, too.
    environments = {
        "butler_registry": {"BUTLER_REGISTRY_DATASTORE_ENDPOINT": f":{front}"},
        "butler_datastore": {"BUTLER_DATASTORE_ADDRESS": f"127.0.0.1:{datastore}"},
    }
    with own_services(f"sqlite:///{folder}/tables", folder, environments=environments) as registry:
        port = int(registry.rpartition(":")[2])
        with web_access("sqlite-pvc", port, datastore, port=front, origin=origin) as web:
            yield web


def grpc_web(
    web: Web, method: str, request: Message, kind: type[_Answered], *, text: bool = False, **headers: str
) -> tuple[list[_Answered], dict[str, str]]:
    """Call ``Service/Method`` as gRPC-Web has it; return the messages that came, and the trailers."""
    content = request.SerializeToString()
    body = struct.pack(">BI", 0, len(content)) + content
    form = "application/grpc-web-text" if text else "application/grpc-web+proto"
    answer = web.send(
        f"/butler_api.v1.{method}",
        base64.b64encode(body) if text else body,
        content_type=form,
        accept=form,
        x_grpc_web="1",
        **headers,
    )
    assert answer.status == 200, answer
    came = _decoded(answer.body) if text else answer.body
    messages, trailers, place = [], dict(answer.headers), 0
    while place < len(came):
        flag, length = struct.unpack_from(">BI", came, place)
        part = came[place + 5 : place + 5 + length]
        place += 5 + length
        if flag & _TRAILERS:
            lines = (line.partition(":") for line in part.decode().splitlines())
            trailers |= {name.strip().lower(): value.strip() for name, _, value in lines}
        else:
            messages.append(kind.FromString(part))
    return messages, trailers


def _decoded(text: bytes) -> bytes:
    """Return what is in pieces of base64 that follow each other, each with its own padding."""
    return b"".join(base64.b64decode(text[start : start + 4]) for start in range(0, len(text), 4))
