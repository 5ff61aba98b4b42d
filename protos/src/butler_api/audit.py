# SPDX-License-Identifier: BSD-3-Clause
"""One line of the log for each write, deletion, refusal and administrative act: who, what, from where, how it ended."""

from __future__ import annotations

__all__ = ["AUDIT_LOGGER", "CallRecord", "record_call", "recorded"]

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, TypeAlias

from butler_model.access import Verb
from butler_model.errors import (
    AccessDeniedError,
    AuthenticationError,
    ButlerError,
    GrantError,
    RepositoryNotFoundError,
)
from butler_model.principal import LOCAL

from .access_rules import RuleScope, named_collections, repository_of_request, rules_of
from .caller import caller, source

AUDIT_LOGGER = "butler.audit"

CallRecord: TypeAlias = Callable[[str, Any, BaseException | None], None]
"""Told the method, the request and the error of each call that is over; no request if that is a stream of them."""

_LOGGER = logging.getLogger(AUDIT_LOGGER)
# Where somebody may do nothing, the answer is that there is no such repository.
_REFUSALS = (AccessDeniedError, AuthenticationError, GrantError, RepositoryNotFoundError)
_CHANGES = {Verb.WRITE, Verb.DELETE, Verb.CERTIFY, Verb.ADMINISTER}
# Of a put tells what it becomes, of artifacts the registry, of what datastore services do for it their own log.
_STEPS = ("/BeginPut", "/FinishAbort")
_ELSEWHERE = {RuleScope.GRANT, RuleScope.SERVICE, RuleScope.EACH_REQUEST}
_ADMINISTRATION = "/butler_api.v1.AccessService/"
_UUID_BYTES = 16
_MOST_NAMES = 20
_MOST_LENGTH = 255


def record_call(method: str, request: Any, error: BaseException | None) -> None:
    """Write the line of a call, if it is one of which there is to be a line."""
    if not (_changes_something(method) or isinstance(error, _REFUSALS)):
        return
    principal = caller()
    facts: dict[str, object] = {
        "user": principal.name,
        "known_by": principal.method.value,
        "source": source(),
        "method": method.removeprefix("/"),
        "result": _result(error),
    }
    if request is not None:
        facts |= _facts(method, request)
    _LOGGER.info(
        "%s %s: %s", principal.name, method.rpartition("/")[2], facts["result"], extra={"audit": facts}
    )


@contextmanager
def recorded(method: str, request: Any) -> Iterator[None]:
    """Write the line of a call that is a part of another one, where it is asked who calls."""
    if caller() is LOCAL:
        yield
        return
    try:
        yield
    except BaseException as error:
        record_call(method, request, error)
        raise
    record_call(method, request, None)


@cache
def _changes_something(method: str) -> bool:
    try:
        rules = rules_of(method)
    except LookupError:
        return False
    if method.startswith(_ADMINISTRATION):
        return "/List" not in method
    changes = any(rule.verb in _CHANGES and rule.scope not in _ELSEWHERE for rule in rules)
    return changes and not method.endswith(_STEPS)


def _result(error: BaseException | None) -> str:
    if error is None:
        return "OK"
    if isinstance(error, GeneratorExit):
        return "BROKEN_OFF"
    return error.reason if isinstance(error, ButlerError) else "INTERNAL"


def _facts(method: str, request: Any) -> dict[str, object]:
    """Return what a request is about, without what is in it."""
    facts: dict[str, object] = {}
    repository = repository_of_request(request)
    if repository:
        facts["repository"] = _plain(repository)
    request_id = getattr(request, "request_id", b"")
    if request_id:
        facts["request_id"] = request_id[:_UUID_BYTES].hex()
    try:
        fields = [field for rule in rules_of(method) for field in rule.fields]
    except LookupError:
        fields = []
    names = list(named_collections(request, tuple(fields)))
    if names:
        facts["collections"] = [_plain(name) for name in names[:_MOST_NAMES]]
    datasets = getattr(request, "dataset_ids", None)
    if datasets is not None:
        is_packed = isinstance(datasets, bytes)
        facts["datasets"] = len(datasets) // _UUID_BYTES if is_packed else len(datasets)
    entry = getattr(request, "entry", None)
    if entry is not None:
        facts |= {
            "subject": _plain(entry.subject),
            "prefix": _plain(entry.prefix),
            "verbs": list(entry.verbs),
        }
    if getattr(request, "validate_only", False):
        facts["validate_only"] = True
    return facts


def _plain(text: str) -> str:
    """Return a text that cannot be taken for anything but a part of its line."""
    return (text if text.isprintable() else ascii(text))[:_MOST_LENGTH]
