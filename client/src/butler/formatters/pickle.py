# SPDX-License-Identifier: BSD-3-Clause
"""Pickle, which is off: whoever reads a pickle runs the program that is in it."""

from __future__ import annotations

__all__ = ["PickleFormatter"]

import os
import pickle
from collections.abc import Mapping
from typing import BinaryIO

from butler_model.errors import FormatterError

from .formatter import Formatter

_VARIABLE = "BUTLER_ALLOW_PICKLE"
_ON = "1"


class PickleFormatter(Formatter):
    """Any object that can be pickled, by a client whose environment has ``BUTLER_ALLOW_PICKLE=1``."""

    label = "pickle"
    extension = ".pickle"

    def encode(self, obj: object, sink: BinaryIO, parameters: Mapping[str, object]) -> None:
        self._check_allowed("writes")
        pickle.dump(obj, sink, protocol=pickle.HIGHEST_PROTOCOL)

    def decode(
        self, source: BinaryIO, pytype: type, component: str | None, parameters: Mapping[str, object]
    ) -> object:
        self._check_allowed("reads")
        obj = pickle.load(source)  # noqa: S301 (the reader turned it on, knowing who writes into the repository)
        if source.read(1):
            raise ValueError("there are bytes after the end of the pickle")
        return obj

    def _check_allowed(self, does: str) -> None:
        if os.environ.get(_VARIABLE) != _ON:
            raise FormatterError(
                f"This client {does} no pickles: reading one runs whatever program its writer put into it, and only "
                "some versions of some packages can read it at all. Use a storage class with another format; or, if "
                f"everybody who can write into the repository is trusted, set {_VARIABLE}={_ON} in the environment "
                "of the client.",
                formatter=self.label,
            )
