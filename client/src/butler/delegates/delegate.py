# SPDX-License-Identifier: BSD-3-Clause
"""What a delegate is, and the one that serves mappings, data classes and objects with getters."""

from __future__ import annotations

__all__ = ["StorageClassDelegate"]

import dataclasses
from collections.abc import Collection, Mapping
from typing import Any

from butler_model.errors import StorageClassError
from butler_model.storage_class import StorageClass


class StorageClassDelegate:
    """Knows the inside of the objects of a storage class; has no state but these, so threads may share it.

    This one serves mappings with the components as items, data classes with them as fields, and, to be taken apart
    only, any object that has them as attributes ``x``, or methods ``get_x()`` or ``getX()``. A subclass replaces what
    its objects do otherwise.

    Parameters
    ----------
    storageClass
        The storage class.
    pytype
        Its Python type.
    """

    def __init__(self, storageClass: StorageClass, pytype: type) -> None:
        self.storageClass = storageClass
        self.pytype = pytype

    def getComponent(self, composite: Any, componentName: str) -> Any:
        """Return a component, stored or derived; `None` if the composite has no value for it.

        Raises
        ------
        StorageClassError
            Raised if there is no way to have it.
        """
        if isinstance(composite, Mapping):
            if componentName in composite:
                return composite[componentName]
            if componentName in self.storageClass.components:
                return None
        for name in (
            componentName,
            f"get_{componentName}",
            f"get{componentName[:1].upper()}{componentName[1:]}",
        ):
            if hasattr(composite, name):
                found = getattr(composite, name)
                return found if name == componentName else found()
        raise StorageClassError(
            f"This {type(composite).__qualname__} has no component {componentName!r}.",
            component=componentName,
        )

    def disassemble(self, composite: Any) -> dict[str, Any]:
        """Return the stored components that are not `None`, by name.

        Raises
        ------
        StorageClassError
            Raised if the composite holds something that is no component, and would be lost.
        """
        if lost := [name for name in _members(composite) if name not in self.storageClass.components]:
            raise StorageClassError(
                f"This {type(composite).__qualname__} has {', '.join(map(repr, lost))}, which storage class "
                f"{self.storageClass.name!r} does not name as components, so they would be lost; it names "
                f"{', '.join(self.storageClass.components)}.",
                storage_class=self.storageClass.name,
            )
        found = {name: self.getComponent(composite, name) for name in self.storageClass.components}
        return {name: value for name, value in found.items() if value is not None}

    def assemble(self, components: Mapping[str, Any]) -> Any:
        """Put a composite together; what is not among the components is `None` in it.

        Raises
        ------
        StorageClassError
            Raised if the Python type cannot be made of its components.
        """
        values = {name: components.get(name) for name in self.storageClass.components}
        if issubclass(self.pytype, Mapping):
            make: Any = self.pytype
            return make(values)
        if not dataclasses.is_dataclass(self.pytype):
            raise StorageClassError(
                f"Storage class {self.storageClass.name!r} needs a delegate that knows how to make a "
                f"{self.pytype.__qualname__} of its components.",
                storage_class=self.storageClass.name,
            )
        try:
            return self.pytype(**values)
        except TypeError as error:
            raise StorageClassError(
                f"Storage class {self.storageClass.name!r}: {self.pytype.__qualname__} cannot be made of its "
                f"components ({error}).",
                storage_class=self.storageClass.name,
            ) from error

    def handleParameters(self, inMemoryDataset: Any, parameters: Mapping[str, Any]) -> Any:
        """Return what parameters leave of an object; they are among those of the storage class itself.

        This one knows no parameter.

        Raises
        ------
        StorageClassError
            Raised if there is a parameter.
        """
        if parameters:
            raise StorageClassError(
                f"Nothing here applies the parameters {', '.join(map(repr, sorted(parameters)))} to objects of storage "
                f"class {self.storageClass.name!r}; leave them out.",
                storage_class=self.storageClass.name,
            )
        return inMemoryDataset

    def selectResponsibleComponent(
        self, derivedComponent: str, fromComponents: Collection[str]
    ) -> str | None:
        """Return the stored component that is enough to derive another from; `None` if it takes the whole.

        The delegate of that component's storage class derives it then.

        Parameters
        ----------
        fromComponents
            Those that have a value.
        """
        return None


def _members(composite: object) -> Collection[str]:
    """Names of all that mappings and data classes hold; of other objects nobody knows."""
    if isinstance(composite, Mapping):
        return list(composite)
    if dataclasses.is_dataclass(composite):
        return [field.name for field in dataclasses.fields(composite) if field.init]
    return ()
