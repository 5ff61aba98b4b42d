# SPDX-License-Identifier: BSD-3-Clause
"""The service that counts what there is; implements `butler_model.ports.Statistics`."""

from __future__ import annotations

__all__ = ["StatisticsService"]

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace

from butler_model.errors import LimitExceededError
from butler_model.ports import DatasetStatistics, StatisticsKey
from butler_registry.storage.database import Database
from butler_registry.storage.dataset_counts import DatasetCount, DatasetCounts

from .definitions import Definitions
from .limits import check_patterns
from .name_patterns import NamePatterns

_MOST_ROWS = 40_000
_MOST_GROUPINGS = 10
_Key = tuple[str | None, str | None, str | None]
"""Names of a dataset type, a run and a store; `None` for what is not counted by."""
_NamedCount = tuple[str, str, DatasetCount]


class StatisticsService:
    """Counts datasets and their artifacts."""

    def __init__(self, database: Database, definitions: Definitions, counts: DatasetCounts) -> None:
        self._database = database
        self._definitions = definitions
        self._counts = counts

    def datasets(
        self,
        groupings: Sequence[Collection[StatisticsKey]],
        *,
        dataset_types: Sequence[str] = ("*",),
        runs: Sequence[str] = ("*",),
    ) -> list[DatasetStatistics]:
        check_patterns(dataset_types)
        check_patterns(runs)
        if len(groupings) > _MOST_GROUPINGS:
            raise LimitExceededError(
                f"{len(groupings)} groupings are too many for one call; send at most {_MOST_GROUPINGS}.",
                limit=str(_MOST_GROUPINGS),
            )
        counts = self._matching_counts(NamePatterns(dataset_types), NamePatterns(runs))
        rows = [row for by in groupings for row in counts.summed(by)]
        if len(rows) > _MOST_ROWS:
            raise LimitExceededError(
                f"These are {len(rows):,} rows, more than {_MOST_ROWS:,}; count by less, or name the dataset types or "
                "runs.",
                limit=str(_MOST_ROWS),
            )
        return rows

    def _matching_counts(self, dataset_types: NamePatterns, runs: NamePatterns) -> _NamedCounts:
        with self._database.reading_one_state() as connection:
            self._definitions.snapshot(connection)
            type_names, run_names = self._counts.names(connection)
            types = {i: name for i, name in type_names.items() if dataset_types.match(name)}
            sees = self._definitions.access.sees
            run_names = {i: name for i, name in run_names.items() if runs.match(name) and sees(name)}

            def named(counts: Iterable[DatasetCount]) -> list[_NamedCount]:
                return [
                    (types[count.dataset_type_id], run_names[count.run_id], count)
                    for count in counts
                    if count.dataset_type_id in types and count.run_id in run_names
                ]

            return _NamedCounts(
                named(self._counts.registered(connection)),
                named(self._counts.stored(connection)),
                named(self._counts.unstored(connection)),
            )


@dataclass(frozen=True, slots=True)
class _NamedCounts:
    """Counts with the names of their types and runs: of all datasets, of what is in stores, and of what is in none."""

    registered: list[_NamedCount]
    stored: list[_NamedCount]
    unstored: list[_NamedCount]

    def summed(self, by: Collection[StatisticsKey]) -> list[DatasetStatistics]:
        """Return the sums of what has the same names."""
        if StatisticsKey.STORE in by:
            counts = [*self.unstored, *self.stored]
        else:
            # A dataset may be in several stores and counts once; its files count all.
            files = [(name, run, replace(count, datasets=0)) for name, run, count in self.stored]
            counts = [*self.registered, *files]
        sums: dict[_Key, tuple[int, int, int]] = defaultdict(lambda: (0, 0, 0))
        for dataset_type, run, count in counts:
            key = _key(by, dataset_type, run, count.store)
            datasets, artifacts, size = sums[key]
            sums[key] = (datasets + count.datasets, artifacts + count.artifacts, size + count.size)
        # All keys lack the same parts.
        ordered = sorted(sums, key=lambda key: tuple(part or "" for part in key))
        return [DatasetStatistics(*key, *sums[key]) for key in ordered]


def _key(by: Collection[StatisticsKey], dataset_type: str, run: str, store: str) -> _Key:
    return (
        dataset_type if StatisticsKey.DATASET_TYPE in by else None,
        run if StatisticsKey.RUN in by else None,
        store if StatisticsKey.STORE in by else None,
    )
