# SPDX-License-Identifier: BSD-3-Clause
"""What a client learns of a repository when it opens it."""

from __future__ import annotations

__all__ = [
    "DEFAULT_TEMPLATE",
    "Limits",
    "RepositoryInfo",
    "Store",
    "check_repository_name",
    "is_repository_name",
]

import re
from dataclasses import dataclass

from .composites import NOTHING_DISASSEMBLED, Composites
from .errors import InvalidNameError
from .universe import DimensionUniverse

_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")

DEFAULT_TEMPLATE = (
    "{run:/}/{datasetType}/{component:?}/{tract:?}/{patch:?}/{day_obs:?}/{band:?}/{subfilter:?}/"
    "{physical_filter:?}/{visit:?}/{exposure:?}/"
    "{datasetType}_{component:?}_{tract:?}_{patch:?}_{band:?}_{subfilter:?}_{physical_filter:?}_{visit:?}_"
    "{exposure:?}_{detector:?}_{instrument:?}_{skymap:?}"
)
"""Places artifacts as ``run/type/...``, in directories by sky area, night and filter."""


def is_repository_name(name: str) -> bool:
    """Return whether a repository may have this name: ``[a-z][a-z0-9_]{0,39}``."""
    return isinstance(name, str) and _NAME.fullmatch(name) is not None


def check_repository_name(name: str) -> str:
    """Return the name, or raise `InvalidNameError`: ``[a-z][a-z0-9_]{0,39}``."""
    if not is_repository_name(name):
        raise InvalidNameError(
            f"{name!r:.80} is no repository name: use a lower-case letter, then lower-case letters, digits and _, "
            "40 characters at most.",
            name=str(name)[:80],
        )
    return name


@dataclass(frozen=True, slots=True)
class Store:
    """A place for artifacts.

    Attributes
    ----------
    template
        Path template that turns a dataset into a key; see `butler_model.path_template`.
    """

    name: str
    template: str = DEFAULT_TEMPLATE


@dataclass(frozen=True, slots=True)
class Limits:
    """What a service accepts in one call.

    Attributes
    ----------
    batch_items
        Datasets, data IDs or records in one batch.
    page_rows, default_page_rows
        Rows of one page of results; the number given when none is asked for.
    inline_bytes
        Largest artifact that may travel in a batch; larger ones are streamed.
    batch_bytes
        Sum of the artifacts in one batch.
    chunk_bytes
        Largest piece of a stream.
    message_bytes
        Largest message.
    """

    batch_items: int = 5_000
    page_rows: int = 10_000
    default_page_rows: int = 2_000
    inline_bytes: int = 256 * 1024
    batch_bytes: int = 4 * 1024 * 1024
    chunk_bytes: int = 1024 * 1024
    message_bytes: int = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class RepositoryInfo:
    """A repository: its dimensions, stores and where its datastore service is.

    Attributes
    ----------
    datastore_endpoint
        ``host:port`` of the datastore service; empty when embedded.
    revision
        Counts the changes of definitions (dimension records, collections, dataset types) so far.
    composites
        Which composite datasets are stored as separate components.
    """

    name: str
    universe: DimensionUniverse
    stores: tuple[Store, ...]
    limits: Limits
    datastore_endpoint: str = ""
    revision: int = 0
    composites: Composites = NOTHING_DISASSEMBLED
