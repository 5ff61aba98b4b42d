# SPDX-License-Identifier: BSD-3-Clause
"""How much may be stored below a prefix: by registries, and through services with real artifacts."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pytest

from butler import Butler
from butler_model.errors import LimitExceededError, QuotaExceededError
from butler_model.ports import PruneDatasets
from butler_model.quota import MAX_QUOTAS, Quota, QuotaUse
from butler_registry.application import RegistryApplication
from butler_registry.services.quotas import QuotaService
from tests.support.command_line import butler as command
from tests.support.command_line import objects
from tests.support.registries import RegistryHome, RegistrySetup, new_database, registry_home, second_client
from tests.support.stores import files
from tests.support.survey import insert_survey, register_types
from tools.servers.services import own_services

SIZE = 10
"""Bytes of each artifact, as the receipts of `RegistrySetup` say."""


@pytest.fixture(scope="module", params=["embedded-sqlite", "embedded-postgresql"])
def home(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RegistryHome]:
    with ExitStack() as stack:
        postgresql = new_database(request, stack)
        folder = tmp_path_factory.mktemp("registries")
        yield stack.enter_context(registry_home(request.param, folder, postgresql))


@pytest.fixture
def setup(home: RegistryHome) -> RegistrySetup:
    made = home.fresh()
    made.register_type("note", ("instrument", "detector"))
    for run in ("u/alice/a", "u/alice/b", "u/bob", "shared"):
        made.register_run(run)
    return made


def quotas(home: RegistryHome, setup: RegistrySetup) -> QuotaService:
    assert isinstance(home.repositories, RegistryApplication)
    return home.repositories.open(setup.repository).quotas


def limit(home: RegistryHome, setup: RegistrySetup, prefix: str, size: int) -> None:
    quotas(home, setup).set(Quota(prefix, size), request_id=uuid.uuid4())


def put(setup: RegistrySetup, run: str, detector: int) -> list[UUID]:
    return setup.put("note", run, {"instrument": "Cam1", "detector": detector})


def test_without_quotas_as_much_is_stored_as_anybody_likes(home: RegistryHome, setup: RegistrySetup) -> None:
    put(setup, "shared", 1)
    assert quotas(home, setup).uses() == []


def test_each_place_of_a_prefix_has_so_much(home: RegistryHome, setup: RegistrySetup) -> None:
    limit(home, setup, "u/*/**", 2 * SIZE + 5)
    put(setup, "u/alice/a", 1)
    put(setup, "u/alice/b", 1)
    with pytest.raises(
        QuotaExceededError, match=r"20 of 25 bytes are taken below 'u/alice', so 10 more bytes"
    ):
        put(setup, "u/alice/a", 2)
    # Of that user alone.
    put(setup, "u/bob", 1)
    put(setup, "shared", 1)
    assert not setup.find("note", {"instrument": "Cam1", "detector": 2}, "u/alice/a")
    assert quotas(home, setup).uses() == [
        QuotaUse(Quota("u/*/**", 25), "u/alice", 20),
        QuotaUse(Quota("u/*/**", 25), "u/bob", 10),
    ]


def test_where_nothing_fits_no_put_begins(home: RegistryHome, setup: RegistrySetup) -> None:
    limit(home, setup, "**", SIZE)
    put(setup, "shared", 1)
    with pytest.raises(QuotaExceededError, match=r"10 of 10 bytes .* nothing more fits") as caught:
        setup.begin("note", "shared", [{"instrument": "Cam1", "detector": 2}])
    assert caught.value.metadata == {"prefix": "**", "limit": "10", "used": "10"}


def test_a_batch_is_stored_as_a_whole_or_not_at_all(home: RegistryHome, setup: RegistrySetup) -> None:
    limit(home, setup, "shared", 2 * SIZE)
    with pytest.raises(QuotaExceededError, match="30 more bytes do not fit"):
        setup.put("note", "shared", *({"instrument": "Cam1", "detector": n} for n in (1, 2, 3)))
    setup.put("note", "shared", *({"instrument": "Cam1", "detector": n} for n in (1, 2)))


def test_a_quota_counts_at_once_in_other_processes(home: RegistryHome, setup: RegistrySetup) -> None:
    with second_client(home, setup) as registry:
        other = replace(setup, registry=registry)
        put(other, "shared", 1)
        limit(home, setup, "shared", SIZE)
        with pytest.raises(QuotaExceededError):
            put(other, "shared", 2)
        quotas(home, setup).remove("shared", request_id=uuid.uuid4())
        put(other, "shared", 2)


def test_what_is_removed_makes_room(home: RegistryHome, setup: RegistrySetup) -> None:
    limit(home, setup, "shared", SIZE)
    ids = put(setup, "shared", 1)
    setup.registry.removals.prune(PruneDatasets(uuid.uuid4(), tuple(ids), unstore=True, purge=True))
    with second_client(home, setup) as registry:
        put(replace(setup, registry=registry), "shared", 2)


def test_a_transaction_has_no_more_than_others(home: RegistryHome, setup: RegistrySetup) -> None:
    limit(home, setup, "shared", SIZE)
    transaction = setup.registry.transactions.begin(uuid.uuid4())
    try:
        within = replace(setup, registry=transaction)
        put(within, "shared", 1)
        with pytest.raises(QuotaExceededError):
            put(within, "shared", 2)
        transaction.commit()
    finally:
        transaction.rollback()
    assert setup.find("note", {"instrument": "Cam1", "detector": 1}, "shared")


def test_the_same_request_twice_sets_a_quota_once(home: RegistryHome, setup: RegistrySetup) -> None:
    service, request_id = quotas(home, setup), uuid.uuid4()
    service.set(Quota("shared", 1), request_id=request_id)
    service.set(Quota("shared", 2), request_id=uuid.uuid4())
    service.set(Quota("shared", 1), request_id=request_id)
    assert service.uses() == [QuotaUse(Quota("shared", 2), "", 0)]


def test_there_are_not_too_many_quotas(home: RegistryHome, setup: RegistrySetup) -> None:
    many = {f"run{number}": 1 for number in range(MAX_QUOTAS)}
    application = home.repositories
    assert isinstance(application, RegistryApplication)
    service = quotas(home, setup)
    with service._database.writing() as connection:
        service._attributes.put(connection, "quotas", json.dumps(many))
    with pytest.raises(LimitExceededError, match="1000 quotas at most"):
        limit(home, setup, "one more", 1)


def test_through_services_a_put_that_does_not_fit_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "tables").mkdir()
    with own_services(f"sqlite:///{tmp_path}/tables", tmp_path) as registry:
        address = f"grpc://{registry}/main"
        Butler.makeRepo(address)
        with Butler(address, run="u/alice/run") as butler:
            insert_survey(butler)
            register_types(butler)
            assert "kB, MB" in command("quota", "set", address, "u/*/**", "many").stderr
            assert objects("quota", "set", address, "u/*/**", "100kB")[0]["bytes"] == 100_000
            butler.put(bytes(60_000), "blob", instrument="Cam1", detector=1)
            before = set(files(tmp_path))
            with pytest.raises(QuotaExceededError, match="60000 of 100000 bytes"):
                butler.put(bytes(60_000), "blob", instrument="Cam1", detector=2)
            assert not butler.exists("blob", instrument="Cam1", detector=2)
            assert {name for name in set(files(tmp_path)) - before if "blob" in name} == set()
            (shown,) = objects("quota", "list", address)
            assert shown == {"prefix": "u/*/**", "place": "u/alice", "bytes": 100_000, "used": 60_000}
            assert objects("quota", "remove", address, "u/*/**") == [{"removed": True, "prefix": "u/*/**"}]
            butler.put(bytes(60_000), "blob", instrument="Cam1", detector=2)


def test_a_repository_in_a_directory_has_none(tmp_path: Path) -> None:
    Butler.makeRepo(tmp_path / "repo")
    answer = command("quota", "list", str(tmp_path / "repo"))
    assert answer.returncode != 0
    assert "is a directory" in answer.stderr
