# SPDX-License-Identifier: BSD-3-Clause
"""What the registry service can be told."""

from __future__ import annotations

__all__ = ["RegistrySettings"]

from typing import Any

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from butler_api.process import ServiceSettings


class RegistrySettings(ServiceSettings):
    """Settings, from a TOML file or from environment variables ``BUTLER_REGISTRY_ADDRESS`` and so on.

    Attributes
    ----------
    database
        ``postgresql+psycopg://...``, or ``sqlite:///DIRECTORY``.
    datastore_endpoint
        ``host:port`` where clients find the datastore service; ``:port`` means the host by which they found this
        one.
    stores
        Names of the stores of new repositories, as the datastore service names them; artifacts go to the first.
        In the environment JSON: ``["main"]``.
    composites
        What new repositories store as separate components, unless their maker says; see `butler_model.composites`.
        A table ``[composites]`` with ``default`` and ``[composites.disassembled]``, in the environment JSON.
    """

    model_config = SettingsConfigDict(env_prefix="BUTLER_REGISTRY_", extra="forbid")

    address: str = "127.0.0.1:50051"
    database: str
    datastore_endpoint: str = ":50052"
    stores: list[str] = Field(["main"], min_length=1)
    composites: dict[str, Any] = Field(default_factory=dict)
