# SPDX-License-Identifier: BSD-3-Clause
"""NumPy's own array format."""

from __future__ import annotations

__all__ = ["NpyFormatter"]

from collections.abc import Mapping
from typing import BinaryIO

import numpy as np

from .formatter import Formatter

_LONGEST_HEADER = 2**20
"""In characters; an array with thousands of fields has less. NumPy itself reads back no more than 10,000."""


class NpyFormatter(Formatter):
    """A NumPy array of any dtype but object, never pickled."""

    label = "npy"
    extension = ".npy"

    def encode(self, obj: object, sink: BinaryIO, parameters: Mapping[str, object]) -> None:
        # Subclasses carry what the format has no place for: masks, units.
        if type(obj) not in (np.ndarray, np.memmap):
            raise self.refusal(
                f"takes a plain numpy.ndarray, not a {type(obj).__qualname__}; something of it would be lost."
            )
        assert isinstance(obj, np.ndarray)
        if obj.dtype.hasobject:
            raise self.refusal(
                f"dtype {obj.dtype} holds Python objects, which need pickle; use a table or JSON for them."
            )
        # Beside the fields the header has the shape and the order.
        if obj.dtype.names and len(repr(obj.dtype.descr)) > _LONGEST_HEADER - 2_000:
            raise self.refusal(
                f"an array with {len(obj.dtype.names)} fields has a header that nobody reads back."
            )
        np.lib.format.write_array(sink, obj, allow_pickle=False)

    def decode(
        self, source: BinaryIO, pytype: type, component: str | None, parameters: Mapping[str, object]
    ) -> object:
        try:
            array = np.lib.format.read_array(source, allow_pickle=False, max_header_size=_LONGEST_HEADER)
        except MemoryError as error:
            # The shape in a corrupt header.
            raise ValueError(str(error)) from error
        if source.read(1):
            raise ValueError("there are bytes after the end of the array")
        return array
