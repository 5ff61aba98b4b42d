# SPDX-License-Identifier: BSD-3-Clause
"""Who calls: TLS, tokens and certificates, over real sockets."""

from __future__ import annotations

import http.server
import json
import os
import pickle
import socket
import ssl
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from butler.remote import RemoteRepositories
from butler_api.authentication import AuthenticationInterceptor, Authenticator
from butler_api.bearer import BearerTokens, Issuer
from butler_api.channel import Connection
from butler_api.client_security import ClientSecurity
from butler_api.jwks import KeySet
from butler_api.server import Transport, build_server
from butler_api.tls import ServerCertificates
from butler_api.token_sources import CommandToken, FileToken, RefreshedToken, VariableToken
from butler_api.v1.repository_service_pb2 import GetCapabilitiesRequest, ListRepositoriesRequest
from butler_api.v1.repository_service_pb2_grpc import RepositoryServiceStub
from butler_model.errors import (
    AuthenticationError,
    ConfigurationError,
    ServiceUnavailableError,
)
from butler_model.grants import TokenSigner
from butler_model.repository import Limits
from butler_model.universe import DimensionUniverse
from butler_registry.application import RegistryApplication
from butler_registry.servicers import registry_services
from tests.support.identity import AUDIENCE, ISSUER, Certificates, Provider


@dataclass(frozen=True, slots=True)
class Service:
    """A registry service that asks who calls."""

    address: str
    machine_address: str
    certificates: Certificates
    provider: Provider
    folder: Path

    @property
    def url(self) -> str:
        """Its encrypted address."""
        return f"grpcs://{self.address}"

    def security(self, token: str) -> ClientSecurity:
        """Return what a client has that has a token."""
        file = self.folder / f"{uuid.uuid4().hex}.token"
        file.write_text(token)
        file.chmod(0o600)
        return ClientSecurity(
            str(self.certificates.ca), token=FileToken(str(file)), token_hosts=("127.0.0.1",)
        )


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("identity")
    with served(folder) as made:
        yield made


@contextmanager
def served(folder: Path) -> Iterator[Service]:
    """Serve a registry on SQLite, encrypted."""
    certificates, provider = Certificates(folder), Provider(folder / "jwks.json")
    (folder / "tables").mkdir()
    signer = TokenSigner([b"k" * 32])
    repositories = RegistryApplication(f"sqlite:///{folder}/tables", signer)
    files = ServerCertificates(str(certificates.certificate), str(certificates.key), str(certificates.ca))
    issuer = Issuer(ISSUER, (AUDIENCE,), KeySet(str(provider.file)))
    authenticator = Authenticator({"": BearerTokens([issuer])}, certificate_groups={"pipeline": ["machines"]})
    server = build_server(
        registry_services(repositories, Limits()),
        "127.0.0.1:0",
        transport=Transport(files, machine_address="127.0.0.1:0"),
        authentication=AuthenticationInterceptor(authenticator),
    )
    server.start()
    try:
        yield Service(server.address, server.machine_address, certificates, provider, folder)
    finally:
        server.stop(0)
        repositories.close()


def call(service: Service, security: ClientSecurity, address: str = "") -> None:
    """Make a call."""
    connection = Connection(address or service.url, security=security, call_seconds=10)
    try:
        stub = connection.stub(RepositoryServiceStub)
        connection.call(stub.ListRepositories, ListRepositoriesRequest())
    finally:
        connection.close()


@pytest.mark.parametrize("algorithm", ["RS256", "ES256"])
def test_a_token_of_the_identity_provider_is_accepted(service: Service, algorithm: str) -> None:
    call(service, service.security(service.provider.token(algorithm=algorithm)))


