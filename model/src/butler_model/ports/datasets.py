# SPDX-License-Identifier: BSD-3-Clause
"""Datasets: finding, putting, and where they stand besides their run."""

from __future__ import annotations

__all__ = [
    "Associations",
    "BeginPut",
    "DatasetLookup",
    "Datasets",
    "FoundDataset",
    "Placing",
    "PutBatch",
    "PutIntent",
    "Puts",
    "WriteGrant",
]

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Protocol
from uuid import UUID

from butler_model.artifact import Artifact, ArtifactLayout
from butler_model.data_id import DataCoordinate
from butler_model.dataset import DatasetRef
from butler_model.timespan import Timespan


@dataclass(frozen=True, slots=True)
class DatasetLookup:
    """Which datasets to find.

    Attributes
    ----------
    data_ids
        One per dataset wanted; keys may be dimensions, ``dimension.field``, alternate keys or fields
        (``full_name``, ``day_obs``), see behaviour A3 in docs/reference.
    collections
        Searched in order; the first that has a dataset wins.
    timespan
        What a calibration must be valid for, if the data ID does not say.
    want_artifacts
        Whether to add artifact records and grants to read them.
    """

    dataset_type: str
    data_ids: Sequence[Mapping[str, Any]]
    collections: tuple[str, ...]
    timespan: Timespan | None = None
    want_artifacts: bool = False


@dataclass(frozen=True, slots=True)
class FoundDataset:
    """A dataset that exists; ``artifacts`` is empty if none was asked for, or none is stored."""

    ref: DatasetRef
    artifacts: tuple[Artifact, ...] = ()


class Placing(Enum):
    """Who says where the artifacts of a put are."""

    TEMPLATE = "template"
    """The registry, by the store's template; they are still to be written."""
    IN_STORE = "in_store"
    """The client: they are in the store already, under keys of its own choice."""
    DIRECT = "direct"
    """The client: they are outside of every store, and stay there; their keys are ``file://`` URIs."""


@dataclass(frozen=True, slots=True)
class PutBatch:
    """Datasets of one type to be put, all laid out alike.

    Attributes
    ----------
    storage_class
        What the client takes the type's storage class to be; refused if the registry knows better.
    dataset_ids
        Made by the client, one per data ID, so that a repeat is recognised.
    artifacts
        One for a dataset stored whole, one per component otherwise; none registers the dataset without bytes.
    sharing
        Lengths of consecutive groups of datasets that share their artifacts; if empty, each has its own. The
        datasets of a group are committed together.
    placing, keys
        If the client says where the artifacts are, one key for each group, or for each dataset if there are no
        groups; ``artifacts`` then has one.
    """

    dataset_type: str
    storage_class: str
    data_ids: Sequence[Mapping[str, Any]]
    dataset_ids: Sequence[UUID]
    artifacts: tuple[ArtifactLayout, ...]
    sharing: tuple[int, ...] = ()
    placing: Placing = Placing.TEMPLATE
    keys: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class BeginPut:
    """The intent to put datasets into one run.

    Attributes
    ----------
    lease_seconds
        How long the client may take until it commits, 1 to 86,400.
    validate_only
        Whether only to check, and to tell where the artifacts would be: nothing is recorded and nothing granted.
    """

    request_id: UUID
    run: str
    batches: tuple[PutBatch, ...]
    lease_seconds: int = 3600
    validate_only: bool = False


@dataclass(frozen=True, slots=True)
class WriteGrant:
    """Leave to write one artifact, or to adopt it: where it is, and the signed token, empty if there is no leave."""

    component: str
    store: str
    key: str
    token: bytes


@dataclass(frozen=True, slots=True)
class PutIntent:
    """What the registry holds ready for one dataset: its expanded data ID and the grants to write it."""

    dataset_id: UUID
    data_id: DataCoordinate
    grants: tuple[WriteGrant, ...]


