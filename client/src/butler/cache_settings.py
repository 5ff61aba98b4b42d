# SPDX-License-Identifier: BSD-3-Clause
"""Where a client keeps artifacts that it has read, and how many of them."""

from __future__ import annotations

__all__ = ["CacheBound", "CacheExpiration", "CacheSettings"]

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from butler_model.errors import ConfigurationError

_DIRECTORY_VARIABLES = ("BUTLER_CACHE_DIR", "DAF_BUTLER_CACHE_DIRECTORY")
_EXPIRATION_VARIABLES = ("BUTLER_CACHE_EXPIRATION", "DAF_BUTLER_CACHE_EXPIRATION_MODE")
"""Names of environment variables; the first that is set counts. The second names are the field's older ones."""

_DISABLED = "disabled"
_UNITS = {
    **{letter + end: 1000**power for power, letter in enumerate("KMGT", 1) for end in ("", "B")},
    **{letter + "IB": 1024**power for power, letter in enumerate("KMGT", 1)},
    "": 1,
    "B": 1,
}


class CacheBound(Enum):
    """What is bounded."""

    FILES = "files"
    """The number of files."""
    SIZE = "size"
    """Their length together, in bytes."""
    AGE = "age"
    """The time since a file was last used, in seconds."""


@dataclass(frozen=True, slots=True)
class CacheExpiration:
    """When files go from the cache: those that were not used for longest, while the bound is exceeded."""

    bound: CacheBound
    limit: int

    def __post_init__(self) -> None:
        if self.limit < 1:
            raise ConfigurationError(f"A cache is bounded by {self.bound.value}=1 or more, not {self.limit}.")

    def __str__(self) -> str:
        return f"{self.bound.value}={self.limit}"

    @classmethod
    def parse(cls, text: str) -> CacheExpiration | None:
        """Return what ``files=N``, ``size=BYTES`` or ``age=SECONDS`` says; `None` for ``disabled``.

        A number may have one of the units kB, MB, GB, TB (powers of 1000), KiB, MiB, GiB and TiB if it is of bytes.

        Raises
        ------
        ConfigurationError
            Raised for any other text.
        """
        if text.strip().lower() == _DISABLED:
            return None
        match = re.fullmatch(r"\s*(files|size|age)\s*=\s*([0-9]{1,18})\s*([A-Za-z]{0,3})\s*", text)
        unit = _UNITS.get(match[3].upper()) if match else None
        if match is None or unit is None or (match[3] and match[1] != "size"):
            raise ConfigurationError(
                f"{text!r:.80} says not when files expire from the cache; use files=N, size=BYTES (as size=10GB), "
                f"age=SECONDS or {_DISABLED}."
            )
        return cls(CacheBound(match[1]), int(match[2]) * unit)


@dataclass(frozen=True, slots=True)
class CacheSettings:
    """A cache as it is set up.

    Attributes
    ----------
    directory
        Where the files are; made when first needed. All processes that name the same one share them.
    expiration
        When they go; `None` if nothing is cached.
    largest
        Length in bytes of the largest artifact that is cached.
    """

    directory: Path
    expiration: CacheExpiration | None = CacheExpiration(CacheBound.SIZE, 10 * 1000**3)
    largest: int = 2**30

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> CacheSettings:
        """Return the default settings, with what environment variables say instead.

        ``BUTLER_CACHE_DIR`` is the directory, ``butler/artifacts`` in the user's cache directory if absent.
        ``BUTLER_CACHE_EXPIRATION`` is what `CacheExpiration.parse` takes, ``size=10GB`` if absent. Where they are not
        set, ``DAF_BUTLER_CACHE_DIRECTORY`` and ``DAF_BUTLER_CACHE_EXPIRATION_MODE`` are looked at.

        Raises
        ------
        ConfigurationError
            Raised if the second is malformed, and if there is neither a directory nor a home.
        """
        _, given = _first(environment, _DIRECTORY_VARIABLES)
        variable, expiration = _first(environment, _EXPIRATION_VARIABLES)
        directory = Path(given).absolute() if given else _default_directory(environment)
        if not expiration:
            return cls(directory)
        try:
            return cls(directory, CacheExpiration.parse(expiration))
        except ConfigurationError as error:
            raise ConfigurationError(f"{variable}: {error}", variable=variable) from error


def _first(environment: Mapping[str, str], names: tuple[str, ...]) -> tuple[str, str]:
    return next(((name, environment[name]) for name in names if environment.get(name)), ("", ""))


def _default_directory(environment: Mapping[str, str]) -> Path:
    root = environment.get("XDG_CACHE_HOME", "")
    if os.path.isabs(root):  # others are to be ignored, says the XDG Base Directory Specification
        return Path(root, "butler", "artifacts")
    try:
        return Path.home() / ".cache" / "butler" / "artifacts"
    except RuntimeError as error:
        raise ConfigurationError(
            f"There is no home for a cache of artifacts ({error}); set {_DIRECTORY_VARIABLES[0]} to a directory, or "
            f"{_EXPIRATION_VARIABLES[0]} to {_DISABLED}."
        ) from error
