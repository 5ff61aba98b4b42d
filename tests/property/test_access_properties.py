# SPDX-License-Identifier: BSD-3-Clause
"""What a policy allows, compared with the words of its documentation taken one by one."""

from __future__ import annotations

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from butler_api.convert.access import (
    api_token_from_proto,
    api_token_to_proto,
    caller_from_proto,
    caller_to_proto,
    entry_from_proto,
    entry_to_proto,
    new_token_from_proto,
    new_token_to_proto,
)
from butler_model.access import Access, AccessEntry, Policy, Verb, administrator
from butler_model.api_token import ApiToken, NewApiToken, TokenSecret, principal_of
from butler_model.errors import AuthenticationError, InvalidNameError
from butler_model.principal import ANONYMOUS, Principal

NAMES = st.sampled_from(["alice", "bob", "survey", "a.b@example.org", "u", "cert:reaper"])
PARTS = st.sampled_from(["u", "g", "alice", "bob", "survey", "run", "HSC", "alice2"])
COLLECTIONS = st.lists(PARTS, min_size=1, max_size=3).map("/".join)
PREFIXES = st.one_of(
    st.just("**"),
    COLLECTIONS,
    COLLECTIONS.map(lambda name: f"{name}/**"),
    st.sampled_from(["u/{user}/**", "g/{group}/**", "u/{user}/run", "{group}"]),
)
SUBJECTS = st.one_of(
    st.sampled_from(["authenticated", "anonymous"]),
    NAMES.map(lambda name: f"user:{name}"),
    NAMES.map(lambda name: f"group:{name}"),
)
VERBS = st.frozensets(st.sampled_from(Verb))
ENTRIES = st.builds(AccessEntry, SUBJECTS, PREFIXES, VERBS)
SCOPES = st.none() | VERBS.map(lambda verbs: frozenset(verb.value for verb in verbs))
PRINCIPALS = st.one_of(
    st.just(ANONYMOUS), st.builds(Principal, NAMES, st.frozensets(NAMES, max_size=2), scopes=SCOPES)
)


def allowed(entries: list[AccessEntry], principal: Principal, verb: Verb, collection: str) -> bool:
    """Say it in plain words."""
    if principal.scopes is not None and not any(verb in Verb(s).included for s in principal.scopes):
        return False
    for entry in entries:
        kind, _, name = entry.subject.partition(":")
        is_meant = {
            "anonymous": True,
            "authenticated": not principal.is_anonymous,
            "user": not principal.is_anonymous and name == principal.name,
            "group": name in principal.groups,
        }[kind]
        if not is_meant or not any(verb in each.included for each in entry.verbs):
            continue
        users = [] if principal.is_anonymous else [principal.name]
        for user in users or ["\0"]:
            for group in sorted(principal.groups) or ["\0"]:
                prefix = entry.prefix.replace("{user}", user).replace("{group}", group)
                below = prefix.removesuffix("/**")
                if prefix in ("**", collection) or (
                    prefix != below and (collection == below or collection.startswith(f"{below}/"))
                ):
                    return True
    return False


@given(st.lists(ENTRIES, max_size=5), PRINCIPALS, st.sampled_from(Verb), COLLECTIONS)
def test_access_is_what_the_words_say(
    entries: list[AccessEntry], principal: Principal, verb: Verb, collection: str
) -> None:
    access = Policy(entries).access_of(principal)
    assert access.may(verb, collection) == allowed(entries, principal, verb, collection)
    assert access.may(verb, collection) <= access.may_anywhere(verb)
    assert access.may_everywhere(verb) <= access.may(verb, collection)
    assert access.may(verb, collection) <= access.sees(collection)


@given(st.lists(ENTRIES, max_size=5), PRINCIPALS)
def test_equal_access_is_equal(entries: list[AccessEntry], principal: Principal) -> None:
    first, second = Policy(entries).access_of(principal), Policy(entries[::-1]).access_of(principal)
    assert first == second
    assert hash(first) == hash(second)


def test_nothing_is_allowed_that_was_not_granted() -> None:
    access = Policy([]).access_of(Principal("alice"))
    assert access == Access(())
    assert not any(access.may_anywhere(verb) for verb in Verb)


def test_a_scope_limits_administrators_too() -> None:
    access = administrator(Principal("root", scopes=frozenset({"read-data"})))
    assert access.may_everywhere(Verb.READ_DATA)
    assert not access.may_anywhere(Verb.WRITE)


@pytest.mark.parametrize("prefix", ["", "/**", "*", "u/*", "u/**/run", "u/{name}", "u\n", "a" * 256, "**/x"])
def test_a_prefix_that_might_mean_something_else_is_refused(prefix: str) -> None:
    with pytest.raises(InvalidNameError):
        AccessEntry("authenticated", prefix, frozenset())


@pytest.mark.parametrize("subject", ["", "alice", "user:", "user:a b", "group:x\n", "everybody", "user:a/b"])
def test_a_subject_that_names_nobody_is_refused(subject: str) -> None:
    with pytest.raises(InvalidNameError):
        AccessEntry(subject, "**", frozenset())


@pytest.mark.parametrize("name", ["", "a/b", "a b", "{user}", "..", "é", "a\n", "a" * 201, "*"])
def test_a_name_that_could_reach_into_anothers_prefix_is_refused(name: str) -> None:
    with pytest.raises(AuthenticationError):
        Principal(name)
    with pytest.raises(AuthenticationError):
        Principal("alice", frozenset({name}))


@given(ENTRIES)
def test_entries_travel(entry: AccessEntry) -> None:
    assert entry_from_proto(entry_to_proto(entry)) == entry


@given(PRINCIPALS)
def test_callers_travel_between_services(principal: Principal) -> None:
    assert caller_from_proto(caller_to_proto(principal)) == principal


SCOPE_TUPLES = st.lists(st.sampled_from([verb.value for verb in Verb]), unique=True).map(tuple)


@given(
    st.builds(
        NewApiToken,
        st.uuids(),
        NAMES,
        st.lists(NAMES).map(tuple),
        SCOPE_TUPLES,
        st.integers(1, 10**7),
        st.text(max_size=20),
    )
)
def test_tokens_to_be_made_travel(token: NewApiToken) -> None:
    assert new_token_from_proto(new_token_to_proto("main", token)) == token


@given(
    st.builds(
        ApiToken,
        st.uuids(),
        NAMES,
        st.lists(NAMES).map(tuple),
        SCOPE_TUPLES,
        st.text(max_size=20),
        NAMES,
        *[st.integers(0, 2**63 - 1)] * 3,
    )
)
def test_tokens_travel(token: ApiToken) -> None:
    assert api_token_from_proto(api_token_to_proto(token)) == token
    principal = principal_of(token, "main")
    assert principal.repository == "main"
    assert (principal.scopes is None) == (not token.scopes)


@given(st.uuids())
def test_a_token_is_taken_apart_as_it_was_put_together(token_id: UUID) -> None:
    secret = TokenSecret.new("main", token_id)
    assert TokenSecret.parse(secret.text) == secret
    assert secret.secret not in repr(secret)
    assert len(secret.digest) == 32
