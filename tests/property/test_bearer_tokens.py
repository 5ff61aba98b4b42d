# SPDX-License-Identifier: BSD-3-Clause
"""Whatever is shown as a token ends in a principal or in one error, and never in an accident of the service."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from butler_api.bearer import BearerTokens, Issuer
from butler_api.jwks import KeySet
from butler_model.api_token import TokenSecret
from butler_model.errors import AuthenticationError
from tests.support.identity import AUDIENCE, ISSUER, Provider

Identify = Callable[[str], object]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
NAMES = st.sampled_from(["alg", "kid", "typ", "iss", "aud", "sub", "exp", "nbf", "iat", "groups", "crit"])
VALUES = JSON | st.sampled_from(["RS256", "ES256", "none", "HS256", "first", "curve", ISSUER, AUDIENCE])
PARTS = st.dictionaries(NAMES, VALUES) | JSON


@pytest.fixture(scope="module", name="identify")
def identify_of_provider(tmp_path_factory: pytest.TempPathFactory) -> Identify:
    provider = Provider(tmp_path_factory.mktemp("keys") / "jwks.json")
    return BearerTokens([Issuer(ISSUER, (AUDIENCE,), KeySet(str(provider.file)))]).identify


def encoded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def refused(identify: Identify, token: str) -> None:
    with pytest.raises(AuthenticationError) as caught:
        identify(token)
    assert len(caught.value.message) < 300


@given(st.text() | st.lists(st.text(alphabet="aZ09-_=."), max_size=4).map(".".join))
def test_text_is_no_token(identify: Identify, text: str) -> None:
    refused(identify, text)
    with pytest.raises(AuthenticationError):
        TokenSecret.parse(text)


@given(PARTS, PARTS, st.binary(max_size=70))
@example({"alg": []}, {"iss": "https://login.example.org"}, b"")
def test_claims_that_nobody_signed_are_no_token(
    identify: Identify, header: object, claims: object, signature: bytes
) -> None:
    parts = (json.dumps(header).encode(), json.dumps(claims).encode(), signature)
    refused(identify, ".".join(map(encoded, parts)))


@pytest.mark.parametrize(
    "content", [b"[" * 9000, b'{"a":' * 2000, b"\xff\xfe", b"1e999", b'{"alg":"RS256","kid":1e999}']
)
def test_what_upsets_a_parser_is_no_token(identify: Identify, content: bytes) -> None:
    refused(identify, f"{encoded(content)}.{encoded(b'{}')}.")
    refused(identify, f"{encoded(json.dumps({'alg': 'RS256'}).encode())}.{encoded(content)}.")


@pytest.mark.parametrize("exp", [float("inf"), float("nan"), -1, "tomorrow", [], 10**400])
def test_a_provider_that_signs_nonsense_is_not_believed(tmp_path: Path, exp: object) -> None:
    provider = Provider(tmp_path / "jwks.json")
    identify = BearerTokens([Issuer(ISSUER, (AUDIENCE,), KeySet(str(provider.file)))]).identify
    refused(identify, provider.token(exp=exp))


@pytest.mark.parametrize("groups", ["survey", {"a": 1}, ["a b"], ["a"] * 1001])
def test_groups_that_are_none_are_refused(tmp_path: Path, groups: object) -> None:
    provider = Provider(tmp_path / "jwks.json")
    identify = BearerTokens([Issuer(ISSUER, (AUDIENCE,), KeySet(str(provider.file)))]).identify
    refused(identify, provider.token(groups=groups))
