# SPDX-License-Identifier: BSD-3-Clause
"""Every operation that is compared, by name.

Each is a function of the subject, the number of items and the number of the round. It does what has to be done before,
and returns the call that is to be timed. What that returns is compared between both sides.
"""

from __future__ import annotations

__all__ = ["OPERATIONS"]

from . import moving, reading, registering, writing
from .call import Prepare

OPERATIONS: dict[str, Prepare] = {
    **reading.OPERATIONS,
    **registering.OPERATIONS,
    **writing.OPERATIONS,
    **moving.OPERATIONS,
}
