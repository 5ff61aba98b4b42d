# SPDX-License-Identifier: BSD-3-Clause
"""What people give to queries, as a `QuerySpec` has it."""

from __future__ import annotations

__all__ = ["both", "bound_values", "check_collections", "order_terms", "uploaded"]

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from butler_model.collection import check_collection_name
from butler_model.data_id import DataCoordinate
from butler_model.errors import CollectionTypeError, ExpressionTypeError, InvalidRequestError
from butler_model.query.bound_values import Instant
from butler_model.query.spec import DataIdTable
from butler_model.timespan import Timespan, nsec_from_text, nsec_from_time
from butler_model.universe import DimensionGroup


def both(one: str, other: str) -> str:
    """Return the expression that two are true; either may be empty."""
    if not isinstance(other, str):
        raise ExpressionTypeError(f"An expression is text, not {other!r:.80}.")
    if not one.strip() or not other.strip():
        return one if one.strip() else other
    return f"({one}) AND ({other})"


def bound_values(bind: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the values of names in an expression; times of astropy and of Python as `Instant`.

    Raises
    ------
    InvalidRequestError
        Raised if they are not given by name.
    """
    if bind is None:
        return {}
    if not isinstance(bind, Mapping) or not all(isinstance(name, str) for name in bind):
        raise InvalidRequestError(f"Values are bound by name, as a dict, not as {bind!r:.80}.")
    return {name: _bound(value) for name, value in bind.items()}


def _bound(value: Any) -> Any:
    if isinstance(value, str | bytes | Timespan):
        return value
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise ExpressionTypeError(f"{value!r} has no time zone; give one, or a time of astropy.")
        return Instant(nsec_from_text(value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")))
    if hasattr(value, "scale") and hasattr(value, "isscalar"):
        return Instant(nsec_from_time(value)) if value.isscalar else tuple(map(_bound, value))
    if isinstance(value, list | tuple | set | frozenset | range) or _is_array(value):
        return tuple(map(_bound, value))
    return value


def _is_array(value: Any) -> bool:
    return len(getattr(value, "shape", ())) == 1 and hasattr(value, "tolist")


def order_terms(names: str | Iterable[str]) -> tuple[str, ...]:
    """Return the names that rows are ordered by; `InvalidRequestError` for what is no name."""
    terms = (names,) if isinstance(names, str) else tuple(names)
    for term in terms:
        if not isinstance(term, str) or not term.strip("-"):
            raise InvalidRequestError(
                f"Rows are ordered by names such as 'visit' or '-visit', not by {term!r:.80}."
            )
    return terms


def uploaded(dimensions: DimensionGroup, data_ids: Iterable[DataCoordinate]) -> DataIdTable:
    """Return data IDs as they are sent along with a query; `LimitExceededError` for more than 100,000."""
    names = dimensions.required
    return DataIdTable(names, [tuple(data_id[name] for name in names) for data_id in data_ids])


def check_collections(collections: Any) -> tuple[str, ...]:
    """Return collections to search, given as a name or an iterable of names.

    Raises
    ------
    CollectionTypeError
        Raised for what is neither, such as ``...`` or a regular expression: a search needs an order.
    InvalidNameError
        Raised if a name is malformed.
    """
    if isinstance(collections, str):
        collections = (collections,)
    if not isinstance(collections, Iterable) or isinstance(collections, Mapping | bytes):
        raise _no_names(collections)
    names: Sequence[Any] = tuple(collections)
    for name in names:
        if not isinstance(name, str):
            raise _no_names(name)
        check_collection_name(name)
    return tuple(dict.fromkeys(names))


def _no_names(value: object) -> CollectionTypeError:
    return CollectionTypeError(
        f"Collections to search are names in the order of the search, not {value!r:.80}; "
        "butler.registry.queryCollections finds names by pattern."
    )
