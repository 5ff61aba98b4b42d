# SPDX-License-Identifier: BSD-3-Clause
"""Arguments of removals that do not go together; raised before anything is asked of a service, so they never travel."""

from __future__ import annotations

__all__ = [
    "PruneCollectionsArgsError",
    "PurgeUnsupportedPruneCollectionsError",
    "PurgeWithoutUnstorePruneCollectionsError",
    "RunWithoutPurgePruneCollectionsError",
]


class PruneCollectionsArgsError(TypeError):
    """The arguments of `pruneCollection` do not go together."""


class PurgeWithoutUnstorePruneCollectionsError(PruneCollectionsArgsError):
    """A purge needs ``unstore``."""

    def __init__(self) -> None:
        super().__init__(
            "purge=True removes datasets, so their artifacts have to go, too: give unstore=True."
        )


class RunWithoutPurgePruneCollectionsError(PruneCollectionsArgsError):
    """A RUN cannot be removed without its datasets."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"{name!r} is a RUN, which cannot be removed without its datasets: give purge=True and unstore=True."
        )


class PurgeUnsupportedPruneCollectionsError(PruneCollectionsArgsError):
    """Only a RUN can be purged."""

    def __init__(self, name: str, kind: str) -> None:
        super().__init__(
            f"{name!r} is a {kind} collection, whose datasets belong to runs: purge=True is for RUN collections."
        )
