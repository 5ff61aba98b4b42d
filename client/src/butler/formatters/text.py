# SPDX-License-Identifier: BSD-3-Clause
"""Text and bytes as they are."""

from __future__ import annotations

__all__ = ["BytesFormatter", "TextFormatter"]

from collections.abc import Mapping
from typing import BinaryIO

from .formatter import Formatter


class TextFormatter(Formatter):
    """A str as UTF-8, line ends untouched."""

    label = "text"
    extension = ".txt"

    def encode(self, obj: object, sink: BinaryIO, parameters: Mapping[str, object]) -> None:
        if not isinstance(obj, str):
            raise self.refusal(f"takes a str, not a {type(obj).__qualname__}.")
        sink.write(obj.encode("utf-8"))

    def decode(
        self, source: BinaryIO, pytype: type, component: str | None, parameters: Mapping[str, object]
    ) -> object:
        return source.read().decode("utf-8")


class BytesFormatter(Formatter):
    """A bytes object."""

    label = "bytes"
    extension = ".bin"

    def encode(self, obj: object, sink: BinaryIO, parameters: Mapping[str, object]) -> None:
        if not isinstance(obj, bytes):
            raise self.refusal(
                f"takes bytes, not a {type(obj).__qualname__}; any bytes-like object can be made so."
            )
        sink.write(obj)

    def decode(
        self, source: BinaryIO, pytype: type, component: str | None, parameters: Mapping[str, object]
    ) -> object:
        return source.read()
