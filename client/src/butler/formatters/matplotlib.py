# SPDX-License-Identifier: BSD-3-Clause
"""Figures of matplotlib as PNG images, for people to look at."""

from __future__ import annotations

__all__ = ["MatplotlibFormatter"]

import zlib
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, BinaryIO

from .formatter import Formatter

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_LAST = b"IEND"


class MatplotlibFormatter(Formatter):
    """A ``matplotlib.figure.Figure``, written only: what comes back is the image.

    The component ``png`` gives it as bytes. Reading as a figure is refused: an image does not know what it shows.
    Write parameters are ``dpi`` and ``transparent``.
    """

    label = "matplotlib"
    extension = ".png"
    components = frozenset({"png"})
    write_parameters = MappingProxyType({"dpi": (int, float), "transparent": (bool,)})

    def encode(self, obj: object, sink: BinaryIO, parameters: Mapping[str, object]) -> None:
        from matplotlib.figure import Figure

        if not isinstance(obj, Figure):
            raise self.refusal(f"takes a matplotlib Figure, not a {type(obj).__qualname__}.")
        # Without the version of the library, so that equal figures are equal files.
        options: dict[str, Any] = {"metadata": {"Software": None}, **parameters}
        obj.savefig(sink, format="png", **options)

    def decode(
        self, source: BinaryIO, pytype: type, component: str | None, parameters: Mapping[str, object]
    ) -> object:
        content = source.read()
        _check(content)
        if not issubclass(bytes, pytype):
            raise self.refusal(
                f"a figure is stored as an image and cannot be read as a {pytype.__qualname__}; get its component "
                "'png', which is the image as bytes."
            )
        return content


def _check(content: bytes) -> None:
    """Check that all chunks of a PNG file are there and have the sums they say (PNG specification, section 5.3)."""
    if not content.startswith(_SIGNATURE):
        raise ValueError("it is no PNG image")
    position, kind = len(_SIGNATURE), b""
    while kind != _LAST:
        length = int.from_bytes(content[position : position + 4])
        end = position + 12 + length
        if end > len(content):
            raise ValueError("the PNG image is truncated")
        kind = content[position + 4 : position + 8]
        if zlib.crc32(content[position + 4 : end - 4]) != int.from_bytes(content[end - 4 : end]):
            raise ValueError("a chunk of the PNG image does not have the sum that it says")
        position = end
    if position != len(content):
        raise ValueError("there are bytes after the end of the PNG image")
