# SPDX-License-Identifier: BSD-3-Clause
"""Where the artifacts of datasets are, or will be."""

from __future__ import annotations

__all__ = ["DatasetLocating"]

from collections.abc import Iterable, Mapping
from typing import Any

from butler_model.artifact import ArtifactRecord
from butler_model.data_id import DataId
from butler_model.dataset import DatasetRef, DatasetType
from butler_model.errors import DatasetNotFoundError, UnsupportedOperationError
from butler_model.ports import FoundDataset

from .dataset_arguments import check_refs
from .datasets import DatasetReading
from .predictions import predict as predict_put
from .putting import planned_layouts
from .readings import artifact_for, is_in_parts

_PREDICTED = "#predicted"


class DatasetLocating(DatasetReading):
    """The methods that tell where artifacts are."""

    def getURI(
        self,
        datasetRefOrType: DatasetRef | DatasetType | str,
        dataId: DataId | None = None,
        *,
        predict: bool = False,
        collections: Any = None,
        run: str | None = None,
        **kwargs: Any,
    ) -> str:
        """Return where a dataset's artifact is: ``file://…`` when embedded, else ``butler://<store>/<key>``.

        Parameters and errors are those of `getURIs`.

        Raises
        ------
        UnsupportedOperationError
            Raised if it is stored as separate components; `getURIs` tells theirs.
        """
        uri, components = self.getURIs(
            datasetRefOrType, dataId, predict=predict, collections=collections, run=run, **kwargs
        )
        if uri is None:
            raise UnsupportedOperationError(
                f"The dataset is stored as separate components ({', '.join(sorted(components))}); use getURIs, or "
                "name one of them."
            )
        return uri

    def getURIs(
        self,
        datasetRefOrType: DatasetRef | DatasetType | str,
        dataId: DataId | None = None,
        *,
        predict: bool = False,
        collections: Any = None,
        run: str | None = None,
        **kwargs: Any,
    ) -> tuple[str | None, dict[str, str]]:
        """Return where a dataset's artifacts are.

        Parameters
        ----------
        predict
            Whether to tell, of a dataset that is not there, where this process would put it: such a URI ends in
            ``#predicted``. The next put of that data ID into that run by this butler or a clone goes just there.
        run
            The run that is predicted for; the default one if absent.

        Returns
        -------
        uri, components
            That of the whole and an empty mapping, or, of a dataset that is stored as separate components, `None` and
            the URI of each that is not `None`. Of a component, that of the artifact that holds it. (A composite with
            nothing but `None` in it is one artifact.)

        Raises
        ------
        DatasetNotFoundError
            Raised if there is no such dataset, and none is predicted.
        ArtifactNotFoundError
            Raised if nothing is stored of it.
        NoDefaultCollectionError
            Raised if there is nothing to search, or no run to predict for.
        """
        if predict and collections is None and not self._defaults.collections:
            collections = self._defaults.run_for(run)
        try:
            found, component = self._find_one(datasetRefOrType, dataId, kwargs, collections)
        except DatasetNotFoundError:
            if not predict:
                raise
            return self._predicted(datasetRefOrType, dataId, kwargs, self._defaults.run_for(run))
        return self._uris(found, component)

    def get_many_uris(
        self, refs: Iterable[DatasetRef], *, allow_missing: bool = False
    ) -> dict[DatasetRef, tuple[str | None, dict[str, str]]]:
        """Return where the artifacts of many datasets are, with few calls.

        Parameters
        ----------
        refs
            Resolved refs of whole datasets, not of components.
        allow_missing
            Whether datasets of which nothing is stored are left out, and not an error.

        Returns
        -------
        uris
            For each ref what `getURIs` returns.

        Raises
        ------
        AmbiguousDatasetError, DatasetNotFoundError
            Raised if a ref is not resolved, or there is no dataset with its id.
        ArtifactNotFoundError
            Raised if nothing is stored of a dataset, unless ``allow_missing``.
        """
        wanted = list(dict.fromkeys(check_refs(refs)))
        found = self._finder.by_refs(wanted)
        return {
            ref: self._uris(one)
            for ref, one in zip(wanted, found, strict=True)
            if one.artifacts or not allow_missing
        }

    getManyURIs = get_many_uris

    def _uris(self, found: FoundDataset, component: str | None = None) -> tuple[str | None, dict[str, str]]:
        if component is not None or not is_in_parts(found):
            return self._connection.locate(artifact_for(found, component).record), {}
        records = [artifact.record for artifact in found.artifacts]
        return None, {record.layout.component: self._connection.locate(record) for record in records}

    def _predicted(
        self,
        named: DatasetRef | DatasetType | str,
        data_id: DataId | None,
        keywords: Mapping[str, Any],
        run: str,
    ) -> tuple[str | None, dict[str, str]]:
        wanted = self._finder.wanted(named, data_id, keywords)
        connection = self._connection
        dataset_type = self._finder.types.get(wanted.dataset_type)
        filled = self._defaults.fill(wanted.data_id, dataset_type.dimensions)
        layouts = planned_layouts(dataset_type, filled.get("instrument"), connection.info.composites)
        intent = predict_put(connection.registry, connection.predicted, run, dataset_type, filled, layouts)
        uris: dict[str, str] = {}
        for layout, grant in zip(layouts, intent.grants, strict=True):
            record = ArtifactRecord(intent.dataset_id, grant.store, grant.key, layout, 0, "")
            uris[layout.component] = connection.locate(record) + _PREDICTED
        if "" in uris:
            return uris[""], {}
        return (None, uris) if wanted.component is None else (uris[wanted.component], {})
