# SPDX-License-Identifier: BSD-3-Clause
"""Dataset types and references to datasets."""

from __future__ import annotations

__all__ = ["DatasetRef", "DatasetType", "new_dataset_id"]

import os
import re
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from .collection import check_collection_name
from .data_id import DataCoordinate
from .errors import AmbiguousDatasetError, DatasetTypeMismatchError, InvalidNameError, InvalidRequestError
from .json_form import DatasetRefForm, DatasetTypeForm
from .storage_class import StorageClass
from .universe import DimensionGroup, DimensionUniverse

MAX_DATASET_TYPE_NAME = 128
MAX_STORAGE_CLASS_NAME = 128
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*")

_uuid_lock = threading.Lock()
_last_ticks = 0


def new_dataset_id() -> UUID:
    """Return a new UUID of version 7 (RFC 9562, section 5.7); those of one process ascend.

    Ascending ids keep a database index compact. The 12 bits after the milliseconds hold its fraction
    (section 6.2, method 3), the last 62 bits are random.
    """
    global _last_ticks
    with _uuid_lock:
        ticks = (time.time_ns() << 12) // 1_000_000
        _last_ticks = ticks = max(ticks, _last_ticks + 1)
    milliseconds, fraction = ticks >> 12, ticks & 0xFFF
    random = int.from_bytes(os.urandom(8), "big") & (2**62 - 1)
    return UUID(int=milliseconds << 80 | 7 << 76 | fraction << 64 | 0b10 << 62 | random)


class DatasetType(DatasetTypeForm):
    """What datasets of one kind have in common; immutable.

    Parameters
    ----------
    name
        Dotted identifiers; what follows the first dot names a component of a composite.
    dimensions
        A group, or names of dimensions together with ``universe``.
    storageClass
        A storage class or its name; the class need not be known here.
    parentStorageClass
        Storage class of the composite, for a component and only then.
    isCalibration
        Whether datasets may stand in CALIBRATION collections.

    Raises
    ------
    InvalidNameError
        Raised if the name is malformed or that of a governor dimension.
    InvalidRequestError
        Raised if component name and ``parentStorageClass`` do not go together, or no universe is known.
    """

    __slots__ = ("_is_calibration", "dimensions", "name", "parentStorageClass_name", "storageClass_name")

    def __init__(
        self,
        name: str,
        dimensions: DimensionGroup | Iterable[str],
        storageClass: StorageClass | str,
        parentStorageClass: StorageClass | str | None = None,
        *,
        universe: DimensionUniverse | None = None,
        isCalibration: bool = False,
    ) -> None:
        if not isinstance(name, str) or len(name) > MAX_DATASET_TYPE_NAME or not _NAME.fullmatch(name):
            raise InvalidNameError(
                f"{name!r:.200} is no dataset type name: use identifiers separated by dots, "
                f"{MAX_DATASET_TYPE_NAME} characters at most.",
                name=str(name)[:MAX_DATASET_TYPE_NAME],
            )
        if not isinstance(dimensions, DimensionGroup):
            if universe is None:
                raise InvalidRequestError(f"Dataset type {name!r} needs a universe or a dimension group.")
            dimensions = universe.conform(dimensions)
        if name in dimensions.universe.governors:
            raise InvalidNameError(f"A dataset type cannot have the name of the governor dimension {name!r}.")
        if ("." in name) != (parentStorageClass is not None):
            raise InvalidRequestError(
                f"Dataset type {name!r}: a component (a name with a dot) needs parentStorageClass, and nothing "
                "else has one.",
                name=name,
            )
        self.name = name
        self.dimensions = dimensions
        self.storageClass_name = _storage_class_name(storageClass)
        self.parentStorageClass_name = (
            None if parentStorageClass is None else _storage_class_name(parentStorageClass)
        )
        self._is_calibration = bool(isCalibration)

    def isCalibration(self) -> bool:
        """Return whether datasets may stand in CALIBRATION collections."""
        return self._is_calibration

    @property
    def universe(self) -> DimensionUniverse:
        """The universe of its dimensions."""
        return self.dimensions.universe

    @staticmethod
    def splitDatasetTypeName(name: str) -> tuple[str, str | None]:
        """Split at the first dot into the composite's name and the component's, `None` if there is no dot."""
        parent, dot, component = name.partition(".")
        return parent, component if dot else None

    @staticmethod
    def nameWithComponent(name: str, component: str) -> str:
        """Return the name of a component's dataset type."""
        return f"{name}.{component}"

    def nameAndComponent(self) -> tuple[str, str | None]:
        """Return the composite's name and the component's, `None` if this is no component."""
        return self.splitDatasetTypeName(self.name)

    def component(self) -> str | None:
        """Return the component's name, `None` if this is no component."""
        return self.nameAndComponent()[1]

    def isComponent(self) -> bool:
        """Return whether this is the type of a component."""
        return "." in self.name

    def componentTypeName(self, component: str) -> str:
        """Return the name of a component's dataset type."""
        return self.nameWithComponent(self.name, component)

    def makeComponentDatasetType(self, component: str, storageClass: StorageClass | str) -> DatasetType:
        """Return the type of a component; unlike the older library's it keeps ``isCalibration``."""
        return DatasetType(
            self.componentTypeName(component),
            self.dimensions,
            storageClass,
            parentStorageClass=self.storageClass_name,
            isCalibration=self._is_calibration,
        )

    def makeCompositeDatasetType(self) -> DatasetType:
        """Return the type of the composite that this is a component of."""
        if self.parentStorageClass_name is None:
            raise InvalidRequestError(f"{self.name!r} is no component.", name=self.name)
        return DatasetType(
            self.nameAndComponent()[0],
            self.dimensions,
            self.parentStorageClass_name,
            isCalibration=self._is_calibration,
        )

    def overrideStorageClass(self, storageClass: StorageClass | str) -> DatasetType:
        """Return the same type with another storage class, to get objects as, or put objects that convert."""
        return DatasetType(
            self.name,
            self.dimensions,
            storageClass,
            parentStorageClass=self.parentStorageClass_name,
            isCalibration=self._is_calibration,
        )

    def _key(self) -> tuple[Any, ...]:
        return (
            self.name,
            self.dimensions,
            self.storageClass_name,
            self.parentStorageClass_name,
            self._is_calibration,
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DatasetType) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash((self.name, self.storageClass_name))

    def __lt__(self, other: DatasetType) -> bool:
        return self.name < other.name

    def __reduce__(self) -> tuple[Any, ...]:
        args = (self.name, self.dimensions, self.storageClass_name, self.parentStorageClass_name)
        return (_restore_type, (*args, self._is_calibration))

    def __repr__(self) -> str:
        calibration = ", isCalibration=True" if self._is_calibration else ""
        return f"DatasetType({self.name!r}, {self.dimensions}, {self.storageClass_name}{calibration})"


