# SPDX-License-Identifier: BSD-3-Clause
"""What a full disk looks like, and what is said of it."""

from __future__ import annotations

__all__ = ["full_store_reported"]

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager

from butler_model.errors import StoreFullError

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@contextmanager
def full_store_reported() -> Iterator[None]:
    """Raise `StoreFullError` where the disk has no room, or the file would be too large for it."""
    try:
        yield
    except OSError as error:
        if error.errno not in _FULL:
            raise
        raise StoreFullError(
            f"The store has no room left ({os.strerror(error.errno)}); tell its operator."
        ) from error
