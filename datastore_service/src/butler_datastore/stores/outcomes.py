# SPDX-License-Identifier: BSD-3-Clause
"""What may be undone after a write that failed."""

from __future__ import annotations

__all__ = ["is_refusal"]

from butler_model.errors import ButlerError, GrantError, ServiceUnavailableError


def is_refusal(error: BaseException) -> bool:
    """Return whether a repeat of the call would meet this error too, so that nobody can have been told that it is done.

    Not so if a store could not be reached, or a grant expired meanwhile: a repeat may have come through before, and
    found what this call had stored. Then what is there is left to its intent.
    """
    return isinstance(error, ButlerError) and not isinstance(error, GrantError | ServiceUnavailableError)
