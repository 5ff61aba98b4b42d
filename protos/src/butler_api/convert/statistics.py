# SPDX-License-Identifier: BSD-3-Clause
"""Statistics."""

from __future__ import annotations

__all__ = [
    "statistics_from_proto",
    "statistics_grouping_from_proto",
    "statistics_grouping_to_proto",
    "statistics_to_proto",
]

from collections.abc import Collection

from butler_api.v1 import statistics_service_pb2 as pb
from butler_model.errors import InvalidRequestError
from butler_model.ports import DatasetStatistics, StatisticsKey


def statistics_grouping_to_proto(by: Collection[StatisticsKey]) -> pb.StatisticsGrouping:
    """Return the message of what is counted apart."""
    return pb.StatisticsGrouping(by=(_NUMBERS[key] for key in by))


def statistics_grouping_from_proto(message: pb.StatisticsGrouping) -> frozenset[StatisticsKey]:
    """Return what is counted apart; `InvalidRequestError` for what datasets are not counted by."""
    unknown = [number for number in message.by if number not in _KEYS]
    if unknown:
        raise InvalidRequestError(
            f"Datasets are not counted by {unknown[0]}; give any of {', '.join(key.name for key in StatisticsKey)}."
        )
    return frozenset(_KEYS[number] for number in message.by)


def statistics_to_proto(statistics: DatasetStatistics) -> pb.DatasetStatistics:
    """Return the message for one row."""
    return pb.DatasetStatistics(
        dataset_type=statistics.dataset_type,
        run=statistics.run,
        store=statistics.store,
        datasets=statistics.datasets,
        artifacts=statistics.artifacts,
        size=statistics.size,
    )


def statistics_from_proto(message: pb.DatasetStatistics) -> DatasetStatistics:
    """Return one row."""
    return DatasetStatistics(
        message.dataset_type if message.HasField("dataset_type") else None,
        message.run if message.HasField("run") else None,
        message.store if message.HasField("store") else None,
        message.datasets,
        message.artifacts,
        message.size,
    )


_NUMBERS = {key: pb.StatisticsKey.Value(f"STATISTICS_KEY_{key.name}") for key in StatisticsKey}
_KEYS = {number: key for key, number in _NUMBERS.items()}
