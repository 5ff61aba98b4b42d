# SPDX-License-Identifier: BSD-3-Clause
"""Pages of listings by name."""

from __future__ import annotations

__all__ = ["ListRequest", "Listed", "page_of_names"]

import hashlib
from collections.abc import Sequence
from typing import Protocol, TypeAlias, TypeVar

from butler_api.v1 import collection_service_pb2, dataset_type_service_pb2
from butler_model.errors import InvalidPageTokenError, InvalidRequestError
from butler_model.repository import Limits

_DIGEST_BYTES = 12


class Listed(Protocol):
    """A thing with a name."""

    @property
    def name(self) -> str: ...


_T = TypeVar("_T", bound=Listed)

ListRequest: TypeAlias = (
    collection_service_pb2.ListCollectionsRequest | dataset_type_service_pb2.ListDatasetTypesRequest
)


def page_of_names(items: Sequence[_T], request: ListRequest, limits: Limits) -> tuple[list[_T], bytes]:
    """Return one page of things, in the order of their names, and the token of the next.

    Raises
    ------
    InvalidPageTokenError
        Raised for a token of another listing: of one with other patterns, say.
    InvalidRequestError
        Raised for a page of less than no items.
    """
    if request.page_size < 0:
        raise InvalidRequestError(
            f"A page cannot have {request.page_size} items; use 0 for the default size."
        )
    digest, token = _digest(request), request.page_token
    if token and token[:_DIGEST_BYTES] != digest:
        raise InvalidPageTokenError("The page token belongs to another listing; start this one without it.")
    after = token[_DIGEST_BYTES:].decode(errors="replace")
    rest = sorted((item for item in items if item.name > after), key=lambda item: item.name)
    wanted = min(request.page_size or limits.default_page_rows, limits.page_rows)
    page = rest[:wanted]
    return page, digest + page[-1].name.encode() if len(rest) > wanted else b""


def _digest(request: ListRequest) -> bytes:
    """Return a digest of what is asked, apart from which page of it."""
    question = type(request)()
    question.MergeFrom(request)  # type: ignore[arg-type] # of the same type
    question.ClearField("page_size")
    question.ClearField("page_token")
    return hashlib.sha256(question.SerializeToString(deterministic=True)).digest()[:_DIGEST_BYTES]
