# SPDX-License-Identifier: BSD-3-Clause
"""Composites in memory: their delegates, their parameters, and the plain form that formats of text hold."""

from __future__ import annotations

__all__ = [
    "apply_parameters",
    "component_class",
    "decode",
    "delegate_of",
    "holds_components",
    "shared_out",
    "written_form",
]

from collections.abc import Mapping
from typing import Any, BinaryIO

from butler_model.errors import StorageClassError
from butler_model.storage_class import StorageClass

from .delegates import StorageClassDelegate, default_delegates
from .formatters import default_formatters
from .formatters.formatter import Formatter
from .storage_classes import default_storage_classes, resolve_pytype

_PLAIN_FORMATS = frozenset({"json", "yaml"})
"""Labels of formatters that hold mappings, lists and scalars only: composites are written as what they consist of."""


def delegate_of(storage_class: StorageClass) -> StorageClassDelegate:
    """Return the delegate of a storage class; the usual one if it names none."""
    label = storage_class.delegate
    make = default_delegates().get(label) if label else StorageClassDelegate
    return make(storage_class, resolve_pytype(storage_class))


def component_class(storage_class: StorageClass, component: str) -> StorageClass:
    """Return the storage class of a component, stored or derived; `StorageClassError` if there is none."""
    components = storage_class.allComponents()
    if component not in components:
        raise StorageClassError(
            f"Storage class {storage_class.name!r} has no component {component!r}; it has "
            f"{', '.join(components) or 'none'}.",
            storage_class=storage_class.name,
        )
    return default_storage_classes().getStorageClass(components[component])


def shared_out(
    storage_class: StorageClass, parameters: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """Say who applies parameters: the delegate of the whole what is its own, components the rest.

    Returns
    -------
    own, below
        Parameters of the whole; and of each stored component that knows one that is not of the whole.

    Raises
    ------
    StorageClassError
        Raised if neither the whole nor a stored component knows a parameter.
    """
    own = {name: value for name, value in parameters.items() if name in storage_class.parameters}
    below: dict[str, dict[str, Any]] = {}
    for component in storage_class.components:
        known = component_class(storage_class, component).knownParameters()
        if mine := {name: v for name, v in parameters.items() if name in known and name not in own}:
            below[component] = mine
    if unknown := parameters.keys() - own.keys() - {name for mine in below.values() for name in mine}:
        raise StorageClassError(
            f"Neither storage class {storage_class.name!r} nor a component that it stores has a parameter "
            f"{', '.join(map(repr, sorted(unknown)))}.",
            storage_class=storage_class.name,
        )
    return own, below


def apply_parameters(storage_class: StorageClass, obj: Any, parameters: Mapping[str, Any]) -> Any:
    """Return what parameters leave of an object, as its delegate and those of its components say."""
    if not parameters:
        return obj
    own, below = shared_out(storage_class, parameters)
    delegate = delegate_of(storage_class)
    if below:
        components = delegate.disassemble(obj)
        for name in below.keys() & components.keys():
            components[name] = apply_parameters(
                component_class(storage_class, name), components[name], below[name]
            )
        obj = delegate.assemble(components)
    return delegate.handleParameters(obj, own) if own else obj


def holds_components(storage_class: StorageClass, formatter: Formatter) -> bool:
    """Return whether a formatter gets an object as a mapping of its components instead of as it is."""
    return storage_class.isComposite() and formatter.label in _PLAIN_FORMATS


def written_form(storage_class: StorageClass, formatter: Formatter, obj: object) -> object:
    """Return what a formatter gets of an object."""
    return _plain(storage_class, obj) if holds_components(storage_class, formatter) else obj


def decode(
    storage_class: StorageClass, label: str, source: BinaryIO, parameters: Mapping[str, Any]
) -> object:
    """Read an object that stands alone in an artifact.

    Parameters
    ----------
    label
        Of the formatter that wrote it. It applies the parameters that it knows, delegates the rest.

    Raises
    ------
    StorageClassError
        Raised if nobody applies a parameter.
    FormatterError
        Raised if the bytes cannot be read.
    """
    formatter = default_formatters().by_label(label)
    known = {name: value for name, value in parameters.items() if name in formatter.parameters}
    rest = {name: value for name, value in parameters.items() if name not in known}
    if holds_components(storage_class, formatter):
        obj = _assembled(storage_class, formatter.read(source, dict, None, known))
    else:
        obj = formatter.read(source, resolve_pytype(storage_class), None, known)
    return apply_parameters(storage_class, obj, rest)


def _plain(storage_class: StorageClass, obj: object) -> object:
    if not storage_class.isComposite():
        return obj
    components = delegate_of(storage_class).disassemble(obj)
    return {name: _plain(component_class(storage_class, name), each) for name, each in components.items()}


def _assembled(storage_class: StorageClass, plain: Any) -> object:
    if not storage_class.isComposite():
        return plain
    # What a mapping that others wrote has besides is no part of the object.
    components = {
        name: _assembled(component_class(storage_class, name), plain[name])
        for name in storage_class.components
        if plain.get(name) is not None
    }
    return delegate_of(storage_class).assemble(components)
