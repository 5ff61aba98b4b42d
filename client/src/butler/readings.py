# SPDX-License-Identifier: BSD-3-Clause
"""Which artifacts make up what is wanted of a dataset, stored whole or in parts, and how they are put together."""

from __future__ import annotations

__all__ = ["Reading", "artifact_for", "is_in_parts", "not_stored", "reading_of"]

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

from butler_model.artifact import Artifact
from butler_model.errors import (
    ArtifactNotFoundError,
    InvalidRequestError,
    StorageClassError,
    UnsupportedOperationError,
)
from butler_model.ports import FoundDataset
from butler_model.storage_class import StorageClass

from .composites import apply_parameters, component_class, decode, delegate_of, holds_components, shared_out
from .formatters import default_formatters
from .storage_classes import default_storage_classes, resolve_pytype

_Parameters = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Reading:
    """What is to be fetched of one dataset.

    Attributes
    ----------
    artifacts
        Those needed; none for a component that has no value.
    make
        Makes the object of their contents, in order.
    is_partial
        Whether maybe not all of their bytes are needed.
    """

    artifacts: tuple[Artifact, ...]
    make: Callable[[Sequence[BinaryIO]], object]
    is_partial: bool = False


def reading_of(
    found: FoundDataset, component: str | None = None, parameters: _Parameters | None = None
) -> Reading:
    """Say what is to be fetched for a dataset, or a component of it.

    Raises
    ------
    ArtifactNotFoundError
        Raised if nothing is stored of the dataset.
    StorageClassError
        Raised if the component, or a parameter of what is read, is unknown.
    """
    storage_class = default_storage_classes().getStorageClass(found.ref.datasetType.storageClass_name)
    if not isinstance(parameters, Mapping | None):
        raise InvalidRequestError(
            f"Parameters are given by name, as in {{'columns': ['a', 'b']}}, and not as {parameters!r:.80}."
        )
    given = dict(parameters or {})
    held = None if component is None else component_class(storage_class, component)
    artifacts = _by_component(found)
    form: _Whole | _Parts = (
        _Whole(storage_class, artifacts[""]) if "" in artifacts else _Parts(storage_class, artifacts)
    )
    if component is None or held is None:
        storage_class.validateParameters(given)
        return form.whole(given)
    if component in storage_class.components:
        held.validateParameters(given)
        return form.component(component, held, given)
    return form.derived(component, held, given)


def is_in_parts(found: FoundDataset) -> bool:
    """Return whether a dataset is stored as components; the records of its artifacts say so, however many."""
    return "" not in _by_component(found)


def artifact_for(found: FoundDataset, component: str | None) -> Artifact:
    """Return the one artifact that holds a dataset, or a component of it.

    Raises
    ------
    ArtifactNotFoundError
        Raised if nothing is stored of it.
    UnsupportedOperationError
        Raised if it is spread over several.
    StorageClassError
        Raised if there is no such component.
    """
    artifacts = _by_component(found)
    if component is None and "" in artifacts:
        # Also where nobody here knows the storage class.
        return artifacts[""]
    reading = None if component is None else reading_of(found, component)
    if reading is None or len(reading.artifacts) > 1:
        raise UnsupportedOperationError(
            f"{found.ref} is stored as separate components; use getURIs, or name one of "
            f"{', '.join(sorted(artifacts))}."
        )
    if not reading.artifacts:
        raise ArtifactNotFoundError(
            f"Component {component!r} of {found.ref} is None, so nothing is stored of it.",
            dataset_id=str(found.ref.getCheckedId()),
        )
    return reading.artifacts[0]


def not_stored(found: FoundDataset) -> ArtifactNotFoundError:
    """Return the error for a dataset without artifacts."""
    return ArtifactNotFoundError(
        f"{found.ref} is registered, but nothing is stored of it.", dataset_id=str(found.ref.getCheckedId())
    )


def _by_component(found: FoundDataset) -> dict[str, Artifact]:
    artifacts = {artifact.record.layout.component: artifact for artifact in found.artifacts}
    if not artifacts:
        raise not_stored(found)
    return artifacts


@dataclass(frozen=True, slots=True)
class _Whole:
    """A dataset that is one artifact."""

    storage_class: StorageClass
    artifact: Artifact

    def whole(self, parameters: _Parameters) -> Reading:
        # Before anything is read.
        shared_out(self.storage_class, parameters)
        return self._reading(lambda source: self._decode(source, parameters), bool(parameters))

    def component(self, component: str, held: StorageClass, parameters: _Parameters) -> Reading:
        def make(source: BinaryIO) -> object:
            if self._is_readable_apart(component, parameters):
                return self._decode_apart(source, component, held, parameters)
            value = delegate_of(self.storage_class).getComponent(self._decode(source, {}), component)
            return None if value is None else apply_parameters(held, value, parameters)

        return self._reading(make, True)

    def derived(self, component: str, held: StorageClass, parameters: _Parameters) -> Reading:
        def make(source: BinaryIO) -> object:
            if self._is_readable_apart(component, parameters):
                return self._decode_apart(source, component, held, parameters)
            if not self.storage_class.isComposite():
                _check_known(self.storage_class, held, component, parameters)
                return _derive(self.storage_class, self._decode(source, {}), component, held, parameters)
            components = delegate_of(self.storage_class).disassemble(self._decode(source, {}))
            derivation = _Derivation.of(self.storage_class, component, held, components, parameters)
            return derivation.from_components(components)

        return self._reading(make, True)

    def _reading(self, make: Callable[[BinaryIO], object], is_partial: bool) -> Reading:
        return Reading((self.artifact,), lambda sources: make(sources[0]), is_partial)

    def _decode(self, source: BinaryIO, parameters: _Parameters) -> object:
        return decode(self.storage_class, self.artifact.record.layout.formatter, source, parameters)

    def _is_readable_apart(self, component: str, parameters: _Parameters) -> bool:
        formatter = default_formatters().by_label(self.artifact.record.layout.formatter)
        return (
            component in formatter.components
            and parameters.keys() <= formatter.parameters
            and not holds_components(self.storage_class, formatter)
        )

    def _decode_apart(
        self, source: BinaryIO, component: str, held: StorageClass, parameters: _Parameters
    ) -> object:
        formatter = default_formatters().by_label(self.artifact.record.layout.formatter)
        return formatter.read(source, resolve_pytype(held), component, parameters)


