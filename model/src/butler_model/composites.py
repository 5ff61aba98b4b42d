# SPDX-License-Identifier: BSD-3-Clause
"""Which composite datasets a repository stores as separate components."""

from __future__ import annotations

__all__ = ["NOTHING_DISASSEMBLED", "Composites"]

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from .config_lookup import find_entry, flat_entries
from .dataset import DatasetType
from .errors import ConfigurationError

_KEYS = frozenset({"default", "disassembled"})


class Composites:
    """Says of each dataset type whether its datasets are taken apart when they are put; immutable.

    What is stored already says itself how: a record per component, or one for the whole.

    Parameters
    ----------
    config
        ``{"default": bool, "disassembled": {key: bool}}``, both optional; keys are those of
        `butler_model.config_lookup`. Absent, or empty: nothing is taken apart.

    Raises
    ------
    ConfigurationError
        Raised if it has another shape.
    """

    __slots__ = ("_default", "_disassembled", "config_json")

    config_json: str
    """The configuration in canonical form."""

    def __init__(self, config: Mapping[str, Any] | None = None) -> None:
        given = {} if config is None else config
        if not isinstance(given, Mapping) or given.keys() - _KEYS:
            raise ConfigurationError(
                f"A configuration of composites is {{'default': bool, 'disassembled': {{key: bool}}}}, not "
                f"{given!r:.200}."
            )
        chosen = given.get("disassembled", {})
        if not isinstance(chosen, Mapping):
            raise ConfigurationError(
                f"'disassembled' is a mapping from keys to booleans, not {chosen!r:.200}."
            )
        entries = flat_entries(chosen)
        for key, value in {"default": given.get("default", False), **entries}.items():
            if not isinstance(value, bool):
                raise ConfigurationError(f"Composites: {key!r} is true or false, not {value!r:.80}.", key=key)
        self._default: bool = given.get("default", False)
        self._disassembled: Mapping[str, bool] = MappingProxyType(entries)
        content = {"default": self._default, "disassembled": _plain(chosen)}
        self.config_json = json.dumps(content, sort_keys=True, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> Composites:
        """Return those of a JSON text; of an empty one, those that take nothing apart.

        Raises
        ------
        ConfigurationError
            Raised if the text is not JSON, or of another shape.
        """
        if not text:
            return cls()
        try:
            config = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise ConfigurationError(f"A configuration of composites is not JSON: {error}.") from error
        return cls(config)

    @property
    def keys(self) -> tuple[str, ...]:
        """All keys for which something is said."""
        return tuple(self._disassembled)

    def is_disassembled(self, dataset_type: DatasetType, instrument: str | None = None) -> bool:
        """Return whether new datasets of a type, of an instrument if they have one, are taken apart."""
        found = find_entry(self._disassembled, dataset_type, instrument)
        return self._default if found is None else found

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Composites) and self.config_json == other.config_json

    def __hash__(self) -> int:
        return hash(self.config_json)

    def __reduce__(self) -> tuple[Any, ...]:
        return (Composites.from_json, (self.config_json,))

    def __repr__(self) -> str:
        return f"Composites({self.config_json})"


def _plain(config: Mapping[str, Any]) -> dict[str, Any]:
    return {key: dict(value) if isinstance(value, Mapping) else value for key, value in config.items()}


NOTHING_DISASSEMBLED = Composites()
"""Stores every composite whole."""
