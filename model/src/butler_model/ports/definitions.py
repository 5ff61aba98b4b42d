# SPDX-License-Identifier: BSD-3-Clause
"""What datasets are described with: dimension records, collections, dataset types."""

from __future__ import annotations

__all__ = ["Collections", "DatasetTypes", "DimensionRecords"]

from collections.abc import Mapping, Sequence
from typing import Any, Protocol
from uuid import UUID

from butler_model.collection import ChainEdit, Collection, CollectionSummary, CollectionType
from butler_model.data_id import DataCoordinate
from butler_model.dataset import DatasetType
from butler_model.records import DimensionRecord
from butler_model.universe import DimensionGroup


class DimensionRecords(Protocol):
    """Records of dimensions."""

    def insert(
        self,
        element: str,
        records: Sequence[DimensionRecord],
        *,
        request_id: UUID,
        skip_existing: bool = False,
        replace: bool = False,
    ) -> int:
        """Insert records of one element, all or none; return how many were new.

        With ``skip_existing`` records whose key exists are left as they are, with ``replace`` they are replaced; both
        is refused.

        Raises
        ------
        ConflictingDefinitionError
            Raised if one exists already, unless one of the two is set, or two agree in an alternate key.
        MissingParentError
            Raised if one refers to a record that does not exist.
        """
        ...

    def sync(self, record: DimensionRecord, *, request_id: UUID, update: bool = False) -> bool:
        """Insert a record unless an identical one exists; return whether anything was changed.

        Raises `ConflictingDefinitionError` if one exists that differs, unless ``update``, which replaces it.
        """
        ...

    def expand(
        self, dimensions: DimensionGroup, data_ids: Sequence[Mapping[str, Any]]
    ) -> list[DataCoordinate]:
        """Return data IDs with implied values and records.

        Raises
        ------
        DataIdValueError
            Raised if a value has no record.
        InconsistentDataIdError
            Raised if values contradict the records.
        """
        ...


class Collections(Protocol):
    """Collections."""

    def register(self, collection: Collection, *, request_id: UUID) -> bool:
        """Register a collection; return whether it is new.

        Raises `ConflictingDefinitionError` if one of that name and another type exists.
        """
        ...

    def get(self, name: str) -> Collection:
        """Return a collection; `MissingCollectionError` if there is none."""
        ...

    def find(
        self, patterns: Sequence[str], types: frozenset[CollectionType] | None = None
    ) -> list[Collection]:
        """Return collections whose names match any glob, by name; an explicit name need not exist."""
        ...

    def remove(
        self,
        name: str,
        *,
        request_id: UUID,
        unlink: Sequence[str] = (),
        unlink_all: bool = False,
        validate_only: bool = False,
    ) -> None:
        """Remove a collection; the datasets of a RUN with it.

        Parameters
        ----------
        unlink
            Chains to take it out of first.
        unlink_all
            Whether to take it out of every chain.
        validate_only
            Whether only to check that it can be removed.

        Raises
        ------
        MissingCollectionError
            Raised if there is none of that name.
        ChainMembershipError
            Raised if it is not in one of the chains to take it out of.
        OrphanedRecordError
            Raised if it is in another chain, or is a RUN of which datasets are still stored, or into which a put was
            begun and not ended.
        """
        ...

    def set_doc(self, name: str, doc: str, *, request_id: UUID) -> None:
        """Set the description of a collection; `MissingCollectionError` if there is none of that name."""
        ...

    def edit_chain(
        self, name: str, edit: ChainEdit, children: Sequence[str], *, request_id: UUID, etag: str = ""
    ) -> Collection:
        """Edit the members of a chain; return it as it is then. Of a child given twice the first place counts.

        Raises
        ------
        MissingCollectionError, CollectionTypeError
            Raised if the chain or a child does not exist; if it is no chain.
        CollectionCycleError
            Raised if the chain would contain itself, directly or not.
        StaleEditError
            Raised if ``etag`` is given and is not that of the chain as it is.
        """
        ...

    def parents(self, name: str) -> list[str]:
        """Return the names of the chains that a collection is a member of, ascending."""
        ...

    def summaries(self, names: Sequence[str]) -> list[CollectionSummary]:
        """Return what each collection holds, exactly; `MissingCollectionError` if one does not exist."""
        ...


class DatasetTypes(Protocol):
    """Dataset types."""

    def register(self, dataset_type: DatasetType, *, request_id: UUID) -> bool:
        """Register a dataset type; return whether it is new.

        Raises `ConflictingDefinitionError` if one of that name and another definition exists.
        """
        ...

    def get(self, name: str) -> DatasetType:
        """Return a dataset type; `MissingDatasetTypeError` if there is none."""
        ...

    def find(self, patterns: Sequence[str]) -> list[DatasetType]:
        """Return dataset types whose names match any glob, by name; an explicit name need not exist."""
        ...

    def remove(self, patterns: Sequence[str], *, request_id: UUID) -> list[str]:
        """Remove the dataset types whose names match any glob; return their names. Unknown ones are ignored.

        Raises `OrphanedRecordError` if there are datasets of one of them; then none is removed.
        """
        ...
