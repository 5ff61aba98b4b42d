# SPDX-License-Identifier: BSD-3-Clause
"""What an operator says about the stores."""

from __future__ import annotations

__all__ = ["StoreConfig"]

import re
from dataclasses import dataclass

from butler_model.errors import ConfigurationError

_REPOSITORY = "{repository}"


@dataclass(frozen=True, slots=True)
class StoreConfig:
    """A store in a directory; `ConfigurationError` if it cannot be one.

    Attributes
    ----------
    root
        The directory, made when it is first written to; ``{repository}`` in it is the repository's name.
    durable
        Whether what was acknowledged survives a loss of power, at the price of waiting for the disk.
    """

    root: str
    durable: bool = True

    def __post_init__(self) -> None:
        if not self.root or "\0" in self.root or re.search(r"[{}]", self.root.replace(_REPOSITORY, "")):
            raise ConfigurationError(
                f"{self.root!r} is no root of a store: give a directory, in which braces are used for "
                f"{_REPOSITORY} only."
            )

    def root_of(self, repository: str) -> str:
        """Return the directory of one repository."""
        return self.root.replace(_REPOSITORY, repository)
