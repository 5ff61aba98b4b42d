# SPDX-License-Identifier: BSD-3-Clause
"""docs/protocol.md is true: its sequences are driven here with generated stubs alone, its tables compared."""

from __future__ import annotations

import math
import re
import secrets
import struct
import time
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields

import google_crc32c
import grpc
import pytest
from google.protobuf import descriptor_pool
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from lsst.sphgeom import ConvexPolygon, Region

from butler_api.v1 import (
    collection_service_pb2,
    dataset_service_pb2,
    dataset_type_service_pb2,
    datastore_service_pb2,
    dimension_service_pb2,
    query_service_pb2,
    repository_service_pb2,
)
from butler_api.v1.collection_service_pb2_grpc import CollectionServiceStub
from butler_api.v1.dataset_service_pb2_grpc import DatasetServiceStub
from butler_api.v1.dataset_type_service_pb2_grpc import DatasetTypeServiceStub
from butler_api.v1.datastore_service_pb2_grpc import DatastoreServiceStub
from butler_api.v1.dimension_service_pb2_grpc import DimensionServiceStub
from butler_api.v1.models_pb2 import (
    COLLECTION_TYPE_RUN,
    ArtifactLayout,
    Collection,
    DatasetType,
    DimensionRecordTable,
    Limits,
)
from butler_api.v1.query_service_pb2_grpc import QueryServiceStub
from butler_api.v1.repository_service_pb2_grpc import RepositoryServiceStub
from butler_api.v1.values_pb2 import (
    BytesColumn,
    Column,
    IntColumn,
    StringColumn,
    Table,
    TimespanColumn,
    Value,
)
from butler_model import repository
from butler_model.errors import CATALOGUE
from tests.support.wire_services import SERVICES
from tools.servers.process import ROOT
from tools.servers.services import own_services

DOCUMENT = (ROOT / "docs" / "protocol.md").read_text()
REPOSITORY = "protocol"
RUN = "made/by/stubs"
TYPE = "picture"
SECONDS = 30.0
MIDNIGHT = 1_735_689_600 * 10**9


@dataclass(frozen=True)
class Stubs:
    """One stub per service, as any language has them."""

    repositories: RepositoryServiceStub
    dimensions: DimensionServiceStub
    collections: CollectionServiceStub
    types: DatasetTypeServiceStub
    datasets: DatasetServiceStub
    queries: QueryServiceStub
    datastore: DatastoreServiceStub
    limits: Limits

    def begin(self, ids: Sequence[bytes], visits: Sequence[int]) -> dataset_service_pb2.GrantedBatch:
        """Call BeginPut for pictures of detector 1."""
        batch = dataset_service_pb2.PutBatch(
            dataset_type=TYPE,
            storage_class="Bytes",
            data_ids=data_ids(visits),
            dataset_ids=ids,
            artifacts=[ArtifactLayout(formatter="bytes", extension=".bin", storage_class="Bytes")],
        )
        request = dataset_service_pb2.BeginPutRequest(
            repository=REPOSITORY, request_id=new_id(), run=RUN, batches=[batch]
        )
        return self.datasets.BeginPut(request, timeout=SECONDS).batches[0]

    def write(self, token: bytes, content: bytes) -> bytes:
        """Call WriteBatch for one artifact; return the receipt's token."""
        item = datastore_service_pb2.WriteItem(grant=token, chunk=chunk(content))
        request = datastore_service_pb2.WriteBatchRequest(items=[item])
        return self.datastore.WriteBatch(request, timeout=SECONDS).receipts[0].token

    def commit(self, request_id: bytes, ids: Sequence[bytes], receipts: Sequence[bytes]) -> None:
        """Call CommitPut."""
        request = dataset_service_pb2.CommitPutRequest(
            repository=REPOSITORY, request_id=request_id, dataset_ids=ids, receipts=receipts
        )
        self.datasets.CommitPut(request, timeout=SECONDS)

    def find(self, visits: Sequence[int]) -> dataset_service_pb2.FindDatasetsResponse:
        """Call FindDatasets for pictures of detector 1."""
        request = dataset_service_pb2.FindDatasetsRequest(
            repository=REPOSITORY,
            dataset_type=TYPE,
            data_ids=data_ids(visits),
            collections=[RUN],
            want_artifacts=True,
        )
        return self.datasets.FindDatasets(request, timeout=SECONDS)


