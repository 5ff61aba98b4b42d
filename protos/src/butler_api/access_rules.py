# SPDX-License-Identifier: BSD-3-Clause
"""What the caller of each RPC needs, as the protos say it beside the RPC."""

from __future__ import annotations

__all__ = ["MethodRule", "RuleScope", "named_collections", "repository_of_request", "rules_of"]

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from functools import cache
from typing import Any

from google.protobuf import descriptor_pool

from butler_model.access import Verb

from .v1 import access_pb2 as pb


class RuleScope(Enum):
    """Of what a verb is needed; see ``AccessScope`` in access.proto."""

    EVERYBODY = pb.ACCESS_SCOPE_EVERYBODY
    SOME_COLLECTION = pb.ACCESS_SCOPE_SOME_COLLECTION
    COLLECTIONS = pb.ACCESS_SCOPE_COLLECTIONS
    DATASETS = pb.ACCESS_SCOPE_DATASETS
    REPOSITORY = pb.ACCESS_SCOPE_REPOSITORY
    DEPLOYMENT = pb.ACCESS_SCOPE_DEPLOYMENT
    GRANT = pb.ACCESS_SCOPE_GRANT
    SERVICE = pb.ACCESS_SCOPE_SERVICE
    EACH_REQUEST = pb.ACCESS_SCOPE_EACH_REQUEST


@dataclass(frozen=True, slots=True)
class MethodRule:
    """One thing that the caller of an RPC needs.

    Attributes
    ----------
    fields
        Paths of the fields of the request that name collections.
    """

    verb: Verb
    scope: RuleScope
    fields: tuple[str, ...] = ()


_VERBS = {
    pb.ACCESS_VERB_READ_METADATA: Verb.READ_METADATA,
    pb.ACCESS_VERB_READ_DATA: Verb.READ_DATA,
    pb.ACCESS_VERB_WRITE: Verb.WRITE,
    pb.ACCESS_VERB_DELETE: Verb.DELETE,
    pb.ACCESS_VERB_CERTIFY: Verb.CERTIFY,
    pb.ACCESS_VERB_ADMINISTER: Verb.ADMINISTER,
}


@cache
def rules_of(method: str) -> tuple[MethodRule, ...]:
    """Return all that the caller of a method (``/package.Service/Method``) needs; nothing is never the answer.

    Raises
    ------
    LookupError
        Raised if there is no rule: such a method is for nobody.
    """
    pool: Any = descriptor_pool.Default()
    found = pool.FindMethodByName(method.removeprefix("/").replace("/", "."))
    rules = tuple(
        MethodRule(_VERBS[rule.verb], RuleScope(rule.scope), tuple(rule.fields))
        for rule in found.GetOptions().Extensions[pb.access]
    )
    if not rules:
        raise LookupError(f"{method} has no rule of access.")
    return rules


def repository_of_request(request: Any) -> str:
    """Return the name of the repository that a request is about; empty if it names none."""
    query = getattr(request, "query", None)
    if query is not None and not hasattr(request, "repository"):
        kind = query.WhichOneof("kind")
        return getattr(query, kind).repository if kind else ""
    return getattr(request, "repository", "")


def named_collections(request: Any, fields: tuple[str, ...]) -> Iterator[str]:
    """Yield the names of collections in some fields of a request."""
    for field in fields:
        value = request
        for part in field.split("."):
            value = getattr(value, part)
        if isinstance(value, str):
            yield value
        else:
            yield from value
