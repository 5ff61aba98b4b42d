# SPDX-License-Identifier: BSD-3-Clause
"""The other side, for an interpreter that has the older library: ``python -m benchmarks.compare.theirs``."""

from __future__ import annotations

__all__ = ["Theirs"]

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import astropy.time
import lsst.daf.butler
from lsst.daf.butler import Butler, Config, Timespan

from .driver import serve
from .library import STORAGE_CLASS, Place

_JSON = "lsst.daf.butler.formatters.json.JsonFormatter"


class Theirs:
    """The current release of ``lsst-daf-butler``, in process or through its server."""

    @property
    def types(self) -> Any:
        """The module with the types."""
        return lsst.daf.butler

    def make(self, place: Place) -> None:
        """Make an empty repository."""
        datastore: dict[str, Any] = {"formatters": {STORAGE_CLASS: _JSON}}
        config: dict[str, Any] = {"datastore": datastore}
        if not place.database:
            Butler.makeRepo(place.root, Config(config))
            return
        datastore["root"] = place.artifacts or place.root
        config["registry"] = {"db": place.database, "namespace": place.name.lower()}
        # Otherwise it would put a file of SQLite into the root instead.
        Butler.makeRepo(place.root, Config(config), forceConfigRoot=False)

    def open(self, place: Place, **arguments: Any) -> Any:
        """Open a repository, for writing if it is not behind the server, which refuses that."""
        if place.root.startswith("http"):
            return Butler.from_config(place.root, **arguments)
        return Butler.from_config(place.root, writeable=True, **arguments)

    def timespan(self, begin: int, end: int) -> Any:
        """Return a timespan."""
        return Timespan(_time(begin), _time(end))

    def put_many(self, butler: Any, items: Sequence[tuple[Any, str, Mapping[str, Any]]], run: str) -> None:
        """Put datasets one by one in a transaction, since there is no call for many."""
        with butler.transaction():
            for content, dataset_type, data_id in items:
                butler.put(content, dataset_type, data_id, run=run)

    def get_by_ref(self, butler: Any, ref: Any) -> Any:
        """Get a dataset without a search of collections."""
        return butler.get(ref)

    def get_many(self, butler: Any, refs: Sequence[Any]) -> list[Any]:
        """Get datasets one by one, since there is no call for many."""
        return [butler.get(ref) for ref in refs]

    def register(
        self, butler: Any, dataset_type: Any, data_ids: Sequence[Mapping[str, Any]], run: str
    ) -> None:
        """Register datasets."""
        butler.registry.insertDatasets(dataset_type, data_ids, run)

    def prune_and_return(self, butler: Any, refs: Iterable[Any]) -> None:
        """Remove datasets with their files: it cannot leave them to anybody."""
        butler.pruneDatasets(refs, purge=True, unstore=True)

    def trash(self, butler: Any, refs: Iterable[Any]) -> None:
        """Move artifacts to the trash and leave them there."""
        butler._datastore.trash(refs)

    def empty_trash(self, butler: Any) -> None:
        """Delete what is in the trash."""
        butler._datastore.emptyTrash()

    def import_(self, butler: Any, directory: str) -> None:
        """Import an export with its files."""
        butler.import_(directory=directory, filename="export.yaml", transfer="copy")


def _time(nsec: int) -> astropy.time.Time:
    seconds, rest = divmod(nsec, 10**9)
    return astropy.time.Time(seconds, rest / 1e9, format="unix_tai", scale="tai")


if __name__ == "__main__":
    serve(Theirs())
