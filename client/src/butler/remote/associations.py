# SPDX-License-Identifier: BSD-3-Clause
"""Datasets in TAGGED and CALIBRATION collections of a remote registry."""

from __future__ import annotations

__all__ = ["RemoteAssociations"]

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from butler_api.convert.data_ids import data_ids_to_proto
from butler_api.convert.values import timespan_to_proto
from butler_api.v1 import association_service_pb2 as pb
from butler_api.v1.association_service_pb2_grpc import AssociationServiceStub
from butler_model.timespan import Timespan

from .session import RepositorySession


class RemoteAssociations:
    """Implements `butler_model.ports.Associations`."""

    def __init__(self, session: RepositorySession) -> None:
        self._session = session

    def associate(self, collection: str, dataset_ids: Sequence[UUID], *, request_id: UUID) -> None:
        request = pb.AssociateRequest(
            repository=self._session.repository,
            request_id=request_id.bytes,
            collection=collection,
            dataset_ids=_packed(dataset_ids),
        )
        self._session.see(self._session.connection.call(self._stub.Associate, request).revision)

    def disassociate(self, collection: str, dataset_ids: Sequence[UUID], *, request_id: UUID) -> None:
        request = pb.DisassociateRequest(
            repository=self._session.repository,
            request_id=request_id.bytes,
            collection=collection,
            dataset_ids=_packed(dataset_ids),
        )
        self._session.see(self._session.connection.call(self._stub.Disassociate, request).revision)

    def certify(
        self, collection: str, dataset_ids: Sequence[UUID], timespan: Timespan, *, request_id: UUID
    ) -> None:
        request = pb.CertifyRequest(
            repository=self._session.repository,
            request_id=request_id.bytes,
            collection=collection,
            dataset_ids=_packed(dataset_ids),
            timespan=timespan_to_proto(timespan),
        )
        self._session.see(self._session.connection.call(self._stub.Certify, request).revision)

    def decertify(
        self,
        collection: str,
        dataset_type: str,
        timespan: Timespan,
        *,
        request_id: UUID,
        data_ids: Sequence[Mapping[str, Any]] | None = None,
    ) -> None:
        request = pb.DecertifyRequest(
            repository=self._session.repository,
            request_id=request_id.bytes,
            collection=collection,
            dataset_type=dataset_type,
            timespan=timespan_to_proto(timespan),
            data_ids=None if data_ids is None else data_ids_to_proto(data_ids),
        )
        self._session.see(self._session.connection.call(self._stub.Decertify, request).revision)

    @property
    def _stub(self) -> AssociationServiceStub:
        return self._session.connection.stub(AssociationServiceStub)


def _packed(ids: Sequence[UUID]) -> bytes:
    return b"".join(each.bytes for each in ids)
