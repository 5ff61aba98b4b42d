# SPDX-License-Identifier: BSD-3-Clause
"""Errors on their way from a service to its caller, over a real server and a real channel."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import grpc
import pytest
from google.rpc import code_pb2, error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_status import rpc_status

from butler_api.channel import Connection
from butler_api.errors import error_from_status, status_from_error
from butler_api.server import build_server
from butler_api.v1 import collection_service_pb2, datastore_service_pb2, repository_service_pb2
from butler_api.v1.collection_service_pb2_grpc import CollectionServiceStub
from butler_api.v1.datastore_service_pb2_grpc import (
    DatastoreServiceServicer,
    DatastoreServiceStub,
    add_DatastoreServiceServicer_to_server,
)
from butler_api.v1.repository_service_pb2_grpc import (
    RepositoryServiceServicer,
    RepositoryServiceStub,
    add_RepositoryServiceServicer_to_server,
)
from butler_model import errors as catalogue
from butler_model.errors import (
    CATALOGUE,
    ButlerError,
    ChecksumMismatchError,
    ConfigurationError,
    DeadlineExceededError,
    IncompatibleVersionError,
    InternalError,
    InvalidRequestError,
    LimitExceededError,
    MissingCollectionError,
    OverloadedError,
    ServiceUnavailableError,
    Status,
)
from tools.servers.process import free_ports

GetRequest = repository_service_pb2.GetRepositoryRequest
SECRET = "a secret of the program"


class Asked(RepositoryServiceServicer):
    """Does what the name of the repository that it is asked for says."""

    def __init__(self) -> None:
        self.release = threading.Event()

    def GetRepository(
        self, request: repository_service_pb2.GetRepositoryRequest, context: grpc.ServicerContext
    ) -> repository_service_pb2.GetRepositoryResponse:
        wanted = request.repository
        if wanted == "bug":
            raise ZeroDivisionError(SECRET)
        if wanted == "wait":
            self.release.wait(30)
        elif wanted == "long":
            raise MissingCollectionError("ß" * 50_000, collection="x" * 50_000, other="\udc80")
        elif wanted:
            raise CATALOGUE[wanted](f"What {wanted} says, with 'ü' and\nnewline.", name="a/b", more="7")
        return repository_service_pb2.GetRepositoryResponse()


class Streams(DatastoreServiceServicer):
    """Counts what it is sent, and sends for as long as somebody listens."""

    def __init__(self) -> None:
        self.ended = threading.Event()
        self.failure: BaseException | None = None
        self.saw_end = False

    def Write(
        self, requests: Iterator[datastore_service_pb2.WriteRequest], context: grpc.ServicerContext
    ) -> datastore_service_pb2.WriteResponse:
        try:
            for request in requests:
                self.saw_end = self.saw_end or request.HasField("trailer")
        except BaseException as error:
            self.failure = error
            raise
        finally:
            self.ended.set()
        return datastore_service_pb2.WriteResponse()

    def Read(
        self, request: datastore_service_pb2.ReadRequest, context: grpc.ServicerContext
    ) -> Iterator[datastore_service_pb2.ReadResponse]:
        try:
            while True:
                yield datastore_service_pb2.ReadResponse()
                if request.limit:
                    raise ChecksumMismatchError("In the middle.", where="here")
        finally:
            self.ended.set()


@contextmanager
def running(workers: int = 4, max_waiting: int = 100) -> Iterator[tuple[str, Asked, Streams]]:
    # Nobody calls the methods that they lack.
    asked, streams = Asked(), Streams()  # type: ignore[abstract]
    services: dict[str, Callable[[grpc.Server], None]] = {
        "butler_api.v1.RepositoryService": lambda s: add_RepositoryServiceServicer_to_server(asked, s),
        "butler_api.v1.DatastoreService": lambda s: add_DatastoreServiceServicer_to_server(streams, s),
    }
    server = build_server(services, "127.0.0.1:0", workers=workers, max_waiting=max_waiting)
    server.start()
    try:
        yield server.address, asked, streams
    finally:
        asked.release.set()
        server.stop(5)


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with running() as (address, _, _):
        yield address


def ask(address: str, wanted: str, seconds: float = 20) -> Any:
    connection = Connection(address, call_seconds=seconds)
    try:
        return connection.call(
            connection.stub(RepositoryServiceStub).GetRepository, GetRequest(repository=wanted)
        )
    finally:
        connection.close()


def raised(address: str, wanted: str) -> grpc.RpcError:
    with grpc.insecure_channel(address) as channel, pytest.raises(grpc.RpcError) as caught:
        RepositoryServiceStub(channel).GetRepository(GetRequest(repository=wanted), timeout=20)
    return caught.value


def test_the_table_of_reasons_has_every_class_of_the_catalogue() -> None:
    classes = {
        each for each in vars(catalogue).values() if isinstance(each, type) and issubclass(each, ButlerError)
    }
    assert set(CATALOGUE.values()) == classes - {ButlerError}


@pytest.mark.parametrize("status", Status)
def test_statuses_are_those_of_the_canonical_codes(status: Status) -> None:
    assert code_pb2.Code.Value(status.name) == status.value


@pytest.mark.parametrize("reason", CATALOGUE)
def test_every_error_arrives_with_class_message_and_metadata(address: str, reason: str) -> None:
    with pytest.raises(ButlerError) as caught:
        ask(address, reason)
    assert type(caught.value) is CATALOGUE[reason]
    assert caught.value.message == f"What {reason} says, with 'ü' and\nnewline."
    assert caught.value.metadata == {"name": "a/b", "more": "7"}


@pytest.mark.parametrize("reason", CATALOGUE)
def test_every_error_has_its_canonical_code_and_its_reason_for_other_languages(
    address: str, reason: str
) -> None:
    error = raised(address, reason)
    assert error.code() is grpc.StatusCode[CATALOGUE[reason].status.name]
    status = rpc_status.from_call(error)
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    assert (info.reason, info.domain, dict(info.metadata)) == (
        reason,
        "butler",
        {"name": "a/b", "more": "7"},
    )


@pytest.mark.parametrize(
    ("reason", "detail"),
    [
        ("INVALID_NAME", error_details_pb2.BadRequest),
        ("MISSING_COLLECTION", error_details_pb2.ResourceInfo),
        ("CONFLICTING_DEFINITION", error_details_pb2.ResourceInfo),
        ("OVERLOADED", error_details_pb2.RetryInfo),
        ("SERVICE_UNAVAILABLE", error_details_pb2.RetryInfo),
    ],
)
def test_errors_bring_the_standard_details_that_apply(reason: str, detail: type[Any]) -> None:
    status = status_from_error(CATALOGUE[reason]("Message.", name="a"))
    assert [each.Is(detail.DESCRIPTOR) for each in status.details] == [False, True]


def test_an_unforeseen_failure_gives_an_id_and_no_text_of_the_program(
    address: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR), pytest.raises(InternalError) as caught:
        ask(address, "bug")
    assert SECRET not in str(caught.value)
    error_id = caught.value.metadata["error_id"]
    assert error_id in str(caught.value)
    record = next(record for record in caplog.records if error_id in record.getMessage())
    assert record.exc_info is not None
    assert record.exc_info[0] is ZeroDivisionError


def test_an_error_with_much_text_is_cut_so_that_it_arrives(address: str) -> None:
    with pytest.raises(MissingCollectionError) as caught:
        ask(address, "long")
    assert caught.value.message.startswith("ßßß")
    assert caught.value.message.endswith("...")
    assert caught.value.metadata == {"collection": "x" * 197 + "...", "other": "?"}


def test_what_is_no_message_is_refused_as_an_invalid_request(address: str) -> None:
    with grpc.insecure_channel(address) as channel:
        call: Any = channel.unary_unary("/butler_api.v1.RepositoryService/GetRepository")
        with pytest.raises(grpc.RpcError) as caught:
            call(b"\xff\xff", timeout=20)
    error = error_from_status(rpc_status.from_call(caught.value))
    assert isinstance(error, InvalidRequestError)


def test_an_unknown_reason_of_a_newer_service_keeps_its_message() -> None:
    status = status_from_error(InvalidRequestError("Message."))
    status.details[0].Pack(error_details_pb2.ErrorInfo(reason="FROM_THE_FUTURE", domain="butler"))
    assert error_from_status(status) is None


def test_an_unreachable_service_is_named_and_said_to_be_checked() -> None:
    address = f"127.0.0.1:{free_ports(1)[0]}"
    with pytest.raises(ServiceUnavailableError, match=f"{address}.*check") as caught:
        ask(address, "")
    assert caught.value.metadata == {"address": address}


def test_a_call_that_takes_too_long_ends_at_its_deadline() -> None:
    with running() as (address, asked, _):
        begun = time.monotonic()
        with pytest.raises(DeadlineExceededError, match="GetRepository"):
            ask(address, "wait", seconds=0.3)
        assert time.monotonic() - begun < 10
        asked.release.set()


def test_a_method_that_the_service_lacks_is_a_matter_of_versions(address: str) -> None:
    connection = Connection(address)
    with pytest.raises(IncompatibleVersionError, match="GetCollection"):
        connection.call(
            connection.stub(CollectionServiceStub).GetCollection,
            collection_service_pb2.GetCollectionRequest(),
        )
    connection.close()


def test_a_request_larger_than_a_message_may_be_exceeds_a_limit(address: str) -> None:
    with pytest.raises(LimitExceededError):
        ask(address, "x" * (17 * 1024 * 1024))


def test_a_full_service_refuses_with_a_hint_when_to_retry_and_still_answers_health_checks() -> None:
    with running(workers=1, max_waiting=1) as (address, asked, _), grpc.insecure_channel(address) as channel:
        stub = RepositoryServiceStub(channel)
        waiting = [stub.GetRepository.future(GetRequest(repository="wait"), timeout=30) for _ in range(2)]
        # What comes before both have arrived is let in, and waits in vain.
        deadline = time.monotonic() + 30
        refused = False
        while not refused and time.monotonic() < deadline:
            try:
                ask(address, "", seconds=0.1)
            except DeadlineExceededError:
                continue
            except OverloadedError:
                refused = True
        assert refused
        check = health_pb2_grpc.HealthStub(channel).Check
        answer = check(health_pb2.HealthCheckRequest(), timeout=5)
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
        asked.release.set()
        for each in waiting:
            each.exception()


def test_an_error_in_the_middle_of_a_stream_arrives_after_what_came_before(address: str) -> None:
    connection = Connection(address)
    responses = connection.stream(
        connection.stub(DatastoreServiceStub).Read, datastore_service_pb2.ReadRequest(limit=1)
    )
    next(responses)
    with pytest.raises(ChecksumMismatchError, match="In the middle"):
        next(responses)
    connection.close()


def test_a_stream_that_is_not_read_to_its_end_ends_in_the_service_without_an_error(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with running() as (address, _, streams), caplog.at_level(logging.INFO):
        connection = Connection(address)
        responses = connection.stream(
            connection.stub(DatastoreServiceStub).Read, datastore_service_pb2.ReadRequest()
        )
        next(responses)
        responses.close()  # type: ignore[attr-defined] # it is a generator
        assert streams.ended.wait(10)
        connection.close()
    assert not caplog.records


def test_a_failure_while_sending_is_raised_as_it_was_and_the_service_sees_no_end() -> None:
    def requests() -> Iterator[datastore_service_pb2.WriteRequest]:
        yield datastore_service_pb2.WriteRequest()
        raise FileNotFoundError("the file that was to be sent")

    with running() as (address, _, streams):
        connection = Connection(address)
        with pytest.raises(FileNotFoundError, match="the file that was to be sent"):
            connection.send(connection.stub(DatastoreServiceStub).Write, requests())
        assert streams.ended.wait(10)
        # gRPC ends the stream in the service with an error or, under load, quietly: only a trailer is an end.
        assert not streams.saw_end
        connection.close()


def test_a_port_in_use_is_an_error(address: str) -> None:
    with pytest.raises(ConfigurationError, match=address):
        build_server({}, address)


@pytest.mark.parametrize("bad", ["", "nowhere", ":5000", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:70000"])
def test_an_address_that_is_none_is_refused(bad: str) -> None:
    with pytest.raises(ConfigurationError):
        build_server({}, bad)