def new_id() -> bytes:
    """Return a UUID of version 7: 48 bits of milliseconds, the version, the variant, and 74 bits by chance."""
    bits = time.time_ns() // 10**6 << 80 | secrets.randbits(80)
    bits = bits & ~(0xF << 76) | 7 << 76
    return (bits & ~(0x3 << 62) | 2 << 62).to_bytes(16, "big")


def chunk(content: bytes) -> datastore_service_pb2.Chunk:
    return datastore_service_pb2.Chunk(content=content, crc32c=google_crc32c.value(content))


def strings(name: str, values: Sequence[str]) -> Column:
    distinct = sorted(set(values))
    indexes = [distinct.index(value) for value in values]
    return Column(name=name, strings=StringColumn(dictionary=distinct, indexes=indexes))


def ints(name: str, values: Sequence[int]) -> Column:
    return Column(name=name, ints=IntColumn(values=values))


def timespans(spans: Sequence[tuple[int, int]]) -> Column:
    begins, ends = zip(*spans, strict=True)
    return Column(name="timespan", timespans=TimespanColumn(begin_nsec=begins, end_nsec=ends))


def data_ids(visits: Sequence[int]) -> Table:
    columns = [
        strings("instrument", ["StubCam"] * len(visits)),
        ints("visit", visits),
        ints("detector", [1] * len(visits)),
    ]
    return Table(columns=columns, rows=len(visits))


def polygon(*corners: tuple[float, float]) -> bytes:
    """Return a region as the document says: corners are right ascension and declination in degrees."""
    encoded = b"p"
    for ra, dec in (map(math.radians, corner) for corner in corners):
        vertex = math.cos(ra) * math.cos(dec), math.sin(ra) * math.cos(dec), math.sin(dec)
        encoded += struct.pack("<3d", *vertex)
    return encoded


def reason_of(error: grpc.RpcError) -> tuple[grpc.StatusCode, str, dict[str, str]]:
    """Return the code of an error, and the reason and metadata of its ErrorInfo."""
    assert isinstance(error, grpc.Call)
    status = rpc_status.from_call(error)
    info = error_details_pb2.ErrorInfo()
    assert any(detail.Unpack(info) for detail in status.details)
    assert info.domain == "butler"
    return error.code(), info.reason, dict(info.metadata)


def records(visits: Sequence[int]) -> Iterator[DimensionRecordTable]:
    """Yield the tables of dimension records, parents first."""
    camera = strings("instrument", ["StubCam"])
    spans = [(MIDNIGHT + visit * 10**11, MIDNIGHT + (visit + 1) * 10**11) for visit in visits]
    region = polygon((10, -1), (11, -1), (11, 1), (10, 1))
    tables = {
        "instrument": [strings("name", ["StubCam"])],
        "physical_filter": [camera, strings("name", ["Stub-r"]), strings("band", ["r"])],
        "detector": [camera, ints("id", [1]), strings("full_name", ["the only one"])],
        "day_obs": [camera, ints("id", [20250101]), timespans([(MIDNIGHT, MIDNIGHT + 86_400 * 10**9)])],
        "visit": [
            strings("instrument", ["StubCam"] * len(visits)),
            ints("id", visits),
            strings("name", [f"visit {visit}" for visit in visits]),
            strings("physical_filter", ["Stub-r"] * len(visits)),
            ints("day_obs", [20250101] * len(visits)),
            timespans(spans),
            Column(name="region", regions=BytesColumn(values=[region] * len(visits))),
        ],
    }
    for element, columns in tables.items():
        rows = len(visits) if element == "visit" else 1
        yield DimensionRecordTable(element=element, records=Table(columns=columns, rows=rows))


def connect(address: str, channels: list[grpc.Channel]) -> Stubs:
    """Connect as the document says: one address and a name are enough."""

    def channel(target: str) -> grpc.Channel:
        largest = 16 * 1024 * 1024
        options = [("grpc.max_send_message_length", largest), ("grpc.max_receive_message_length", largest)]
        channels.append(grpc.insecure_channel(target, options=options))
        return channels[-1]

    registry = channel(address)
    repositories = RepositoryServiceStub(registry)
    repositories.CreateRepository(
        repository_service_pb2.CreateRepositoryRequest(request_id=new_id(), repository=REPOSITORY),
        timeout=SECONDS,
    )
    request = repository_service_pb2.GetRepositoryRequest(repository=REPOSITORY)
    found = repositories.GetRepository(request, timeout=SECONDS)
    endpoint = found.datastore_endpoint
    host = address.rpartition(":")[0]
    datastore = channel(host + endpoint if endpoint.startswith(":") else endpoint)
    return Stubs(
        repositories,
        DimensionServiceStub(registry),
        CollectionServiceStub(registry),
        DatasetTypeServiceStub(registry),
        DatasetServiceStub(registry),
        QueryServiceStub(registry),
        DatastoreServiceStub(datastore),
        found.limits,
    )