FORGED: dict[str, Callable[[Provider], str]] = {
    "expired": lambda p: p.token(exp=int(time.time()) - 61),
    "not yet valid": lambda p: p.token(nbf=int(time.time()) + 120),
    "made in the future": lambda p: p.token(iat=int(time.time()) + 120),
    "for another audience": lambda p: p.token(aud="another"),
    "without audience": lambda p: p.token(aud=None),
    "without expiry": lambda p: p.token(exp=None),
    "of another issuer": lambda p: p.token(iss="https://evil.example.org"),
    "without issuer": lambda p: p.token(iss=None),
    "without name": lambda p: p.token(sub=None),
    "with the name of a machine": lambda p: p.token("cert:datastore"),
    "with a name that breaks lines": lambda p: p.token("alice\nroot"),
    "signed by another key": lambda p: Provider(p.file.with_name("other.json")).token(),
    "of a key that is not known": lambda p: Provider(p.file.with_name("other.json")).token(
        kid="curve", algorithm="ES256"
    ),
    "unsigned": lambda p: p.unsigned(),
    "signed by the public key": lambda p: p.signed_by_public_key(),
    "altered": lambda p: p.token()[:-6] + "AAAAAA",
    "no token": lambda p: "nonsense",
    "no API token": lambda p: "butler.main.0.secret",
}


@pytest.mark.parametrize("kind", FORGED)
def test_a_token_that_proves_nothing_is_refused(service: Service, kind: str) -> None:
    with pytest.raises(AuthenticationError) as caught:
        call(service, service.security(FORGED[kind](service.provider)))
    assert "eyJ" not in caught.value.message


def test_clocks_may_differ_by_a_minute(service: Service) -> None:
    now = int(time.time())
    call(service, service.security(service.provider.token(exp=now - 30)))
    call(service, service.security(service.provider.token(nbf=now + 30)))


def test_who_shows_nothing_is_refused_with_a_way_out(service: Service) -> None:
    with pytest.raises(AuthenticationError, match="BUTLER_TOKEN_FILE"):
        call(service, ClientSecurity(str(service.certificates.ca)))


def test_keys_are_followed_when_they_are_rotated(tmp_path: Path) -> None:
    with served(tmp_path) as service:
        old = service.security(service.provider.token())
        call(service, old)
        service.provider.rotate("second")
        new = service.security(service.provider.token())
        with pytest.raises(AuthenticationError, match="does not have"):
            call(service, new)
        service.provider.publish()
        call(service, new)
        withdrawn = Provider(tmp_path / "other.json").token()
        with pytest.raises(AuthenticationError):
            call(service, service.security(withdrawn))


def test_keys_come_from_a_url_and_are_asked_for_again_when_one_is_unknown(tmp_path: Path) -> None:
    provider, asked, now = Provider(tmp_path / "jwks.json"), [], [0.0]

    class Keys(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            content = provider.file.read_bytes()
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Keys) as web:
        threading.Thread(target=web.serve_forever, daemon=True).start()
        keys = KeySet(f"http://127.0.0.1:{web.server_port}/keys", clock=lambda: now[0])
        assert keys.key("first") is not None
        assert keys.key("curve") is not None
        assert len(asked) == 1
        # Who makes up names of keys cannot make the service ask each time.
        for i in range(50):
            assert keys.key(f"made-up-{i}") is None
        assert len(asked) == 1
        provider.rotate("second")
        provider.publish()
        now[0] += 11
        assert keys.key("second") is not None
        assert keys.key("first") is None
        assert len(asked) == 2
        web.shutdown()
    now[0] += 3601
    assert keys.key("second") is not None, "what is known stays while the provider cannot be reached"


def test_keys_are_not_fetched_unencrypted_from_elsewhere() -> None:
    with pytest.raises(ConfigurationError, match="https"):
        KeySet("http://login.example.org/keys")


def test_provider_that_cannot_be_reached_is_no_reason_to_call_the_token_bad() -> None:
    with pytest.raises(ServiceUnavailableError, match="identity provider"):
        KeySet("http://127.0.0.1:9/keys").key("first")


def test_a_machine_is_known_by_its_certificate(service: Service) -> None:
    certificate, key = service.certificates.of_machine("pipeline")
    security = ClientSecurity(str(service.certificates.ca), str(certificate), str(key))
    call(service, security, f"grpcs://{service.machine_address}")


