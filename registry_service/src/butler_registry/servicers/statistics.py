# SPDX-License-Identifier: BSD-3-Clause
"""The RPCs of `StatisticsService`."""

from __future__ import annotations

__all__ = ["StatisticsServicer"]

import grpc

from butler_api.convert.statistics import statistics_grouping_from_proto, statistics_to_proto
from butler_api.v1 import statistics_service_pb2 as pb
from butler_api.v1.statistics_service_pb2_grpc import StatisticsServiceServicer

from .opened import OpenedRepositories


class StatisticsServicer(StatisticsServiceServicer):
    """How much there is."""

    def __init__(self, repositories: OpenedRepositories) -> None:
        self._repositories = repositories

    def CountDatasets(
        self, request: pb.CountDatasetsRequest, context: grpc.ServicerContext
    ) -> pb.CountDatasetsResponse:
        opened = self._repositories.open(request.repository)
        counted = opened.registry.statistics.datasets(
            list(map(statistics_grouping_from_proto, request.groupings)),
            dataset_types=tuple(request.dataset_types) or ("*",),
            runs=tuple(request.runs) or ("*",),
        )
        return pb.CountDatasetsResponse(
            statistics=map(statistics_to_proto, counted), revision=opened.revision
        )
