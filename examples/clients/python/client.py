# SPDX-License-Identifier: BSD-3-Clause
"""A small client made of bare generated stubs; clients in other languages are the same, in their own words.

It has nothing of the Python client but the messages, so it shows what the protocol alone gives.
"""

from __future__ import annotations

__all__ = ["Client", "Dataset", "Placement", "connect", "problem_of"]

import hashlib
import os
import secrets
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import google_crc32c
import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from butler_api.v1 import dataset_service_pb2 as datasets_pb2
from butler_api.v1 import datastore_service_pb2 as datastore_pb2
from butler_api.v1 import event_service_pb2 as events_pb2
from butler_api.v1 import query_service_pb2 as queries_pb2
from butler_api.v1 import removal_service_pb2 as removals_pb2
from butler_api.v1.dataset_service_pb2_grpc import DatasetServiceStub
from butler_api.v1.datastore_service_pb2_grpc import DatastoreServiceStub
from butler_api.v1.event_service_pb2_grpc import EventServiceStub
from butler_api.v1.models_pb2 import ArtifactLayout, ArtifactRecord, Receipt
from butler_api.v1.query_service_pb2_grpc import QueryServiceStub
from butler_api.v1.removal_service_pb2_grpc import RemovalServiceStub
from butler_api.v1.repository_service_pb2 import GetRepositoryRequest
from butler_api.v1.repository_service_pb2_grpc import RepositoryServiceStub
from butler_api.v1.values_pb2 import Column, IntColumn, StringColumn, Table, Value

SECONDS = 60.0
"""How long one call may take that is no stream."""
LARGEST_MESSAGE = 16 << 20
RETRIES = (
    '{"methodConfig": [{"name": [{}], "retryPolicy": {"maxAttempts": 5, "initialBackoff": "0.1s",'
    ' "maxBackoff": "5s", "backoffMultiplier": 2, "retryableStatusCodes": ["UNAVAILABLE"]}}]}'
)


@dataclass(frozen=True, slots=True)
class Placement:
    """What is put, and where."""

    run: str
    dataset_type: str
    storage_class: str
    data_id: Mapping[str, int | str]
    formatter: str
    extension: str


@dataclass(frozen=True, slots=True)
class Dataset:
    """A dataset that was found, with its artifact."""

    id: uuid.UUID
    run: str
    data_id: Mapping[str, Any]
    record: ArtifactRecord
    grant: bytes


def connect(address: str) -> Client:
    """Open the repository of an address ``grpc://host:port/repository``, or ``grpcs://`` for TLS."""
    scheme, _, rest = address.partition("://")
    target, _, repository = rest.partition("/")
    registry = _channel(target, encrypted=scheme == "grpcs")
    found = RepositoryServiceStub(registry).GetRepository(
        GetRepositoryRequest(repository=repository), timeout=SECONDS
    )
    endpoint = found.datastore_endpoint
    if endpoint.startswith(":"):
        endpoint = target.rpartition(":")[0] + endpoint
    datastore = _channel(endpoint, encrypted=scheme == "grpcs")
    uploads = _channel(endpoint, encrypted=scheme == "grpcs", repeats=False)
    return Client(repository, registry, datastore, uploads, found.limits.chunk_bytes)


def _channel(target: str, *, encrypted: bool, repeats: bool = True) -> grpc.Channel:
    options = [
        ("grpc.max_send_message_length", LARGEST_MESSAGE),
        ("grpc.max_receive_message_length", LARGEST_MESSAGE),
        # Repeating the stream of a client, gRPC's C core may lose messages of it.
        ("grpc.service_config", RETRIES) if repeats else ("grpc.enable_retries", 0),
    ]
    if not encrypted:
        return grpc.insecure_channel(target, options=options)
    authorities = os.environ.get("BUTLER_TLS_CA")
    credentials = grpc.ssl_channel_credentials(Path(authorities).read_bytes() if authorities else None)
    token = os.environ.get("BUTLER_TOKEN_FILE")
    # A registry could name any datastore service; the token is for some hosts only.
    if token and target.rpartition(":")[0] in os.environ.get("BUTLER_TOKEN_HOSTS", "").split(","):
        bearer = grpc.access_token_call_credentials(Path(token).read_text().strip())
        credentials = grpc.composite_channel_credentials(credentials, bearer)
    return grpc.secure_channel(target, credentials, options=options)


def problem_of(error: grpc.RpcError) -> tuple[str, str, dict[str, str]] | None:
    """Return code, reason and metadata of what a service said, or None if it said nothing."""
    assert isinstance(error, grpc.Call)
    status = rpc_status.from_call(error)
    info = error_details_pb2.ErrorInfo()
    if status is None or not any(detail.Unpack(info) for detail in status.details):
        return None
    return error.code().name, info.reason, dict(info.metadata)


