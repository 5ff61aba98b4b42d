# SPDX-License-Identifier: BSD-3-Clause
"""Every call ends by its deadline plus a second, whichever way the network stops passing bytes."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace

import pytest

from butler.remote import RemoteDatastore, RemoteRegistry, RemoteRepositories
from butler_api.server import build_server
from butler_datastore.servicers import datastore_services
from butler_model.collection import Collection, CollectionType
from butler_model.errors import DeadlineExceededError, ServiceUnavailableError
from butler_model.ports import PruneDatasets
from butler_model.universe import DimensionUniverse
from tests.support.datastores import LIMITS, DatastoreSetup, datastore_setup
from tests.support.proxy import Proxy, proxy_to
from tools.servers.services import own_services

DEADLINE_SECONDS = 1.0
LATER_SECONDS = 1.0


@dataclass(frozen=True)
class Networked:
    """Both services behind proxies, used with a deadline of a second."""

    registry: RemoteRegistry
    setup: DatastoreSetup
    datastore: RemoteDatastore
    proxies: tuple[Proxy, ...]


@pytest.fixture(scope="module")
def networked(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Networked]:
    folder = tmp_path_factory.mktemp("deadlines")
    with ExitStack() as stack:
        address = stack.enter_context(own_services(f"sqlite:///{folder}/registry.sqlite3", folder))
        to_registry = stack.enter_context(proxy_to(address))
        repositories = stack.enter_context(closing(RemoteRepositories(address)))
        repositories.create("r", DimensionUniverse(), request_id=uuid.uuid4())
        registry = RemoteRegistry(to_registry.address, "r", call_seconds=DEADLINE_SECONDS)
        stack.callback(registry.close)
        setup = stack.enter_context(datastore_setup("embedded", folder / "artifacts", request))
        server = build_server(datastore_services(setup.datastore, LIMITS), "127.0.0.1:0")
        server.start()
        stack.callback(server.stop, grace=0)
        to_datastore = stack.enter_context(proxy_to(server.address))
        seconds = {"call_seconds": DEADLINE_SECONDS, "stream_seconds": DEADLINE_SECONDS}
        datastore = RemoteDatastore(to_datastore.address, **seconds)
        stack.callback(datastore.close)
        yield Networked(registry, replace(setup, datastore=datastore), datastore, (to_registry, to_datastore))


REGISTRY_CALLS: dict[str, Callable[[RemoteRegistry], object]] = {
    "a read": lambda registry: registry.collections.find(["*"]),
    "a read by id": lambda registry: registry.datasets.get([uuid.uuid4()]),
    "a mutation": lambda registry: registry.collections.register(
        Collection("run", CollectionType.RUN), request_id=uuid.uuid4()
    ),
    "a removal": lambda registry: registry.removals.prune(
        PruneDatasets(uuid.uuid4(), (uuid.uuid4(),), unstore=True, purge=True)
    ),
    "a transaction": lambda registry: registry.transactions.begin(uuid.uuid4()),
    "the outcome of a transaction": lambda registry: registry.transactions.was_committed(uuid.uuid4()),
}
DATASTORE_CALLS: dict[str, Callable[[DatastoreSetup], object]] = {
    "a batch that is written": lambda to: to.datastore.write_batch([(to.write_grant("a"), b"content")]),
    "a batch that is read": lambda to: to.datastore.read_batch([to.grant_of_content("a", b"content")]),
    "a stream that is read": lambda to: list(to.datastore.read(to.grant_of_content("a", b"content"))),
    "a stream that is written": lambda to: to.datastore.write(to.write_grant("a"), iter([b"content"])),
    "a question": lambda to: to.datastore.exists([to.grant_of_content("a", b"content")]),
    "a discard": lambda to: to.datastore.discard([to.discard_grant("a")]),
}


def ends_in_time(call: Callable[[], object]) -> None:
    begun = time.monotonic()
    with pytest.raises((DeadlineExceededError, ServiceUnavailableError)):
        call()
    assert time.monotonic() - begun < DEADLINE_SECONDS + LATER_SECONDS


@pytest.fixture(params=["up", "down"])
def blocked(request: pytest.FixtureRequest, networked: Networked) -> Iterator[Networked]:
    """Give services that were reached a moment ago; now one way passes nothing."""
    networked.registry.collections.find(["*"])
    networked.datastore.ingest_roots()
    for proxy in networked.proxies:
        proxy.blocked = {request.param}
    yield networked
    for proxy in networked.proxies:
        proxy.recover()


@pytest.mark.parametrize("name", REGISTRY_CALLS)
def test_a_call_of_the_registry_ends_by_its_deadline(blocked: Networked, name: str) -> None:
    ends_in_time(lambda: REGISTRY_CALLS[name](blocked.registry))


@pytest.mark.parametrize("name", DATASTORE_CALLS)
def test_a_call_of_the_datastore_ends_by_its_deadline(blocked: Networked, name: str) -> None:
    ends_in_time(lambda: DATASTORE_CALLS[name](blocked.setup))
