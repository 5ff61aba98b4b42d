# SPDX-License-Identifier: BSD-3-Clause
"""Our side: ``python -m benchmarks.compare.ours``."""

from __future__ import annotations

__all__ = ["Ours"]

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import uuid4

import butler
from butler import Butler, Timespan
from butler_model.dataset import new_dataset_id
from butler_model.ports import BeginPut, PutBatch

from .driver import serve
from .library import Place

_BATCH = 5_000


class Ours:
    """Butler over gRPC, embedded or through services."""

    @property
    def types(self) -> Any:
        """The module with the types."""
        return butler

    def make(self, place: Place) -> None:
        """Make an empty repository."""
        if place.root.startswith("grpc://"):
            Butler.makeRepo(place.root)
        elif place.database:
            Butler.makeRepo(place.root, {"repository": place.name.lower()}, database=place.database)
        else:
            Butler.makeRepo(place.root)

    def open(self, place: Place, **arguments: Any) -> Any:
        """Open a repository for writing."""
        return Butler(place.root, writeable=True, **arguments)

    def timespan(self, begin: int, end: int) -> Any:
        """Return a timespan."""
        return Timespan.from_nsec(begin, end)

    def put_many(self, butler: Any, items: Sequence[tuple[Any, str, Mapping[str, Any]]], run: str) -> None:
        """Put datasets, by the call that is made for it."""
        butler.put_many(items, run=run)

    def get_by_ref(self, butler: Any, ref: Any) -> Any:
        """Get a dataset without a search of collections."""
        return butler.getDirect(ref)

    def get_many(self, butler: Any, refs: Sequence[Any]) -> list[Any]:
        """Get datasets, by the call that is made for it."""
        return list(butler.get_many(refs))

    def register(
        self, butler: Any, dataset_type: Any, data_ids: Sequence[Mapping[str, Any]], run: str
    ) -> None:
        """Register datasets by the port, since the client registers none without artifacts."""
        puts = butler._connection.registry.puts
        for first in range(0, len(data_ids), _BATCH):
            some = data_ids[first : first + _BATCH]
            ids = [new_dataset_id() for _ in some]
            batch = PutBatch(dataset_type.name, dataset_type.storageClass_name, some, ids, ())
            puts.begin(BeginPut(uuid4(), run, (batch,)))
            puts.commit(ids, [], request_id=uuid4())

    def prune_and_return(self, butler: Any, refs: Iterable[Any]) -> None:
        """Remove datasets, and leave their files to the datastore."""
        butler.pruneDatasets(refs, purge=True, unstore=True, purge_after=1)

    def trash(self, butler: Any, refs: Iterable[Any]) -> None:
        """Remove datasets whose files stay for a second."""
        self.prune_and_return(butler, refs)

    def empty_trash(self, butler: Any) -> None:
        """Delete what is in the trash and due."""
        butler.trash.empty()

    def import_(self, butler: Any, directory: str) -> None:
        """Import an export with its files."""
        butler.import_(directory=directory, filename="export.yaml", transfer="copy")


if __name__ == "__main__":
    serve(Ours())
