# SPDX-License-Identifier: BSD-3-Clause
"""The storage classes of this client, and the Python types that they name."""

from __future__ import annotations

__all__ = ["check_instance", "default_storage_classes", "resolve_pytype"]

import functools
import importlib
from importlib.resources import files

import yaml

from butler_model.errors import StorageClassError, StorageClassTypeError
from butler_model.storage_class import StorageClass, StorageClassFactory

_IN_EXTRA_TABLES = frozenset({"astropy", "pandas", "pyarrow"})


@functools.cache
def default_storage_classes() -> StorageClassFactory:
    """All storage classes that this process knows: those shipped, and what was registered since."""
    text = (files("butler") / "configs" / "storage_classes.yaml").read_text(encoding="utf-8")
    return StorageClassFactory(yaml.safe_load(text))


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


def check_instance(storage_class: StorageClass, obj: object) -> None:
    """Check that an object is of the Python type of a storage class, or of a subclass of it.

    Raises
    ------
    StorageClassTypeError
        Raised if it is not.
    StorageClassError
        Raised if the type cannot be imported.
    """
    expected = resolve_pytype(storage_class)
    if not isinstance(obj, expected):
        found = f"{type(obj).__module__}.{type(obj).__qualname__}"
        raise StorageClassTypeError(
            f"Storage class {storage_class.name!r} takes objects of type {storage_class.pytype}, not "
            f"{found}; convert the object, or register the dataset type with another storage class.",
            storage_class=storage_class.name,
            expected=storage_class.pytype,
            found=found,
        )


@functools.cache
def _import_type(dotted_name: str) -> type:
    module, _, name = dotted_name.rpartition(".")
    found = getattr(importlib.import_module(module or "builtins"), name)
    if not isinstance(found, type):
        raise TypeError(f"{dotted_name} is not a type")
    return found