def describe(stubs: Stubs) -> None:
    """Insert records, register a type and a run, twice: a repeat changes nothing."""
    for _ in range(2):
        for table in records(range(1, 10)):
            stubs.dimensions.InsertDimensionRecords(
                dimension_service_pb2.InsertDimensionRecordsRequest(
                    repository=REPOSITORY, request_id=new_id(), records=table, skip_existing=True
                ),
                timeout=SECONDS,
            )
        stubs.types.RegisterDatasetType(
            dataset_type_service_pb2.RegisterDatasetTypeRequest(
                repository=REPOSITORY,
                request_id=new_id(),
                dataset_type=DatasetType(name=TYPE, dimensions=["visit", "detector"], storage_class="Bytes"),
            ),
            timeout=SECONDS,
        )
        stubs.collections.RegisterCollection(
            collection_service_pb2.RegisterCollectionRequest(
                repository=REPOSITORY,
                request_id=new_id(),
                collection=Collection(name=RUN, type=COLLECTION_TYPE_RUN),
            ),
            timeout=SECONDS,
        )


@pytest.fixture(scope="module")
def stubs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stubs]:
    """Give stubs of two services that run as processes, with a repository that describes a small camera."""
    folder = tmp_path_factory.mktemp("services")
    (folder / "databases").mkdir()
    channels: list[grpc.Channel] = []
    with own_services(f"sqlite:///{folder / 'databases'}", folder) as address:
        connected = connect(address, channels)
        describe(connected)
        yield connected
        for channel in channels:
            channel.close()


def test_a_small_and_a_large_artifact_go_in_and_come_back_as_the_document_says(stubs: Stubs) -> None:
    small, large = b"small", secrets.token_bytes(stubs.limits.inline_bytes * 5 + 1)
    ids = [new_id(), new_id()]
    granted = stubs.begin(ids, [1, 2])
    band = next(column for column in granted.expanded.data_ids.columns if column.name == "band")
    assert [band.strings.dictionary[i] for i in band.strings.indexes] == ["r", "r"]
    receipts = [stubs.write(granted.grants[0].token, small)]

    def upload() -> Iterator[datastore_service_pb2.WriteRequest]:
        header = datastore_service_pb2.WriteHeader(grant=granted.grants[1].token)
        yield datastore_service_pb2.WriteRequest(header=header)
        step = stubs.limits.chunk_bytes
        for start in range(0, len(large), step):
            yield datastore_service_pb2.WriteRequest(chunk=chunk(large[start : start + step]))
        trailer = datastore_service_pb2.WriteTrailer(size=len(large))
        yield datastore_service_pb2.WriteRequest(trailer=trailer)

    receipts.append(stubs.datastore.Write(upload(), timeout=SECONDS).receipt.token)
    assert not stubs.find([1]).datasets[0].HasField("dataset")
    stubs.commit(new_id(), ids, receipts)

    found = stubs.find([1, 2, 3])
    assert [each.dataset.id for each in found.datasets[:2]] == ids
    assert not found.datasets[2].HasField("dataset")
    values = [getattr(value, str(value.WhichOneof("kind"))) for value in found.datasets[0].dataset.data_id]
    assert dict(zip(found.dataset_type.dimensions, values, strict=True)) == {
        "instrument": "StubCam",
        "visit": 1,
        "detector": 1,
    }
    one, other = (each.artifacts[0] for each in found.datasets[:2])
    read = datastore_service_pb2.ReadBatchRequest(grants=[one.read_grant])
    assert stubs.datastore.ReadBatch(read, timeout=SECONDS).chunks[0] == chunk(small)
    assert other.record.size == len(large) > stubs.limits.inline_bytes
    pieces = list(
        stubs.datastore.Read(datastore_service_pb2.ReadRequest(grant=other.read_grant), timeout=SECONDS)
    )
    assert all(piece.chunk == chunk(piece.chunk.content) for piece in pieces)
    assert b"".join(piece.chunk.content for piece in pieces) == large
    part = datastore_service_pb2.ReadRequest(grant=other.read_grant, offset=1000, limit=10)
    assert [p.chunk.content for p in stubs.datastore.Read(part, timeout=SECONDS)] == [large[1000:1010]]


