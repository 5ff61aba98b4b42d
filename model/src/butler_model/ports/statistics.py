# SPDX-License-Identifier: BSD-3-Clause
"""How much a repository holds."""

from __future__ import annotations

__all__ = ["DatasetStatistics", "Statistics", "StatisticsKey"]

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol


class StatisticsKey(Enum):
    """What datasets are counted by."""

    DATASET_TYPE = "dataset_type"
    RUN = "run"
    STORE = "store"


@dataclass(frozen=True, slots=True)
class DatasetStatistics:
    """How many datasets have something in common, and how much is stored of them.

    Attributes
    ----------
    dataset_type, run, store
        What they have in common; `None` if they are not counted by it. The store is empty for datasets that are
        registered and not stored.
    datasets
        Number of datasets. One that is in two stores counts in both.
    artifacts
        Number of files; one that several of these datasets share counts once.
    size
        Bytes of these files.
    """

    dataset_type: str | None
    run: str | None
    store: str | None
    datasets: int
    artifacts: int
    size: int


class Statistics(Protocol):
    """Counts of what there is."""

    def datasets(
        self,
        groupings: Sequence[Collection[StatisticsKey]],
        *,
        dataset_types: Sequence[str] = ("*",),
        runs: Sequence[str] = ("*",),
    ) -> list[DatasetStatistics]:
        """Count the datasets whose types and runs match any of the globs, exactly and at one moment.

        Parameters
        ----------
        groupings
            What is counted apart, once for each of them; by nothing is one row with everything. A file that datasets of
            several types or runs share counts for each of these.

        Returns
        -------
        statistics
            The rows of the first grouping, by name of type, run and store; then those of the next.

        Raises
        ------
        LimitExceededError
            Raised for more than 40,000 rows, more than 10 groupings, or too many or too long globs.
        """
        ...
