# SPDX-License-Identifier: BSD-3-Clause
"""What a client learns of a repository when it opens it."""

from __future__ import annotations

__all__ = [
    "DEFAULT_TEMPLATE",
    "Constraints",
    "Limits",
    "RepositoryInfo",
    "Store",
    "check_repository_name",
    "is_repository_name",
]

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from .collection import MAX_COLLECTION_NAME
from .composites import NOTHING_DISASSEMBLED, Composites
from .config_keys import check_keys
from .config_lookup import flat_entries
from .dataset import MAX_DATASET_TYPE_NAME
from .errors import ConfigurationError, InvalidNameError
from .query.parser import MAX_EXPRESSION_DEPTH
from .query.tokens import MAX_EXPRESSION_LENGTH
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
class Constraints:
    """Which datasets a store takes, by keys as `butler_model.config_lookup` gives them, or ``all``.

    What is accepted or rejected by a key of its own goes first; then ``all`` decides, rejection before acceptance;
    what neither list speaks of is taken if there is no list of what is accepted.

    Raises
    ------
    ConfigurationError
        Raised if ``all`` is in both lists.
    """

    accept: tuple[str, ...] = ()
    reject: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if "all" in self.accept and "all" in self.reject:
            raise ConfigurationError("A store cannot both accept and reject 'all'; leave it out of one list.")

    def accepts(self, keys: Sequence[str]) -> bool:
        """Return whether a dataset that is found under these keys is taken."""
        if not set(keys).isdisjoint(self.accept):
            return True
        if not set(keys).isdisjoint(self.reject) or "all" in self.reject:
            return False
        return not self.accept or "all" in self.accept


@dataclass(frozen=True, slots=True)
class Store:
    """A place for artifacts.

    Attributes
    ----------
    template
        Path template that turns a dataset into a key; see `butler_model.path_template`.
    templates
        Templates for some datasets, by keys as `butler_model.config_lookup` gives them (``instrument<NAME>/key`` for
        one instrument); the first that fits is used.
    constraints
        Which datasets it takes.
    members
        For a chain of stores, what each of its members takes; empty otherwise.
    """

    name: str
    template: str = DEFAULT_TEMPLATE
    templates: Mapping[str, str] = field(default_factory=dict)
    constraints: Constraints = Constraints()
    members: Mapping[str, Constraints] = field(default_factory=dict)

    @classmethod
    def from_mapping(cls, content: Mapping[str, Any]) -> Store:
        """Return the store of a configuration that names these attributes; `as_mapping` gives one.

        Raises
        ------
        ConfigurationError
            Raised if it has another shape.
        """
        where = f"Store {content.get('name')!r:.80}"
        check_keys(content, [f.name for f in fields(cls)], where)
        templates, members = content.get("templates", {}), content.get("members", {})
        texts = [content.get("name"), content.get("template", DEFAULT_TEMPLATE)]
        if not isinstance(templates, Mapping) or not isinstance(members, Mapping):
            raise ConfigurationError(f"{where}: templates and members are mappings from names.")
        templates = flat_entries(templates)
        if not all(isinstance(text, str) and text for text in (*texts, *templates, *templates.values())):
            raise ConfigurationError(f"{where}: names and templates are texts that are not empty.")
        return cls(
            texts[0],
            texts[1],
            templates,
            _constraints(content.get("constraints", {}), where),
            {
                str(name): _constraints(member, f"{where}, member {name!r}")
                for name, member in members.items()
            },
        )

    def as_mapping(self) -> dict[str, Any]:
        """Return what JSON can hold and `from_mapping` takes."""
        return asdict(self)


def _constraints(content: Any, where: str) -> Constraints:
    check_keys(content, [f.name for f in fields(Constraints)], f"{where}, constraints")
    lists = {name: content.get(name, ()) for name in ("accept", "reject")}
    for name, keys in lists.items():
        if not isinstance(keys, list | tuple) or not all(isinstance(key, str) for key in keys):
            raise ConfigurationError(f"{where}, constraints: {name!r} is a list of names.")
    return Constraints(tuple(lists["accept"]), tuple(lists["reject"]))


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
    transactions, caller_transactions
        Transactions that are open at once, those of all repositories of a registry together, and those of one caller.
    transaction_idle_seconds
        How long one may wait for its next call; not while a put that was begun in it is under way.
    transaction_seconds
        How long one may last.
    calls, caller_calls
        Calls that are worked on at once, and those of one caller. Further ones wait.
    calls_per_second, bytes_per_second
        Calls of one caller, and bytes of requests and responses; 0 for any number.
    query_seconds
        How long one page of a query may take; 0 for any time.
    expression_characters, expression_levels
        How long an expression may be, and how deeply nested.
    name_characters, dataset_type_name_characters
        How long the name of a collection may be, and that of a dataset type.
    """

    batch_items: int = 5_000
    page_rows: int = 10_000
    default_page_rows: int = 2_000
    inline_bytes: int = 256 * 1024
    batch_bytes: int = 4 * 1024 * 1024
    chunk_bytes: int = 1024 * 1024
    message_bytes: int = 16 * 1024 * 1024
    transactions: int = 4
    transaction_idle_seconds: int = 30
    transaction_seconds: int = 600
    caller_transactions: int = 3
    calls: int = 16
    caller_calls: int = 12
    calls_per_second: int = 0
    bytes_per_second: int = 0
    query_seconds: int = 300
    expression_characters: int = MAX_EXPRESSION_LENGTH
    expression_levels: int = MAX_EXPRESSION_DEPTH
    name_characters: int = MAX_COLLECTION_NAME
    dataset_type_name_characters: int = MAX_DATASET_TYPE_NAME


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
