# SPDX-License-Identifier: BSD-3-Clause
"""The service for who may do what in a repository, and for its API tokens.

It knows who calls, since that is what it is about: every method that depends on it takes the caller.
"""

from __future__ import annotations

__all__ = ["AccessService"]

import hmac
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from uuid import UUID

from butler_model.access import (
    UNRESTRICTED,
    Access,
    AccessEntry,
    Policy,
    Verb,
    administrator,
    denied,
    stands_for,
)
from butler_model.api_token import ApiToken, NewApiToken, TokenSecret
from butler_model.errors import (
    AccessDeniedError,
    AuthenticationError,
    ConflictingDefinitionError,
    InvalidRequestError,
)
from butler_model.principal import AuthenticationMethod, Principal
from butler_registry.storage.access_store import AccessStore
from butler_registry.storage.database import Database

from .repeats import Repeats

_POLICY_SECONDS = 1.0
"""How long what was read may be used before another process is noticed to have changed it."""
_MOST_REMEMBERED = 10_000
_MOST_SECONDS = 365 * 86_400
_MOST_NOTE = 200


class AccessService:
    """Decides, and keeps what it decides by.

    Parameters
    ----------
    administrators
        Subjects that may do everything in every repository of the deployment.
    clock
        Gives seconds that only grow.
    """

    def __init__(
        self,
        database: Database,
        repeats: Repeats,
        store: AccessStore,
        repository: str,
        administrators: Sequence[str],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._repeats = repeats
        self._store = store
        self._repository = repository
        self._administrators = administrators
        self._clock = clock
        self._lock = threading.Lock()
        self._policy: Policy | None = None
        self._known: dict[Principal, Access] = {}
        self._read_at = float("-inf")

    def access_of(self, principal: Principal) -> Access:
        """Return what somebody may do in the repository."""
        if self._clock() - self._read_at > _POLICY_SECONDS:
            self._read()
        # Taken before the policy, so that what an older policy says is never kept for a newer one.
        known = self._known
        access = known.get(principal)
        if access is None:
            access = self._decide(principal)
            if len(known) < _MOST_REMEMBERED:
                known[principal] = access
        return access

    def _read(self) -> None:
        # One thread reads; others go on with what was read before, unless there is nothing.
        if not self._lock.acquire(blocking=self._policy is None):
            return
        try:
            if self._clock() - self._read_at <= _POLICY_SECONDS:
                return
            with self._database.reading() as connection:
                policy = Policy(self._store.entries(connection))
            if self._policy is None or policy.entries != self._policy.entries:
                self._policy, self._known = policy, {}
            self._read_at = self._clock()
        finally:
            self._lock.release()

    def _decide(self, principal: Principal) -> Access:
        if principal.method is AuthenticationMethod.LOCAL:
            return UNRESTRICTED
        if principal.repository not in ("", self._repository):
            return Access(())
        if any(stands_for(subject, principal) for subject in self._administrators):
            return administrator(principal)
        return (self._policy or Policy(())).access_of(principal)

    def entries(self) -> list[AccessEntry]:
        """Return who may do what."""
        with self._database.reading() as connection:
            return self._store.entries(connection)

    def grant(self, entry: AccessEntry, *, request_id: UUID) -> None:
        """Add verbs to what a subject may do below a prefix."""
        if not entry.verbs:
            raise InvalidRequestError("Nothing is to be granted; name at least one verb.")
        self._change("grant access", entry, lambda verbs: verbs | entry.verbs, request_id)

    def revoke(self, entry: AccessEntry, *, request_id: UUID) -> None:
        """Take verbs away, all if none is named."""

        def left(verbs: frozenset[Verb]) -> frozenset[Verb]:
            return verbs - entry.verbs if entry.verbs else frozenset()

        self._change("revoke access", entry, left, request_id)

    def _change(
        self,
        what: str,
        entry: AccessEntry,
        change: Callable[[frozenset[Verb]], frozenset[Verb]],
        request_id: UUID,
    ) -> None:
        verbs = sorted(verb.value for verb in entry.verbs)

        def effect() -> None:
            # What is granted or revoked at once is added up, and nothing of it lost.
            self._store.lock(connection)
            known = {(each.subject, each.prefix): each.verbs for each in self._store.entries(connection)}
            before = known.get((entry.subject, entry.prefix), frozenset())
            self._store.write(connection, replace(entry, verbs=change(before)))

        with self._database.writing() as connection:
            self._repeats.once(connection, request_id, (what, entry.subject, entry.prefix, verbs), effect)
        # Not before a thread that reads now is done: it may have read what was there before.
        with self._lock:
            self._read_at = float("-inf")

    def create_token(self, token: NewApiToken, caller: Principal) -> TokenSecret:
        """Make a token; it cannot be had again.

        Raises
        ------
        AccessDeniedError
            Raised if it is to be more than the caller is, who does not administer the repository, or if the caller has
            no more than a token.
        ConflictingDefinitionError
            Raised if there is one of that id.
        """
        if not 1 <= token.lifetime_seconds <= _MOST_SECONDS:
            raise InvalidRequestError(
                f"A token is good for 1 to {_MOST_SECONDS} seconds, not {token.lifetime_seconds}."
            )
        if len(token.note) > _MOST_NOTE or not token.note.isprintable():
            raise InvalidRequestError(f"A note has at most {_MOST_NOTE} characters, in one line.")
        for scope in token.scopes:
            Verb.parse(scope)
        if not token.principal:
            token = replace(token, principal=caller.name, groups=token.groups or tuple(sorted(caller.groups)))
        Principal(token.principal, frozenset(token.groups))  # raises if it is none
        if not self._administers(caller):
            self._refuse_more_than(caller, token)
        secret = TokenSecret.new(self._repository, token.id)
        with self._database.writing() as connection:
            is_new = self._store.insert_token(connection, token, secret.digest, caller.name)
        if not is_new:
            raise ConflictingDefinitionError(f"There is a token with the id {token.id}; use a new one.")
        return secret

    def _refuse_more_than(self, caller: Principal, token: NewApiToken) -> None:
        if caller.method in (AuthenticationMethod.API_TOKEN, AuthenticationMethod.NONE):
            # It would never end otherwise.
            raise AccessDeniedError("Who has no more than an API token cannot make another; log in for that.")
        if token.principal != caller.name or not caller.groups.issuperset(token.groups):
            raise denied(Verb.ADMINISTER, f"repository {self._repository!r}")

    def tokens(self, caller: Principal) -> list[ApiToken]:
        """Return the caller's tokens, or all if the caller administers the repository."""
        with self._database.reading() as connection:
            return self._store.tokens(connection, None if self._administers(caller) else caller.name)

    def revoke_token(self, token_id: UUID, caller: Principal) -> None:
        """Make a token worthless; one that the caller does not see is as one that does not exist."""
        if token_id not in {token.id for token in self.tokens(caller)}:
            return
        with self._database.writing() as connection:
            self._store.revoke(connection, token_id)

    def identify(self, token_id: UUID, digest: bytes) -> ApiToken:
        """Return a token that is good now; `AuthenticationError` if there is none with that digest."""
        with self._database.reading() as connection:
            found = self._store.good_token(connection, token_id)
        if found is None or not hmac.compare_digest(found[1], digest):
            raise AuthenticationError(
                "The API token is not known, has expired or was revoked; have a new one made."
            )
        return found[0]

    def _administers(self, caller: Principal) -> bool:
        return self.access_of(caller).may_everywhere(Verb.ADMINISTER)
