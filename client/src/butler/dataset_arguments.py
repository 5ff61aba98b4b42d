# SPDX-License-Identifier: BSD-3-Clause
"""What people give to methods to say which datasets, types and collections are meant, checked before it is used."""

from __future__ import annotations

__all__ = ["check_collection", "check_named", "check_refs", "check_several", "several", "type_name"]

from collections.abc import Iterable, Mapping
from typing import Any

from butler_model.collection import check_collection_name
from butler_model.dataset import DatasetRef, DatasetType
from butler_model.errors import InvalidRequestError


def check_refs(refs: Any, argument: str = "refs") -> list[DatasetRef]:
    """Return refs as a list; `InvalidRequestError` for what is none, such as one alone, an id or a text."""
    given = several(refs, argument, "refs of datasets, such as [ref]")
    for each in given:
        if not isinstance(each, DatasetRef):
            raise InvalidRequestError(
                f"{argument}: {each!r:.80} is no DatasetRef; find_dataset, get_dataset and query_datasets give refs."
            )
    return given


def check_named(datasets: Any) -> list[DatasetRef | tuple[Any, Any]]:
    """Return refs, and pairs of a dataset type and a data ID, as a list; `InvalidRequestError` for what is neither."""
    given = several(datasets, "datasets", "refs, or pairs of a dataset type and a data ID")
    for each in given:
        if not isinstance(each, DatasetRef) and not (isinstance(each, tuple | list) and len(each) == 2):
            raise InvalidRequestError(
                f"datasets: {each!r:.80} is neither a DatasetRef nor a pair of a dataset type and a data ID."
            )
    return given


def several(given: Any, argument: str, what: str) -> list[Any]:
    """Return what was given as a list; `InvalidRequestError` for one thing alone, or a text."""
    check_several(given, argument, what)
    return list(given)


def check_several(given: Any, argument: str, what: str) -> None:
    """Check the same of what is not to be held at once."""
    if not isinstance(given, Iterable) or isinstance(given, str | bytes | Mapping):
        raise InvalidRequestError(f"{argument}: give several {what}, and not {given!r:.80}.")


def type_name(named: Any) -> str:
    """Return the name of a dataset type, given by itself or by name; `InvalidRequestError` for what is neither."""
    if isinstance(named, DatasetType):
        return named.name
    if not isinstance(named, str):
        raise InvalidRequestError(
            f"A dataset type is named by a DatasetType or by its name, not by {named!r:.80}."
        )
    return named


def check_collection(name: Any) -> str:
    """Return the name of a collection; `InvalidNameError` for what is no text."""
    return name if isinstance(name, str) else check_collection_name(name)