def test_a_commit_that_is_repeated_after_an_unknown_outcome_is_a_no_op(stubs: Stubs) -> None:
    ids, request_id = [new_id()], new_id()
    receipts = [stubs.write(stubs.begin(ids, [4]).grants[0].token, b"once")]
    for _ in range(3):
        stubs.commit(request_id, ids, receipts)
    assert stubs.find([4]).datasets[0].dataset.id == ids[0]


def test_the_same_bytes_again_give_the_receipt_again(stubs: Stubs) -> None:
    token = stubs.begin([new_id()], [5]).grants[0].token
    assert stubs.write(token, b"same") == stubs.write(token, b"same")
    with pytest.raises(grpc.RpcError) as caught:
        stubs.write(token, b"other")
    assert reason_of(caught.value)[:2] == (grpc.StatusCode.ALREADY_EXISTS, "ARTIFACT_EXISTS")


def test_a_put_that_is_given_up_leaves_nothing_and_cannot_be_committed(stubs: Stubs) -> None:
    ids = [new_id()]
    receipts = [stubs.write(stubs.begin(ids, [6]).grants[0].token, b"never seen")]
    given_up = dataset_service_pb2.AbortPutRequest(
        repository=REPOSITORY, request_id=new_id(), dataset_ids=ids
    )
    grants = stubs.datasets.AbortPut(given_up, timeout=SECONDS).discard_grants
    assert len(grants) == 1
    stubs.datastore.Discard(datastore_service_pb2.DiscardRequest(grants=grants), timeout=SECONDS)
    stubs.datasets.FinishAbort(
        dataset_service_pb2.FinishAbortRequest(repository=REPOSITORY, request_id=new_id(), dataset_ids=ids),
        timeout=SECONDS,
    )
    with pytest.raises(grpc.RpcError) as caught:
        stubs.commit(new_id(), ids, receipts)
    assert reason_of(caught.value)[:2] == (grpc.StatusCode.FAILED_PRECONDITION, "INTENT")
    assert not stubs.find([6]).datasets[0].HasField("dataset")


def test_giving_up_what_was_committed_is_refused(stubs: Stubs) -> None:
    ids = [new_id()]
    stubs.commit(new_id(), ids, [stubs.write(stubs.begin(ids, [7]).grants[0].token, b"kept")])
    request = dataset_service_pb2.AbortPutRequest(repository=REPOSITORY, request_id=new_id(), dataset_ids=ids)
    with pytest.raises(grpc.RpcError) as caught:
        stubs.datasets.AbortPut(request, timeout=SECONDS)
    assert reason_of(caught.value)[:2] == (grpc.StatusCode.FAILED_PRECONDITION, "INTENT")
    assert stubs.find([7]).datasets[0].artifacts


def test_a_second_put_of_a_data_id_is_refused_and_names_the_first(stubs: Stubs) -> None:
    ids = [new_id()]
    stubs.commit(new_id(), ids, [stubs.write(stubs.begin(ids, [8]).grants[0].token, b"first")])
    with pytest.raises(grpc.RpcError) as caught:
        stubs.begin([new_id()], [8])
    code, reason, metadata = reason_of(caught.value)
    assert (code, reason) == (grpc.StatusCode.ALREADY_EXISTS, "CONFLICTING_DEFINITION")
    assert metadata["existing_id"] == str(uuid.UUID(bytes=ids[0]))


def test_an_upload_without_its_trailer_leaves_nothing_and_can_be_repeated(stubs: Stubs) -> None:
    token = stubs.begin([new_id()], [9]).grants[0].token
    header = datastore_service_pb2.WriteRequest(header=datastore_service_pb2.WriteHeader(grant=token))
    body = datastore_service_pb2.WriteRequest(chunk=chunk(b"half of it"))
    with pytest.raises(grpc.RpcError) as caught:
        stubs.datastore.Write(iter([header, body]), timeout=SECONDS)
    assert reason_of(caught.value)[:2] == (grpc.StatusCode.INVALID_ARGUMENT, "TRUNCATED_UPLOAD")
    damaged = datastore_service_pb2.Chunk(content=b"half of it", crc32c=1)
    item = datastore_service_pb2.WriteItem(grant=token, chunk=damaged)
    with pytest.raises(grpc.RpcError) as caught:
        stubs.datastore.WriteBatch(datastore_service_pb2.WriteBatchRequest(items=[item]), timeout=SECONDS)
    assert reason_of(caught.value)[:2] == (grpc.StatusCode.INVALID_ARGUMENT, "CHECKSUM_MISMATCH")
    assert stubs.write(token, b"all of it")


