# SPDX-License-Identifier: BSD-3-Clause
"""From the ways in which a dataset can be named to the dataset."""

from __future__ import annotations

__all__ = [
    "DatasetAccess",
    "DatasetFinder",
    "KnownDatasetTypes",
    "Wanted",
    "check_timespan",
    "check_writeable",
    "dataset_uuid",
    "only_type",
    "registered",
]

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from butler_model.dataset import DatasetRef, DatasetType
from butler_model.errors import (
    DatasetNotFoundError,
    DatasetTypeMismatchError,
    DimensionNameError,
    InvalidRequestError,
    ReadOnlyError,
)
from butler_model.ports import DatasetLookup, FoundDataset
from butler_model.timespan import Timespan
from butler_model.universe import DimensionGroup

from .composites import component_class
from .connect import Connection
from .dataset_arguments import check_refs, type_name
from .defaults import RegistryDefaults, dimensions_of, plain_data_id
from .storage_classes import default_storage_classes
from .transactions import CurrentRegistry


@dataclass(frozen=True, slots=True)
class Wanted:
    """A dataset as a caller named it.

    Attributes
    ----------
    dataset_type
        Name, without component.
    component
        Name of the component wanted, `None` for the whole.
    data_id
        As given, without defaults.
    id
        The id that it must have, if it was named by a resolved ref.
    """

    dataset_type: str
    component: str | None
    data_id: Mapping[str, Any]
    id: UUID | None = None


class KnownDatasetTypes:
    """Dataset types of a repository, remembered once seen: their definitions do not change."""

    def __init__(self, port: CurrentRegistry) -> None:
        self._port = port
        self._known: dict[str, DatasetType] = {}

    def peek(self, name: str) -> DatasetType | None:
        """Return a type if it was seen before."""
        return self._known.get(name)

    def get(self, name: str) -> DatasetType:
        """Return a type; `MissingDatasetTypeError` if there is none."""
        known = self._known.get(name)
        if known is None:
            known = self._port.dataset_types.get(name)
            self.remember([known])
        return known

    def remember(self, dataset_types: Iterable[DatasetType]) -> None:
        """Take note of types that were seen, but not in a transaction, which may be rolled back."""
        if not self._port.in_transaction:
            self._known.update((dataset_type.name, dataset_type) for dataset_type in dataset_types)

    def forget(self, name: str) -> None:
        """Ask again when the type is next needed."""
        self._known.pop(name, None)

    def with_component(self, name: str) -> DatasetType:
        """Return a type, or that of a component of it; `StorageClassError` if it has no such component."""
        parent, component = DatasetType.splitDatasetTypeName(type_name(name))
        dataset_type = self.get(parent)
        return dataset_type if component is None else _component_type(dataset_type, component)

    def check(self, given: DatasetType) -> DatasetType:
        """Return the registered type of that name (of the composite, for a component).

        Raises
        ------
        MissingDatasetTypeError
            Raised if there is none.
        DatasetTypeMismatchError
            Raised if it differs from the one given, other than in a storage class to which objects convert.
        """
        whole = given.makeCompositeDatasetType() if given.isComponent() else given
        registered = self.get(whole.name)
        if not _is_compatible(whole, registered):
            self.forget(whole.name)
            registered = self.get(whole.name)
        if not _is_compatible(whole, registered):
            raise DatasetTypeMismatchError(
                f"{whole} differs from the registered {registered}; take it from "
                "butler.registry.getDatasetType.",
                dataset_type=whole.name,
            )
        return registered


def _is_compatible(given: DatasetType, registered: DatasetType) -> bool:
    """Return whether objects of the registered type can be had as the given one says, or the other way round."""
    if given == registered:
        return True
    if given.overrideStorageClass(registered.storageClass_name) != registered:
        return False
    known = default_storage_classes()
    if given.storageClass_name not in known or registered.storageClass_name not in known:
        return False
    mine, theirs = (known.getStorageClass(each.storageClass_name) for each in (given, registered))
    return mine.can_convert(theirs) or theirs.can_convert(mine)


