# SPDX-License-Identifier: BSD-3-Clause
"""Who may do what: the rule of every RPC, for every kind of caller, with collections of every kind of owner."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import descriptor_pool, message_factory

from butler_api.access_rules import MethodRule, RuleScope, rules_of
from butler_api.caller import answering
from butler_datastore.servicers import datastore_services
from butler_model.access import AccessEntry, Verb
from butler_model.errors import (
    AccessDeniedError,
    AuthenticationError,
    ButlerError,
    RepositoryNotFoundError,
)
from butler_model.grants import TokenSigner
from butler_model.principal import ANONYMOUS, LOCAL, Principal
from butler_model.repository import Limits
from butler_model.universe import DimensionUniverse
from butler_registry.application import RegistryApplication
from butler_registry.servicers import Gate, registry_services
from tests.support.wire_services import SERVICES, methods_of

METHODS = [f"/{method.containing_service.full_name}/{method.name}" for method in methods_of(SERVICES)]
CALLERS = {
    "administrator": Principal("root"),
    "alice": Principal("alice", frozenset({"survey"})),
    "bob": Principal("bob"),
    "reader": Principal("reader", frozenset({"survey"}), scopes=frozenset({"read-data"})),
    "stranger": Principal("stranger", repository="elsewhere"),
    "anonymous": ANONYMOUS,
}
PLACES = {"own": "u/alice/run", "group": "g/survey/run", "other": "u/bob/run", "public": "HSC/raw/all"}
READ, WRITE, DELETE, CERTIFY = {"read-metadata", "read-data"}, {"write"}, {"delete"}, {"certify"}
ALL = {verb.value for verb in Verb}
MAY: dict[str, dict[str, set[str]]] = {
    "administrator": dict.fromkeys(PLACES, ALL),
    "alice": {
        "own": READ | WRITE | DELETE,
        "group": READ | WRITE | CERTIFY,
        "other": set(),
        "public": READ,
    },
    "bob": {"own": set(), "group": set(), "other": READ | WRITE | DELETE, "public": READ},
    # A token with a scope has no more than that.
    "reader": {"own": set(), "group": READ, "other": set(), "public": READ},
    "stranger": {place: set() for place in PLACES},
    "anonymous": {place: set() for place in PLACES},
}
"""What each may do where, written down by hand; `POLICY` is to say the same."""
POLICY = [
    AccessEntry("authenticated", "HSC/raw/**", frozenset({Verb.READ_DATA})),
    AccessEntry("authenticated", "u/{user}/**", frozenset({Verb.WRITE, Verb.DELETE})),
    AccessEntry("group:survey", "g/survey/**", frozenset({Verb.WRITE, Verb.CERTIFY})),
]


@pytest.fixture(scope="module")
def repositories(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RegistryApplication]:
    folder = tmp_path_factory.mktemp("permissions")
    repositories = RegistryApplication(
        f"sqlite:///{folder}", TokenSigner([b"k" * 32]), administrators=["user:root"]
    )
    repositories.create("main", DimensionUniverse(), request_id=uuid.uuid4())
    for entry in POLICY:
        repositories.open("main").access.grant(entry, request_id=uuid.uuid4())
    yield repositories
    repositories.close()


@pytest.fixture(autouse=True)
def _nobody_else_calls() -> Iterator[None]:
    yield
    answering(LOCAL, "")


def test_every_rpc_has_a_rule() -> None:
    assert len(METHODS) > 70
    for method in METHODS:
        assert rules_of(method)
        for rule in rules_of(method):
            assert bool(rule.fields) == (rule.scope is RuleScope.COLLECTIONS), method


def test_what_is_served_is_what_has_rules(repositories: RegistryApplication, tmp_path: Path) -> None:
    from butler_datastore.application import DatastoreApplication
    from butler_datastore.config import PosixStoreConfig

    datastore = DatastoreApplication({"main": PosixStoreConfig(str(tmp_path))}, TokenSigner([b"k" * 32]))
    served = {*registry_services(repositories, Limits()), *datastore_services(datastore, Limits())}
    assert served == {method.split("/")[1] for method in METHODS}
    datastore.close()


def test_a_method_without_a_rule_is_for_nobody(repositories: RegistryApplication) -> None:
    answering(CALLERS["administrator"], "")
    with pytest.raises(LookupError):
        Gate(repositories.callers)("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", None)


def test_every_field_that_a_rule_names_is_there() -> None:
    for method in METHODS:
        for rule in rules_of(method):
            request_about(method, rule, "u/alice/run")


@pytest.mark.parametrize("method", METHODS)
def test_a_caller_gets_as_far_as_the_policy_says(repositories: RegistryApplication, method: str) -> None:
    gate = Gate(repositories.callers)
    for (who, principal), (kind, collection) in itertools.product(CALLERS.items(), PLACES.items()):
        answering(principal, "")
        for rule in rules_of(method):
            request = request_about(method, rule, collection)
            error = raised(gate, method, request)
            wanted = expected(method, who, kind)
            assert type(error) is wanted or (wanted is None and error is None), (who, kind, method, error)


def expected(method: str, who: str, kind: str) -> type[ButlerError] | None:
    """Return the error that a call of a method about one kind of collection is to end with at the gate."""
    may = MAY[who]
    anywhere = set().union(*may.values())
    for rule in rules_of(method):
        verb, scope = rule.verb.value, rule.scope
        if scope in (RuleScope.EVERYBODY, RuleScope.GRANT, RuleScope.SERVICE, RuleScope.EACH_REQUEST):
            continue
        if scope is RuleScope.DEPLOYMENT:
            if who != "administrator":
                return AccessDeniedError
            continue
        if not anywhere:
            return AuthenticationError if who == "anonymous" else RepositoryNotFoundError
        if scope is RuleScope.REPOSITORY and who != "administrator":
            return AccessDeniedError
        if scope in (RuleScope.SOME_COLLECTION, RuleScope.DATASETS) and verb not in anywhere:
            return AccessDeniedError
        # What one does not see, the service answers for: that it is not there. Making it would tell.
        answered = "read-metadata" not in may[kind] and not method.endswith("/RegisterCollection")
        if scope is RuleScope.COLLECTIONS and verb not in may[kind] and not answered:
            return AccessDeniedError
    return None


def raised(gate: Gate, method: str, request: Any) -> ButlerError | None:
    try:
        gate(method, request)
    except ButlerError as error:
        return error
    return None


def request_about(method: str, rule: MethodRule, collection: str) -> Any:
    """Return a request of a method that is about one collection, in all fields that all its rules name."""
    found: Any = descriptor_pool.Default().FindMethodByName(method[1:].replace("/", "."))
    request: Any = message_factory.GetMessageClass(found.input_type)()
    if "repository" in found.input_type.fields_by_name:
        request.repository = "main"
    if "query" in found.input_type.fields_by_name:
        request.query.data_ids.repository = "main"
    for field in (field for each in rules_of(method) for field in each.fields):
        *path, last = field.split(".")
        target = request
        for part in path:
            target = getattr(target, part)
        if isinstance(getattr(target, last), str):
            setattr(target, last, collection)
        else:
            getattr(target, last)[:] = [collection]
    return request
