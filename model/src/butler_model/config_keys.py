# SPDX-License-Identifier: BSD-3-Clause
"""Keys of configurations: what is not known is refused, with the nearest that is."""

from __future__ import annotations

__all__ = ["check_keys", "nearest_known"]

import difflib
from collections.abc import Collection
from typing import Any

from .errors import ConfigurationError


def check_keys(content: Any, known: Collection[str], where: str) -> None:
    """Check that a part of a configuration is a mapping with known keys only.

    Parameters
    ----------
    where
        What an error says of the place, such as the file and the section.

    Raises
    ------
    ConfigurationError
        Raised if it is not.
    """
    if not isinstance(content, dict):
        raise ConfigurationError(f"{where}: expected a mapping with {', '.join(known)}, not {content!r:.80}.")
    for key in content:
        if key not in known:
            raise ConfigurationError(f"{where}: unknown key {key!r}; {nearest_known(key, known)}.")


def nearest_known(name: object, known: Collection[str]) -> str:
    """Return a clause that names the nearest of some names, of which there is at least one."""
    nearest = difflib.get_close_matches(str(name), known, n=1, cutoff=0.0)[0]
    return f"the nearest known one is {nearest!r}"
