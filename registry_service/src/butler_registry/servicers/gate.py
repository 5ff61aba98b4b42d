# SPDX-License-Identifier: BSD-3-Clause
"""Decides about each call by the rule that stands beside its RPC, before a servicer has it."""

from __future__ import annotations

__all__ = ["Gate"]

from typing import Any

from butler_api.access_rules import (
    MethodRule,
    RuleScope,
    named_collections,
    repository_of_request,
    rules_of,
)
from butler_api.caller import caller
from butler_model.access import Access, Verb, denied
from butler_model.principal import LOCAL
from butler_registry.services.callers import CallerService


class Gate:
    """Raises what ends a call that is not allowed; implements `butler_api.authentication.CallCheck`.

    What a rule says of datasets, the services look at, since only they know where those are. They also answer for
    collections that the caller may not see, as if those did not exist; so here they are passed over.
    """

    def __init__(self, callers: CallerService) -> None:
        self._callers = callers

    def __call__(self, method: str, request: Any) -> None:
        """Look at a call.

        Raises
        ------
        AccessDeniedError, RepositoryNotFoundError, AuthenticationError
            Raised if it is not allowed.
        """
        principal = caller()
        if principal is LOCAL:
            return
        access: Access | None = None
        for rule in rules_of(method):
            if rule.scope is RuleScope.DEPLOYMENT:
                self._callers.check_may_create(principal)
            elif rule.scope not in _LOOKED_AT_ELSEWHERE:
                repository = repository_of_request(request)
                access = access or self._callers.access(repository, principal)
                _check(rule, request, access, repository)


_LOOKED_AT_ELSEWHERE = {
    RuleScope.EVERYBODY,
    RuleScope.GRANT,
    RuleScope.SERVICE,
    RuleScope.EACH_REQUEST,
}


def _check(rule: MethodRule, request: Any, access: Access, repository: str) -> None:
    if rule.scope is RuleScope.REPOSITORY:
        if not access.may_everywhere(rule.verb):
            raise denied(rule.verb, f"repository {repository!r}")
    elif rule.scope is RuleScope.COLLECTIONS:
        for name in named_collections(request, rule.fields):
            if not access.may(rule.verb, name) and (access.sees(name) or _makes(rule)):
                raise denied(rule.verb, f"collection {name!r:.260}")
    elif not access.may_anywhere(rule.verb):
        raise denied(rule.verb, f"some collection of repository {repository!r}")


def _makes(rule: MethodRule) -> bool:
    """Return whether a collection is made, of which it must not be told whether it is there already."""
    return rule.verb is Verb.WRITE and rule.fields == ("collection.name",)
