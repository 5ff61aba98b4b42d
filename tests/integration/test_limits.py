# SPDX-License-Identifier: BSD-3-Clause
"""What a service refuses because it is too much, how it says so, and what its client does then."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import asdict, replace
from pathlib import Path

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from butler import Butler
from butler_api.channel import Connection
from butler_api.server import build_server
from butler_api.v1.event_service_pb2 import WatchDatasetsRequest
from butler_api.v1.event_service_pb2_grpc import EventServiceStub
from butler_api.v1.repository_service_pb2 import GetCapabilitiesRequest, GetRepositoryRequest
from butler_api.v1.repository_service_pb2_grpc import RepositoryServiceStub
from butler_datastore.application import DatastoreApplication
from butler_datastore.config import PosixStoreConfig
from butler_datastore.servicers import datastore_services
from butler_datastore.settings import DatastoreSettings
from butler_model.errors import (
    DeadlineExceededError,
    LimitExceededError,
    OverloadedError,
    QueryTimeoutError,
    RateLimitedError,
)
from butler_model.grants import TokenSigner
from butler_model.paging import PageRequest
from butler_model.query.spec import QuerySpec, ResultKind
from butler_model.repository import Limits
from butler_registry.application import RegistryApplication
from butler_registry.config import RegistrySettings
from butler_registry.servicers import registry_services
from butler_registry.services.transaction_room import TransactionRoom
from tests.support.registries import REGISTRIES, RegistryHome, RegistrySetup, new_database, registry_home
from tests.support.survey import insert_survey, register_types

ENDLESS = QuerySpec(
    ResultKind.DATA_IDS,
    dimensions=("day_obs", "detector", "physical_filter"),
    where="day_obs + detector = -1 OR (physical_filter = 'no' AND day_obs = 1)",
    data_id={"instrument": "Cam1"},
)
"""Looks at a thousand million combinations, of which none fits."""


@pytest.fixture(scope="module", params=REGISTRIES)
def slow_home(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RegistryHome]:
    """Give a deployment whose queries may take a second."""
    with ExitStack() as stack:
        postgresql = new_database(request, stack)
        folder = tmp_path_factory.mktemp("registries")
        limits = replace(Limits(), query_seconds=1)
        yield stack.enter_context(registry_home(request.param, folder, postgresql, limits))


@pytest.fixture(scope="module")
def slow(slow_home: RegistryHome) -> RegistrySetup:
    setup = slow_home.fresh()
    setup.insert("day_obs", *({"instrument": "Cam1", "id": 10_000 + n} for n in range(1000)))
    setup.insert(
        "physical_filter", *({"instrument": "Cam1", "name": f"F{n}", "band": "r"} for n in range(1000))
    )
    setup.insert(
        "detector", *({"instrument": "Cam1", "id": 100 + n, "full_name": f"D{n}"} for n in range(1000))
    )
    return setup


WAYS: dict[str, Callable[[RegistrySetup], object]] = {
    "count": lambda setup: setup.registry.queries.count(ENDLESS),
    "page": lambda setup: setup.registry.queries.page(ENDLESS, PageRequest(10)),
    "stream": lambda setup: list(setup.registry.queries.stream(ENDLESS)),
    "explanation": lambda setup: setup.registry.queries.explain_no_results(ENDLESS),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_query_that_takes_too_long_is_stopped_and_says_what_to_do(slow: RegistrySetup, way: str) -> None:
    begun = time.monotonic()
    with pytest.raises(QueryTimeoutError, match="stopped after 1 s"):
        WAYS[way](slow)
    assert time.monotonic() - begun < 20
    # Whoever comes next has a connection that works.
    some = QuerySpec(ResultKind.DATA_IDS, dimensions=("detector",))
    assert slow.registry.queries.count(some) == 1004
    assert len(slow.rows(some)) == 1004


def test_a_query_that_takes_too_long_does_not_end_the_transaction_that_asks(slow: RegistrySetup) -> None:
    transaction = slow.registry.transactions.begin(uuid.uuid4())
    try:
        within = replace(slow, registry=transaction)
        within.register_run("in-time")
        with pytest.raises(QueryTimeoutError):
            transaction.queries.page(ENDLESS, PageRequest(10))
        transaction.commit()
    finally:
        transaction.rollback()
    assert slow.registry.collections.get("in-time").name == "in-time"


def test_a_repository_in_a_directory_has_no_limit_of_time(tmp_path: Path) -> None:
    Butler.makeRepo(tmp_path)
    with Butler(tmp_path) as butler:
        assert butler._connection.info.limits.query_seconds == 0


def test_expressions_may_be_limited_further(tmp_path: Path) -> None:
    limits = replace(Limits(), expression_characters=40, expression_levels=3)
    application = RegistryApplication(f"sqlite:///{tmp_path}", TokenSigner([b"k" * 32]), limits=limits)
    try:
        home = RegistryHome(application, application, f"sqlite:///{tmp_path}", TokenSigner([b"k" * 32]))
        setup = home.fresh()

        def count(where: str) -> int:
            query = QuerySpec(
                ResultKind.DATA_IDS, dimensions=("detector",), where=where, data_id={"instrument": "Cam1"}
            )
            return setup.registry.queries.count(query)

        assert count("detector = 1") == 1
        with pytest.raises(LimitExceededError, match="the limit is 40"):
            count("detector = 1 " + " " * 40)
        with pytest.raises(LimitExceededError, match="more than 3 levels"):
            count("((((detector = 1))))")
    finally:
        application.close()


def test_one_caller_has_not_all_transactions() -> None:
    room = TransactionRoom(Limits(transactions=4, caller_transactions=2))
    room.take("alice")
    room.take("alice")
    with pytest.raises(OverloadedError, match="You have 2 transactions open already"):
        room.take("alice")
    room.take("bob")
    room.take("bob")
    with pytest.raises(OverloadedError, match="4 transactions are open already"):
        room.take("carol")
    room.give_back("alice")
    room.take("carol")
    room.give_back("carol")
    for _ in range(2):
        room.give_back("bob")
    # Where nobody is asked who calls, there is nobody to have less.
    for _ in range(3):
        room.take("")


class Served:
    """Both services, that give each caller so much in a second."""

    def __init__(self, registry: str, limits: Limits) -> None:
        self.registry = registry
        self.limits = limits
        self.url = f"grpc://{registry}/main"


def served(folder: Path, limits: Limits, stack: ExitStack) -> Served:
    (folder / "tables").mkdir()
    signer = TokenSigner([b"k" * 32])
    datastore = DatastoreApplication(
        {"main": PosixStoreConfig(str(folder / "store"), durable=False)}, signer, limits=limits
    )
    stack.callback(datastore.close)
    second = build_server(datastore_services(datastore, limits), "127.0.0.1:0", limits=limits)
    second.start()
    stack.callback(second.stop, 0)
    database = f"sqlite:///{folder}/tables"
    registry = RegistryApplication(database, signer, limits=limits, datastore_endpoint=second.address)
    stack.callback(registry.close)
    first = build_server(registry_services(registry, limits), "127.0.0.1:0", limits=limits)
    first.start()
    stack.callback(first.stop, 0)
    return Served(first.address, limits)


def soon(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def surveyed(services: Served) -> Butler:
    """Return a butler of a new repository that has a survey."""
    Butler.makeRepo(services.url)
    butler = Butler(services.url, run="run1")
    insert_survey(butler)
    register_types(butler)
    return butler


@pytest.fixture
def hurried(tmp_path: Path) -> Iterator[Served]:
    """Give services that answer twenty calls of one caller in a second."""
    with ExitStack() as stack:
        yield served(tmp_path, Limits(calls_per_second=20), stack)


def test_who_calls_too_often_is_told_when_to_come_back(hurried: Served) -> None:
    with grpc.insecure_channel(hurried.registry, [("grpc.use_local_subchannel_pool", 1)]) as channel:
        stub = RepositoryServiceStub(channel)

        def call_often() -> None:
            for _ in range(200):
                stub.GetCapabilities(GetCapabilitiesRequest(), timeout=10)

        with pytest.raises(grpc.RpcError) as caught:
            call_often()
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        status = rpc_status.from_call(caught.value)
        retry, info = error_details_pb2.RetryInfo(), error_details_pb2.ErrorInfo()
        assert any(each.Unpack(retry) for each in status.details)
        assert any(each.Unpack(info) for each in status.details)
        assert info.reason == "RATE_LIMITED"
        wait = retry.retry_delay.ToMilliseconds() / 1000
        assert 0 < wait <= 0.05
        assert float(info.metadata["retry_seconds"]) == pytest.approx(wait)
        time.sleep(wait + 0.05)
        stub.GetCapabilities(GetCapabilitiesRequest(), timeout=10)


def test_a_client_waits_as_it_is_told_and_so_do_its_threads(hurried: Served) -> None:
    connection = Connection(hurried.registry, call_seconds=60)
    stub = connection.stub(RepositoryServiceStub)

    def call(_: int) -> None:
        connection.call(stub.GetCapabilities, GetCapabilitiesRequest())

    begun = time.monotonic()
    try:
        with ThreadPoolExecutor(4) as pool:
            assert len(list(pool.map(call, range(120)))) == 120
    finally:
        connection.close()
    # Forty are there at the beginning.
    assert time.monotonic() - begun > (120 - 40) / 20 * 0.9


def test_a_client_that_has_no_time_to_wait_says_why(hurried: Served) -> None:
    connection = Connection(hurried.registry)
    stub = connection.stub(RepositoryServiceStub)

    def call_often() -> None:
        for _ in range(200):
            # A machine that stops for so long lets a call end before it is answered, which is another matter.
            with suppress(DeadlineExceededError):
                connection.call(stub.GetCapabilities, GetCapabilitiesRequest(), seconds=0.04)

    try:
        with pytest.raises(RateLimitedError, match="more than 20 calls in a second"):
            call_often()
    finally:
        connection.close()


def test_another_caller_is_answered_while_one_is_refused(hurried: Served) -> None:
    done = threading.Event()
    refused = threading.Event()

    def storm() -> None:
        with grpc.insecure_channel(hurried.registry, [("grpc.use_local_subchannel_pool", 1)]) as channel:
            stub = RepositoryServiceStub(channel)
            while not done.is_set():
                try:
                    stub.GetCapabilities(GetCapabilitiesRequest(), timeout=10)
                except grpc.RpcError:
                    refused.set()

    with ThreadPoolExecutor(1) as pool:
        storming = pool.submit(storm)
        try:
            assert refused.wait(20)
            with grpc.insecure_channel(hurried.registry, [("grpc.use_local_subchannel_pool", 1)]) as channel:
                for _ in range(10):
                    RepositoryServiceStub(channel).GetCapabilities(GetCapabilitiesRequest(), timeout=10)
        finally:
            done.set()
        storming.result()


def test_streams_beyond_a_share_are_refused_one_after_the_other(tmp_path: Path) -> None:
    with ExitStack() as stack:
        services = served(tmp_path, Limits(), stack)
        stack.enter_context(surveyed(services))
        channel = stack.enter_context(
            grpc.insecure_channel(services.registry, [("grpc.use_local_subchannel_pool", 1)])
        )
        begun = time.monotonic()
        request = WatchDatasetsRequest(repository="main")
        calls = [EventServiceStub(channel).WatchDatasets(request, timeout=60) for _ in range(50)]
        for call in calls:
            stack.callback(call.cancel)
        # One caller has 48 watchers; a refusal that came at once would only make room for the next stream.
        soon(lambda: sum(not call.is_active() for call in calls) == 2)
        assert time.monotonic() - begun > 0.5
        refused = [call for call in calls if not call.is_active()]
        assert {call.code() for call in refused} == {grpc.StatusCode.RESOURCE_EXHAUSTED}


def test_large_artifacts_are_slowed_down_and_arrive(tmp_path: Path) -> None:
    limits = Limits(bytes_per_second=4 * 2**20)
    with ExitStack() as stack:
        services = served(tmp_path, limits, stack)
        butler = stack.enter_context(surveyed(services))
        content = bytes(range(256)) * (16 * 2**20 // 256)
        begun = time.monotonic()
        butler.put(content, "blob", instrument="Cam1", detector=1)
        assert butler.get("blob", instrument="Cam1", detector=1) == content
        # Sixteen came and sixteen went, each over its own connection, eight of them at once.
        assert time.monotonic() - begun > 3.0
        butler.put({"a": 1}, "note", instrument="Cam1", detector=1)
        assert butler.get("note", instrument="Cam1", detector=1) == {"a": 1}


def test_a_client_keeps_to_smaller_messages_and_larger_ones_are_refused(tmp_path: Path) -> None:
    limits = Limits(message_bytes=4 * 2**20, batch_bytes=2 * 2**20)
    with ExitStack() as stack:
        services = served(tmp_path, limits, stack)
        butler = stack.enter_context(surveyed(services))
        contents = [bytes([number]) * 2**18 for number in range(4)] + [bytes(9 * 2**20)]
        for number, content in enumerate(contents):
            butler.registry.registerRun(f"run{number}")
            items = [(content, "blob", {"instrument": "Cam1", "detector": each}) for each in (1, 2, 3, 4)]
            butler.put_many(items, run=f"run{number}")
            refs = butler.query_datasets("blob", f"run{number}")
            assert list(butler.get_many(refs)) == [content] * 4
        connection = Connection(services.registry)
        stack.callback(connection.close)
        request = GetRepositoryRequest(repository="x" * 5 * 2**20)
        with pytest.raises(LimitExceededError, match="send less at once"):
            connection.call(connection.stub(RepositoryServiceStub).GetRepository, request)


def test_limits_of_the_configuration_are_published(tmp_path: Path) -> None:
    settings = RegistrySettings(
        database=f"sqlite:///{tmp_path}",
        signing_keys=tmp_path / "keys",
        workers=8,
        caller_calls=2,
        calls_per_second=100,
        bytes_per_second=2**33,
        message_bytes=6 * 2**20,
        transactions=6,
        caller_transactions=1,
        query_seconds=7,
        expression_characters=1000,
        expression_levels=10,
        batch_items=50,
        page_rows=500,
    )
    limits = settings.limits
    application = RegistryApplication(settings.database, TokenSigner([b"k" * 32]), limits=limits)
    server = build_server(registry_services(application, limits), "127.0.0.1:0", limits=limits)
    server.start()
    connection = Connection(server.address)
    try:
        answer = connection.call(
            connection.stub(RepositoryServiceStub).GetCapabilities, GetCapabilitiesRequest()
        )
        published = {name: getattr(answer.limits, name) for name in asdict(limits)}
        assert published == asdict(limits)
        assert published == asdict(Limits()) | {
            "calls": 8,
            "caller_calls": 2,
            "calls_per_second": 100,
            "bytes_per_second": 2**33,
            "message_bytes": 6 * 2**20,
            "batch_bytes": 3 * 2**20,
            "transactions": 6,
            "caller_transactions": 1,
            "query_seconds": 7,
            "expression_characters": 1000,
            "expression_levels": 10,
            "batch_items": 50,
            "page_rows": 500,
            "default_page_rows": 500,
        }
    finally:
        connection.close()
        server.stop(0)
        application.close()


def test_no_caller_has_more_than_its_share_whatever_is_configured(tmp_path: Path) -> None:
    stores = {"main": {"root": str(tmp_path)}}
    settings = DatastoreSettings(signing_keys=tmp_path / "keys", stores=stores, workers=4, caller_calls=100)
    assert (settings.limits.calls, settings.limits.caller_calls) == (4, 3)
    assert (
        DatastoreSettings(signing_keys=tmp_path / "keys", stores=stores, workers=1).limits.caller_calls == 1
    )
