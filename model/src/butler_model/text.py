# SPDX-License-Identifier: BSD-3-Clause
"""Which strings every database and every wire format can carry."""

from __future__ import annotations

__all__ = ["unfit_text"]


def unfit_text(text: str) -> str:
    """Return why a string cannot be kept as it is, such as "contains a NUL character"; empty if it can."""
    if "\0" in text:
        return "contains a NUL character"
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            return "is not valid Unicode text"
    return ""
