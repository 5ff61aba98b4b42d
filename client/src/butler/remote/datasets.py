# SPDX-License-Identifier: BSD-3-Clause
"""Datasets and puts of a remote registry."""

from __future__ import annotations

__all__ = ["RemoteDatasets", "RemotePuts"]

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from butler_api.convert.data_ids import data_ids_to_proto
from butler_api.convert.datasets import begin_to_proto, found_from_proto, granted_from_proto
from butler_api.convert.values import timespan_to_proto
from butler_api.v1 import dataset_service_pb2
from butler_api.v1.dataset_service_pb2_grpc import DatasetServiceStub
from butler_model.ports import BeginPut, DatasetLookup, FoundDataset, PutIntent

from .session import RepositorySession


class RemoteDatasets:
    """Implements `butler_model.ports.Datasets`."""

    def __init__(self, session: RepositorySession) -> None:
        self._session = session

    def find(self, lookup: DatasetLookup) -> list[FoundDataset | None]:
        return self._session.in_batches(lookup.data_ids, lambda batch: self._find(lookup, batch))

    def _find(
        self, lookup: DatasetLookup, data_ids: Sequence[Mapping[str, Any]]
    ) -> list[FoundDataset | None]:
        request = dataset_service_pb2.FindDatasetsRequest(
            repository=self._session.repository,
            dataset_type=lookup.dataset_type,
            data_ids=data_ids_to_proto(data_ids),
            collections=lookup.collections,
            timespan=None if lookup.timespan is None else timespan_to_proto(lookup.timespan),
            want_artifacts=lookup.want_artifacts,
        )
        connection = self._session.connection
        response = connection.call(connection.stub(DatasetServiceStub).FindDatasets, request)
        types = {}
        if response.HasField("dataset_type"):
            name = response.dataset_type.name
            types[name] = self._session.keep_type(response.dataset_type, response.revision)
        return [found_from_proto(each, types) for each in response.datasets]

    def get(
        self, dataset_ids: Sequence[UUID], *, want_artifacts: bool = False, expected_type: str = ""
    ) -> list[FoundDataset | None]:
        return self._session.in_batches(
            dataset_ids, lambda batch: self._get(batch, want_artifacts, expected_type)
        )

    def _get(
        self, dataset_ids: Sequence[UUID], want_artifacts: bool, expected_type: str
    ) -> list[FoundDataset | None]:
        request = dataset_service_pb2.GetDatasetsRequest(
            repository=self._session.repository,
            ids=[dataset_id.bytes for dataset_id in dataset_ids],
            want_artifacts=want_artifacts,
            expected_type=expected_type,
        )
        connection = self._session.connection
        response = connection.call(connection.stub(DatasetServiceStub).GetDatasets, request)
        types = {
            each.name: self._session.keep_type(each, response.revision) for each in response.dataset_types
        }
        return [found_from_proto(each, types) for each in response.datasets]


class RemotePuts:
    """Implements `butler_model.ports.Puts`."""

    def __init__(self, session: RepositorySession) -> None:
        self._session = session

    def begin(self, request: BeginPut) -> list[PutIntent]:
        connection = self._session.connection
        response = connection.call(
            connection.stub(DatasetServiceStub).BeginPut, begin_to_proto(self._session.repository, request)
        )
        self._session.see(response.revision)
        return [
            intent
            for granted, batch in zip(response.batches, request.batches, strict=True)
            for intent in granted_from_proto(self._session.universe, granted, batch)
        ]

    def commit(self, dataset_ids: Sequence[UUID], receipts: Sequence[bytes], *, request_id: UUID) -> None:
        request = dataset_service_pb2.CommitPutRequest(
            repository=self._session.repository,
            request_id=request_id.bytes,
            dataset_ids=[dataset_id.bytes for dataset_id in dataset_ids],
            receipts=receipts,
        )
        connection = self._session.connection
        response = connection.call(connection.stub(DatasetServiceStub).CommitPut, request)
        self._session.see(response.revision)

    def abort(self, dataset_ids: Sequence[UUID], *, request_id: UUID) -> list[bytes]:
        request = dataset_service_pb2.AbortPutRequest(
            repository=self._session.repository,
            request_id=request_id.bytes,
            dataset_ids=[dataset_id.bytes for dataset_id in dataset_ids],
        )
        connection = self._session.connection
        response = connection.call(connection.stub(DatasetServiceStub).AbortPut, request)
        self._session.see(response.revision)
        return list(response.discard_grants)

    def finish_abort(self, dataset_ids: Sequence[UUID], *, request_id: UUID) -> None:
        request = dataset_service_pb2.FinishAbortRequest(
            repository=self._session.repository,
            request_id=request_id.bytes,
            dataset_ids=[dataset_id.bytes for dataset_id in dataset_ids],
        )
        connection = self._session.connection
        response = connection.call(connection.stub(DatasetServiceStub).FinishAbort, request)
        self._session.see(response.revision)
