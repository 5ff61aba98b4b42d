# SPDX-License-Identifier: BSD-3-Clause
"""Storage classes: what kind of Python object a dataset is, by name, without importing it."""

from __future__ import annotations

__all__ = ["StorageClass", "StorageClassFactory"]

import difflib
import re
import threading
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from .errors import ConfigurationError, ConflictingDefinitionError, InvalidNameError, StorageClassError

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,127}")
_LABEL = re.compile(r"[a-z][a-z0-9_\-]{0,63}")
_DOTTED_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*")

_KEYS = frozenset(
    {"pytype", "inheritsFrom", "components", "derivedComponents", "parameters", "delegate", "converters"}
)


@dataclass(frozen=True, slots=True)
class StorageClass:
    """The kind of Python object that datasets of a type are.

    Parameters
    ----------
    name
        What dataset types refer to, e.g. ``ArrowTable``.
    pytype
        Dotted name of the Python type, or the bare name of a built-in. It is never imported here: a service
        needs none of the libraries that its clients use.
    components
        Name of each component that can be stored by itself, with the name of its storage class.
    derivedComponents
        The same for components that can be read, computed from the others.
    parameters
        Names that a reader may pass to restrict what is read.
    delegate
        Label of what takes objects apart and puts them together; empty for the usual way. Labels are looked up
        among what is installed where objects are made; they name no code.
    converters
        Dotted name of each Python type whose objects can be made into such, with the label of what does it.
    componentParameters
        Parameters of the components, filled in by the factory; no part of the definition.

    Raises
    ------
    InvalidNameError
        Raised if a name, component, parameter or Python type is malformed.
    ConfigurationError
        Raised if there is exactly one component, or a component is also derived.
    """

    name: str
    pytype: str
    components: Mapping[str, str] = field(default_factory=dict, hash=False)
    derivedComponents: Mapping[str, str] = field(default_factory=dict, hash=False)
    parameters: frozenset[str] = frozenset()
    delegate: str = ""
    converters: Mapping[str, str] = field(default_factory=dict, hash=False)
    componentParameters: frozenset[str] = field(default=frozenset(), compare=False, repr=False)

    def __post_init__(self) -> None:
        _check_names("storage class", [self.name])
        if not _DOTTED_NAME.fullmatch(self.pytype):
            raise InvalidNameError(
                f"Storage class {self.name!r}: {self.pytype!r} is not the dotted name of a Python type."
            )
        for what in ("components", "derivedComponents"):
            members = dict(getattr(self, what))
            _check_names(f"component of storage class {self.name!r}:", members)
            _check_names(f"storage class of a component of {self.name!r}:", members.values())
            object.__setattr__(self, what, MappingProxyType(members))
        for name in self.converters:
            if not isinstance(name, str) or not _DOTTED_NAME.fullmatch(name):
                raise InvalidNameError(
                    f"Storage class {self.name!r}: {name!r} is not the dotted name of a Python type to convert."
                )
        for label in (self.delegate, *self.converters.values()):
            if not isinstance(label, str) or (label and not _LABEL.fullmatch(label)):
                raise InvalidNameError(
                    f"Storage class {self.name!r}: {label!r} is no label: use a-z, 0-9, - and _."
                )
        object.__setattr__(self, "converters", MappingProxyType(dict(self.converters)))
        _check_names(f"parameter of storage class {self.name!r}:", self.parameters)
        object.__setattr__(self, "parameters", frozenset(self.parameters))
        if len(self.components) == 1:
            raise ConfigurationError(
                f"Storage class {self.name!r} has the single component {next(iter(self.components))!r}; "
                "give it two or more, or none.",
                storage_class=self.name,
            )
        if both := self.components.keys() & self.derivedComponents.keys():
            raise ConfigurationError(
                f"Storage class {self.name!r}: {', '.join(sorted(both))} cannot be both stored and derived.",
                storage_class=self.name,
            )

    def __reduce__(self) -> tuple[Any, ...]:
        # Read-only mappings cannot be pickled.
        mappings = dict(self.components), dict(self.derivedComponents)
        labels = self.delegate, dict(self.converters)
        return StorageClass, (
            self.name,
            self.pytype,
            *mappings,
            self.parameters,
            *labels,
            self.componentParameters,
        )

    def can_convert(self, other: StorageClass) -> bool:
        """Whether objects of another storage class can be had as such, by the names of their Python types."""
        return self.pytype == other.pytype or other.pytype in self.converters

    def isComposite(self) -> bool:
        """Whether objects can be stored as separate components."""
        return bool(self.components)

    def allComponents(self) -> Mapping[str, str]:
        """Stored and derived components, each with the name of its storage class."""
        return MappingProxyType({**self.components, **self.derivedComponents})

    def knownParameters(self) -> frozenset[str]:
        """Parameters of this class and, if it came from a factory, of its components."""
        return self.parameters | self.componentParameters

    def validateParameters(self, parameters: Collection[str] | None) -> None:
        """Check that a reader may pass these parameters (names, or a mapping from them).

        Raises
        ------
        StorageClassError
            Raised if one is unknown.
        """
        known = self.knownParameters()
        if unknown := set(parameters or ()) - known:
            names = ", ".join(repr(name) for name in sorted(unknown))
            raise StorageClassError(
                f"Storage class {self.name!r} has no parameter {names}; it knows {_listing(known)}.",
                storage_class=self.name,
            )


