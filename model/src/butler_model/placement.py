# SPDX-License-Identifier: BSD-3-Clause
"""Placement: which store takes an artifact, and under which key. Putting, ingesting and predicting all ask here."""

from __future__ import annotations

__all__ = ["Place", "Placement"]

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from .artifact import ArtifactLayout
from .config_lookup import lookup_keys, normal_key
from .dataset import DatasetRef, DatasetType
from .errors import ConfigurationError, DatasetTypeNotSupportedError
from .path_template import PathTemplate
from .repository import Constraints, Store
from .universe import DimensionUniverse


@dataclass(frozen=True, slots=True)
class Place:
    """Where an artifact belongs.

    Attributes
    ----------
    members
        Of a chain, the members that take it; empty if the store is none.
    """

    store: str
    key: str
    members: tuple[str, ...] = ()


class Placement:
    """Places artifacts in the stores of a repository: the first store that takes a dataset gets it.

    Raises
    ------
    ConfigurationError
        Raised if a template is malformed.
    """

    def __init__(self, stores: Sequence[Store], universe: DimensionUniverse) -> None:
        self._stores = [_PlacingStore(store, universe) for store in stores]
        # What was decided for datasets of one type, layout and instrument; as many as there are of these.
        self._decided: dict[tuple[DatasetType, str, str, Any], tuple[_PlacingStore, list[str]]] = {}

    def place(self, ref: DatasetRef, layout: ArtifactLayout) -> Place:
        """Return where an artifact belongs.

        Parameters
        ----------
        ref
            A resolved ref, of the composite, whose data ID has records.
        layout
            What is to be stored.

        Raises
        ------
        DatasetTypeNotSupportedError
            Raised if no store takes it.
        ConfigurationError
            Raised if the template needs something that the dataset does not have.
        """
        instrument = ref.dataId.get("instrument")
        kind = (ref.datasetType, layout.component, layout.storage_class, instrument)
        decided = self._decided.get(kind)
        if decided is None:
            decided = self._decided[kind] = self._decide(*kind)
        store, keys = decided
        return Place(store.name, store.template(keys).place(ref, layout), store.accepting(keys))

    def check(
        self, dataset_type: DatasetType, component: str, storage_class: str, instrument: str | None
    ) -> None:
        """Check that some store takes datasets of a type, and that they have what its template needs.

        Parameters
        ----------
        component
            The component that is stored by itself, empty for the whole.
        instrument
            Value of that dimension, `None` if the type does not have it.

        Raises
        ------
        DatasetTypeNotSupportedError
            Raised if no store takes it.
        ConfigurationError
            Raised if the template needs something that the datasets do not have.
        """
        store, keys = self._decide(dataset_type, component, storage_class, instrument)
        template = store.template(keys)
        if missing := template.missing_fields(dataset_type, component):
            raise ConfigurationError(
                f"The path template {template.template!r} needs {missing[0]!r}, which datasets of type "
                f"{dataset_type.name!r} do not have; mark it as optional: {{{missing[0]}:?}}."
            )

    def _decide(
        self, dataset_type: DatasetType, component: str, storage_class: str, instrument: Any
    ) -> tuple[_PlacingStore, list[str]]:
        held = dataset_type
        if component:
            held = dataset_type.makeComponentDatasetType(component, storage_class)
        keys = list(lookup_keys(held, None if instrument is None else str(instrument)))
        for store in self._stores:
            if store.accepts(keys):
                return store, keys
        raise DatasetTypeNotSupportedError(
            f"No store of this repository takes datasets of type {held.name!r}; its stores decide by the keys "
            f"{', '.join(keys[:-1])}.",
            dataset_type=dataset_type.name,
        )


class _PlacingStore:
    """What one store takes, and where it puts it."""

    def __init__(self, store: Store, universe: DimensionUniverse) -> None:
        def normal(constraints: Constraints) -> Constraints:
            def keys(given: Iterable[str]) -> tuple[str, ...]:
                return tuple(normal_key(key, universe) for key in given)

            return Constraints(keys(constraints.accept), keys(constraints.reject))

        self.name = store.name
        self._constraints = normal(store.constraints)
        self._members = {name: normal(constraints) for name, constraints in store.members.items()}
        self._default = PathTemplate(store.template)
        self._templates = {normal_key(k, universe): PathTemplate(t) for k, t in store.templates.items()}

    def accepts(self, keys: Sequence[str]) -> bool:
        """Return whether it takes a dataset that is found under these keys."""
        return self._constraints.accepts(keys) and (not self._members or bool(self.accepting(keys)))

    def accepting(self, keys: Sequence[str]) -> tuple[str, ...]:
        """Return the members that take such a dataset."""
        return tuple(name for name, constraints in self._members.items() if constraints.accepts(keys))

    def template(self, keys: Sequence[str]) -> PathTemplate:
        """Return the template for such a dataset."""
        return next((self._templates[key] for key in keys if key in self._templates), self._default)
