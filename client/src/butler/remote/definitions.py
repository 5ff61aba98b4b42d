# SPDX-License-Identifier: BSD-3-Clause
"""Dimension records and dataset types of a remote registry."""

from __future__ import annotations

__all__ = ["RemoteDatasetTypes", "RemoteDimensionRecords"]

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from butler_api.convert.data_ids import data_ids_to_proto, expanded_from_proto
from butler_api.convert.dataset_types import dataset_type_to_proto
from butler_api.convert.dimension_records import records_to_proto
from butler_api.v1 import dataset_type_service_pb2, dimension_service_pb2
from butler_api.v1.dataset_type_service_pb2_grpc import DatasetTypeServiceStub
from butler_api.v1.dimension_service_pb2_grpc import DimensionServiceStub
from butler_model.data_id import DataCoordinate
from butler_model.dataset import DatasetType
from butler_model.records import DimensionRecord
from butler_model.universe import DimensionGroup

from .session import RepositorySession


class RemoteDimensionRecords:
    """Implements `butler_model.ports.DimensionRecords`."""

    def __init__(self, session: RepositorySession) -> None:
        self._session = session

    def insert(
        self,
        element: str,
        records: Sequence[DimensionRecord],
        *,
        request_id: UUID,
        skip_existing: bool = False,
        replace: bool = False,
    ) -> int:
        request = dimension_service_pb2.InsertDimensionRecordsRequest(
            repository=self._session.repository,
            request_id=request_id.bytes,
            records=records_to_proto(self._session.universe[element], records),
            skip_existing=skip_existing,
            replace=replace,
        )
        connection = self._session.connection
        response = connection.call(connection.stub(DimensionServiceStub).InsertDimensionRecords, request)
        self._session.see(response.revision)
        return response.inserted

    def sync(self, record: DimensionRecord, *, request_id: UUID, update: bool = False) -> bool:
        request = dimension_service_pb2.SyncDimensionRecordRequest(
            repository=self._session.repository,
            request_id=request_id.bytes,
            record=records_to_proto(record.definition, [record]),
            update=update,
        )
        connection = self._session.connection
        response = connection.call(connection.stub(DimensionServiceStub).SyncDimensionRecord, request)
        self._session.see(response.revision)
        return response.inserted

    def expand(
        self, dimensions: DimensionGroup, data_ids: Sequence[Mapping[str, Any]]
    ) -> list[DataCoordinate]:
        return self._session.in_batches(data_ids, lambda batch: self._expand(dimensions, batch))

    def _expand(
        self, dimensions: DimensionGroup, data_ids: Sequence[Mapping[str, Any]]
    ) -> list[DataCoordinate]:
        request = dimension_service_pb2.ExpandDataIdsRequest(
            repository=self._session.repository,
            dimensions=dimensions.names,
            data_ids=data_ids_to_proto(data_ids),
        )
        connection = self._session.connection
        response = connection.call(connection.stub(DimensionServiceStub).ExpandDataIds, request)
        self._session.see(response.revision)
        return expanded_from_proto(self._session.universe, response.expanded)


class RemoteDatasetTypes:
    """Implements `butler_model.ports.DatasetTypes`."""

    def __init__(self, session: RepositorySession) -> None:
        self._session = session

    def register(self, dataset_type: DatasetType, *, request_id: UUID) -> bool:
        request = dataset_type_service_pb2.RegisterDatasetTypeRequest(
            repository=self._session.repository,
            request_id=request_id.bytes,
            dataset_type=dataset_type_to_proto(dataset_type),
        )
        connection = self._session.connection
        response = connection.call(connection.stub(DatasetTypeServiceStub).RegisterDatasetType, request)
        self._session.see(response.revision)
        return response.registered

    def get(self, name: str) -> DatasetType:
        kept = self._session.kept_type(name)
        if kept is not None:
            return kept
        request = dataset_type_service_pb2.GetDatasetTypeRequest(
            repository=self._session.repository, name=name
        )
        connection = self._session.connection
        response = connection.call(connection.stub(DatasetTypeServiceStub).GetDatasetType, request)
        return self._session.keep_type(response.dataset_type, response.revision)

    def find(self, patterns: Sequence[str]) -> list[DatasetType]:
        request = dataset_type_service_pb2.ListDatasetTypesRequest(
            repository=self._session.repository, patterns=patterns
        )
        connection = self._session.connection
        list_page = connection.stub(DatasetTypeServiceStub).ListDatasetTypes
        found: list[DatasetType] = []
        while True:
            response = connection.call(list_page, request)
            found += [self._session.keep_type(each, response.revision) for each in response.dataset_types]
            if not response.next_page_token:
                return found
            request.page_token = response.next_page_token

    def remove(self, patterns: Sequence[str], *, request_id: UUID) -> list[str]:
        request = dataset_type_service_pb2.RemoveDatasetTypesRequest(
            repository=self._session.repository, request_id=request_id.bytes, patterns=patterns
        )
        connection = self._session.connection
        response = connection.call(connection.stub(DatasetTypeServiceStub).RemoveDatasetTypes, request)
        self._session.see(response.revision)
        return list(response.removed)