class StorageClassFactory:
    """Every storage class known to a process, by name; safe to share between threads.

    Parameters
    ----------
    config
        ``{"storageClasses": {name: definition}}``; see `addFromConfig`. `None` begins empty.
    """

    def __init__(self, config: Mapping[str, Any] | None = None) -> None:
        self._lock = threading.Lock()
        self._classes: dict[str, StorageClass] = {}
        if config is not None:
            self.addFromConfig(config)

    def __contains__(self, name: object) -> bool:
        return name in self._classes

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._classes))

    def __len__(self) -> int:
        return len(self._classes)

    def addFromConfig(self, config: Mapping[str, Any]) -> None:
        """Add all definitions of a configuration, or, on an error, none.

        Parameters
        ----------
        config
            ``{"storageClasses": {name: {"pytype": dotted name, "inheritsFrom": name,
            "components": {name: storage class}, "derivedComponents": {…}, "parameters": [name],
            "delegate": label, "converters": {dotted name: label}}}}``.
            All keys are optional but ``pytype``, which may also be inherited. Components and parameters are
            added to the inherited ones; order does not matter.

        Raises
        ------
        ConfigurationError
            Raised if the configuration has another shape, or definitions are circular.
        StorageClassError
            Raised if a definition refers to a storage class that is not defined.
        ConflictingDefinitionError
            Raised if a name is defined already, differently.
        """
        definitions = config.get("storageClasses") if isinstance(config, Mapping) else None
        if not isinstance(definitions, Mapping):
            raise ConfigurationError(
                "A storage class configuration is a mapping with the key 'storageClasses'."
            )
        with self._lock:
            builder = _Builder(definitions, self._classes)
            added = {name: builder.build(name) for name in definitions}
            for storage_class in added.values():
                self._check_conflict(storage_class)
            self._classes |= {name: builder.complete(storage_class) for name, storage_class in added.items()}

    def getStorageClass(self, name: str) -> StorageClass:
        """Look up a storage class.

        Raises
        ------
        StorageClassError
            Raised if there is none of that name.
        """
        try:
            return self._classes[name]
        except KeyError:
            raise _unknown(name, self._classes) from None

    def registerStorageClass(self, storage_class: StorageClass) -> None:
        """Add a storage class; one that is known already and equal changes nothing.

        Raises
        ------
        StorageClassError
            Raised if the storage class of a component is not known.
        ConflictingDefinitionError
            Raised if another definition has that name.
        """
        with self._lock:
            self._check_conflict(storage_class)
            self._classes[storage_class.name] = _Builder({}, self._classes).complete(storage_class)

    def _check_conflict(self, storage_class: StorageClass) -> None:
        known = self._classes.get(storage_class.name, storage_class)
        if known != storage_class:
            raise ConflictingDefinitionError(
                f"Storage class {storage_class.name!r} is defined already as {known}, not as "
                f"{storage_class}; use another name.",
                storage_class=storage_class.name,
            )