def test_the_port_for_machines_wants_a_certificate_of_its_authority(service: Service, tmp_path: Path) -> None:
    stranger, key = Certificates(tmp_path).of_machine("pipeline")
    known = ClientSecurity(str(service.certificates.ca))
    for security in (known, replace(known, certificate=str(stranger), key=str(key))):
        with pytest.raises(ServiceUnavailableError):
            call(service, security, f"grpcs://{service.machine_address}")


def test_reflection_is_not_for_everybody_either(service: Service) -> None:
    credentials = grpc.ssl_channel_credentials(service.certificates.ca.read_bytes())
    with grpc.secure_channel(service.address, credentials) as channel:
        stub = reflection_pb2_grpc.ServerReflectionStub(channel)
        request = reflection_pb2.ServerReflectionRequest(list_services="")
        with pytest.raises(grpc.RpcError) as caught:
            list(stub.ServerReflectionInfo(iter([request]), timeout=10))
    assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED


def test_a_client_believes_only_the_authorities_it_is_told(service: Service, tmp_path: Path) -> None:
    stranger = Certificates(tmp_path)
    security = replace(service.security(service.provider.token()), ca=str(stranger.ca))
    with pytest.raises(ServiceUnavailableError):
        call(service, security)


def test_a_renewed_certificate_is_used_without_a_restart(tmp_path: Path) -> None:
    def shown(address: str) -> str:
        host, _, port = address.rpartition(":")
        context = ssl.create_default_context(cafile=str(tmp_path / "ca.pem"))
        context.set_alpn_protocols(["h2"])
        with (
            socket.create_connection((host, int(port)), 10) as raw,
            context.wrap_socket(raw, server_hostname=host) as encrypted,
        ):
            certificate = encrypted.getpeercert()
            assert certificate
            return str(certificate["serialNumber"])

    with served(tmp_path) as service:
        before = shown(service.address)
        security = service.security(service.provider.token())
        connection = Connection(service.url, security=security)
        stub = connection.stub(RepositoryServiceStub)
        connection.call(stub.GetCapabilities, GetCapabilitiesRequest())
        service.certificates.renew()
        assert shown(service.address) != before
        connection.call(stub.GetCapabilities, GetCapabilitiesRequest())
        call(service, security)
        renewed = shown(service.address)
        service.certificates.certificate.write_text("nonsense")
        assert shown(service.address) == renewed, "what cannot be used changes nothing"
        connection.close()


def test_nothing_is_served_unencrypted_to_other_machines_without_a_word() -> None:
    with pytest.raises(ConfigurationError, match="allow_plaintext"):
        build_server({}, "0.0.0.0:0")
    server = build_server({}, "0.0.0.0:0", transport=Transport(allow_plaintext=True))
    server.start()
    server.stop(0)
    build_server({}, "localhost:0").stop(0)


def test_a_key_that_everybody_can_read_is_refused(tmp_path: Path) -> None:
    certificates = Certificates(tmp_path)
    certificates.key.chmod(0o644)
    files = ServerCertificates(str(certificates.certificate), str(certificates.key))
    with pytest.raises(ConfigurationError, match="chmod 600"):
        build_server({}, "127.0.0.1:0", transport=Transport(files))


def test_a_token_goes_to_the_hosts_that_are_named_and_to_no_other(service: Service) -> None:
    security = replace(service.security(service.provider.token()), token_hosts=("data.example.org",))
    with pytest.raises(AuthenticationError, match=r"BUTLER_TOKEN_HOSTS does not name it.*data\.example\.org"):
        call(service, security)
    with pytest.raises(ConfigurationError, match="BUTLER_TOKEN_HOSTS"):
        replace(security, token_hosts=())


