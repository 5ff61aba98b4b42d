# SPDX-License-Identifier: BSD-3-Clause
"""Placement: from a dataset to the key of its artifact in a store.

A template is a relative path with fields in braces: names of dimensions, fields of their records
(``{detector.full_name}``), ``run``, ``datasetType``, ``component``, ``id`` (the dataset's UUID) and ``skypix`` (the
pixel, whatever its system). Alternatives are separated by bars, and the first that has a value is taken:
``{exposure.obs_id|visit.name}``. After a colon, ``?`` marks a field that may be absent (together with the separator
before it, and with its directory if that is then empty), ``/`` one whose slashes make directories. Whatever the
template says, a key ends in the last twelve hex digits of the dataset's UUID, so two writers never share one.
"""

from __future__ import annotations

__all__ = ["PathTemplate", "check_key"]

import re
import string
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from .artifact import ArtifactLayout
from .dataset import DatasetRef, DatasetType
from .errors import ConfigurationError, InvalidNameError

MAX_KEY_BYTES = 1024
_MAX_PART_BYTES = 255
_MAX_PART_CHARACTERS = 190  # leaves room for the end of a UUID and an extension
_UUID_DIGITS = 12
_SEPARATORS = "_-."
_UNSAFE = re.compile(r"[^A-Za-z0-9_+\-@.,:=]")
_NAME = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)?")
_PART = rf"[A-Za-z0-9_+\-@,:=][A-Za-z0-9_+\-@.,:=]{{0,{_MAX_PART_BYTES - 1}}}"
_KEY = re.compile(rf"(?:{_PART}/)*{_PART}")


def check_key(key: str) -> str:
    """Return a store key, or raise `InvalidNameError` unless it is a plain relative path.

    A plain path has parts of letters, digits and ``_+-@.,:=`` separated by single slashes, none beginning with a
    dot, at most 255 bytes each and 1,024 in all; so it can neither leave the root nor hide in it.
    """
    if len(key) > MAX_KEY_BYTES or not _KEY.fullmatch(key):
        raise InvalidNameError(f"{key!r:.300} is no plain relative path.", key=key[:300])
    return key


@dataclass(frozen=True, slots=True)
class _Field:
    literal: str
    names: tuple[str, ...]
    optional: bool
    slashes: bool

    def value(self, ref: DatasetRef, component: str) -> Any:
        """Return the first of the alternatives that is there, `None` if none is."""
        for name in self.names:
            value = _value(name, ref, component)
            if value is not None and value != "":
                return value
        return None


class PathTemplate:
    """A parsed template; `ConfigurationError` if it is malformed or does not use ``run`` and ``datasetType``."""

    def __init__(self, template: str) -> None:
        self.template = template
        self._parts = [list(_parse(part)) for part in re.split(r"/(?![^{]*\})", template)]
        names = {name for part in self._parts for field in part for name in field.names}
        if not {"run", "datasetType"} <= names:
            raise ConfigurationError(
                f"The path template {template!r} must have the fields run and datasetType."
            )

    def place(self, ref: DatasetRef, layout: ArtifactLayout) -> str:
        """Return the key of an artifact.

        Parameters
        ----------
        ref
            A resolved ref whose data ID has records.
        layout
            What is to be stored; its extension ends the key.

        Raises
        ------
        ConfigurationError
            Raised if the data ID has no value for a field that is not optional.
        """
        rendered = [self._render(part, ref, layout.component) for part in self._parts]
        *directories, name = [part for part in rendered if part]
        stem = name.replace(".", "_")[:_MAX_PART_CHARACTERS]
        tail = ref.getCheckedId().hex[-_UUID_DIGITS:]
        return check_key("/".join([*directories, f"{stem}_{tail}{layout.extension}"]))

    def missing_fields(self, dataset_type: DatasetType, component: str = "") -> list[str]:
        """Return the fields that are not optional and that datasets of a type never have."""
        fields = [field for part in self._parts for field in part if field.names and not field.optional]
        return [
            "|".join(field.names)
            for field in fields
            if not any(_may_have(name, dataset_type, component) for name in field.names)
        ]

    def _render(self, part: Iterable[_Field], ref: DatasetRef, component: str) -> str:
        text = ""
        for i, field in enumerate(part):
            value = field.value(ref, component) if field.names else ""
            missing = value is None
            if missing and not field.optional:
                name = "|".join(field.names)
                raise ConfigurationError(
                    f"The path template {self.template!r} needs {name!r}, which datasets of type "
                    f"{ref.datasetType.name!r} do not have; mark it as optional: {{{name}:?}}."
                )
            # A separator goes with the field after it, and none begins a name because the one before is absent.
            literal = field.literal.lstrip(_SEPARATORS) if i and not text else field.literal
            text += literal.rstrip(_SEPARATORS) if missing else literal + _safe(str(value), field.slashes)
        return text


def _parse(part: str) -> Iterator[_Field]:
    try:
        pieces = list(string.Formatter().parse(part))
    except ValueError as error:
        raise ConfigurationError(f"Malformed path template part {part!r}: {error}.") from error
    for literal, name, spec, conversion in pieces:
        if conversion or set(spec or "") - {"?", "/"}:
            raise ConfigurationError(f"Path template field {name!r} has an unknown format; use ? and / only.")
        names = tuple(name.split("|")) if name else ()
        if not all(_NAME.fullmatch(alternative) for alternative in names):
            raise ConfigurationError(
                f"Path template field {name!r} is no name; use a dimension, dimension.field, run, datasetType, "
                "component, id or skypix, alternatives separated by |."
            )
        yield _Field(literal, names, "?" in (spec or ""), "/" in (spec or ""))


def _value(name: str, ref: DatasetRef, component: str) -> Any:
    data_id = ref.dataId
    if name in data_id.dimensions.index:
        return data_id[name]
    if name == "run":
        return ref.run
    if name == "datasetType":
        return ref.datasetType.nameAndComponent()[0]
    if name == "component":
        return component
    if name == "id":
        return ref.getCheckedId()
    if name == "skypix":
        return next((data_id[pixel] for pixel in data_id.dimensions.skypix), None)
    element, dot, field = name.partition(".")
    record = data_id.records.get(element) if dot else None
    return record.get(field) if record is not None and field in record.definition.column_index else None


def _may_have(name: str, dataset_type: DatasetType, component: str) -> bool:
    dimensions = dataset_type.dimensions
    if name in dimensions.index or name in ("run", "datasetType", "id"):
        return True
    if name in ("component", "skypix"):
        return bool(component if name == "component" else dimensions.skypix)
    element, _, field = name.partition(".")
    known = dimensions.universe.get(element)
    return known is not None and element in dimensions.elements and field in known.column_index


@lru_cache(maxsize=100_000)  # the same few runs, filters and visits stand in many keys
def _safe(value: str, slashes: bool) -> str:
    parts = value.replace("#", "HASH").split("/") if slashes else [value.replace("#", "HASH")]
    cleaned = (_UNSAFE.sub("_", part)[:_MAX_PART_CHARACTERS] for part in parts)
    return "/".join(f"_{part[1:]}" if part.startswith(".") else part for part in cleaned if part)
