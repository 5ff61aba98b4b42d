# SPDX-License-Identifier: BSD-3-Clause
"""Data IDs, dataset types and refs as JSON, in the form in which the older library writes and reads them."""

from __future__ import annotations

__all__ = ["DataIdForm", "DatasetRefForm", "DatasetTypeForm"]

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol, Self, TypeVar
from uuid import UUID

from .errors import ButlerError, DatasetNotFoundError, InvalidRequestError

if TYPE_CHECKING:
    from .data_id import DataCoordinate
    from .dataset import DatasetRef, DatasetType
    from .universe import DimensionUniverse


class Definitions(Protocol):
    """What of ``butler.registry`` minimal forms are completed by."""

    @property
    def dimensions(self) -> DimensionUniverse: ...

    def getDatasetType(self, name: str) -> DatasetType: ...

    def getDataset(self, id: UUID | str) -> DatasetRef | None: ...


class _HasForm(Protocol):
    """What has a simple form: a mapping of texts, numbers, lists and mappings."""

    def to_simple(self, minimal: bool = False) -> dict[str, Any]: ...

    @classmethod
    def from_simple(
        cls,
        simple: Mapping[str, Any],
        universe: DimensionUniverse | None = None,
        registry: Definitions | None = None,
    ) -> Self: ...


_AnyForm = TypeVar("_AnyForm", bound=_HasForm)


class _Form:
    """What has a simple form has one in JSON."""

    __slots__ = ()

    def to_json(self: _HasForm, minimal: bool = False) -> str:
        """Return `to_simple` as JSON."""
        return json.dumps(self.to_simple(minimal), separators=(",", ":"))

    @classmethod
    def from_json(  # noqa: PYI019 - Self would not say what the class needs
        cls: type[_AnyForm],
        json_str: str | bytes,
        universe: DimensionUniverse | None = None,
        registry: Definitions | None = None,
    ) -> _AnyForm:
        """Return what `to_json` was called of.

        Parameters
        ----------
        universe, registry
            Either of them; a minimal form of a dataset type or ref needs ``butler.registry``.

        Raises
        ------
        InvalidRequestError
            Raised for what is no such JSON, and if neither ``universe`` nor ``registry`` is given.
        """
        try:
            simple = json.loads(json_str)
            return cls.from_simple(simple, universe, registry)
        except ButlerError:
            raise  # some are KeyErrors, too
        except (json.JSONDecodeError, UnicodeDecodeError, TypeError, KeyError, AttributeError) as error:
            raise InvalidRequestError(
                f"{json_str!r:.200} is no {cls.__name__} as JSON: {error!r:.200}."
            ) from error


class DataIdForm(_Form):
    """The forms of a data ID; records are in none of them."""

    __slots__ = ()

    def to_simple(self, minimal: bool = False) -> dict[str, Any]:
        """Return ``{"dataId": {...}}``; a minimal one has the required values only."""
        known: DataCoordinate = self  # type: ignore[assignment]
        return {"dataId": dict(known.required if minimal else known.mapping)}

    @classmethod
    def from_simple(
        cls,
        simple: Mapping[str, Any],
        universe: DimensionUniverse | None = None,
        registry: Definitions | None = None,
    ) -> Self:
        """Return what `to_simple` was called of; ``universe`` or ``registry`` is needed."""
        made: Any = cls
        found: Self = made.standardize(simple["dataId"], universe=_universe(universe, registry))
        return found


class DatasetTypeForm(_Form):
    """The forms of a dataset type."""

    __slots__ = ()

    def to_simple(self, minimal: bool = False) -> dict[str, Any]:
        """Return the definition; a minimal one is only the name."""
        known: DatasetType = self  # type: ignore[assignment]
        if minimal:
            return {"name": known.name}
        simple = {
            "name": known.name,
            "storageClass": known.storageClass_name,
            "dimensions": list(known.dimensions.required),
        }
        if known.parentStorageClass_name is not None:
            simple["parentStorageClass"] = known.parentStorageClass_name
        return {**simple, "isCalibration": True} if known.isCalibration() else simple

    @classmethod
    def from_simple(
        cls,
        simple: Mapping[str, Any],
        universe: DimensionUniverse | None = None,
        registry: Definitions | None = None,
    ) -> Self:
        """Return what `to_simple` was called of; ``registry`` is needed for a minimal form."""
        made: Any = cls
        if simple.get("storageClass") is None:
            found: Any = _registry(registry, "name").getDatasetType(simple["name"])
        else:
            found = made(
                simple["name"],
                simple["dimensions"],
                simple["storageClass"],
                simple.get("parentStorageClass"),
                universe=_universe(universe, registry),
                isCalibration=simple.get("isCalibration", False),
            )
        checked: Self = found
        return checked


class DatasetRefForm(_Form):
    """The forms of a ref of a dataset."""

    __slots__ = ()

    def to_simple(self, minimal: bool = False) -> dict[str, Any]:
        """Return its type, data ID, id and run; a minimal one of a resolved ref is the id, and which component."""
        known: DatasetRef = self  # type: ignore[assignment]
        simple: dict[str, Any] = {} if known.id is None else {"id": str(known.id)}
        if minimal and known.id is not None:
            component = known.datasetType.component()
            return simple if component is None else {**simple, "component": component}
        simple |= {"datasetType": known.datasetType.to_simple(), "dataId": known.dataId.to_simple()}
        return simple if known.run is None else {**simple, "run": known.run}

    @classmethod
    def from_simple(
        cls,
        simple: Mapping[str, Any],
        universe: DimensionUniverse | None = None,
        registry: Definitions | None = None,
    ) -> Self:
        """Return what `to_simple` was called of; ``registry`` is needed for a minimal form.

        Raises
        ------
        DatasetNotFoundError
            Raised if there is no dataset of the id of a minimal form any more.
        """
        from .data_id import DataCoordinate
        from .dataset import DatasetType

        made: Any = cls
        if simple.get("datasetType") is None:
            found: Any = _dataset(_registry(registry, "id"), simple["id"], simple.get("component"))
        else:
            found = made(
                DatasetType.from_simple(simple["datasetType"], universe, registry),
                DataCoordinate.from_simple(simple["dataId"], universe, registry),
                simple.get("run"),
                id=None if simple.get("id") is None else UUID(simple["id"]),
            )
        checked: Self = found
        return checked


def _dataset(registry: Definitions, id: str, component: str | None) -> DatasetRef:
    found = registry.getDataset(id)
    if found is None:
        raise DatasetNotFoundError(f"There is no dataset with the id {id}.", dataset_id=id)
    if component is None:
        return found
    dataset_type = registry.getDatasetType(found.datasetType.componentTypeName(component))
    return found.makeComponentRef(component, dataset_type.storageClass_name)


def _registry(registry: Definitions | None, known: str) -> Definitions:
    if registry is None:
        raise InvalidRequestError(f"What is known only by its {known} needs registry=butler.registry.")
    return registry


def _universe(universe: DimensionUniverse | None, registry: Definitions | None) -> DimensionUniverse:
    if universe is None and registry is None:
        raise InvalidRequestError(
            "Dimensions are needed: give universe=butler.dimensions or registry=butler.registry."
        )
    return universe if universe is not None else _registry(registry, "name").dimensions
