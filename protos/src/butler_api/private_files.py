# SPDX-License-Identifier: BSD-3-Clause
"""Files with secrets in them, for services and clients: nobody but their owner may read them."""

from __future__ import annotations

__all__ = ["check_private", "read_private"]

import os
import stat

from butler_model.errors import ConfigurationError

_OTHERS = 0o077


def read_private(file: str, what: str) -> str:
    """Return the text of a file that only its owner may read.

    Parameters
    ----------
    what
        What is in it, as an error begins: ``The credentials``.

    Raises
    ------
    ConfigurationError
        Raised if it cannot be read, or if others than its owner may read it. What is in it is never told.
    """
    try:
        with open(file, encoding="utf-8") as stream:
            _check_mode(os.fstat(stream.fileno()).st_mode, file, what)
            return stream.read()
    except OSError as error:
        raise ConfigurationError(
            f"{what} cannot be read from {file!r} ({error.strerror}).", file=file
        ) from None
    except UnicodeDecodeError:
        raise ConfigurationError(f"{what} cannot be read from {file!r}: it is no text.", file=file) from None


def check_private(file: str, what: str) -> None:
    """Raise `ConfigurationError` if others than its owner may read a file, which exists."""
    _check_mode(os.stat(file).st_mode, file, what)


def _check_mode(mode: int, file: str, what: str) -> None:
    if stat.S_IMODE(mode) & _OTHERS:
        raise ConfigurationError(
            f"{what} in {file!r} can be read by others; make the file yours alone: chmod 600 {file}",
            file=file,
        )