class DatasetFinder:
    """Finds datasets by type and data ID, with the defaults of one butler."""

    def __init__(self, connection: Connection, defaults: RegistryDefaults) -> None:
        self._port = connection.registry
        self._info = connection.info
        self._defaults = defaults
        self.types = KnownDatasetTypes(self._port)

    def wanted(
        self,
        named: DatasetRef | DatasetType | str,
        data_id: Any = None,
        keywords: Mapping[str, Any] | None = None,
    ) -> Wanted:
        """Read the arguments that name a dataset.

        Raises
        ------
        InvalidRequestError
            Raised for a ref together with a data ID, and for what is no ref, dataset type or name.
        DatasetTypeMismatchError, MissingDatasetTypeError
            Raised if a dataset type is not the registered one.
        """
        keywords = keywords or {}
        if isinstance(named, DatasetRef):
            if data_id is not None or keywords:
                raise InvalidRequestError(
                    f"{named} has a data ID already; give no other one along with a ref."
                )
            self.types.check(named.datasetType)
            return Wanted(*named.datasetType.nameAndComponent(), plain_data_id(named.dataId, {}), named.id)
        if isinstance(named, DatasetType):
            self.types.check(named)
            named = named.name
        if not isinstance(named, str):
            raise InvalidRequestError(
                f"A dataset is named by a ref, a dataset type or the name of one, not by {named!r:.80}."
            )
        return Wanted(*DatasetType.splitDatasetTypeName(named), plain_data_id(data_id, keywords))

    def find(
        self,
        wanted: Wanted,
        collections: tuple[str, ...],
        *,
        timespan: Timespan | None = None,
        want_artifacts: bool = False,
    ) -> FoundDataset | None:
        """Return the first dataset in the collections, `None` if there is none."""
        if timespan is not None:
            check_timespan(timespan)
        filled = self._defaults.fill(wanted.data_id, self._dimensions_for(wanted))

        def find(data_id: Mapping[str, Any]) -> FoundDataset | None:
            lookup = DatasetLookup(wanted.dataset_type, [data_id], collections, timespan, want_artifacts)
            return self._port.datasets.find(lookup)[0]

        try:
            return find(filled)
        except DimensionNameError:
            # The type may need a governor dimension that the keys given did not ask for.
            again = self._defaults.fill(wanted.data_id, self.types.get(wanted.dataset_type).dimensions)
            if again == filled:
                raise
            return find(again)

    def find_one(
        self, wanted: Wanted, collections: tuple[str, ...], *, timespan: Timespan | None = None
    ) -> FoundDataset:
        """Return the first dataset in the collections, with its artifacts.

        Raises
        ------
        DatasetNotFoundError
            Raised if there is none.
        DatasetTypeMismatchError
            Raised if a ref with another id was given.
        """
        found = self.find(wanted, collections, timespan=timespan, want_artifacts=True)
        if found is None:
            raise not_found(wanted, collections)
        if wanted.id not in (None, found.ref.id):
            raise DatasetTypeMismatchError(
                f"The ref given has the id {wanted.id}, but {', '.join(collections)} hold {found.ref}; "
                "use getDirect to read it wherever it is.",
                dataset_type=wanted.dataset_type,
            )
        return found

    def find_many(self, wanted: Sequence[Wanted], collections: tuple[str, ...]) -> list[FoundDataset]:
        """Return datasets with their artifacts, all of them or a `DatasetNotFoundError`."""
        by_type: dict[str, list[int]] = {}
        for i, one in enumerate(wanted):
            by_type.setdefault(one.dataset_type, []).append(i)
        found: dict[int, FoundDataset | None] = {}
        size = self._info.limits.batch_items
        for name, indices in by_type.items():
            dimensions = self.types.get(name).dimensions
            for start in range(0, len(indices), size):
                batch = indices[start : start + size]
                data_ids = [self._defaults.fill(wanted[i].data_id, dimensions) for i in batch]
                lookup = DatasetLookup(name, data_ids, collections, want_artifacts=True)
                found.update(zip(batch, self._port.datasets.find(lookup), strict=True))
        return [_existing(found[i], one, collections) for i, one in enumerate(wanted)]

    def by_id(
        self, ids: Sequence[UUID], *, want_artifacts: bool = False, expected_type: str = ""
    ) -> list[FoundDataset | None]:
        """Return datasets by id, `None` where there is none; faster if most are of the type that is expected."""
        size = self._info.limits.batch_items
        get = self._port.datasets.get
        return [
            found
            for start in range(0, len(ids), size)
            for found in get(
                ids[start : start + size], want_artifacts=want_artifacts, expected_type=expected_type
            )
        ]

    def by_refs(self, refs: Sequence[DatasetRef]) -> list[FoundDataset]:
        """Return the datasets of resolved refs with their artifacts, wherever they are.

        Raises
        ------
        AmbiguousDatasetError, DatasetNotFoundError
            Raised if a ref is not resolved, or there is no dataset with its id.
        DatasetTypeMismatchError
            Raised if the dataset is of another type than the ref.
        """
        ids = [ref.getCheckedId() for ref in check_refs(refs)]
        found = self.by_id(ids, want_artifacts=True, expected_type=only_type(refs))
        return [
            _of_ref(registered(one, ref.getCheckedId()), ref) for one, ref in zip(found, refs, strict=True)
        ]

    def ref_of(self, found: FoundDataset, component: str | None) -> DatasetRef:
        """Return the ref of what was found, or of a component of it."""
        if component is None:
            return found.ref
        dataset_type = _component_type(found.ref.datasetType, component)
        return DatasetRef(dataset_type, found.ref.dataId, found.ref.run, id=found.ref.id)

    def _dimensions_for(self, wanted: Wanted) -> DimensionGroup:
        known = self.types.peek(wanted.dataset_type)
        if known is not None:
            return known.dimensions
        universe = self._info.universe
        if wanted.data_id and all(name in universe for name in wanted.data_id):
            return dimensions_of(universe, wanted.data_id)
        return self.types.get(wanted.dataset_type).dimensions