class Client:
    """A connection to one repository."""

    def __init__(
        self,
        repository: str,
        registry: grpc.Channel,
        datastore: grpc.Channel,
        uploads: grpc.Channel,
        chunk_bytes: int,
    ) -> None:
        self._repository = repository
        self._chunk_bytes = chunk_bytes
        self._channels = (registry, datastore, uploads)
        self._datasets = DatasetServiceStub(registry)
        self._queries = QueryServiceStub(registry)
        self._removals = RemovalServiceStub(registry)
        self._events = EventServiceStub(registry)
        self._datastore = DatastoreServiceStub(datastore)
        self._uploads = DatastoreServiceStub(uploads)

    def close(self) -> None:
        """Close the channels."""
        for channel in self._channels:
            channel.close()

    def put(self, what: Placement, content: bytes) -> tuple[uuid.UUID, Receipt]:
        """Store a dataset of one artifact: everybody sees it afterwards, or nobody ever does."""
        dataset = _new_dataset_id()
        batch = datasets_pb2.PutBatch(
            dataset_type=what.dataset_type,
            storage_class=what.storage_class,
            data_ids=_table(what.data_id),
            dataset_ids=[dataset.bytes],
            artifacts=[
                ArtifactLayout(
                    formatter=what.formatter, extension=what.extension, storage_class=what.storage_class
                )
            ],
        )
        begun = self._datasets.BeginPut(
            datasets_pb2.BeginPutRequest(
                repository=self._repository, request_id=uuid.uuid4().bytes, run=what.run, batches=[batch]
            ),
            timeout=SECONDS,
        )
        try:
            parts = self._parts(begun.batches[0].grants[0].token, content)
            receipt = self._uploads.Write(parts).receipt
            self._datasets.CommitPut(
                datasets_pb2.CommitPutRequest(
                    repository=self._repository,
                    request_id=uuid.uuid4().bytes,
                    dataset_ids=[dataset.bytes],
                    receipts=[receipt.token],
                ),
                timeout=SECONDS,
            )
        except grpc.RpcError as error:
            # Only what is known to have failed is given up. Otherwise the lease ends, and the datastore cleans up.
            if problem_of(error):
                self._abort(dataset)
            raise
        return dataset, receipt

    def _parts(self, grant: bytes, content: bytes) -> Iterator[datastore_pb2.WriteRequest]:
        yield datastore_pb2.WriteRequest(header=datastore_pb2.WriteHeader(grant=grant))
        for start in range(0, len(content), self._chunk_bytes):
            piece = content[start : start + self._chunk_bytes]
            chunk = datastore_pb2.Chunk(content=piece, crc32c=google_crc32c.value(piece))
            yield datastore_pb2.WriteRequest(chunk=chunk)
        yield datastore_pb2.WriteRequest(trailer=datastore_pb2.WriteTrailer(size=len(content)))

    def _abort(self, dataset: uuid.UUID) -> None:
        aborted = self._datasets.AbortPut(
            datasets_pb2.AbortPutRequest(
                repository=self._repository, request_id=uuid.uuid4().bytes, dataset_ids=[dataset.bytes]
            ),
            timeout=SECONDS,
        )
        self._datastore.Discard(datastore_pb2.DiscardRequest(grants=aborted.discard_grants), timeout=SECONDS)
        self._datasets.FinishAbort(
            datasets_pb2.FinishAbortRequest(
                repository=self._repository, request_id=uuid.uuid4().bytes, dataset_ids=[dataset.bytes]
            ),
            timeout=SECONDS,
        )

    def find(
        self, dataset_type: str, data_id: Mapping[str, int | str], collections: Sequence[str]
    ) -> Dataset | None:
        """Return the dataset in the first of the collections that has one."""
        found = self._datasets.FindDatasets(
            datasets_pb2.FindDatasetsRequest(
                repository=self._repository,
                dataset_type=dataset_type,
                data_ids=_table(data_id),
                collections=collections,
                want_artifacts=True,
            ),
            timeout=SECONDS,
        )
        (entry,) = found.datasets
        if not entry.HasField("dataset"):
            return None
        values = [_plain(value) for value in entry.dataset.data_id]
        (artifact,) = entry.artifacts
        return Dataset(
            uuid.UUID(bytes=entry.dataset.id),
            entry.dataset.run,
            dict(zip(found.dataset_type.dimensions, values, strict=True)),
            artifact.record,
            artifact.read_grant,
        )

    def read(self, dataset: Dataset, offset: int = 0, limit: int = 0) -> bytes:
        """Return the bytes of a dataset, or a range of them; each chunk is checked, and what is read whole."""
        content = b""
        request = datastore_pb2.ReadRequest(grant=dataset.grant, offset=offset, limit=limit)
        for response in self._datastore.Read(request):
            if google_crc32c.value(response.chunk.content) != response.chunk.crc32c:
                raise ValueError("a chunk has another checksum than was sent with it")
            content += response.chunk.content
        digest = hashlib.sha256(content).hexdigest()
        if not offset and not limit and f"sha256:{digest}" != dataset.record.checksum:
            raise ValueError("the bytes have another checksum than was recorded")
        return content

    def query_datasets(
        self, dataset_type: str, collections: Sequence[str], by: queries_pb2.QueryFilter, page_size: int
    ) -> Iterator[list[dict[str, Any]]]:
        """Yield pages of datasets."""
        request = queries_pb2.QueryDatasetsRequest(
            repository=self._repository, dataset_type=dataset_type, collections=collections, filter=by
        )
        request.paging.page_size = page_size
        while True:
            page = self._queries.QueryDatasets(request, timeout=SECONDS).page
            yield _rows(page.rows)
            if not page.next_page_token:
                return
            request.paging.page_token = page.next_page_token

    def query_data_ids(
        self, dimensions: Sequence[str], by: queries_pb2.QueryFilter, page_size: int
    ) -> Iterator[list[dict[str, Any]]]:
        """Yield pages of data IDs."""
        request = queries_pb2.QueryDataIdsRequest(
            repository=self._repository, dimensions=dimensions, filter=by
        )
        request.paging.page_size = page_size
        while True:
            page = self._queries.QueryDataIds(request, timeout=SECONDS).page
            yield _rows(page.rows)
            if not page.next_page_token:
                return
            request.paging.page_token = page.next_page_token

    def position(self) -> bytes:
        """Return the position after the newest event."""
        request = events_pb2.GetPositionRequest(repository=self._repository)
        return self._events.GetPosition(request, timeout=SECONDS).position

    def watch(self, position: bytes, dataset_types: Sequence[str]) -> Iterator[events_pb2.DatasetEvent]:
        """Yield events after a position as they happen."""
        request = events_pb2.WatchDatasetsRequest(
            repository=self._repository, position=position, dataset_types=dataset_types
        )
        stream = self._events.WatchDatasets(request)
        try:
            for message in stream:
                if message.HasField("event"):
                    yield message.event
        finally:
            stream.cancel()

    def prune(self, ids: Sequence[uuid.UUID]) -> removals_pb2.RemovalSummary:
        """Remove datasets; their artifacts go to the trash."""
        request = removals_pb2.PruneDatasetsRequest(
            repository=self._repository,
            request_id=uuid.uuid4().bytes,
            dataset_ids=b"".join(each.bytes for each in ids),
            unstore=True,
            purge=True,
        )
        return self._removals.PruneDatasets(request, timeout=SECONDS).summary


