# SPDX-License-Identifier: BSD-3-Clause
"""What the datastore service can be told."""

from __future__ import annotations

__all__ = ["DatastoreSettings", "store_config"]

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Annotated

from pydantic import Field, PlainValidator, TypeAdapter, ValidationError
from pydantic_settings import SettingsConfigDict

from butler_api.process import ServiceSettings
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
        raise ConfigurationError(f"unknown kind {kind!r:.80}; {_nearest(kind, kinds)}")
    known = [field.name for field in fields(kinds[kind])]
    for key in value:
        if key not in known:
            raise ConfigurationError(f"unknown key {key!r:.80} for the kind {kind!r}; {_nearest(key, known)}")
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


def _nearest(name: object, known: Iterable[str]) -> str:
    nearest = difflib.get_close_matches(str(name), known, n=1, cutoff=0.0)[0]
    return f"the nearest known one is {nearest!r}"


class DatastoreSettings(ServiceSettings):
    """Settings, from a TOML file or from environment variables ``BUTLER_DATASTORE_ADDRESS`` and so on.

    Attributes
    ----------
    stores
        For each store its name and where it is, as the registry service names them. In TOML a table
        ``[stores.main]``, in the environment JSON: ``{"main": {"root": "/data/{repository}"}}``. Its ``kind`` is
        ``posix``, if it does not say, ``s3``, ``memory`` or ``chain``; the others are the attributes of the
        class of that kind in `butler_datastore.config`.
    """

    model_config = SettingsConfigDict(env_prefix="BUTLER_DATASTORE_", extra="forbid")

    address: str = "127.0.0.1:50052"
    stores: dict[str, Annotated[StoreConfig, PlainValidator(store_config)]] = Field(min_length=1)
