# SPDX-License-Identifier: BSD-3-Clause
"""Pages of query results, in columns."""

from __future__ import annotations

__all__ = ["PageRequest", "ResultColumn", "ResultPage", "ResultType"]

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any


class ResultType(Enum):
    """What a column of results holds."""

    STRING = "string"
    INT = "int"
    FLOAT = "float"
    BOOL = "bool"
    BYTES = "bytes"
    REGION = "region"
    TIMESPAN = "timespan"
    UUID = "uuid"


@dataclass(frozen=True, slots=True)
class ResultColumn:
    """One column of a page: as many values as the page has rows, `None` where there is none."""

    name: str
    type: ResultType
    values: Sequence[Any]


@dataclass(frozen=True, slots=True)
class ResultPage:
    """Some rows of a result.

    Attributes
    ----------
    rows
        Number of rows.
    next_token
        Opaque token of the next page; empty when this is the last.
    revision
        Revision of the registry that the page was read at.
    """

    columns: tuple[ResultColumn, ...]
    rows: int
    next_token: bytes
    revision: int

    def column(self, name: str) -> Sequence[Any]:
        """Return the values of a column; `KeyError` if there is none of that name."""
        for column in self.columns:
            if column.name == name:
                return column.values
        raise KeyError(name)


@dataclass(frozen=True, slots=True)
class PageRequest:
    """Which page is wanted: at most ``size`` rows (0 = the service's default), from ``token`` on."""

    size: int = 0
    token: bytes = b""
