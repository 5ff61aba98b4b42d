# SPDX-License-Identifier: BSD-3-Clause
"""Converters: functions that make an object of one Python type of an object of another."""

from __future__ import annotations

__all__ = [
    "Converter",
    "constructed",
    "dataclass_from_mapping",
    "default_converters",
    "mapping_from_dataclass",
    "table",
]

import dataclasses
import functools
import io
from collections.abc import Callable, Mapping
from typing import Any

from .entry_points import LabelledCode
from .formatters import default_formatters

Converter = Callable[[Any, type], object]
"""Takes the object and the Python type wanted."""


@functools.cache
def default_converters() -> LabelledCode[Converter]:
    """The converters of this process: entry points of the group ``butler.converters``, and those added since."""
    return LabelledCode("butler.converters", "converter")


def constructed(obj: Any, pytype: type) -> object:
    """Call the type with the object, as in ``list(obj)``."""
    make: Callable[[Any], object] = pytype
    return make(obj)


def dataclass_from_mapping(obj: Mapping[str, Any], pytype: type) -> object:
    """Make a data class of a mapping with its fields."""
    return pytype(**obj)


def mapping_from_dataclass(obj: Any, pytype: type) -> object:
    """Make a mapping of the fields of a data class, which themselves stay as they are."""
    return constructed({field.name: getattr(obj, field.name) for field in dataclasses.fields(obj)}, pytype)


def table(obj: Any, pytype: type) -> object:
    """Make a table of one library of that of another: what Parquet would give back."""
    # In memory and back, so that there is one place that knows how these types correspond.
    parquet = default_formatters().by_label("parquet")
    content = io.BytesIO()
    parquet.write(obj, content)
    content.seek(0)
    return parquet.read(content, pytype)