class DatasetRef(DatasetRefForm):
    """A reference to one dataset, or, without id and run, to a dataset type and data ID; immutable.

    Parameters
    ----------
    datasetType, dataId
        What it is; a data ID with more dimensions than the type has is cut down.
    run
        Name of the RUN collection it is in; without one the ref is *unresolved*.
    id
        Its UUID; made anew if there is a run and no id.
    """

    __slots__ = ("dataId", "datasetType", "id", "run")

    def __init__(
        self,
        datasetType: DatasetType,
        dataId: DataCoordinate | Mapping[str, Any],
        run: str | None = None,
        *,
        id: UUID | None = None,
    ) -> None:
        if id is not None and run is None:
            raise InvalidRequestError(
                f"A ref to a dataset of type {datasetType!r:.80} with an id needs its run."
            )
        if run is not None:
            check_collection_name(run)
            id = id or new_dataset_id()  # noqa: A001 - the public name of the argument
        if not isinstance(datasetType, DatasetType):
            raise InvalidRequestError(
                f"A ref is of a DatasetType, not of {datasetType!r:.80}; butler.get_dataset_type finds one by its name."
            )
        self.datasetType = datasetType
        self.dataId = DataCoordinate.standardize(dataId, dimensions=datasetType.dimensions)
        self.id = id
        self.run = run

    @classmethod
    def from_checked(cls, datasetType: DatasetType, dataId: DataCoordinate, run: str, id: UUID) -> DatasetRef:
        """Make a resolved ref from parts that a registry gave; none is looked at."""
        self = object.__new__(cls)
        self.datasetType = datasetType
        self.dataId = dataId
        self.id = id
        self.run = run
        return self

    @property
    def dimensions(self) -> DimensionGroup:
        """The dimensions of its data ID."""
        return self.datasetType.dimensions

    @property
    def is_resolved(self) -> bool:
        """Whether it has an id and a run."""
        return self.id is not None

    def isComponent(self) -> bool:
        """Return whether it refers to a component of a composite."""
        return self.datasetType.isComponent()

    def getCheckedId(self) -> UUID:
        """Return the id; `AmbiguousDatasetError` if the ref is unresolved."""
        if self.id is None:
            raise AmbiguousDatasetError(
                f"{self} has no id: find it first with butler.find_dataset.",
                dataset_type=self.datasetType.name,
            )
        return self.id

    def unresolved(self) -> DatasetRef:
        """Return the ref without id and run."""
        return DatasetRef(self.datasetType, self.dataId)

    def expanded(self, dataId: DataCoordinate) -> DatasetRef:
        """Return the ref with an equal data ID that knows more; `DatasetTypeMismatchError` if it is not equal."""
        if dataId != self.dataId:
            raise DatasetTypeMismatchError(f"{dataId} is not the data ID of {self}.")
        return DatasetRef(self.datasetType, dataId, self.run, id=self.id)

    def makeComponentRef(self, component: str, storageClass: StorageClass | str) -> DatasetRef:
        """Return the ref of a component, with the same id, run and data ID."""
        datasetType = self.datasetType.makeComponentDatasetType(component, storageClass)
        return DatasetRef(datasetType, self.dataId, self.run, id=self.id)

    def makeCompositeRef(self) -> DatasetRef:
        """Return the ref of the composite that this is a component of."""
        return DatasetRef(self.datasetType.makeCompositeDatasetType(), self.dataId, self.run, id=self.id)

    def overrideStorageClass(self, storageClass: StorageClass | str) -> DatasetRef:
        """Return the ref of the same dataset, whose object is to be had as another storage class."""
        datasetType = self.datasetType.overrideStorageClass(storageClass)
        return DatasetRef(datasetType, self.dataId, self.run, id=self.id)

    @staticmethod
    def groupByType(refs: Iterable[DatasetRef]) -> Mapping[DatasetType, Sequence[DatasetRef]]:
        """Group refs by dataset type, in order of first appearance."""
        groups: dict[DatasetType, list[DatasetRef]] = {}
        for ref in refs:
            groups.setdefault(ref.datasetType, []).append(ref)
        return groups

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, DatasetRef):
            return NotImplemented
        return (self.id, self.datasetType, self.dataId) == (other.id, other.datasetType, other.dataId)

    def __hash__(self) -> int:
        return hash((self.datasetType, self.dataId, self.id))

    def __lt__(self, other: DatasetRef) -> bool:
        mine = (self.run or "", self.datasetType.name)
        theirs = (other.run or "", other.datasetType.name)
        return mine < theirs or (mine == theirs and self.dataId < other.dataId)

    def __reduce__(self) -> tuple[Any, ...]:
        return (_restore_ref, (self.datasetType, self.dataId, self.run, self.id))

    def __str__(self) -> str:
        where = f" in {self.run} ({self.id})" if self.run else ""
        return f"{self.datasetType.name}@{self.dataId}{where}"

    def __repr__(self) -> str:
        return f"DatasetRef({self})"


def _storage_class_name(storage_class: StorageClass | str) -> str:
    name = storage_class if isinstance(storage_class, str) else getattr(storage_class, "name", None)
    if not isinstance(name, str):
        raise InvalidNameError(f"{storage_class!r:.80} is no storage class; give one, or the name of one.")
    if len(name) > MAX_STORAGE_CLASS_NAME or not name.isidentifier() or not name.isascii():
        raise InvalidNameError(
            f"{name!r:.200} is no storage class name: use an identifier of {MAX_STORAGE_CLASS_NAME} characters at "
            "most.",
            name=name[:MAX_STORAGE_CLASS_NAME],
        )
    return name


def _restore_type(
    name: str, dimensions: DimensionGroup, storage_class: str, parent: str | None, is_calibration: bool
) -> DatasetType:
    return DatasetType(name, dimensions, storage_class, parent, isCalibration=is_calibration)


def _restore_ref(
    dataset_type: DatasetType, data_id: DataCoordinate, run: str | None, id: UUID | None
) -> DatasetRef:
    return DatasetRef(dataset_type, data_id, run, id=id)
