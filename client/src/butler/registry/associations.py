# SPDX-License-Identifier: BSD-3-Clause
"""The part of ``butler.registry`` that is about where datasets stand besides their run."""

from __future__ import annotations

__all__ = ["DatasetAssociation", "RegistryAssociations"]

import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from butler.dataset_arguments import check_collection, check_refs, several, type_name
from butler.defaults import plain_data_id
from butler.lookup import check_timespan, check_writeable
from butler.results import DatasetResults
from butler_model.collection import CollectionType
from butler_model.data_id import DataId
from butler_model.dataset import DatasetRef, DatasetType
from butler_model.errors import AmbiguousDatasetError
from butler_model.query.spec import QuerySpec, ResultKind
from butler_model.timespan import Timespan

from .collections import leaves, matching
from .definitions import RegistryDefinitions
from .patterns import Patterns, collection_types, globs


@dataclass(frozen=True, slots=True)
class DatasetAssociation:
    """That a dataset stands in a collection.

    Attributes
    ----------
    timespan
        When it is valid, in a CALIBRATION collection; `None` in others.
    """

    ref: DatasetRef
    collection: str
    timespan: Timespan | None


class RegistryAssociations(RegistryDefinitions):
    """TAGGED and CALIBRATION collections."""

    def associate(self, collection: str, refs: Iterable[DatasetRef]) -> None:
        """Add datasets to a TAGGED collection; those that are there already stay.

        All of one call or none, up to the batch limit of the service; beyond that, all or none of each batch.

        Raises
        ------
        CollectionTypeError, MissingCollectionError
            Raised if the collection is not TAGGED, or does not exist.
        ConflictingDefinitionError
            Raised if it holds another dataset with the same type and data ID.
        AmbiguousDatasetError, DatasetNotFoundError
            Raised if a ref has no id; if there is no dataset of that id.
        """
        check_writeable(self._writeable, f"add to {collection!r:.300}")
        name = check_collection(collection)
        self._in_batches(
            refs, lambda ids: self._port.associations.associate(name, ids, request_id=uuid.uuid4())
        )

    def disassociate(self, collection: str, refs: Iterable[DatasetRef]) -> None:
        """Take datasets out of a TAGGED collection; those that are not in it are ignored."""
        check_writeable(self._writeable, f"take out of {collection!r:.300}")
        name = check_collection(collection)
        self._in_batches(
            refs, lambda ids: self._port.associations.disassociate(name, ids, request_id=uuid.uuid4())
        )

    def certify(self, collection: str, refs: Iterable[DatasetRef], timespan: Timespan) -> None:
        """Say that datasets are valid in a range of time, in a CALIBRATION collection.

        Raises
        ------
        ConflictingDefinitionError
            Raised if a dataset of that type and data ID is valid in any part of it already.
        CollectionTypeError, CalibrationTypeError
            Raised if the collection is not a CALIBRATION; if the dataset type is no calibration.
        InvalidRequestError
            Raised for an empty timespan, and for what is none.
        """
        check_writeable(self._writeable, f"certify in {collection!r:.300}")
        name = check_collection(collection)
        check_timespan(timespan)
        self._in_batches(
            refs,
            lambda ids: self._port.associations.certify(name, ids, timespan, request_id=uuid.uuid4()),
        )

    def decertify(
        self,
        collection: str,
        datasetType: DatasetType | str,
        timespan: Timespan,
        *,
        dataIds: Iterable[DataId] | None = None,
    ) -> None:
        """Say that datasets of a type are not valid in a range of time; ranges are cut, split or removed.

        Parameters
        ----------
        dataIds
            Only for these; for all if absent.
        """
        check_writeable(self._writeable, f"decertify in {collection!r:.300}")
        check_timespan(timespan)
        found = self._finder.types.get(type_name(datasetType))
        given: list[Mapping[str, Any]] | None = None
        if dataIds is not None:
            given = [
                self.defaults.fill(plain_data_id(each, {}), found.dimensions)
                for each in several(dataIds, "dataIds", "data IDs")
            ]
        self._port.associations.decertify(
            check_collection(collection), found.name, timespan, data_ids=given, request_id=uuid.uuid4()
        )

    def queryDatasetAssociations(
        self,
        datasetType: DatasetType | str,
        collections: Patterns | None = ...,
        *,
        collectionTypes: CollectionType | Iterable[CollectionType] = tuple(CollectionType),
        flattenChains: bool = False,
    ) -> Iterator[DatasetAssociation]:
        """Yield where datasets of a type stand: one for each dataset and collection, and each range of validity.

        Parameters
        ----------
        collections
            Names and globs; the default collections if `None`.
        collectionTypes
            Which of them are looked at.
        flattenChains
            Whether members of chains are looked at; otherwise chains are left out.

        Raises
        ------
        MissingCollectionError
            Raised for a name, and no glob, that no collection has.
        """
        types = collection_types(collectionTypes)
        patterns = self.defaults.search_path(None) if collections is None else globs(collections)
        found = matching(self._port.collections, patterns)
        if flattenChains:
            found = list(leaves(self._port.collections, [collection.name for collection in found]))
        kinds = {c.name: c.type for c in found if c.type in types and c.type is not CollectionType.CHAINED}
        wanted = self._finder.types.get(type_name(datasetType))
        if not kinds:
            return
        spec = QuerySpec(
            ResultKind.DATASETS,
            dataset_type=wanted.name,
            collections=tuple(kinds),
            dataset_fields=("collection", "timespan"),
        )
        results = DatasetResults(self._port, [spec], [[wanted]])
        with closing(self._port.queries.stream(spec)) as pages:  # type: ignore[type-var] # a generator
            for page in pages:
                rows = (results.rows_of(spec, page), page.column("collection"), page.column("timespan"))
                for ref, collection, timespan in zip(*rows, strict=True):
                    certified = kinds[collection] is CollectionType.CALIBRATION
                    yield DatasetAssociation(ref, collection, timespan if certified else None)

    def _in_batches(self, refs: Iterable[DatasetRef], call: Callable[[Sequence[UUID]], None]) -> None:
        ids = [_id_of(ref) for ref in check_refs(refs)]
        size = self._info.limits.batch_items
        # Without any it is asked as well, since the collection may be misspelt.
        for start in range(0, max(len(ids), 1), size):
            call(ids[start : start + size])


def _id_of(ref: DatasetRef) -> UUID:
    if ref.id is None:
        raise AmbiguousDatasetError(
            f"{ref} has no id; find the dataset first.", dataset_type=ref.datasetType.name
        )
    return ref.id
