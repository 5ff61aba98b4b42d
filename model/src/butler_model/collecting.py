# SPDX-License-Identifier: BSD-3-Clause
"""Many objects at once, without Python's search for cycles among them."""

from __future__ import annotations

__all__ = ["without_collection"]

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without_collection() -> Iterator[None]:
    """Put off the search for garbage cycles while a block makes thousands of objects that stay.

    Python searches after each 700 objects that were made, and each time through more of those that are there. Of a page
    of results that takes longer than to make it, and finds nothing. The block is to be short: at its end Python goes on
    as before, and nothing changes where the search is off already.
    """
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