@dataclass(frozen=True, slots=True)
class _Parts:
    """A composite with an artifact for each component that has a value."""

    storage_class: StorageClass
    artifacts: Mapping[str, Artifact]

    def whole(self, parameters: _Parameters) -> Reading:
        own, below = shared_out(self.storage_class, parameters)

        def make(sources: Sequence[BinaryIO]) -> object:
            components = self._decode_all(sources, below)
            obj = delegate_of(self.storage_class).assemble(components)
            return apply_parameters(self.storage_class, obj, own)

        return Reading(tuple(self.artifacts.values()), make, bool(below))

    def component(self, component: str, held: StorageClass, parameters: _Parameters) -> Reading:
        if component not in self.artifacts:
            return Reading((), lambda sources: None)
        return Reading(
            (self.artifacts[component],),
            lambda sources: self._decode(component, sources[0], parameters),
            bool(parameters),
        )

    def derived(self, component: str, held: StorageClass, parameters: _Parameters) -> Reading:
        derivation = _Derivation.of(self.storage_class, component, held, self.artifacts, parameters)
        if derivation.source is None:
            return Reading(
                tuple(self.artifacts.values()),
                lambda sources: derivation.from_components(self._decode_all(sources, {})),
            )
        name = derivation.source
        if name not in self.artifacts:
            return Reading((), lambda sources: None)
        return Reading(
            (self.artifacts[name],),
            lambda sources: derivation.from_components({name: self._decode(name, sources[0], {})}),
        )

    def _decode(self, component: str, source: BinaryIO, parameters: _Parameters) -> object:
        held = component_class(self.storage_class, component)
        return decode(held, self.artifacts[component].record.layout.formatter, source, parameters)

    def _decode_all(
        self, sources: Sequence[BinaryIO], parameters: Mapping[str, _Parameters]
    ) -> dict[str, Any]:
        return {
            name: self._decode(name, source, parameters.get(name, {}))
            for name, source in zip(self.artifacts, sources, strict=True)
        }


@dataclass(frozen=True, slots=True)
class _Derivation:
    """How a derived component comes out of stored ones, in the same way wherever these are.

    Attributes
    ----------
    source
        Name of the component that is responsible; `None` if the whole composite is. Of one that is `None`, nothing
        can be derived but `None`.
    """

    storage_class: StorageClass
    component: str
    held: StorageClass
    source: str | None
    parameters: _Parameters

    @classmethod
    def of(
        cls,
        storage_class: StorageClass,
        component: str,
        held: StorageClass,
        available: Collection[str],
        parameters: _Parameters,
    ) -> _Derivation:
        source = delegate_of(storage_class).selectResponsibleComponent(component, frozenset(available))
        if source is not None and source not in storage_class.components:
            raise StorageClassError(
                f"Component {component!r} is said to be derived from {source!r}, which is no stored component of "
                f"storage class {storage_class.name!r}.",
                component=component,
            )
        origin = storage_class if source is None else component_class(storage_class, source)
        _check_known(origin, held, component, parameters)
        return cls(storage_class, component, held, source, parameters)

    def from_components(self, components: Mapping[str, Any]) -> object:
        if self.source is None:
            whole = delegate_of(self.storage_class).assemble(components)
            return _derive(self.storage_class, whole, self.component, self.held, self.parameters)
        if self.source not in components:
            return None
        origin = component_class(self.storage_class, self.source)
        return _derive(origin, components[self.source], self.component, self.held, self.parameters)


def _derive(
    origin: StorageClass, obj: object, component: str, held: StorageClass, parameters: _Parameters
) -> object:
    """Take a component out of an object, with parameters applied to either, whichever knows them."""
    first = {name: value for name, value in parameters.items() if name in origin.knownParameters()}
    rest = {name: value for name, value in parameters.items() if name not in first}
    derived = delegate_of(origin).getComponent(apply_parameters(origin, obj, first), component)
    return None if derived is None else apply_parameters(held, derived, rest)


def _check_known(origin: StorageClass, held: StorageClass, component: str, parameters: _Parameters) -> None:
    known = origin.knownParameters() | held.knownParameters()
    if unknown := parameters.keys() - known:
        raise StorageClassError(
            f"Component {component!r} has no parameter {', '.join(map(repr, sorted(unknown)))}; it knows "
            f"{', '.join(sorted(known)) or 'none'}.",
            component=component,
        )
