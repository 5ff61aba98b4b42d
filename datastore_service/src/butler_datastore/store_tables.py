# SPDX-License-Identifier: BSD-3-Clause
"""From the tables of a configuration to what is said of stores."""

from __future__ import annotations

__all__ = ["store_config", "store_configs"]

from collections.abc import Mapping
from dataclasses import fields

from pydantic import TypeAdapter, ValidationError

from butler_model.config_keys import nearest_known
from butler_model.errors import ConfigurationError

from .config import ChainStoreConfig, MemoryStoreConfig, PosixStoreConfig, S3StoreConfig, StoreConfig

_MEMBER_KINDS: dict[str, type[StoreConfig]] = {
    "posix": PosixStoreConfig,
    "s3": S3StoreConfig,
    "memory": MemoryStoreConfig,
}
_KINDS = {**_MEMBER_KINDS, "chain": ChainStoreConfig}


def store_config(value: object, kinds: Mapping[str, type[StoreConfig]] = _KINDS) -> StoreConfig:
    """Return the configuration of a store from its table; `ConfigurationError` names what is wrong in it."""
    if not isinstance(value, Mapping):
        raise ConfigurationError(f"expected a table with kind and more, not {value!r:.80}")
    kind = value.get("kind", "posix")
    if not isinstance(kind, str) or kind not in kinds:
        raise ConfigurationError(f"unknown kind {kind!r:.80}; {nearest_known(kind, kinds)}")
    known = [field.name for field in fields(kinds[kind])]
    for key in value:
        if key not in known:
            raise ConfigurationError(
                f"unknown key {key!r:.80} for the kind {kind!r}; {nearest_known(key, known)}"
            )
    parts = dict(value)
    if kind == "chain" and isinstance(value.get("members"), Mapping):
        parts["members"] = {name: _member_config(name, member) for name, member in value["members"].items()}
    try:
        config: StoreConfig = TypeAdapter(kinds[kind]).validate_python(parts)
    except ValidationError as error:
        faults = [
            ": ".join([*map(str, each["loc"]), each["msg"]]) for each in error.errors(include_url=False)
        ]
        raise ConfigurationError("; ".join(faults)) from None
    return config


def _member_config(name: str, value: object) -> StoreConfig:
    try:
        return store_config(value, _MEMBER_KINDS)
    except ConfigurationError as error:
        raise ConfigurationError(f"member {name!r}: {error.message}") from None


def store_configs(tables: Mapping[str, object]) -> dict[str, StoreConfig]:
    """Return the configuration of each store by name; `ConfigurationError` names the store and what is wrong."""
    configs: dict[str, StoreConfig] = {}
    for name, table in tables.items():
        try:
            configs[name] = store_config(table)
        except ConfigurationError as error:
            raise ConfigurationError(f"Store {name!r}: {error.message}", store=name) from None
    return configs
