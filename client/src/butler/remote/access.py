# SPDX-License-Identifier: BSD-3-Clause
"""Who may do what in a repository behind a registry service, and its API tokens."""

from __future__ import annotations

__all__ = ["RemoteAccess"]

from uuid import UUID, uuid4

from butler_api.channel import Connection
from butler_api.convert.access import (
    api_token_from_proto,
    entry_from_proto,
    entry_to_proto,
    new_token_to_proto,
    quota_use_from_proto,
)
from butler_api.v1 import access_service_pb2 as pb
from butler_api.v1.access_service_pb2_grpc import AccessServiceStub
from butler_model.access import AccessEntry
from butler_model.api_token import ApiToken, NewApiToken
from butler_model.quota import Quota, QuotaUse


class RemoteAccess:
    """What an administrator edits, and tokens for programs. May be shared between threads.

    Parameters
    ----------
    address
        ``host:port`` of the registry service, ``grpcs://host:port`` to encrypt.
    repository
        Name of the repository.
    """

    def __init__(self, address: str, repository: str) -> None:
        self._connection = Connection(address)
        self._repository = repository

    def entries(self) -> list[AccessEntry]:
        """Return who may do what, in the order of subjects and prefixes."""
        request = pb.ListAccessRequest(repository=self._repository)
        return list(map(entry_from_proto, self._connection.call(self._stub.ListAccess, request).entries))

    def grant(self, entry: AccessEntry) -> None:
        """Add verbs to what a subject may do below a prefix."""
        request = pb.GrantAccessRequest(
            repository=self._repository, request_id=uuid4().bytes, entry=entry_to_proto(entry)
        )
        self._connection.call(self._stub.GrantAccess, request)

    def revoke(self, entry: AccessEntry) -> None:
        """Take verbs away, all if none is named."""
        request = pb.RevokeAccessRequest(
            repository=self._repository, request_id=uuid4().bytes, entry=entry_to_proto(entry)
        )
        self._connection.call(self._stub.RevokeAccess, request)

    def quotas(self) -> list[QuotaUse]:
        """Return each quota with what is stored at its places."""
        request = pb.ListQuotasRequest(repository=self._repository)
        return list(map(quota_use_from_proto, self._connection.call(self._stub.ListQuotas, request).uses))

    def set_quota(self, quota: Quota) -> None:
        """Say how much may be stored below a prefix."""
        request = pb.SetQuotaRequest(
            repository=self._repository, request_id=uuid4().bytes, prefix=quota.prefix, bytes=quota.size
        )
        self._connection.call(self._stub.SetQuota, request)

    def remove_quota(self, prefix: str) -> None:
        """Let as much be stored below a prefix as anybody likes."""
        request = pb.SetQuotaRequest(repository=self._repository, request_id=uuid4().bytes, prefix=prefix)
        self._connection.call(self._stub.SetQuota, request)

    def create_token(self, token: NewApiToken) -> str:
        """Make a token and return it; it cannot be had again."""
        request = new_token_to_proto(self._repository, token)
        return self._connection.call(self._stub.CreateToken, request).token

    def tokens(self) -> list[ApiToken]:
        """Return the caller's tokens, the newest first, or all if the caller administers the repository."""
        request = pb.ListTokensRequest(repository=self._repository)
        return list(map(api_token_from_proto, self._connection.call(self._stub.ListTokens, request).tokens))

    def revoke_token(self, token_id: UUID) -> None:
        """Make a token worthless."""
        request = pb.RevokeTokenRequest(
            repository=self._repository, request_id=uuid4().bytes, token_id=token_id.bytes
        )
        self._connection.call(self._stub.RevokeToken, request)

    def close(self) -> None:
        """Give back the connection; the next use takes a new one."""
        self._connection.close()

    @property
    def _stub(self) -> AccessServiceStub:
        return self._connection.stub(AccessServiceStub)
