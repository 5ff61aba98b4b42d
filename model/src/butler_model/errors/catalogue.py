# SPDX-License-Identifier: BSD-3-Clause
"""What every error of the catalogue has."""

from __future__ import annotations

__all__ = ["ButlerError", "Status"]

from enum import Enum
from typing import ClassVar


class Status(Enum):
    """Canonical status of an error; the names are those of ``google.rpc.Code``."""

    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    DATA_LOSS = 15
    UNAUTHENTICATED = 16


class ButlerError(Exception):
    """Root of the catalogue.

    Parameters
    ----------
    message
        One sentence for a person: what was wrong, with its name, and what to do about it.
    **metadata
        Machine-readable facts (names, ids) that travel in ``google.rpc.ErrorInfo.metadata``.
    """

    reason: ClassVar[str]
    status: ClassVar[Status]

    def __init__(self, message: str, **metadata: str) -> None:
        super().__init__(message)
        self.message = message
        self.metadata = metadata

    def __str__(self) -> str:
        # KeyError would otherwise show the repr of its argument.
        return self.message
