# SPDX-License-Identifier: BSD-3-Clause
"""What every registry does with artifacts that datasets share, and with those that are there before the put."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

import pytest

from butler_model.artifact import DIRECT_STORE, ArtifactLayout, Operation
from butler_model.dataset import new_dataset_id
from butler_model.errors import (
    ButlerError,
    ConflictingDefinitionError,
    IntentError,
    InvalidNameError,
    InvalidRequestError,
)
from butler_model.file_uri import file_uri
from butler_model.ports import BeginPut, Placing, PutBatch, PutIntent
from tests.support.notes import note, run_of_test  # noqa: F401 - fixture
from tests.support.registries import (  # noqa: F401 - fixtures
    LAYOUT,
    RegistrySetup,
    registry_home_of_module,
    registry_of_module,
)


def begin(
    shared: RegistrySetup,
    run: str,
    detectors: Sequence[int],
    *,
    sharing: tuple[int, ...] = (),
    placing: Placing = Placing.TEMPLATE,
    keys: Sequence[str] = (),
    artifacts: tuple[ArtifactLayout, ...] = (LAYOUT,),
    ids: Sequence[uuid.UUID] | None = None,
    request_id: uuid.UUID | None = None,
) -> list[PutIntent]:
    ids = [new_dataset_id() for _ in detectors] if ids is None else ids
    data_ids = [note(detector) for detector in detectors]
    batch = PutBatch("note", LAYOUT.storage_class, data_ids, ids, artifacts, sharing, placing, tuple(keys))
    return shared.registry.puts.begin(BeginPut(request_id or uuid.uuid4(), run, (batch,), 600))


def keys_of(intents: Sequence[PutIntent]) -> list[str]:
    return [grant.key for intent in intents for grant in intent.grants]


def recorded(shared: RegistrySetup, intents: Sequence[PutIntent]) -> list[tuple[str, str, int]]:
    found = shared.registry.datasets.get([intent.dataset_id for intent in intents], want_artifacts=True)
    records = [artifact.record for each in found if each for artifact in each.artifacts]
    return [(record.store, record.key, record.size) for record in records]


# ---- shared artifacts


def test_the_datasets_of_a_group_share_the_key_of_its_first_one(shared: RegistrySetup, run: str) -> None:
    intents = begin(shared, run, [1, 2, 3, 4], sharing=(2, 1, 1))
    first, second, third, fourth = keys_of(intents)
    assert first == second
    assert len({first, third, fourth}) == 3
    assert first.endswith(f"{intents[0].dataset_id.hex[-12:]}.json")
    for intent in intents:
        grant = shared.signer.open_grant(intent.grants[0].token, Operation.WRITE)
        assert (grant.key, grant.dataset_id) == (intent.grants[0].key, intent.dataset_id)


def test_one_receipt_is_enough_for_all_that_share_an_artifact(shared: RegistrySetup, run: str) -> None:
    intents = begin(shared, run, [1, 2, 3, 4], sharing=(3, 1))
    shared.commit(intents, shared.receipts([intents[0], intents[3]], size=7))
    keys = keys_of(intents)
    assert recorded(shared, intents) == [("main", key, 7) for key in keys]
    found = shared.registry.datasets.get([i.dataset_id for i in intents], want_artifacts=True)
    for intent, each in zip(intents, found, strict=True):
        assert each is not None
        grant = shared.signer.open_grant(each.artifacts[0].grant, Operation.READ)
        assert (grant.key, grant.dataset_id) == (intent.grants[0].key, intent.dataset_id)


def test_a_receipt_does_not_prove_what_is_not_shared(shared: RegistrySetup, run: str) -> None:
    intents = begin(shared, run, [1, 2, 3], sharing=(2, 1))
    with pytest.raises(IntentError, match="receipt"):
        shared.commit(intents, shared.receipts(intents[:1]))
    with pytest.raises(IntentError, match="receipt"):
        shared.commit(intents, shared.receipts(intents[2:]))
    shared.commit(intents)


def test_datasets_that_share_an_artifact_are_committed_together(shared: RegistrySetup, run: str) -> None:
    intents = begin(shared, run, [1, 2, 3], sharing=(2, 1))
    receipts = shared.receipts(intents)
    with pytest.raises(IntentError, match="2 datasets share"):
        shared.commit(intents[1:], receipts)
    shared.commit(intents[2:], receipts)
    shared.registry.puts.abort([intents[0].dataset_id], request_id=uuid.uuid4())
    with pytest.raises(IntentError):
        shared.commit(intents[:2], receipts)
    with pytest.raises(IntentError):
        shared.commit(intents[1:2], receipts)
    assert recorded(shared, intents) == [("main", keys_of(intents)[2], 10)]


def test_the_artifacts_of_components_are_shared_too(shared: RegistrySetup, run: str) -> None:
    layouts = (ArtifactLayout("json", ".json", "A", "a"), ArtifactLayout("json", ".json", "B", "b"))
    intents = begin(shared, run, [1, 2], sharing=(2,), artifacts=layouts)
    a, b, a2, b2 = keys_of(intents)
    assert (a, b) == (a2, b2)
    assert a != b
    shared.commit(intents, shared.receipts(intents[1:]))
    assert sorted(recorded(shared, intents)) == sorted([("main", a, 10), ("main", b, 10)] * 2)


# ---- adopted artifacts


@pytest.mark.parametrize(
    ("placing", "store", "keys"),
    [
        (Placing.IN_STORE, "main", ["older/a.json", "b.json"]),
        (Placing.DIRECT, DIRECT_STORE, [file_uri("/data/a b.json"), file_uri("/data/ü.json")]),
    ],
)
def test_an_adopted_artifact_keeps_its_key_and_is_never_granted_for_discard(
    shared: RegistrySetup, run: str, placing: Placing, store: str, keys: list[str]
) -> None:
    given_up = begin(shared, run, [1, 2, 3], sharing=(2, 1), placing=placing, keys=keys)
    assert keys_of(given_up) == [keys[0], keys[0], keys[1]]
    for intent in given_up:
        grant = shared.signer.open_grant(intent.grants[0].token, Operation.ADOPT)
        assert (grant.store, grant.key) == (store, intent.grants[0].key)
        assert grant.dataset_id == intent.dataset_id
    ids = [intent.dataset_id for intent in given_up]
    assert shared.registry.puts.abort(ids, request_id=uuid.uuid4()) == []
    shared.registry.puts.finish_abort(ids, request_id=uuid.uuid4())
    intents = begin(shared, run, [1, 2], placing=placing, keys=keys)
    shared.commit(intents, shared.receipts(intents, store=store))
    assert recorded(shared, intents) == [(store, key, 10) for key in keys]


def test_two_puts_may_adopt_the_same_artifact(shared: RegistrySetup, run: str) -> None:
    uri = file_uri("/data/two.json")
    intents = begin(shared, run, [1, 2], placing=Placing.DIRECT, keys=[uri, uri])
    shared.commit(intents, shared.receipts(intents, store=DIRECT_STORE))
    again = begin(shared, run, [3], placing=Placing.DIRECT, keys=[uri])
    shared.commit(again, shared.receipts(again, store=DIRECT_STORE))
    assert recorded(shared, [*intents, *again]) == [(DIRECT_STORE, uri, 10)] * 3


def test_adopting_is_repeated_by_the_same_request_only(shared: RegistrySetup, run: str) -> None:
    ids, request_id = [new_dataset_id(), new_dataset_id()], uuid.uuid4()
    options: dict[str, Any] = {"sharing": (2,), "placing": Placing.IN_STORE, "ids": ids}
    first = begin(shared, run, [1, 2], keys=["a.json"], request_id=request_id, **options)
    again = begin(shared, run, [1, 2], keys=["a.json"], request_id=request_id, **options)
    assert keys_of(again) == keys_of(first)
    with pytest.raises(IntentError):
        begin(shared, run, [1, 2], keys=["b.json"], request_id=request_id, **options)
    with pytest.raises(IntentError):
        begin(shared, run, [1, 2], keys=["a.json"], **options)
    shared.commit(again, shared.receipts(again))
    shared.commit(again, shared.receipts(again))
    assert recorded(shared, again) == [("main", "a.json", 10)] * 2


@pytest.mark.parametrize(
    ("placing", "key"),
    [
        (Placing.IN_STORE, key)
        for key in ("", "/etc/passwd", "../a", "a/../../b", ".hidden", "a//b", "a\0b", "a b", "x" * 1_100)
    ]
    + [
        (Placing.DIRECT, key)
        for key in (
            "",
            "/etc/passwd",
            "a.json",
            "file:",
            "file://",
            "file://host/a",
            "file:///a/../b",
            "file:///a%2F..%2Fb",
            "file:///a//b",
            "file:////a",
            "file:///a%00",
            "file:///a b",
            "file:///a?x",
            "FILE:///a",
            "https://host/a",
            "s3://bucket/a",
            "file:///" + "x" * 4_100,
        )
    ],
)
def test_what_is_no_key_is_adopted_by_nobody(
    shared: RegistrySetup, run: str, placing: Placing, key: str
) -> None:
    ids = [new_dataset_id()]
    with pytest.raises(InvalidNameError):
        begin(shared, run, [1], placing=placing, keys=[key], ids=ids)
    assert shared.registry.puts.abort(ids, request_id=uuid.uuid4()) == []


@pytest.mark.parametrize(
    "options",
    [
        {"sharing": (1,)},
        {"sharing": (3,)},
        {"sharing": (2, 0)},
        {"sharing": (3, -1)},
        {"keys": ["a.json", "b.json"]},
        {"placing": Placing.IN_STORE},
        {"placing": Placing.IN_STORE, "keys": ["a.json"]},
        {"placing": Placing.IN_STORE, "keys": ["a.json", "b.json"], "sharing": (2,)},
        {"placing": Placing.DIRECT, "keys": ["file:///a"] * 2, "artifacts": ()},
        {
            "placing": Placing.IN_STORE,
            "keys": ["a", "b"],
            "artifacts": (LAYOUT, ArtifactLayout("a", "", "A", "c")),
        },
    ],
)
def test_groups_and_keys_must_fit_the_datasets(
    shared: RegistrySetup, run: str, options: dict[str, Any]
) -> None:
    with pytest.raises(ButlerError) as caught:
        begin(shared, run, [1, 2], **options)
    assert type(caught.value) is InvalidRequestError


def test_what_another_put_writes_is_not_adopted(shared: RegistrySetup, run: str) -> None:
    (key,) = keys_of(writing := begin(shared, run, [1]))
    ids = [intent.dataset_id for intent in writing]
    for _ in ("writing", "given up"):
        with pytest.raises(ConflictingDefinitionError, match="is being written"):
            begin(shared, run, [2], placing=Placing.IN_STORE, keys=[key])
        shared.registry.puts.abort(ids, request_id=uuid.uuid4())
    shared.registry.puts.finish_abort(ids, request_id=uuid.uuid4())
    shared.commit(begin(shared, run, [2], placing=Placing.IN_STORE, keys=[key]))


@pytest.mark.parametrize("is_committed", [True, False])
def test_a_put_that_is_given_up_does_not_discard_what_was_adopted_before(
    shared: RegistrySetup, run: str, is_committed: bool
) -> None:
    # As one that is done again under its id, after its artifact was ingested as that of another dataset.
    (key,) = keys_of(first := begin(shared, run, [1]))
    ids = [intent.dataset_id for intent in first]
    for _ in range(2):
        shared.registry.puts.abort(ids, request_id=uuid.uuid4())
        shared.registry.puts.finish_abort(ids, request_id=uuid.uuid4())
    adopting = begin(shared, run, [2], placing=Placing.IN_STORE, keys=[key])
    if is_committed:
        shared.commit(adopting)
    begin(shared, run, [1], ids=ids)
    assert shared.registry.puts.abort(ids, request_id=uuid.uuid4()) == []
