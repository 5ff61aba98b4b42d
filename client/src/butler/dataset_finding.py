# SPDX-License-Identifier: BSD-3-Clause
"""Finding datasets and dataset types, without reading what is stored."""

from __future__ import annotations

__all__ = ["DatasetFinding"]

from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

from butler_model.data_id import DataCoordinate, DataId
from butler_model.dataset import DatasetRef, DatasetType
from butler_model.storage_class import StorageClass
from butler_model.timespan import Timespan
from butler_model.universe import DimensionGroup

from .dataset_arguments import several
from .lookup import DatasetAccess, dataset_uuid


class DatasetFinding(DatasetAccess):
    """The methods that find datasets and dataset types.

    With ``storage_class`` a ref says that its object is to be had as that; with ``dimension_records`` its data ID has
    the records of its dimensions.
    """

    def find_dataset(
        self,
        dataset_type: DatasetType | str,
        data_id: DataId | None = None,
        *,
        collections: Any = None,
        timespan: Timespan | None = None,
        storage_class: StorageClass | str | None = None,
        dimension_records: bool = False,
        **kwargs: Any,
    ) -> DatasetRef | None:
        """Return the first dataset of that type and data ID in the collections; `None` if there is none.

        Parameters
        ----------
        timespan
            What a calibration must be valid for, if the data ID does not say.
        """
        wanted = self._finder.wanted(dataset_type, data_id, kwargs)
        found = self._finder.find(wanted, self._defaults.search_path(collections), timespan=timespan)
        if found is None:
            return None
        ref = self._finder.ref_of(found, wanted.component)
        return self._as_asked([ref], storage_class, dimension_records)[0]

    def get_dataset(
        self,
        id: UUID | str,
        *,
        storage_class: StorageClass | str | None = None,
        dimension_records: bool = False,
    ) -> DatasetRef | None:
        """Return the dataset with that id; `None` if there is none."""
        found = self._finder.by_id([dataset_uuid(id)])[0]
        return None if found is None else self._as_asked([found.ref], storage_class, dimension_records)[0]

    def get_many_datasets(
        self, ids: Iterable[UUID | str], *, dimension_records: bool = False
    ) -> list[DatasetRef]:
        """Return the datasets with those ids, in order and each once; ids of which there is none are passed over."""
        found = self._finder.by_id(
            [*dict.fromkeys(map(dataset_uuid, several(ids, "ids", "ids of datasets")))]
        )
        return self._as_asked([one.ref for one in found if one is not None], None, dimension_records)

    def get_dataset_type(self, name: str) -> DatasetType:
        """Return a dataset type, also that of a component; `MissingDatasetTypeError` if there is none."""
        return self._finder.types.with_component(name)

    def _as_asked(
        self, refs: Sequence[DatasetRef], storage_class: StorageClass | str | None, records: bool
    ) -> list[DatasetRef]:
        asked = [ref if storage_class is None else ref.overrideStorageClass(storage_class) for ref in refs]
        if not records:
            return asked
        by_dimensions: dict[DimensionGroup, dict[DataCoordinate, None]] = {}
        for ref in asked:
            by_dimensions.setdefault(ref.dimensions, {})[ref.dataId] = None
        expanded: dict[tuple[DimensionGroup, DataCoordinate], DataCoordinate] = {}
        expand = self._connection.registry.dimension_records.expand
        size = self._connection.info.limits.batch_items
        for dimensions, unique in by_dimensions.items():
            data_ids = list(unique)
            for start in range(0, len(data_ids), size):
                batch = data_ids[start : start + size]
                full = expand(dimensions, [data_id.mapping for data_id in batch])
                expanded.update(((dimensions, few), many) for few, many in zip(batch, full, strict=True))
        return [ref.expanded(expanded[ref.dimensions, ref.dataId]) for ref in asked]
