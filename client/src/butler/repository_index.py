# SPDX-License-Identifier: BSD-3-Clause
"""Repositories by label: a name that stands for a directory or for the address of a service."""

from __future__ import annotations

__all__ = ["INDEX_VARIABLE", "INLINE_VARIABLE", "RepositoryIndex"]

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from butler_model.config_keys import nearest_known
from butler_model.errors import ConfigurationError, ConfigurationNotFoundError, RepositoryNotFoundError

from .config.files import read_file, read_string
from .config.locations import folder_of, location_of

INDEX_VARIABLE = "DAF_BUTLER_REPOSITORY_INDEX"
"""Environment variable with the path or URI of a YAML or JSON file that maps labels to places."""
INLINE_VARIABLE = "DAF_BUTLER_REPOSITORIES"
"""Environment variable with such a mapping itself; it goes before the file."""

_ADDRESSES = ("grpc://", "grpcs://")
_SHOWN = 10


@dataclass(frozen=True, slots=True)
class RepositoryIndex:
    """Labels, and the places that they stand for: absolute paths, URIs and ``grpc://HOST:PORT/REPOSITORY``."""

    places: Mapping[str, str]

    @classmethod
    def from_environment(cls) -> Self:
        """Read the index anew: it may have changed.

        Raises
        ------
        ConfigurationError
            Raised if it cannot be read, or is no mapping of labels to places; names the file or variable.
        """
        places: dict[str, str] = {}
        if os.environ.get(INDEX_VARIABLE):
            file = location_of(os.environ[INDEX_VARIABLE])
            where = f"{file!r}, which {INDEX_VARIABLE} names"
            try:
                content = read_file(file)
            except (ConfigurationError, ConfigurationNotFoundError) as error:
                raise ConfigurationError(
                    f"The repositories cannot be read from {where}: {error.message}", path=file
                ) from error
            places.update(_checked(content, where, folder_of(file)))
        if os.environ.get(INLINE_VARIABLE):
            where = f"The environment variable {INLINE_VARIABLE}"
            content = read_string(os.environ[INLINE_VARIABLE], where, None, is_json=False)
            places.update(_checked(content, where, None))
        return cls(places)

    def place_of(self, label: str) -> str:
        """Return where the repository with that label is.

        Raises
        ------
        RepositoryNotFoundError
            Raised if there is none; names the nearest label and those that are known.
        """
        place = self.places.get(label)
        if place is None:
            raise RepositoryNotFoundError(
                f"There is no repository with the label {label!r:.200}; {self.hint(label)}.",
                label=label[:200],
            )
        return place

    def hint(self, label: str) -> str:
        """Return a clause that names the labels which are known, the one nearest to another first."""
        if not self.places:
            return f"no labels are known: {INDEX_VARIABLE} and {INLINE_VARIABLE} name none"
        known = sorted(self.places)
        more = f" and {len(known) - _SHOWN} more" if len(known) > _SHOWN else ""
        return f"{nearest_known(label, known)}, of {', '.join(known[:_SHOWN])}{more}"


def _checked(content: Any, where: str, folder: str | None) -> dict[str, str]:
    if not isinstance(content, dict):
        raise ConfigurationError(f"{where}: expected a mapping of labels to places, not {content!r:.80}.")
    places: dict[str, str] = {}
    for label, place in content.items():
        if not isinstance(label, str) or not label or not isinstance(place, str) or not place:
            raise ConfigurationError(
                f"{where}: the label {label!r:.80} is to stand for a directory, the path of a butler.yaml, or "
                f"grpc://HOST:PORT/REPOSITORY, not for {place!r:.80}."
            )
        try:
            places[label] = place if place.startswith(_ADDRESSES) else location_of(place, folder)
        except ConfigurationError as error:
            raise ConfigurationError(f"{where}, {label!r}: {error.message}", label=label) from None
    return places
