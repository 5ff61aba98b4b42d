# SPDX-License-Identifier: BSD-3-Clause
"""Grants and receipts: signed, and worth nothing once they were touched."""

from __future__ import annotations

import dataclasses
import uuid

import pytest

from butler_model.artifact import Grant, Operation, Receipt
from butler_model.errors import ConfigurationError, GrantError
from butler_model.grants import TokenSigner

OLD, NEW = b"the older of the two secret keys.", b"the newer of the two secret keys."
GRANT = Grant(
    Operation.READ,
    "main",
    "store",
    "run/type/k.json",
    uuid.uuid4(),
    "wcs",
    2**40,
    "sha256:" + "0" * 64,
    1_000,
    "me é",
)
RECEIPT = Receipt("main", "store", "run/type/k.json", uuid.uuid4(), "", 0, "sha256:" + "f" * 64)


def signer(*keys: bytes, now: float = 999.0) -> TokenSigner:
    return TokenSigner(keys or (NEW,), clock=lambda: now)


@pytest.mark.parametrize("operation", Operation)
def test_a_grant_is_opened_for_what_it_allows(operation: Operation) -> None:
    grant = dataclasses.replace(GRANT, operation=operation)
    token = signer().sign_grant(grant)
    assert signer().open_grant(token, operation) == grant
    for another in set(Operation) - {operation}:
        with pytest.raises(GrantError, match=rf"k\.json.*{operation.value}, not {another.value}"):
            signer().open_grant(token, another)


def test_a_receipt_is_opened() -> None:
    assert signer().open_receipt(signer().sign_receipt(RECEIPT)) == RECEIPT


def test_a_grant_expires() -> None:
    token = signer().sign_grant(GRANT)
    assert signer(now=1_000.0).open_grant(token, Operation.READ) == GRANT
    with pytest.raises(GrantError, match=r"k\.json.*expired"):
        signer(now=1_000.5).open_grant(token, Operation.READ)


def test_no_bit_of_a_token_can_be_changed() -> None:
    token = signer().sign_receipt(RECEIPT)
    for i in range(len(token)):
        for bit in (1, 128):
            altered = token[:i] + bytes([token[i] ^ bit]) + token[i + 1 :]
            with pytest.raises(GrantError, match="receipt"):
                signer().open_receipt(altered)


@pytest.mark.parametrize("token", [b"", b"x", b"\0" * 8, b"\0" * 40, b"\0" * 41, b"{}" * 100])
def test_what_is_no_token_is_refused(token: bytes) -> None:
    with pytest.raises(GrantError, match="grant"):
        signer().open_grant(token, Operation.READ)
    with pytest.raises(GrantError, match="receipt"):
        signer().open_receipt(token)


def test_a_token_cannot_be_cut_or_continued() -> None:
    token = signer().sign_grant(GRANT)
    for altered in (token[:-1], token + b" ", token[1:], token[:40], token[:39], token + token):
        with pytest.raises(GrantError):
            signer().open_grant(altered, Operation.READ)


def test_tokens_of_different_use_are_kept_apart() -> None:
    with pytest.raises(GrantError, match="A grant was given where a receipt is needed"):
        signer().open_receipt(signer().sign_grant(GRANT))
    with pytest.raises(GrantError, match="A receipt was given where a grant is needed"):
        signer().open_grant(signer().sign_receipt(RECEIPT), Operation.READ)
    assert signer().unseal(signer().seal("page", [1, "é", None]), "page") == [1, "é", None]


def test_keys_are_rotated() -> None:
    old, new = signer(OLD).sign_receipt(RECEIPT), signer(NEW, OLD).sign_receipt(RECEIPT)
    assert signer(NEW, OLD).open_receipt(old) == signer(NEW, OLD).open_receipt(new) == RECEIPT
    assert signer(NEW).open_receipt(new) == RECEIPT
    with pytest.raises(GrantError):
        signer(NEW).open_receipt(old)
    with pytest.raises(GrantError):
        signer(OLD).open_receipt(new)


@pytest.mark.parametrize("keys", [(), (b"",), (b"x" * 31,), (b"x" * 32, b"short")])
def test_a_key_must_be_long_enough(keys: tuple[bytes, ...]) -> None:
    with pytest.raises(ConfigurationError, match="32 bytes"):
        TokenSigner(keys)


def test_a_token_shows_no_key() -> None:
    assert NEW not in signer().sign_grant(GRANT)