class Datasets(Protocol):
    """Datasets that exist."""

    def find(self, lookup: DatasetLookup) -> list[FoundDataset | None]:
        """Return the first dataset found for each data ID, `None` where there is none.

        Raises `MissingDatasetTypeError`, `MissingCollectionError`, and the errors of data IDs.
        """
        ...

    def get(
        self, dataset_ids: Sequence[UUID], *, want_artifacts: bool = False, expected_type: str = ""
    ) -> list[FoundDataset | None]:
        """Return datasets by id, `None` where there is none.

        Parameters
        ----------
        expected_type
            Name of the type that they are expected to have, which makes it faster; those of others are found as well.
        """
        ...


class Puts(Protocol):
    """The protocol of putting: intent, bytes, commit."""

    def begin(self, request: BeginPut) -> list[PutIntent]:
        """Check a put and record the intent; the answer has the datasets of all batches in order.

        Raises
        ------
        MissingCollectionError, CollectionTypeError
            Raised if the run does not exist or is not a RUN.
        ConflictingDefinitionError
            Raised if the run has a dataset of that type and data ID already.
        DatasetTypeNotSupportedError
            Raised if no store takes one of the datasets.
        InvalidNameError
            Raised if a key that the client gave is none.
        InvalidRequestError
            Raised if the parts of a batch do not fit each other.
        """
        ...

    def commit(self, dataset_ids: Sequence[UUID], receipts: Sequence[bytes], *, request_id: UUID) -> None:
        """Make the datasets visible, all or none; a repeat of what was committed is a no-op.

        Raises
        ------
        IntentError
            Raised if an intent is unknown or expired, an artifact has no receipt, or some of the datasets that share
            one are left out.
        ConflictingDefinitionError
            Raised if another put of the same data ID was committed first.
        """
        ...

    def abort(self, dataset_ids: Sequence[UUID], *, request_id: UUID) -> list[bytes]:
        """Give up intents; return grants to discard what may have been written, but for what was to be adopted.

        Unknown ids are ignored.

        Raises `IntentError` if one of the datasets was committed.
        """
        ...

    def finish_abort(self, dataset_ids: Sequence[UUID], *, request_id: UUID) -> None:
        """Forget aborted intents whose artifacts were discarded."""
        ...


class Associations(Protocol):
    """Which datasets stand in TAGGED and CALIBRATION collections. Every call is all or none.

    All raise `MissingCollectionError`, `DatasetNotFoundError` for an id that no dataset has, and
    `CollectionTypeError` if the collection is of another type than the call is for.
    """

    def associate(self, collection: str, dataset_ids: Sequence[UUID], *, request_id: UUID) -> None:
        """Add datasets to a TAGGED collection; those that are in it already stay.

        Raises `ConflictingDefinitionError` if another dataset of the same type and data ID is in it.
        """
        ...

    def disassociate(self, collection: str, dataset_ids: Sequence[UUID], *, request_id: UUID) -> None:
        """Take datasets out of a TAGGED collection; those that are not in it, or do not exist, are ignored."""
        ...

    def certify(
        self, collection: str, dataset_ids: Sequence[UUID], timespan: Timespan, *, request_id: UUID
    ) -> None:
        """Say that calibration datasets are valid for a range of time in a CALIBRATION collection.

        Raises
        ------
        ConflictingDefinitionError
            Raised if the range overlaps one of the same type and data ID, even of the same dataset.
        CollectionTypeError, CalibrationTypeError
            Raised if the collection, or the type of a dataset, is none for calibrations.
        InvalidRequestError
            Raised for an empty range.
        """
        ...

    def decertify(
        self,
        collection: str,
        dataset_type: str,
        timespan: Timespan,
        *,
        request_id: UUID,
        data_ids: Sequence[Mapping[str, Any]] | None = None,
    ) -> None:
        """Take a range of time out of the validity of all datasets of a type, or of those with the data IDs.

        Ranges that lie inside go, those that reach over an end are cut, one that covers it is split in two.
        """
        ...
