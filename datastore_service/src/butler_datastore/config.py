# SPDX-License-Identifier: BSD-3-Clause
"""What an operator says about the stores."""

from __future__ import annotations

__all__ = ["StoreConfig", "check_ingest_roots"]

import os
import re
from collections.abc import Iterable, Sequence
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


def check_ingest_roots(roots: Sequence[str], stores: Iterable[StoreConfig]) -> list[str]:
    """Return the directories from which files may be taken.

    ``/``, the whole file system, is for a datastore that serves its own process only. Any other one must be apart from
    the directories of all stores, so that an artifact is never taken for a file to be moved.

    Raises
    ------
    ConfigurationError
        Raised if one is no plain absolute path, or is not apart from a store.
    """
    kept = [os.path.realpath(store.root.partition("{")[0] or os.curdir) for store in stores]
    for root in roots:
        if not root.startswith("/") or "\0" in root or os.path.normpath(root) != root:
            raise ConfigurationError(f"ingest_roots: {root!r:.300} is no plain absolute path of a directory.")
        real = os.path.realpath(root)
        for store in kept if root != "/" else ():
            if os.path.commonpath([real, store]) in (real, store):
                raise ConfigurationError(
                    f"ingest_roots: {root!r:.300} is not apart from the store in {store!r:.300}; name directories "
                    "that hold no artifacts."
                )
    return list(roots)
