# SPDX-License-Identifier: BSD-3-Clause
"""Who may do what, callers and API tokens, to and from messages."""

from __future__ import annotations

__all__ = [
    "api_token_from_proto",
    "api_token_to_proto",
    "caller_from_proto",
    "caller_to_proto",
    "entry_from_proto",
    "entry_to_proto",
    "new_token_from_proto",
    "new_token_to_proto",
    "quota_use_from_proto",
    "quota_use_to_proto",
    "verb_from_proto",
    "verb_to_proto",
]

from butler_api.v1 import access_pb2, ledger_service_pb2
from butler_api.v1 import access_service_pb2 as pb
from butler_model.access import AccessEntry, Verb
from butler_model.api_token import ApiToken, NewApiToken
from butler_model.errors import InvalidRequestError
from butler_model.principal import ANONYMOUS, AuthenticationMethod, Principal
from butler_model.quota import Quota, QuotaUse

from .values import uuid_from_proto

_TO_PROTO = {
    Verb.READ_METADATA: access_pb2.ACCESS_VERB_READ_METADATA,
    Verb.READ_DATA: access_pb2.ACCESS_VERB_READ_DATA,
    Verb.WRITE: access_pb2.ACCESS_VERB_WRITE,
    Verb.DELETE: access_pb2.ACCESS_VERB_DELETE,
    Verb.CERTIFY: access_pb2.ACCESS_VERB_CERTIFY,
    Verb.ADMINISTER: access_pb2.ACCESS_VERB_ADMINISTER,
}
_FROM_PROTO = {number: verb for verb, number in _TO_PROTO.items()}


def verb_to_proto(verb: Verb) -> access_pb2.AccessVerb.ValueType:
    """Return the number of a verb."""
    return _TO_PROTO[verb]


def verb_from_proto(number: access_pb2.AccessVerb.ValueType) -> Verb:
    """Return the verb of a number; `InvalidRequestError` if there is none."""
    verb = _FROM_PROTO.get(number)
    if verb is None:
        raise InvalidRequestError(f"{number} is no verb of access.")
    return verb


def entry_to_proto(entry: AccessEntry) -> pb.AccessEntry:
    """Convert an entry."""
    verbs = sorted(map(verb_to_proto, entry.verbs))
    return pb.AccessEntry(subject=entry.subject, prefix=entry.prefix, verbs=verbs)


def entry_from_proto(message: pb.AccessEntry) -> AccessEntry:
    """Convert an entry."""
    return AccessEntry(message.subject, message.prefix, frozenset(map(verb_from_proto, message.verbs)))


def new_token_to_proto(repository: str, token: NewApiToken) -> pb.CreateTokenRequest:
    """Convert a token that is to be made."""
    return pb.CreateTokenRequest(
        repository=repository,
        request_id=token.id.bytes,
        principal=token.principal,
        groups=token.groups,
        scopes=[verb_to_proto(Verb.parse(scope)) for scope in token.scopes],
        lifetime_seconds=token.lifetime_seconds,
        note=token.note,
    )


def new_token_from_proto(message: pb.CreateTokenRequest) -> NewApiToken:
    """Convert a token that is to be made."""
    return NewApiToken(
        uuid_from_proto(message.request_id, "request_id"),
        message.principal,
        tuple(message.groups),
        tuple(verb_from_proto(scope).value for scope in message.scopes),
        message.lifetime_seconds,
        message.note,
    )


def api_token_to_proto(token: ApiToken) -> pb.ApiToken:
    """Convert a token without its secret."""
    return pb.ApiToken(
        id=token.id.bytes,
        principal=token.principal,
        groups=token.groups,
        scopes=[verb_to_proto(Verb.parse(scope)) for scope in token.scopes],
        note=token.note,
        created_by=token.created_by,
        created_nsec=token.created_nsec,
        expires_nsec=token.expires_nsec,
        revoked_nsec=token.revoked_nsec,
    )


def api_token_from_proto(message: pb.ApiToken) -> ApiToken:
    """Convert a token without its secret."""
    return ApiToken(
        uuid_from_proto(message.id, "id"),
        message.principal,
        tuple(message.groups),
        tuple(verb_from_proto(scope).value for scope in message.scopes),
        message.note,
        message.created_by,
        message.created_nsec,
        message.expires_nsec,
        message.revoked_nsec,
    )


def quota_use_to_proto(use: QuotaUse) -> pb.QuotaUse:
    """Convert a quota with what is stored."""
    return pb.QuotaUse(prefix=use.quota.prefix, bytes=use.quota.size, place=use.place, used_bytes=use.used)


def quota_use_from_proto(message: pb.QuotaUse) -> QuotaUse:
    """Convert a quota with what is stored."""
    return QuotaUse(Quota(message.prefix, message.bytes), message.place, message.used_bytes)


def caller_to_proto(principal: Principal) -> ledger_service_pb2.Caller:
    """Convert a caller of another service."""
    scopes = principal.scopes
    return ledger_service_pb2.Caller(
        name=principal.name,
        groups=sorted(principal.groups),
        is_limited=scopes is not None,
        scopes=[verb_to_proto(Verb.parse(scope)) for scope in sorted(scopes or ())],
        repository=principal.repository,
        is_anonymous=principal.is_anonymous,
    )


def caller_from_proto(message: ledger_service_pb2.Caller) -> Principal:
    """Convert a caller of another service, which has found out who it is."""
    if message.is_anonymous:
        return ANONYMOUS
    scopes = frozenset(verb_from_proto(scope).value for scope in message.scopes)
    return Principal(
        message.name,
        frozenset(message.groups),
        AuthenticationMethod.API_TOKEN if message.repository else AuthenticationMethod.BEARER,
        scopes if message.is_limited else None,
        message.repository,
    )
