# SPDX-License-Identifier: BSD-3-Clause
"""The contracts of the two services, in domain types.

The services implement them; `butler.remote` implements them over gRPC stubs; `butler.Butler` takes either. Every
mutation carries a ``request_id`` so that it can be repeated when its outcome is unknown.
"""

from __future__ import annotations

__all__ = [
    "BeginPut",
    "Collections",
    "DatasetLookup",
    "DatasetTypes",
    "Datasets",
    "Datastore",
    "DimensionRecords",
    "FoundDataset",
    "PutBatch",
    "PutIntent",
    "Puts",
    "Queries",
    "Registry",
    "Repositories",
    "WriteGrant",
]

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import UUID

from .artifact import Artifact, ArtifactLayout, SignedReceipt
from .collection import Collection, CollectionType
from .data_id import DataCoordinate
from .dataset import DatasetRef, DatasetType
from .paging import PageRequest, ResultPage
from .query.spec import QuerySpec
from .records import DimensionRecord
from .repository import RepositoryInfo
from .timespan import Timespan
from .universe import DimensionGroup, DimensionUniverse


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
    """

    dataset_type: str
    storage_class: str
    data_ids: Sequence[Mapping[str, Any]]
    dataset_ids: Sequence[UUID]
    artifacts: tuple[ArtifactLayout, ...]


@dataclass(frozen=True, slots=True)
class BeginPut:
    """The intent to put datasets into one run.

    Attributes
    ----------
    lease_seconds
        How long the client may take until it commits, 1 to 86,400.
    """

    request_id: UUID
    run: str
    batches: tuple[PutBatch, ...]
    lease_seconds: int = 3600


@dataclass(frozen=True, slots=True)
class WriteGrant:
    """Leave to write one artifact: signed token, and the key that it will have."""

    component: str
    key: str
    token: bytes


@dataclass(frozen=True, slots=True)
class PutIntent:
    """What the registry holds ready for one dataset: its expanded data ID and the grants to write it."""

    dataset_id: UUID
    data_id: DataCoordinate
    grants: tuple[WriteGrant, ...]


class DimensionRecords(Protocol):
    """Records of dimensions."""

    def insert(
        self,
        element: str,
        records: Sequence[DimensionRecord],
        *,
        request_id: UUID,
        skip_existing: bool = False,
    ) -> int:
        """Insert records of one element, all or none; return how many were new.

        Raises
        ------
        ConflictingDefinitionError
            Raised if one exists already, unless ``skip_existing``, or two agree in an alternate key.
        MissingParentError
            Raised if one refers to a record that does not exist.
        """
        ...

    def sync(self, record: DimensionRecord, *, request_id: UUID) -> bool:
        """Insert a record unless an identical one exists; return whether it was inserted.

        Raises `ConflictingDefinitionError` if one exists that differs.
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


class Datasets(Protocol):
    """Datasets that exist."""

    def find(self, lookup: DatasetLookup) -> list[FoundDataset | None]:
        """Return the first dataset found for each data ID, `None` where there is none.

        Raises `MissingDatasetTypeError`, `MissingCollectionError`, and the errors of data IDs.
        """
        ...

    def get(self, dataset_ids: Sequence[UUID], *, want_artifacts: bool = False) -> list[FoundDataset | None]:
        """Return datasets by id, `None` where there is none."""
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
        """
        ...

    def commit(self, dataset_ids: Sequence[UUID], receipts: Sequence[bytes], *, request_id: UUID) -> None:
        """Make the datasets visible, all or none; a repeat of what was committed is a no-op.

        Raises
        ------
        IntentError
            Raised if an intent is unknown or expired, or an artifact has no receipt.
        ConflictingDefinitionError
            Raised if another put of the same data ID was committed first.
        """
        ...

    def abort(self, dataset_ids: Sequence[UUID], *, request_id: UUID) -> list[bytes]:
        """Give up intents; return grants to discard what may have been written. Unknown ids are ignored.

        Raises `IntentError` if one of the datasets was committed.
        """
        ...

    def finish_abort(self, dataset_ids: Sequence[UUID], *, request_id: UUID) -> None:
        """Forget aborted intents whose artifacts were discarded."""
        ...


class Queries(Protocol):
    """Queries."""

    def page(self, spec: QuerySpec, page: PageRequest) -> ResultPage:
        """Return one page of a query's distinct rows, in the order of their keys.

        Raises `InvalidPageTokenError` for a token that is not of this query.
        """
        ...


class Registry(Protocol):
    """The registry of one repository."""

    @property
    def info(self) -> RepositoryInfo:
        """What the repository is."""
        ...

    @property
    def revision(self) -> int:
        """A revision not later than what the latest call of this thread saw, nor earlier than what it made."""
        ...

    @property
    def dimension_records(self) -> DimensionRecords: ...
    @property
    def collections(self) -> Collections: ...
    @property
    def dataset_types(self) -> DatasetTypes: ...
    @property
    def datasets(self) -> Datasets: ...
    @property
    def puts(self) -> Puts: ...
    @property
    def queries(self) -> Queries: ...

    def close(self) -> None:
        """Give back connections."""
        ...


class Repositories(Protocol):
    """All repositories of a deployment."""

    def create(self, name: str, universe: DimensionUniverse, *, request_id: UUID) -> RepositoryInfo:
        """Create an empty repository; `RepositoryExistsError` if there is one of that name."""
        ...

    def open(self, name: str) -> Registry:
        """Return the registry of a repository, shared by all who open it; safe to use from many threads.

        Raises `RepositoryNotFoundError`, or `IncompatibleVersionError` if its schema is of another version.
        """
        ...

    def names(self) -> list[str]:
        """Return the names of all repositories, ascending."""
        ...

    def close(self) -> None:
        """Give back all connections."""
        ...


class Datastore(Protocol):
    """The datastore: it turns grants into bytes, and bytes into receipts."""

    def write(self, grant: bytes, content: Iterable[bytes]) -> SignedReceipt:
        """Store an artifact from pieces; nothing is visible until it is whole and durable.

        Raises `GrantError`, `ArtifactExistsError`, `LimitExceededError`, `StoreFullError`.
        """
        ...

    def write_batch(self, items: Sequence[tuple[bytes, bytes]]) -> list[SignedReceipt]:
        """Store small artifacts, given as (grant, content), all or none."""
        ...

    def read(self, grant: bytes, offset: int = 0, limit: int | None = None) -> Iterator[bytes]:
        """Yield the bytes of an artifact from ``offset`` on, at most ``limit`` of them.

        Raises `GrantError`, `ArtifactNotFoundError`, `ArtifactIntegrityError`.
        """
        ...

    def read_batch(self, grants: Sequence[bytes]) -> list[bytes]:
        """Return the whole contents of small artifacts, in order."""
        ...

    def exists(self, grants: Sequence[bytes]) -> list[bool]:
        """Return, for each READ grant, whether the artifact is there with its recorded size."""
        ...

    def discard(self, grants: Sequence[bytes]) -> None:
        """Remove what aborted puts may have written; absent artifacts are done already."""
        ...

    def close(self) -> None:
        """Give back what is held open."""
        ...
