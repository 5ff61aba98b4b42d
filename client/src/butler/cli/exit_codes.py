# SPDX-License-Identifier: BSD-3-Clause
"""What the exit code of ``butler`` says."""

from __future__ import annotations

__all__ = ["ExitCode", "exit_code_of"]

import errno
from enum import IntEnum
from typing import Self

from butler_model.errors import (
    ButlerError,
    ChecksumMismatchError,
    IntentError,
    MissingParentError,
    ReadOnlyError,
    Status,
    TruncatedUploadError,
)


class ExitCode(IntEnum):
    """Why the program ended; scripts may rely on the numbers.

    Attributes
    ----------
    meaning
        What the number says, for people.
    """

    meaning: str

    def __new__(cls, number: int, meaning: str) -> Self:
        code = int.__new__(cls, number)
        code._value_ = number
        code.meaning = meaning
        return code

    SUCCESS = (
        0,
        "All went well. A service ends so by SIGTERM and by Ctrl-C: it answered until it was told to stop.",
    )
    FOUND = 1, "All went well, and what was inspected is not as it should be."
    USAGE = 2, "The command line is malformed."
    NOT_FOUND = (
        3,
        "A repository, collection, dataset type, dataset, record or file that was named does not exist.",
    )
    CONFLICT = 4, "Something of that name or data ID exists already, or somebody else was first."
    INVALID_INPUT = 5, "A value, name, file or operation is not acceptable."
    UNAVAILABLE = (
        6,
        "A service or store cannot do it now: not reached in time, overloaded, full. Try again later.",
    )
    DATA_LOSS = 7, "Bytes are not those that were stored or sent."
    FORBIDDEN = 8, "Not allowed: read-only, no permission, or the service does not know who asks."
    INTERNAL = 70, "An error of the program; please report it."
    INTERRUPTED = 130, "Ended by Ctrl-C, or a question was not answered with yes."
    BROKEN_PIPE = 141, "Nobody reads the output any more."


_BY_STATUS = {
    Status.INVALID_ARGUMENT: ExitCode.INVALID_INPUT,
    Status.DEADLINE_EXCEEDED: ExitCode.UNAVAILABLE,
    Status.NOT_FOUND: ExitCode.NOT_FOUND,
    Status.ALREADY_EXISTS: ExitCode.CONFLICT,
    Status.PERMISSION_DENIED: ExitCode.FORBIDDEN,
    Status.RESOURCE_EXHAUSTED: ExitCode.UNAVAILABLE,
    Status.FAILED_PRECONDITION: ExitCode.INVALID_INPUT,
    Status.ABORTED: ExitCode.CONFLICT,
    Status.UNIMPLEMENTED: ExitCode.INVALID_INPUT,
    Status.INTERNAL: ExitCode.INTERNAL,
    Status.UNAVAILABLE: ExitCode.UNAVAILABLE,
    Status.DATA_LOSS: ExitCode.DATA_LOSS,
    Status.UNAUTHENTICATED: ExitCode.FORBIDDEN,
}

# Where a shell script would react otherwise than a program does to the status.
_BY_CLASS: dict[type[ButlerError], ExitCode] = {
    ChecksumMismatchError: ExitCode.DATA_LOSS,
    IntentError: ExitCode.CONFLICT,
    MissingParentError: ExitCode.NOT_FOUND,
    ReadOnlyError: ExitCode.FORBIDDEN,
    TruncatedUploadError: ExitCode.DATA_LOSS,
}

_BY_ERRNO = {
    errno.ENOENT: ExitCode.NOT_FOUND,
    errno.EEXIST: ExitCode.CONFLICT,
    errno.EACCES: ExitCode.FORBIDDEN,
    errno.EPERM: ExitCode.FORBIDDEN,
    errno.EROFS: ExitCode.FORBIDDEN,
    errno.ENOSPC: ExitCode.UNAVAILABLE,
    errno.EDQUOT: ExitCode.UNAVAILABLE,
    errno.EADDRINUSE: ExitCode.UNAVAILABLE,
}


def exit_code_of(error: BaseException) -> ExitCode:
    """Return the exit code for an error: of the catalogue, of a file on this machine, or of the program."""
    if isinstance(error, ButlerError):
        return _BY_CLASS.get(type(error)) or _BY_STATUS[error.status]
    if isinstance(error, OSError) and error.errno is not None:
        return _BY_ERRNO.get(error.errno, ExitCode.INVALID_INPUT)
    return ExitCode.INTERNAL
