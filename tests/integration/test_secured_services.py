# SPDX-License-Identifier: BSD-3-Clause
"""Both services with certificates and tokens, as they run for many, and what one who has a token can do there."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest

from butler import Butler, DatasetType
from butler.remote import RemoteDatastore, RemoteRegistry
from butler.remote.access import RemoteAccess
from butler_model.access import AccessEntry, Verb
from butler_model.errors import (
    AccessDeniedError,
    ArtifactExistsError,
    GrantError,
    QuotaExceededError,
    RepositoryNotFoundError,
)
from butler_model.grants import TokenSigner
from tests.support.registries import RegistrySetup
from tests.support.secured import SecuredServices, secured_services


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredServices]:
    with secured_services(tmp_path_factory.mktemp("secured")) as made:
        yield made


def command(services: SecuredServices, token: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run ``butler`` with a token."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("BUTLER_T")}
    return subprocess.run(
        [sys.executable, "-m", "butler.cli", *arguments],
        env=environment | services.environment(token),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def use(services: SecuredServices, monkeypatch: pytest.MonkeyPatch, token: str) -> None:
    """Have a token in the environment of this process."""
    for name, value in services.environment(token).items():
        monkeypatch.setenv(name, value)


def register_note(butler: Butler) -> None:
    """Register a dataset type without dimensions."""
    butler.registry.registerDatasetType(
        DatasetType("note", (), "StructuredDataDict", universe=butler.dimensions)
    )


def test_one_with_a_token_file_puts_gets_lists_and_removes(
    services: SecuredServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = services.provider.token()
    use(services, monkeypatch, token)
    address = f"{services.registry}/work"
    Butler.makeRepo(address)
    with Butler(address, run="u/alice/run") as butler:
        register_note(butler)
        ref = butler.put({"a": 1}, "note")
        assert butler.get("note") == {"a": 1}
        listed = command(
            services, token, "query-datasets", address, "note", "--collections", "u/alice/run", "--json"
        )
        assert listed.returncode == 0, listed.stderr
        assert str(ref.id) in listed.stdout
        butler.pruneDatasets([ref], unstore=True, purge=True, disassociate=True)
    assert not [path for path in (services.folder / "store").rglob("*") if path.is_file()]


def test_one_without_a_token_gets_one_line_and_an_exit_code(services: SecuredServices) -> None:
    done = command(services, "", "query-collections", f"{services.registry}/work")
    assert done.returncode == 8
    assert "BUTLER_TOKEN_FILE" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def audit(services: SecuredServices, module: str = "butler_registry") -> list[dict[str, Any]]:
    """Return the audit lines of a service."""
    lines = services.log(module)
    return [dict(line["audit"]) for line in lines if line.get("logger") == "butler.audit"]  # type: ignore[call-overload]


def test_the_log_says_who_did_what(services: SecuredServices, monkeypatch: pytest.MonkeyPatch) -> None:
    address = f"{services.registry}/audited"
    use(services, monkeypatch, services.provider.token("alice"))
    Butler.makeRepo(address)
    with Butler(address, run="u/alice/run") as butler:
        register_note(butler)
        ref = butler.put({"a": 1}, "note")
        butler.get(ref)
        butler.pruneDatasets([ref], unstore=True, purge=True, disassociate=True)
        with butler.transaction():
            butler.registry.registerRun("u/alice/other")
    use(services, monkeypatch, services.provider.token("mallory"))
    with pytest.raises(RepositoryNotFoundError):
        Butler(address)
    remote = RemoteAccess(services.registry, "audited")
    with pytest.raises(RepositoryNotFoundError):
        remote.grant(AccessEntry("user:mallory", "**", frozenset({Verb.ADMINISTER})))
    remote.close()
    lines = [line for line in audit(services) if line.get("repository") == "audited"]
    mine = [line for line in lines if line["user"] == "alice"]
    done = [line["method"].partition("/")[2] for line in mine]
    assert done == [
        "CreateRepository",
        "RegisterCollection",
        "RegisterDatasetType",
        "CommitPut",
        "PruneDatasets",
        "RegisterCollection",
    ]
    put = mine[3]
    assert put["user"] == "alice"
    assert put["known_by"] == "bearer"
    assert put["source"].startswith("ipv4:127.0.0.1:")
    assert put["result"] == "OK"
    assert put["datasets"] == 1
    assert len(put["request_id"]) == 32
    assert mine[1]["collections"] == ["u/alice/run"]
    emptied = [line for line in audit(services, "butler_datastore") if line.get("repository") == "audited"]
    assert [line["method"].partition("/")[2] for line in emptied] == ["EmptyTrash"]
    denied = [line for line in lines if line["user"] == "mallory"]
    assert [line["method"].partition("/")[2] for line in denied] == ["GetRepository", "GrantAccess"]
    assert {line["result"] for line in denied} == {"REPOSITORY_NOT_FOUND"}
    assert denied[1]["subject"] == "user:mallory"
    everything = "".join(
        (services.folder / f"{m}.log").read_text() for m in ("butler_registry", "butler_datastore")
    )
    assert "eyJ" not in everything


def test_a_grant_that_was_stolen_is_of_no_use(
    services: SecuredServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(services, monkeypatch, services.provider.token("alice"))
    address = f"{services.registry}/grants"
    Butler.makeRepo(address)
    with Butler(address, run="u/alice/run") as butler:
        register_note(butler)
        ref = butler.put({"a": 1}, "note")
    registry = RemoteRegistry(services.registry, "grants")
    setup = RegistrySetup(registry, "grants", TokenSigner([b"of no use in this test" * 2]))
    setup.register_run("u/alice/second")
    ((write,),) = (intent.grants for intent in setup.begin("note", "u/alice/second", [{}]))
    assert ref.id is not None
    (found,) = registry.datasets.get([ref.id], want_artifacts=True)
    assert found is not None
    read = found.artifacts[0].grant
    mine = RemoteDatastore(services.datastore)
    use(services, monkeypatch, services.provider.token("mallory"))
    theirs = RemoteDatastore(services.datastore)
    for steal in (
        lambda: theirs.read_batch([read]),
        lambda: list(theirs.read(read)),
        lambda: theirs.exists([read]),
        lambda: theirs.write_batch([(write.token, b"x")]),
        lambda: theirs.write(write.token, [b"x"]),
        lambda: theirs.direct_access.sign_urls([read]),
    ):
        with pytest.raises(GrantError, match="somebody else"):
            steal()
    assert mine.exists([read]) == [True]
    mine.write(write.token, [b"mine"])
    with pytest.raises(ArtifactExistsError):
        mine.write(write.token, [b"again"])
    with pytest.raises(GrantError, match="not write"):
        mine.write(read, [b"another key"])
    for each in (mine, theirs, registry):
        each.close()


def test_an_api_token_is_good_until_it_is_revoked_and_for_no_more_than_its_scope(
    services: SecuredServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = f"{services.registry}/tokens"
    owner = services.provider.token("alice")
    use(services, monkeypatch, owner)
    Butler.makeRepo(address)
    with Butler(address, run="u/alice/run") as butler:
        register_note(butler)
        butler.put({"a": 1}, "note")
    made = command(
        services, owner, "token", "create", address, "--scope", "read-data", "--note", "cron", "--json"
    )
    assert made.returncode == 0, made.stderr
    secret = json.loads(made.stdout)["token"]
    assert re.fullmatch(r"butler\.tokens\.[0-9a-f]{32}\.[A-Za-z0-9_-]{43}", secret)
    use(services, monkeypatch, secret)
    with Butler(address, collections="u/alice/run") as butler:
        # The datastore service knows it, too, and grants are for the name behind it.
        assert butler.get("note") == {"a": 1}
    with pytest.raises(AccessDeniedError, match="write of collection 'u/alice/run'"):
        Butler(address, run="u/alice/run")
    with pytest.raises(RepositoryNotFoundError):
        Butler(f"{services.registry}/work")
    listed = command(services, owner, "token", "list", address, "--json")
    assert secret.rpartition(".")[2] not in listed.stdout
    shown = json.loads(listed.stdout)
    assert (shown["principal"], shown["scopes"], shown["note"]) == ("alice", "read-data", "cron")
    # Who has no more than a token cannot prolong it.
    assert command(services, secret, "token", "create", address).returncode == 8
    revoked = command(services, owner, "token", "revoke", address, shown["id"])
    assert revoked.returncode == 0, revoked.stderr
    time.sleep(6)
    done = command(services, secret, "query-collections", address)
    assert done.returncode == 8
    assert "revoked" in done.stderr
    database = (services.folder / "tables" / "tokens.sqlite3").read_bytes()
    assert secret.rpartition(".")[2].encode() not in database


def test_access_is_granted_on_the_command_line(
    services: SecuredServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = f"{services.registry}/shared"
    owner, guest = services.provider.token("alice"), services.provider.token("bob", "survey")
    use(services, monkeypatch, owner)
    Butler.makeRepo(address)
    with Butler(address, run="g/survey/run") as butler:
        register_note(butler)
        butler.put({"a": 1}, "note")
    assert command(services, guest, "query-collections", address).returncode == 3
    granted = command(
        services, owner, "access", "grant", address, "group:survey", "g/{group}/**", "read-data"
    )
    assert granted.returncode == 0, granted.stderr
    listed = command(services, owner, "access", "list", address, "--json")
    entries = [json.loads(line) for line in listed.stdout.splitlines()]
    assert {(e["subject"], e["prefix"], e["verbs"]) for e in entries} == {
        ("group:survey", "g/{group}/**", "read-data"),
        ("user:alice", "**", "administer"),
    }
    assert "g/survey/run" in command(services, guest, "query-collections", address, "--json").stdout
    assert command(services, guest, "access", "list", address).returncode == 8
    assert command(services, guest, "fsck", address).returncode == 8
    assert command(services, guest, "empty-trash", address).returncode == 8
    assert command(services, owner, "fsck", address).returncode == 0
    taken = command(services, owner, "access", "revoke", address, "group:survey", "g/{group}/**")
    assert taken.returncode == 0, taken.stderr
    assert command(services, guest, "query-collections", address).returncode == 3


def test_quotas_are_set_and_met_on_the_command_line(
    services: SecuredServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = f"{services.registry}/limited"
    owner, guest = services.provider.token("alice"), services.provider.token("bob")
    use(services, monkeypatch, owner)
    Butler.makeRepo(address)
    set_ = command(services, owner, "quota", "set", address, "u/alice/**", "1kB", "--json")
    assert (set_.returncode, json.loads(set_.stdout)["bytes"]) == (0, 1000), set_.stderr
    assert command(services, guest, "quota", "set", address, "u/bob/**", "1TB").returncode != 0
    with Butler(address, run="u/alice/run") as butler:
        register_note(butler)
        butler.put({"a": 1}, "note")
        butler.registry.registerRun("u/alice/other")
        with pytest.raises(QuotaExceededError, match="u/alice"):
            butler.put({"a": "x" * 2000}, "note", run="u/alice/other")
    listed = json.loads(command(services, owner, "quota", "list", address, "--json").stdout)
    assert (listed["prefix"], listed["bytes"]) == ("u/alice/**", 1000)
    assert 0 < listed["used"] < 1000
    assert command(services, owner, "quota", "remove", address, "u/alice/**").returncode == 0
    with Butler(address, run="u/alice/other") as butler:
        butler.put({"a": "x" * 2000}, "note")