class DatasetAccess:
    """What the reading and the writing half of a butler share."""

    _connection: Connection
    _defaults: RegistryDefaults
    _finder: DatasetFinder


def check_writeable(writeable: bool, what: str) -> None:
    """Raise `ReadOnlyError` unless a butler may change what it is asked to."""
    if not writeable:
        raise ReadOnlyError(f"Butler is read-only. Open it with writeable=True to {what}.")


def check_timespan(timespan: Timespan) -> Timespan:
    """Return a range of time; `InvalidRequestError` for what is none, such as an instant."""
    if not isinstance(timespan, Timespan):
        raise InvalidRequestError(
            f"A range of time is a Timespan, not {timespan!r:.80}; Timespan.fromInstant makes one of an instant."
        )
    return timespan


def dataset_uuid(id: UUID | str) -> UUID:
    """Return the id of a dataset, which may be given as text; `InvalidRequestError` for what is none."""
    try:
        return id if isinstance(id, UUID) else UUID(id)
    except (ValueError, AttributeError, TypeError):
        raise InvalidRequestError(f"{id!r:.80} is no id of a dataset; give a UUID.") from None


def not_found(wanted: Wanted, collections: tuple[str, ...]) -> DatasetNotFoundError:
    """Return the error for a dataset that is not in the collections."""
    values = ", ".join(f"{name}: {value!r}" for name, value in wanted.data_id.items())
    searched = ", ".join(collections) or "no collection"
    return DatasetNotFoundError(
        f"There is no dataset {wanted.dataset_type!r} with data ID {{{values}}} in {searched}; "
        "butler.registry.queryDatasets lists those that are.",
        dataset_type=wanted.dataset_type,
    )


def _existing(found: FoundDataset | None, wanted: Wanted, collections: tuple[str, ...]) -> FoundDataset:
    if found is None:
        raise not_found(wanted, collections)
    return found


def registered(found: FoundDataset | None, id: UUID) -> FoundDataset:
    """Return what was found by an id; `DatasetNotFoundError` if that is nothing."""
    if found is None:
        raise DatasetNotFoundError(f"There is no dataset with the id {id}.", dataset_id=str(id))
    return found


def only_type(refs: Iterable[DatasetRef]) -> str:
    """Return the name of the one type, without component, that refs have; empty if there are several."""
    names = {ref.datasetType.name for ref in refs}
    return DatasetType.splitDatasetTypeName(names.pop())[0] if len(names) == 1 else ""


def _of_ref(found: FoundDataset, ref: DatasetRef) -> FoundDataset:
    if found.ref.datasetType.name != ref.datasetType.nameAndComponent()[0]:
        raise DatasetTypeMismatchError(
            f"The ref given is {ref}, but {ref.id} is {found.ref}.", dataset_id=str(ref.id)
        )
    return found


def _component_type(dataset_type: DatasetType, component: str) -> DatasetType:
    storage_class = default_storage_classes().getStorageClass(dataset_type.storageClass_name)
    return dataset_type.makeComponentDatasetType(component, component_class(storage_class, component))