class _Builder:
    """Turns definitions into storage classes, each after those that it refers to."""

    def __init__(self, definitions: Mapping[str, Any], known: Mapping[str, StorageClass]) -> None:
        self._definitions = definitions
        self._known = known
        self._built: dict[str, StorageClass] = {}
        self._under_way: list[str] = []

    def build(self, name: str) -> StorageClass:
        """Build the storage class of that name and what it inherits from."""
        if name in self._built:
            return self._built[name]
        if name not in self._definitions:
            if name in self._known:
                return self._known[name]
            raise _unknown(name, [*self._known, *self._definitions])
        definition = _checked(name, self._definitions[name])
        parent = None
        if "inheritsFrom" in definition:
            with _Step(self._under_way, name):
                parent = self.build(definition["inheritsFrom"])
        pytype = definition.get("pytype", parent.pytype if parent else None)
        if not isinstance(pytype, str):
            raise ConfigurationError(
                f"Storage class {name!r} needs a 'pytype', the dotted name of its Python type."
            )
        self._built[name] = StorageClass(
            name,
            pytype,
            {**(parent.components if parent else {}), **definition.get("components", {})},
            {**(parent.derivedComponents if parent else {}), **definition.get("derivedComponents", {})},
            (parent.parameters if parent else frozenset()) | frozenset(definition.get("parameters", ())),
            definition.get("delegate", parent.delegate if parent else ""),
            # What a converter of the parent makes is of the parent's type.
            {
                **(parent.converters if parent and parent.pytype == pytype else {}),
                **definition.get("converters", {}),
            },
        )
        return self._built[name]

    def complete(self, storage_class: StorageClass) -> StorageClass:
        """Fill in what components contribute."""
        parameters = self._parameters_below(storage_class)
        return replace(storage_class, componentParameters=parameters)

    def _parameters_below(self, storage_class: StorageClass) -> frozenset[str]:
        parameters: frozenset[str] = frozenset()
        with _Step(self._under_way, storage_class.name):
            for name in storage_class.allComponents().values():
                component = self.build(name)
                parameters |= component.parameters | self._parameters_below(component)
        return parameters


class _Step:
    """Notes a storage class as under way, and refuses one that leads back to itself."""

    def __init__(self, under_way: list[str], name: str) -> None:
        if name in under_way:
            raise ConfigurationError(
                f"Storage classes refer to each other in a circle: {' > '.join(under_way)}."
            )
        self._under_way = under_way
        self._name = name

    def __enter__(self) -> None:
        self._under_way.append(self._name)

    def __exit__(self, *_: object) -> None:
        self._under_way.pop()


def _checked(name: str, definition: object) -> Mapping[str, Any]:
    """Check the shape of one definition."""
    if not isinstance(definition, Mapping):
        raise ConfigurationError(f"The definition of storage class {name!r} is not a mapping.")
    if unknown := definition.keys() - _KEYS:
        raise ConfigurationError(
            f"Storage class {name!r} has unknown keys {_listing(unknown)}; known are {_listing(_KEYS)}."
        )
    for key in ("components", "derivedComponents", "converters"):
        if not isinstance(definition.get(key, {}), Mapping):
            raise ConfigurationError(f"Storage class {name!r}: {key!r} is a mapping of names to names.")
    if not isinstance(definition.get("parameters", []), list | tuple | set | frozenset):
        raise ConfigurationError(f"Storage class {name!r}: 'parameters' is a list of names.")
    return definition


def _check_names(what: str, names: Collection[Any]) -> None:
    for name in names:
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise InvalidNameError(
                f"Malformed name of a {what} {name!r}: use letters, digits and _, beginning with a letter, "
                "at most 128 of them."
            )


def _listing(names: Collection[Any]) -> str:
    return ", ".join(sorted(map(str, names))) or "none"


def _unknown(name: str, known: Collection[str]) -> StorageClassError:
    nearest = difflib.get_close_matches(str(name), known, n=1, cutoff=0.0)
    hint = f"the nearest known name is {nearest[0]!r}" if nearest else "none is defined"
    return StorageClassError(f"Unknown storage class {name!r}; {hint}.", storage_class=str(name))