def _new_dataset_id() -> uuid.UUID:
    """Return a UUID of version 7: 48 bits of milliseconds, the version, the variant, and 74 bits by chance."""
    bits = time.time_ns() // 10**6 << 80 | secrets.randbits(80)
    bits = bits & ~(0xF << 76) | 7 << 76
    return uuid.UUID(int=bits & ~(0x3 << 62) | 2 << 62)


def _table(data_id: Mapping[str, int | str]) -> Table:
    columns = [
        Column(name=name, ints=IntColumn(values=[value]))
        if isinstance(value, int)
        else Column(name=name, strings=StringColumn(dictionary=[value], indexes=[0]))
        for name, value in data_id.items()
    ]
    return Table(columns=columns, rows=1)


def _plain(value: Value) -> Any:
    kind = value.WhichOneof("kind")
    return getattr(value, kind) if kind else None


def _rows(table: Table) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = [{} for _ in range(table.rows)]
    for column in table.columns:
        kind = column.WhichOneof("values")
        for i, row in enumerate(rows):
            if i in column.null_rows:
                row[column.name] = None
            elif kind == "strings":
                row[column.name] = column.strings.dictionary[column.strings.indexes[i]]
            elif kind == "uuids":
                row[column.name] = str(uuid.UUID(bytes=column.uuids[16 * i : 16 * i + 16]))
            elif kind in {"ints", "floats", "bools"}:
                row[column.name] = getattr(column, kind).values[i]
    return rows
