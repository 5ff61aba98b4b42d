# SPDX-License-Identifier: BSD-3-Clause
"""What the datastore service can be told."""

from __future__ import annotations

__all__ = ["DatastoreSettings", "RegistryTlsSettings"]

from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, PlainValidator, model_validator
from pydantic_settings import SettingsConfigDict

from butler_api.client_security import ClientSecurity
from butler_api.process import ServiceSettings

from .config import MemoryStoreConfig, StoreConfig
from .services.housekeeping import GUARD_SECONDS
from .store_tables import store_config


class RegistryTlsSettings(BaseModel):
    """Certificates for the link to the registry service; PEM files."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    ca: str = ""
    certificate: str = ""
    key: str = ""

    @property
    def security(self) -> ClientSecurity:
        """The same for a connection."""
        return ClientSecurity(self.ca, self.certificate, self.key)


class DatastoreSettings(ServiceSettings):
    """Settings, from a TOML file or from environment variables ``BUTLER_DATASTORE_ADDRESS`` and so on.

    Attributes
    ----------
    stores
        For each store its name and where it is, as the registry service names them. In TOML a table
        ``[stores.main]``, in the environment JSON: ``{"main": {"root": "/data/{repository}"}}``. Its ``kind`` is
        ``posix``, if it does not say, ``s3``, ``memory`` or ``chain``; the others are the attributes of the
        class of that kind in `butler_datastore.config`.
    ingest_roots
        Directories from which files may be taken, linked or read directly when they are ingested; apart from those of
        the stores. Who may put datasets can have all that is below them read, and moved into a store.
    registry
        ``host:port`` of the registry service, which has the same signing keys, or ``grpcs://host:port`` to encrypt;
        without it nothing in the trash is deleted by this service.
    registry_tls
        What is shown to the registry service and believed of it: a table with ``ca``, the authorities that its
        certificate has to be of (those of the system if absent), and ``certificate`` and ``key`` of this service.
    housekeeping_seconds
        How long the worker waits that empties the trash and discards what broken puts left; 0 for no worker here.
    guard_seconds
        How long after its end a put is left alone, and how long what nobody knows of. Clocks must differ by less, and
        no write may take longer after its grant has expired.
    """

    model_config = SettingsConfigDict(env_prefix="BUTLER_DATASTORE_", extra="forbid")

    address: str = "127.0.0.1:50052"
    stores: dict[str, Annotated[StoreConfig, PlainValidator(store_config)]] = Field(min_length=1)
    ingest_roots: list[str] = Field(default_factory=list)
    registry: str = ""
    registry_tls: RegistryTlsSettings = RegistryTlsSettings()
    housekeeping_seconds: float = Field(60.0, ge=0)
    guard_seconds: int = Field(GUARD_SECONDS, ge=0, le=86_400)

    @model_validator(mode="after")
    def _memory_is_of_one_process(self) -> Self:
        """Refuse a store in the memory of one process if others answer for it."""
        for name, store in self.stores.items():
            if self.processes > 1 and isinstance(store, MemoryStoreConfig):
                raise ValueError(
                    f"the store {name!r} is in the memory of one process, so processes has to be 1"
                )
        return self
