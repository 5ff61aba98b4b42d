# SPDX-License-Identifier: BSD-3-Clause
"""Finding delegates by label."""

from __future__ import annotations

__all__ = ["default_delegates"]

import functools

from butler.entry_points import LabelledCode

from .delegate import StorageClassDelegate


@functools.cache
def default_delegates() -> LabelledCode[type[StorageClassDelegate]]:
    """The delegates of this process: entry points of the group ``butler.delegates``, and those added since."""
    return LabelledCode("butler.delegates", "delegate")
