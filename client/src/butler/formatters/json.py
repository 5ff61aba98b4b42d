# SPDX-License-Identifier: BSD-3-Clause
"""JSON."""

from __future__ import annotations

__all__ = ["JsonFormatter"]

import json
from collections.abc import Mapping
from typing import BinaryIO

from .formatter import Formatter
from .structured import check_plain

_SCALARS = (str, int, float, bool, type(None))


class JsonFormatter(Formatter):
    """Nested dict and list of str, int, float, bool and None, as UTF-8.

    Keys must be str: JSON would turn others into strings. Not-a-number and infinities are written as ``NaN``
    and ``Infinity``, which Python and many other readers take, though not the strictest: measurements contain
    them, and losing the rest of a result because of one would be worse.
    """

    label = "json"
    extension = ".json"

    def encode(self, obj: object, sink: BinaryIO, parameters: Mapping[str, object]) -> None:
        check_plain(obj, _SCALARS, (str,))
        # Not escaped, so that half of a surrogate pair is an error here and not another character later.
        sink.write(json.dumps(obj, ensure_ascii=False).encode("utf-8"))

    def decode(
        self, source: BinaryIO, pytype: type, component: str | None, parameters: Mapping[str, object]
    ) -> object:
        return json.loads(source.read().decode("utf-8"))
