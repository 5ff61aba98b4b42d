# SPDX-License-Identifier: BSD-3-Clause
"""Log records as JSON lines."""

from __future__ import annotations

__all__ = ["LogRecordsFormatter"]

import json
from collections.abc import Mapping
from typing import BinaryIO

from butler.log_records import LogRecord, LogRecords

from .formatter import Formatter


class LogRecordsFormatter(Formatter):
    """`LogRecords`, one JSON object in a line for each record, so that other programs can search them."""

    label = "logs"
    extension = ".jsonl"

    def encode(self, obj: object, sink: BinaryIO, parameters: Mapping[str, object]) -> None:
        if not isinstance(obj, LogRecords):
            raise self.refusal(
                f"takes LogRecords, not a {type(obj).__qualname__}; LogRecords.from_logging makes them of Python's."
            )
        for record in obj:
            sink.write(json.dumps(record.to_simple(), ensure_ascii=False).encode("utf-8") + b"\n")

    def decode(
        self, source: BinaryIO, pytype: type, component: str | None, parameters: Mapping[str, object]
    ) -> object:
        lines = source.read().decode("utf-8").split("\n")
        if lines.pop():
            raise ValueError("the last line has no end")
        return LogRecords(LogRecord.from_simple(json.loads(line)) for line in lines)
