# SPDX-License-Identifier: BSD-3-Clause
"""How much a repository behind a registry service holds."""

from __future__ import annotations

__all__ = ["RemoteStatistics"]

from collections.abc import Collection, Sequence

from butler_api.convert.statistics import statistics_from_proto, statistics_grouping_to_proto
from butler_api.v1 import statistics_service_pb2 as pb
from butler_api.v1.statistics_service_pb2_grpc import StatisticsServiceStub
from butler_model.ports import DatasetStatistics, StatisticsKey

from .session import RepositorySession


class RemoteStatistics:
    """Implements `butler_model.ports.Statistics`."""

    def __init__(self, session: RepositorySession) -> None:
        self._session = session

    def datasets(
        self,
        groupings: Sequence[Collection[StatisticsKey]],
        *,
        dataset_types: Sequence[str] = ("*",),
        runs: Sequence[str] = ("*",),
    ) -> list[DatasetStatistics]:
        if not dataset_types or not runs:
            return []  # on the wire no globs mean all
        request = pb.CountDatasetsRequest(
            repository=self._session.repository,
            groupings=map(statistics_grouping_to_proto, groupings),
            dataset_types=dataset_types,
            runs=runs,
        )
        connection = self._session.connection
        response = connection.call(connection.stub(StatisticsServiceStub).CountDatasets, request)
        self._session.see(response.revision)
        return list(map(statistics_from_proto, response.statistics))
