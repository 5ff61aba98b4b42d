# SPDX-License-Identifier: BSD-3-Clause
"""YAML, the safe part of it."""

from __future__ import annotations

__all__ = ["YamlFormatter"]

import datetime
from collections.abc import Mapping
from typing import Any, BinaryIO

import yaml

from .formatter import Formatter
from .structured import check_plain

_KEYS = (str, int, float, bool, type(None))
_SCALARS = (*_KEYS, bytes, datetime.date)

_DEEPEST = 1000

# The C versions, ten times as fast, exist where PyYAML was built with libyaml.
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_Dumper: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


class YamlFormatter(Formatter):
    """Nested dict and list of str, int, float, bool, None, bytes and date; keys may be numbers.

    No Python object is ever constructed from a tag. Time stamps are not written, because YAML readers
    disagree on their zones; write them as strings.
    """

    label = "yaml"
    extension = ".yaml"
    other_extensions = (".yml",)

    def encode(self, obj: object, sink: BinaryIO, parameters: Mapping[str, object]) -> None:
        check_plain(obj, _SCALARS, _KEYS)
        text = yaml.dump(obj, Dumper=_Dumper, sort_keys=False, allow_unicode=True)
        sink.write(text.encode("utf-8"))

    def decode(
        self, source: BinaryIO, pytype: type, component: str | None, parameters: Mapping[str, object]
    ) -> object:
        content = source.read()
        _check_depth(content)
        return yaml.load(content, Loader=_Loader)  # noqa: S506 (a safe loader, whichever it is)


def _check_depth(content: bytes) -> None:
    """Refuse what the C loader, which recurses without a limit, would crash the process on."""
    depth = 0
    for event in yaml.parse(content, Loader=_Loader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > _DEEPEST:
            raise ValueError(f"it is nested more than {_DEEPEST} levels deep")
