# SPDX-License-Identifier: BSD-3-Clause
"""What is said before the name of a command, and counts for all of them."""

from __future__ import annotations

__all__ = ["Preferences"]

from dataclasses import dataclass

import click


@dataclass(frozen=True, slots=True)
class Preferences:
    """What was said.

    Attributes
    ----------
    progress
        Whether progress is shown at once, or never; `None` if nothing was said.
    """

    progress: bool | None = None

    @classmethod
    def current(cls) -> Preferences:
        """Return those of the command that runs."""
        context = click.get_current_context(silent=True)
        return (context.find_object(cls) if context is not None else None) or cls()
