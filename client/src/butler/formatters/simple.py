# SPDX-License-Identifier: BSD-3-Clause
"""Small values of classes that say themselves what they consist of."""

from __future__ import annotations

__all__ = ["SimpleFormatter"]

from collections.abc import Mapping
from typing import Any, BinaryIO

from .yaml import YamlFormatter


class SimpleFormatter(YamlFormatter):
    """An object as the plain values that its method ``to_simple`` returns, in YAML.

    Its class makes it of these again by the class method ``from_simple``.
    """

    label = "simple"
    extension = ".simple.yaml"

    def encode(self, obj: object, sink: BinaryIO, parameters: Mapping[str, object]) -> None:
        if not hasattr(type(obj), "to_simple") or not hasattr(type(obj), "from_simple"):
            raise self.refusal(
                f"takes objects of classes with to_simple and from_simple, which {type(obj).__qualname__} is not."
            )
        simple: Any = obj
        super().encode(simple.to_simple(), sink, parameters)

    def decode(
        self, source: BinaryIO, pytype: Any, component: str | None, parameters: Mapping[str, object]
    ) -> object:
        simple = super().decode(source, pytype, component, parameters)
        if not hasattr(pytype, "from_simple"):
            raise self.refusal(f"a {pytype.__qualname__} cannot be made of plain values.")
        return pytype.from_simple(simple)