def test_a_token_does_not_go_unencrypted(service: Service) -> None:
    security = service.security(service.provider.token())
    with pytest.raises(ConfigurationError, match="grpcs://"):
        Connection("127.0.0.1:50051", security=security)
    Connection("127.0.0.1:50051", security=replace(security, plaintext_on_loopback=True))
    elsewhere = replace(security, plaintext_on_loopback=True, token_hosts=("data.example.org",))
    with pytest.raises(ConfigurationError, match="unencrypted"):
        Connection("data.example.org:50051", security=elsewhere)


def test_a_token_file_is_read_again_when_it_changes(service: Service) -> None:
    security = service.security("nonsense")
    assert isinstance(security.token, FileToken)
    connection = Connection(service.url, security=security)
    stub = connection.stub(RepositoryServiceStub)
    with pytest.raises(AuthenticationError):
        connection.call(stub.ListRepositories, ListRepositoriesRequest())
    Path(security.token.file).write_text(service.provider.token())
    connection.call(stub.ListRepositories, ListRepositoriesRequest())
    connection.close()


def test_a_token_file_that_others_can_read_is_refused(service: Service) -> None:
    security = service.security(service.provider.token())
    assert isinstance(security.token, FileToken)
    os.chmod(security.token.file, 0o644)
    with pytest.raises(ConfigurationError, match="chmod 600"):
        call(service, security)


