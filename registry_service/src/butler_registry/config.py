# SPDX-License-Identifier: BSD-3-Clause
"""What the registry service can be told."""

from __future__ import annotations

__all__ = ["RegistrySettings"]

from dataclasses import replace
from typing import Annotated, Any

from pydantic import BeforeValidator, Field
from pydantic_settings import SettingsConfigDict

from butler_api.process import ServiceSettings
from butler_model.repository import Limits, Store

_LIMITS = Limits()


def _store(given: object) -> object:
    if isinstance(given, dict):
        return Store.from_mapping(given)
    return Store(given) if isinstance(given, str) else given


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
        Stores of new repositories, named as the datastore service names them; an artifact goes to the first that
        takes it. Each is a name, or a table with the attributes of `butler_model.repository.Store`: path templates
        and constraints. In the environment JSON: ``["main"]``.
    composites
        What new repositories store as separate components, unless their maker says; see `butler_model.composites`.
        A table ``[composites]`` with ``default`` and ``[composites.disassembled]``, in the environment JSON.
    transactions
        Transactions that may be open at once; a quarter of ``workers`` if not given. Each has a
        database connection, beside the one for each worker.
    database_pooler
        Whether the database is behind a pooler that gives each transaction another session, such as PgBouncer in its
        transaction mode; see the manual for operators.
    caller_transactions
        Those of one caller, where it is asked who calls; three quarters of ``transactions`` if not given.
    transaction_idle_seconds, transaction_seconds
        How long one may wait for its next call, and last.
    query_seconds
        How long one page of a query, a count or an explanation may take; 0 for any time.
    expression_characters, expression_levels
        How long an expression may be, and how deeply nested.
    batch_items, page_rows
        Datasets, data IDs or records in one batch, and rows of one page.
    """

    model_config = SettingsConfigDict(env_prefix="BUTLER_REGISTRY_", extra="forbid")

    address: str = "127.0.0.1:50051"
    database: str
    database_pooler: bool = False
    datastore_endpoint: str = ":50052"
    stores: list[Annotated[Store, BeforeValidator(_store)]] = Field([Store("main")], min_length=1)
    composites: dict[str, Any] = Field(default_factory=dict)
    transactions: int | None = Field(None, ge=1, le=64)
    transaction_idle_seconds: int = Field(30, ge=1)
    transaction_seconds: int = Field(600, ge=1)
    caller_transactions: int | None = Field(None, ge=1, le=64)
    query_seconds: int = Field(_LIMITS.query_seconds, ge=0)
    expression_characters: int = Field(_LIMITS.expression_characters, ge=1, le=_LIMITS.expression_characters)
    expression_levels: int = Field(_LIMITS.expression_levels, ge=1, le=_LIMITS.expression_levels)
    batch_items: int = Field(_LIMITS.batch_items, ge=1, le=_LIMITS.batch_items)
    page_rows: int = Field(_LIMITS.page_rows, ge=1, le=_LIMITS.page_rows)

    @property
    def limits(self) -> Limits:
        """What is published of it."""
        transactions = self.transactions or max(self.workers // 4, 1)
        share = max(transactions * 3 // 4, 1)
        return replace(
            super().limits,
            batch_items=self.batch_items,
            page_rows=self.page_rows,
            default_page_rows=min(_LIMITS.default_page_rows, self.page_rows),
            transactions=transactions,
            caller_transactions=min(self.caller_transactions or share, transactions),
            transaction_idle_seconds=self.transaction_idle_seconds,
            transaction_seconds=self.transaction_seconds,
            query_seconds=self.query_seconds,
            expression_characters=self.expression_characters,
            expression_levels=self.expression_levels,
        )
