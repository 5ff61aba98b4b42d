# SPDX-License-Identifier: BSD-3-Clause
"""The storage classes of this client, and the Python types that they name."""

from __future__ import annotations

__all__ = ["add_storage_classes", "coerce", "default_storage_classes", "resolve_pytype"]

import functools
import importlib
import os
import sys
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from butler_model.errors import ButlerError, ConfigurationError, StorageClassError, StorageClassTypeError
from butler_model.storage_class import StorageClass, StorageClassFactory

from .converters import Converter, default_converters
from .delegates import StorageClassDelegate, default_delegates

_IN_EXTRA_TABLES = frozenset({"astropy", "pandas", "pyarrow"})


@functools.cache
def default_storage_classes() -> StorageClassFactory:
    """All storage classes that this process knows: those shipped, and what was registered since."""
    text = (files("butler") / "configs" / "storage_classes.yaml").read_text(encoding="utf-8")
    return StorageClassFactory(yaml.safe_load(text))


def add_storage_classes(
    config: Mapping[str, Any] | str | os.PathLike[str],
    *,
    delegates: Mapping[str, type[StorageClassDelegate]] | None = None,
    converters: Mapping[str, Converter] | None = None,
) -> None:
    """Add storage classes to those that this process knows.

    Parameters
    ----------
    config
        A mapping as `StorageClassFactory.addFromConfig` takes it, or the path of a YAML file that holds one.
    delegates, converters
        What the labels in it mean, unless an installed package says so.

    Raises
    ------
    ConfigurationError
        Raised if the file cannot be read, or the configuration has another shape.
    StorageClassError
        Raised if a definition refers to a storage class that is not defined.
    ConflictingDefinitionError
        Raised if a name or label is defined already, differently.
    """
    definitions = config if isinstance(config, Mapping) else _read_file(config)
    for label, delegate in (delegates or {}).items():
        default_delegates().add(label, delegate)
    for label, converter in (converters or {}).items():
        default_converters().add(label, converter)
    default_storage_classes().addFromConfig(definitions)


def resolve_pytype(storage_class: StorageClass) -> type:
    """Import the Python type of a storage class.

    Only definitions of this client get here: services name storage classes and never say what to import.

    Raises
    ------
    StorageClassError
        Raised if the package that provides the type is not installed, or has no such type.
    """
    try:
        return _import_type(storage_class.pytype)
    except (ImportError, AttributeError, TypeError) as error:
        package = storage_class.pytype.partition(".")[0]
        remedy = "install its package"
        if package in _IN_EXTRA_TABLES:
            remedy = "pip install 'butler-grpc-client[tables]'"
        raise StorageClassError(
            f"The Python type {storage_class.pytype} of storage class {storage_class.name!r} cannot be "
            f"imported ({error}); {remedy}.",
            storage_class=storage_class.name,
            pytype=storage_class.pytype,
        ) from error


def coerce(storage_class: StorageClass, obj: object) -> object:
    """Return an object of the Python type of a storage class, or of a subclass of it: the same, or a converted one.

    Raises
    ------
    StorageClassTypeError
        Raised if it is of another type that the storage class has no converter for.
    StorageClassError
        Raised if the type or the converter cannot be imported.
    """
    expected = resolve_pytype(storage_class)
    if isinstance(obj, expected):
        return obj
    found = f"{type(obj).__module__}.{type(obj).__qualname__}"
    for name, label in storage_class.converters.items():
        if _is_instance(obj, name):
            converted = _converted(storage_class, obj, label, expected)
            if isinstance(converted, expected):
                return converted
    raise StorageClassTypeError(
        f"Storage class {storage_class.name!r} takes objects of type {storage_class.pytype}, not "
        f"{found}; convert the object, or register the dataset type with another storage class.",
        storage_class=storage_class.name,
        expected=storage_class.pytype,
        found=found,
    )


def _converted(storage_class: StorageClass, obj: object, label: str, expected: type) -> object:
    convert = default_converters().get(label)
    try:
        return convert(obj, expected)
    except (ButlerError, MemoryError):
        raise
    except Exception as error:
        raise StorageClassTypeError(
            f"Converter {label!r} cannot make a {expected.__qualname__} for storage class {storage_class.name!r} of "
            f"{type(obj).__qualname__}: {error or type(error).__name__}",
            storage_class=storage_class.name,
        ) from error


def _read_file(path: str | os.PathLike[str]) -> Any:
    try:
        return yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise ConfigurationError(f"{os.fspath(path)!r} holds no storage classes: {error}") from error


def _is_instance(obj: object, dotted_name: str) -> bool:
    module = dotted_name.rpartition(".")[0]
    # There are no objects of a type whose library nobody has imported.
    if module and module.partition(".")[0] not in sys.modules:
        return False
    try:
        return isinstance(obj, _import_type(dotted_name))
    except (ImportError, AttributeError, TypeError):
        return False


@functools.cache
def _import_type(dotted_name: str) -> type:
    module, _, name = dotted_name.rpartition(".")
    found = getattr(importlib.import_module(module or "builtins"), name)
    if not isinstance(found, type):
        raise TypeError(f"{dotted_name} is not a type")
    return found
