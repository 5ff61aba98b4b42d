# SPDX-License-Identifier: BSD-3-Clause
"""Reading a universe configuration: from nested mappings to ordered, checked elements."""

from __future__ import annotations

__all__ = ["load_elements"]

import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

from .dimensions import Column, ColumnType, DimensionElement, SkyPixSystem
from .errors import ConfigurationError

_MAX_LEVELS = {"htm": 24, "healpix": 17}
_NAME = re.compile(r"[a-z][a-z0-9_]{0,49}")  # names of tables are made of these
_KEY_TYPES = (ColumnType.INT, ColumnType.STRING)


def load_elements(config: Mapping[str, Any]) -> tuple[int, str, dict[str, DimensionElement], str]:
    """Read a configuration.

    Returns
    -------
    version, namespace, elements, common
        ``elements`` by name in topological order: each after all that it requires and implies, alphabetical
        among equals, skypix levels by number, dimensions before other elements; ``common`` is the name of the
        common skypix dimension.

    Raises
    ------
    ConfigurationError
        Raised if a key is missing, a name unknown or malformed, or the definitions are circular.
    """
    try:
        version, namespace = int(config["version"]), str(config["namespace"])
        definitions: Mapping[str, Any] = config["elements"]
        systems = _skypix_systems(config["skypix"])
        common = str(config["skypix"]["common"])
        topology = config.get("topology", {})
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigurationError(
            f"A dimension configuration needs version, namespace, skypix and elements; found a problem at {error}."
        ) from error
    _check_shape(definitions)
    elements = {e.name: e for system in systems for e in _skypix_dimensions(system)}
    if common not in elements:
        raise ConfigurationError(f"The common skypix dimension {common!r} is no level of a skypix system.")
    families = {kind: _families(topology.get(kind, {}), definitions) for kind in ("spatial", "temporal")}
    elements |= _build(definitions, families, set(elements))
    return version, namespace, {name: elements[name] for name in _ordered(elements)}, common


def _check_shape(definitions: Any) -> None:
    if not isinstance(definitions, Mapping):
        raise ConfigurationError("The elements of a dimension configuration must be a mapping by name.")
    for name, definition in definitions.items():
        if not _NAME.fullmatch(name):
            raise ConfigurationError(
                f"Malformed element name {name!r}: use lower-case letters, digits and _, 50 at most."
            )
        if not isinstance(definition, Mapping):
            raise ConfigurationError(f"The definition of element {name!r} must be a mapping.")
        for part in ("keys", "requires", "implies", "metadata"):
            if not isinstance(definition.get(part, []), list):
                raise ConfigurationError(f"{part!r} of element {name!r} must be a list.")


def _check_columns(element: DimensionElement) -> None:
    names = [column.name for column in (*element.alternate_keys, *element.metadata)]
    names += map(element.field_name, element.key_columns)
    taken = Counter([*names, "region", "timespan", "timespan_begin", "timespan_end"])
    for name, times in taken.items():
        if times > 1:
            raise ConfigurationError(f"Element {element.name!r} cannot have another column named {name!r}.")


def _skypix_systems(config: Mapping[str, Any]) -> list[SkyPixSystem]:
    systems = []
    for name, definition in config.items():
        if name == "common":
            continue
        if name not in _MAX_LEVELS:
            raise ConfigurationError(f"Unknown skypix system {name!r}; known are {', '.join(_MAX_LEVELS)}.")
        level = int(definition.get("max_level", _MAX_LEVELS[name]))
        if not 0 <= level <= _MAX_LEVELS[name]:
            raise ConfigurationError(f"{name} has levels 0 to {_MAX_LEVELS[name]}, not {level}.")
        systems.append(SkyPixSystem(name, level))
    return systems


def _skypix_dimensions(system: SkyPixSystem) -> list[DimensionElement]:
    dimensions = []
    for level in range(system.max_level + 1):
        name = system.dimension_name(level)
        key = Column("id", ColumnType.INT, nullable=False)
        dimensions.append(
            DimensionElement(
                name=name,
                doc=f"Pixels of level {level} of the {system.name} pixelization.",
                primary_key=key,
                alternate_keys=(),
                required=(name,),
                implied=(),
                metadata=(),
                spatial=system.name,
                skypix=(system, level),
                key_columns={name: key},
            )
        )
    return dimensions