def test_pages_follow_each_other_by_their_tokens_which_belong_to_one_query(stubs: Stubs) -> None:
    def page(token: bytes, **restriction: Value) -> query_service_pb2.Page:
        request = query_service_pb2.QueryDimensionRecordsRequest(
            repository=REPOSITORY,
            element="visit",
            data_id=restriction,
            paging=query_service_pb2.Paging(page_size=4, page_token=token),
        )
        return stubs.queries.QueryDimensionRecords(request, timeout=SECONDS).page

    pages = [page(b"")]
    while pages[-1].next_page_token:
        pages.append(page(pages[-1].next_page_token))
    columns = [{column.name: column for column in each.rows.columns} for each in pages]
    assert [list(each["id"].ints.values) for each in columns] == [[1, 2, 3, 4], [5, 6, 7, 8], [9]]
    encoded = columns[0]["region"].regions.values[0]
    region = Region.decode(encoded)
    assert isinstance(region, ConvexPolygon)
    assert region.contains(math.radians(10.5), math.radians(0.0))
    assert not region.contains(math.radians(12.0), math.radians(0.0))
    with pytest.raises(grpc.RpcError) as caught:
        page(pages[0].next_page_token, instrument=Value(string_value="StubCam"))
    assert reason_of(caught.value)[:2] == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_PAGE_TOKEN")


def test_the_check_value_of_the_checksum_is_the_one_in_the_document() -> None:
    assert f"0x{google_crc32c.value(b'123456789'):X}" in DOCUMENT


def test_the_document_names_every_rpc_and_no_other() -> None:
    named = {tuple(match) for match in re.findall(r"`(?:\w+\.)*?(\w+Service)\.([A-Z]\w+)`", DOCUMENT)}
    for service, methods in re.findall(r"^\| `(\w+Service)` \| \w+ \| (.+) \|$", DOCUMENT, re.MULTILINE):
        listed = re.findall(r"`(\w+)`", methods)
        real = next(each for each in SERVICES if each.name == service)
        assert listed == [method.name for method in real.methods]
    every = {(service.name, method.name) for service in SERVICES for method in service.methods}
    assert named == every


def test_every_message_and_field_that_the_document_names_exists() -> None:
    pool = descriptor_pool.Default()
    package = "butler_api.v1"
    for message, name in re.findall(r"`([A-Z]\w+)\.([a-z]\w*)`", DOCUMENT):
        if not message.endswith("Service"):
            assert name in pool.FindMessageTypeByName(f"{package}.{message}").fields_by_name, (message, name)
    drawn = [line for line in DOCUMENT.splitlines() if re.search(r"->>[RD]: ", line)]
    methods = {method.name for service in SERVICES for method in service.methods}
    assert {match[1] for line in drawn if (match := re.search(r": (\w+)", line))} <= methods


def test_the_table_of_reasons_is_the_catalogue() -> None:
    table = re.findall(r"^\| `([A-Z_]+)` \| ([A-Z_]+) \| .+ \|$", DOCUMENT, re.MULTILINE)
    assert table == sorted((reason, error.status.name) for reason, error in CATALOGUE.items())
    google = {code.name for code in grpc.StatusCode}
    assert {code for _, code in table} <= google


def test_the_table_of_limits_is_what_services_publish(stubs: Stubs) -> None:
    table = dict(re.findall(r"^\| `Limits\.(\w+)` \| .+ \| (\d+) \|$", DOCUMENT, re.MULTILINE))
    assert {name: int(value) for name, value in table.items()} == {
        field.name: getattr(repository.Limits(), field.name) for field in fields(repository.Limits)
    }
    assert {name: int(value) for name, value in table.items()} == {
        field.name: getattr(stubs.limits, field.name) for field in stubs.limits.DESCRIPTOR.fields
    }