def test_a_token_comes_from_a_variable_or_a_command(
    service: Service, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("BUTLER_TOKEN", service.provider.token())
    security = service.security("unused")
    call(service, replace(security, token=VariableToken("BUTLER_TOKEN")))
    script = tmp_path / "login"
    script.write_text(f"#!/bin/sh\necho called >> {tmp_path}/calls\necho {service.provider.token()}\n")
    script.chmod(0o700)
    commanded = Connection(service.url, security=replace(security, token=CommandToken((str(script),))))
    stub = commanded.stub(RepositoryServiceStub)
    for _ in range(3):
        commanded.call(stub.ListRepositories, ListRepositoriesRequest())
    commanded.close()
    assert (tmp_path / "calls").read_text().split() == ["called"]
    script.write_text("#!/bin/sh\necho secret; exit 3\n")
    with pytest.raises(AuthenticationError, match="code 3") as caught:
        CommandToken((str(script),)).fetch()
    assert "secret" not in str(caught.value)


def test_a_token_is_renewed_by_a_refresh_token(service: Service, tmp_path: Path) -> None:
    forms: list[str] = []

    class Login(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            forms.append(self.rfile.read(int(self.headers["Content-Length"])).decode())
            answer = {"access_token": service.provider.token(), "refresh_token": "r2"}
            content = json.dumps(answer).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Login) as web:
        threading.Thread(target=web.serve_forever, daemon=True).start()
        file = tmp_path / "refresh.json"
        flow = {"client_id": "butler", "refresh_token": "r1"}
        file.write_text(json.dumps({**flow, "token_url": f"http://127.0.0.1:{web.server_port}/token"}))
        file.chmod(0o600)
        call(service, replace(service.security("unused"), token=RefreshedToken(str(file))))
        web.shutdown()
    assert forms == ["grant_type=refresh_token&client_id=butler&refresh_token=r1"]
    assert json.loads(file.read_text())["refresh_token"] == "r2"
    assert file.stat().st_mode & 0o077 == 0


def test_what_is_pickled_and_shown_of_a_client_holds_no_token(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = service.provider.token()
    security = service.security(token)
    assert isinstance(security.token, FileToken)
    monkeypatch.setenv("BUTLER_TLS_CA", security.ca)
    monkeypatch.setenv("BUTLER_TOKEN_FILE", security.token.file)
    monkeypatch.setenv("BUTLER_TOKEN_HOSTS", "127.0.0.1")
    repositories = RemoteRepositories(service.url)
    name = f"r{uuid.uuid4().hex[:12]}"
    repositories.create(name, DimensionUniverse(), request_id=uuid.uuid4())
    registry = repositories.open(name)
    content = pickle.dumps(registry)
    assert token.encode() not in content
    assert token not in repr(vars(registry)) + repr(security)
    travelled = pickle.loads(content)
    assert travelled.collections.find(["*"]) == []
    for each in (travelled, registry, repositories):
        each.close()


def test_a_connection_takes_a_renewed_certificate_of_its_own(service: Service) -> None:
    certificate, key = service.certificates.of_machine("pipeline")
    security = ClientSecurity(str(service.certificates.ca), str(certificate), str(key))
    connection = Connection(f"grpcs://{service.machine_address}", security=security)
    first = connection.stub(RepositoryServiceStub)
    connection.renew()
    assert connection.stub(RepositoryServiceStub) is first
    service.certificates.of_machine("pipeline")
    connection.renew()
    second = connection.stub(RepositoryServiceStub)
    assert second is not first
    connection.call(second.ListRepositories, ListRepositoriesRequest())
    connection.close()


def test_the_environment_says_what_a_client_shows() -> None:
    token = {
        "BUTLER_TOKEN_FILE": "/home/alice/token",
        "BUTLER_TOKEN_HOSTS": "a.example.org, B.example.org:50051",
    }
    security = ClientSecurity.from_environment(token)
    assert security.token == FileToken("/home/alice/token")
    assert security.goes_to("grpcs://a.example.org:50051")
    assert security.goes_to("grpcs://b.example.org:50051")
    assert not security.goes_to("grpcs://b.example.org:50052")
    assert not security.goes_to("grpcs://evil.example.org:50051")
    assert not security.goes_to("grpcs://a.example.org.evil.example:50051")
    assert ClientSecurity.from_environment({}) == ClientSecurity()
    command = {"BUTLER_TOKEN_COMMAND": "login --quiet 'my org'", "BUTLER_TOKEN_HOSTS": "a.example.org"}
    assert ClientSecurity.from_environment(command).token == CommandToken(("login", "--quiet", "my org"))


@pytest.mark.parametrize(
    ("environment", "complaint"),
    [
        ({"BUTLER_TOKEN_FILE": "t"}, "BUTLER_TOKEN_HOSTS"),
        ({"BUTLER_TOKEN_FILE": "t", "BUTLER_TOKEN": "t", "BUTLER_TOKEN_HOSTS": "h"}, "only one"),
        ({"BUTLER_TLS_CERTIFICATE": "c"}, "BUTLER_TLS_KEY"),
        ({"BUTLER_TOKEN_OVER_PLAINTEXT": "yes"}, "loopback"),
    ],
)
def test_an_environment_that_does_not_go_together_is_refused(
    environment: dict[str, str], complaint: str
) -> None:
    with pytest.raises(ConfigurationError, match=complaint):
        ClientSecurity.from_environment(environment)


def test_a_caller_who_keeps_all_that_one_can_have_keeps_nobody_else_waiting(service: Service) -> None:
    alice, bob = (service.provider.token(name) for name in ("alice", "bob"))
    credentials = grpc.ssl_channel_credentials(service.certificates.ca.read_bytes())
    silence = threading.Event()

    def nothing() -> Iterator[bytes]:
        silence.wait(60)
        yield from ()

    with ExitStack() as stack:
        refused: list[Any] = []
        for _ in range(3):
            channel = stack.enter_context(
                grpc.secure_channel(service.address, credentials, [("grpc.use_local_subchannel_pool", 1)])
            )
            begin: Any = channel.stream_unary("/butler_api.v1.RepositoryService/ListRepositories")
            for _ in range(50):
                silent = begin.future(nothing(), timeout=60, metadata=[("authorization", f"Bearer {alice}")])
                stack.callback(silent.cancel)
                silent.add_done_callback(refused.append)
        stack.callback(silence.set)
        # Of her calls 96 are let in, whatever the number of connections.
        deadline = time.monotonic() + 30
        while len(refused) < 54 and time.monotonic() < deadline:
            time.sleep(0.05)
        assert len(refused) >= 54
        assert refused[0].code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        call(service, service.security(bob))