def _families(config: Mapping[str, list[str]], definitions: Mapping[str, Any]) -> dict[str, str]:
    families = {}
    for family, members in config.items():
        for member in members:
            if member not in definitions:
                raise ConfigurationError(f"Family {family!r} has an unknown member {member!r}.")
            families[member] = family
    return families


def _build(
    definitions: Mapping[str, Any], families: Mapping[str, Mapping[str, str]], skypix: set[str]
) -> dict[str, DimensionElement]:
    required = {name: _required_closure(name, definitions) for name in definitions}
    primary = {name: _primary_key(definition) for name, definition in definitions.items()}
    rank = {name: i for i, name in enumerate(_layers(definitions, required))}
    built = {}
    for name, definition in definitions.items():
        keys = [Column.from_config(c, nullable=False) for c in definition.get("keys", ())]
        implied = tuple(sorted(definition.get("implies", ()), key=rank.__getitem__))
        ordered = tuple(sorted(required[name] - {name}, key=rank.__getitem__))
        if keys:
            ordered += (name,)
        key_columns = {}
        for dimension in ordered + implied:
            column = primary[dimension]
            if column is None:
                raise ConfigurationError(f"{name!r} depends on {dimension!r}, which is no dimension.")
            key_columns[dimension] = column
        storage = definition.get("storage", {})
        built[name] = DimensionElement(
            name=name,
            doc=str(definition.get("doc", "")),
            primary_key=keys[0] if keys else None,
            alternate_keys=tuple(keys[1:]),
            required=ordered,
            implied=implied,
            metadata=tuple(Column.from_config(c, nullable=True) for c in definition.get("metadata", ())),
            spatial=families["spatial"].get(name),
            temporal=families["temporal"].get(name),
            is_governor=bool(definition.get("governor", "Governor" in str(storage.get("cls", "")))),
            always_join=bool(definition.get("always_join", False)),
            populated_by=definition.get("populated_by"),
            view_of=definition.get("view_of", storage.get("view_of")),
            key_columns=key_columns,
        )
        _check_columns(built[name])
        view_of = built[name].view_of
        if view_of is not None and view_of not in definitions:
            raise ConfigurationError(f"{name!r} is a view of {view_of!r}, which is not defined.")
    return built


def _primary_key(definition: Mapping[str, Any]) -> Column | None:
    keys = definition.get("keys", ())
    if not keys:
        return None
    column = Column.from_config(keys[0], nullable=False)
    if column.type not in _KEY_TYPES:
        raise ConfigurationError(f"The primary key {column.name!r} must be a string or an int.")
    return column


def _required_closure(name: str, definitions: Mapping[str, Any]) -> set[str]:
    closed: set[str] = set()
    pending = [name]
    while pending:
        current = pending.pop()
        if current in closed:
            continue
        if current not in definitions:
            raise ConfigurationError(f"{name!r} requires {current!r}, which is not defined.")
        closed.add(current)
        pending += definitions[current].get("requires", ())
    for implied in definitions[name].get("implies", ()):
        if implied not in definitions:
            raise ConfigurationError(f"{name!r} implies {implied!r}, which is not defined.")
    return closed


def _layers(definitions: Mapping[str, Any], required: Mapping[str, set[str]]) -> list[str]:
    """Return names in layers: an element stands one layer after the last of its dependencies."""
    ordered: list[str] = []
    pending = set(definitions)
    while pending:
        done = set(ordered)
        ready = sorted(
            name
            for name in pending
            if (required[name] - {name}) | set(definitions[name].get("implies", ())) <= done
        )
        if not ready:
            raise ConfigurationError(f"Circular definitions among {', '.join(sorted(pending))}.")
        ordered += ready
        pending -= set(ready)
    return ordered


def _ordered(elements: Mapping[str, DimensionElement]) -> list[str]:
    depth: dict[str, int] = {}

    def depth_of(name: str) -> int:
        if name not in depth:
            element = elements[name]
            before = (set(element.required) | set(element.implied)) - {name}
            depth[name] = 1 + max(map(depth_of, before), default=-1)
        return depth[name]

    def sort_key(name: str) -> tuple[bool, int, str, int]:
        element = elements[name]
        if element.skypix:
            system, level = element.skypix
            return (False, 0, system.name, level)
        return (not element.is_dimension, depth_of(name), name, 0)

    return sorted(elements, key=sort_key)
