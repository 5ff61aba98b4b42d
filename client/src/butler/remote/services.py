# SPDX-License-Identifier: BSD-3-Clause
"""The services of a remote registry that a transaction has, too."""

from __future__ import annotations

__all__ = ["RemoteServices"]

from .associations import RemoteAssociations
from .collections import RemoteCollections
from .datasets import RemoteDatasets, RemotePuts
from .definitions import RemoteDatasetTypes, RemoteDimensionRecords
from .queries import RemoteQueries
from .removals import RemoteRemovals, RemoteTrash
from .session import RepositorySession
from .statistics import RemoteStatistics


class RemoteServices:
    """Services that share a session."""

    def __init__(self, session: RepositorySession) -> None:
        self.dimension_records = RemoteDimensionRecords(session)
        self.collections = RemoteCollections(session)
        self.associations = RemoteAssociations(session)
        self.dataset_types = RemoteDatasetTypes(session)
        self.datasets = RemoteDatasets(session)
        self.puts = RemotePuts(session)
        self.queries = RemoteQueries(session)
        self.removals = RemoteRemovals(session)
        self.statistics = RemoteStatistics(session)
        self.trash = RemoteTrash(session)
