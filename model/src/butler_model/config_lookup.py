# SPDX-License-Identifier: BSD-3-Clause
"""Which entry of a configuration applies to a dataset: one order for formatters, templates, constraints and the rest.

The keys of such a configuration are names of dataset types and storage classes, sets of dimensions written
``visit+detector+``, and ``default``. Entries for one instrument stand under ``instrument<NAME>``::

    raw: fits
    physical_filter+: json
    instrument<HSC>: {raw: npy}
"""

from __future__ import annotations

__all__ = ["DEFAULT", "find_entry", "flat_entries", "lookup_keys", "normal_key"]

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from .errors import ConfigurationError, DimensionNameError

if TYPE_CHECKING:
    from .dataset import DatasetType
    from .universe import DimensionUniverse

DEFAULT = "default"
"""Key of what applies where nothing else does."""

_INSTRUMENT = re.compile(r"instrument<([^<>]+)>")
_FLAT = re.compile(r"instrument<[^<>]+>/.+")
_SET = "+"

T = TypeVar("T")


def lookup_keys(dataset_type: DatasetType, instrument: str | None = None) -> Iterator[str]:
    """Yield the keys under which a dataset may be configured, the most specific one first.

    The name of the dataset type; for a component, that of its composite; the set of its dimensions; its storage
    class; ``default``. With an instrument all but the last come first as ``instrument<NAME>/key``. A set of dimensions
    is written here with its required dimensions in the order of the universe, and a ``+`` after each.

    Parameters
    ----------
    instrument
        Value of that dimension in the data ID, `None` if it has none.
    """
    parent, component = dataset_type.nameAndComponent()
    keys = [dataset_type.name]
    if component is not None:
        keys.append(parent)
    keys += [_set_key(dataset_type.dimensions.required), dataset_type.storageClass_name]
    if instrument is not None:
        yield from (f"instrument<{instrument}>/{key}" for key in keys)
    yield from keys
    yield DEFAULT


def flat_entries(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return a configuration with what stands under ``instrument<NAME>`` moved to ``instrument<NAME>/key``.

    Raises
    ------
    ConfigurationError
        Raised if a key is no string or malformed, or what stands under an instrument is no mapping.
    """
    flat: dict[str, Any] = {}
    for key, entry in config.items():
        if not isinstance(key, str) or not key:
            raise ConfigurationError(
                f"{key!r} is no key of a configuration; use the name of a dataset type or storage class, a set "
                "of dimensions such as visit+detector+, or instrument<NAME>."
            )
        if not key.startswith("instrument<") or _FLAT.fullmatch(key):
            flat[key] = entry
        elif not _INSTRUMENT.fullmatch(key):
            raise ConfigurationError(f"{key!r} is no key of a configuration; write instrument<NAME>.")
        elif not isinstance(entry, Mapping):
            raise ConfigurationError(
                f"Under {key!r} stands a mapping with keys of its own, not {entry!r:.80}."
            )
        else:
            flat.update((f"{key}/{inner}", inner_entry) for inner, inner_entry in entry.items())
    return flat


def find_entry(
    entries: Mapping[str, T], dataset_type: DatasetType, instrument: str | None = None
) -> T | None:
    """Return what a configuration, made flat, says of a dataset; `None` if it says nothing.

    Sets of dimensions may be written in any order, and with or without the dimensions that others imply.
    """
    universe = dataset_type.universe
    normal = {normal_key(key, universe): entry for key, entry in entries.items()}
    return next(
        (normal[key] for key in lookup_keys(dataset_type, instrument) if key in normal),
        None,
    )


def normal_key(key: str, universe: DimensionUniverse) -> str:
    """Return a key with its set of dimensions, if it is one, as `lookup_keys` writes it."""
    if _SET not in key:
        return key
    prefix, slash, names = key.rpartition("/")
    try:
        group = universe.conform([name for name in names.split(_SET) if name])
    except DimensionNameError:
        # A dimension of another universe: no dataset type of this one has it.
        return key
    return f"{prefix}{slash}{_set_key(group.required)}"


def _set_key(names: tuple[str, ...]) -> str:
    return "".join(f"{name}{_SET}" for name in names)
