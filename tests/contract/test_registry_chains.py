# SPDX-License-Identifier: BSD-3-Clause
"""Chains of collections: how they are edited, and how they are searched, in process or over the wire."""

from __future__ import annotations

import uuid
from functools import partial

import pytest

from butler_model.collection import ChainEdit, Collection, CollectionType
from butler_model.errors import (
    CollectionCycleError,
    CollectionTypeError,
    MissingCollectionError,
    OrphanedRecordError,
    StaleEditError,
)
from tests.support.registries import (  # noqa: F401 - fixtures
    RegistryHome,
    RegistrySetup,
    at_once,
    register_types,
    registry_home_of_module,
    registry_of_test,
    second_client,
)

DATA_ID = {"instrument": "Cam1", "detector": 1}


def edit(setup: RegistrySetup, chain: str, how: ChainEdit, *children: str, etag: str = "") -> Collection:
    return setup.registry.collections.edit_chain(chain, how, children, request_id=uuid.uuid4(), etag=etag)


def members(setup: RegistrySetup, chain: str) -> tuple[str, ...]:
    return setup.registry.collections.get(chain).children


def register_runs(setup: RegistrySetup, *names: str) -> None:
    for name in names:
        setup.register_run(name)


def test_members_are_set_put_in_front_added_and_taken_out(setup: RegistrySetup) -> None:
    register_runs(setup, "a", "b", "c", "d")
    setup.chain("chain", "a", "b")
    assert edit(setup, "chain", ChainEdit.PREPEND, "d", "b").children == ("d", "b", "a")
    assert edit(setup, "chain", ChainEdit.EXTEND, "d", "c").children == ("b", "a", "d", "c")
    assert edit(setup, "chain", ChainEdit.REMOVE, "a", "c").children == ("b", "d")
    assert members(setup, "chain") == ("b", "d")
    assert setup.registry.collections.find(["ch*"])[0].children == ("b", "d")


def test_a_chain_cannot_contain_itself_and_stays_as_it_was(setup: RegistrySetup) -> None:
    # D9
    register_runs(setup, "a")
    setup.chain("inner", "a")
    setup.chain("outer", "inner")
    with pytest.raises(CollectionCycleError, match="inner"):
        edit(setup, "inner", ChainEdit.SET, "inner")
    with pytest.raises(CollectionCycleError, match="inner"):
        edit(setup, "inner", ChainEdit.EXTEND, "outer")
    assert members(setup, "inner") == ("a",)


def test_duplicates_collapse_to_the_first_and_a_missing_child_is_an_error(setup: RegistrySetup) -> None:
    # D9
    register_runs(setup, "a", "b")
    assert setup.chain("chain", "b", "a", "b") == "chain"
    assert members(setup, "chain") == ("b", "a")
    with pytest.raises(MissingCollectionError, match="nowhere"):
        edit(setup, "chain", ChainEdit.SET, "a", "nowhere")
    assert members(setup, "chain") == ("b", "a")


def test_only_chains_have_members(setup: RegistrySetup) -> None:
    register_runs(setup, "a", "b")
    with pytest.raises(CollectionTypeError, match="'a' is a RUN"):
        edit(setup, "a", ChainEdit.SET, "b")


def test_an_edit_with_the_etag_of_an_older_state_is_refused(setup: RegistrySetup) -> None:
    register_runs(setup, "a", "b")
    etag = setup.registry.collections.get(setup.chain("chain", "a")).etag
    edit(setup, "chain", ChainEdit.EXTEND, "b", etag=etag)
    with pytest.raises(StaleEditError, match=r"'chain'.*a, b"):
        edit(setup, "chain", ChainEdit.SET, "a", etag=etag)
    assert members(setup, "chain") == ("a", "b")


def test_a_repeated_edit_is_recognised_though_its_etag_is_old(setup: RegistrySetup) -> None:
    register_runs(setup, "a", "b")
    etag = setup.registry.collections.get(setup.chain("chain", "a")).etag
    request_id = uuid.uuid4()
    for _ in range(2):
        found = setup.registry.collections.edit_chain(
            "chain", ChainEdit.PREPEND, ["b"], request_id=request_id, etag=etag
        )
        assert found.children == ("b", "a")


def test_a_member_of_a_chain_cannot_be_removed_and_parents_are_listed(setup: RegistrySetup) -> None:
    # D11
    register_types(setup)
    register_runs(setup, "a")
    setup.put("note", "a", DATA_ID)
    setup.chain("one", "a")
    setup.chain("two", "a")
    assert setup.registry.collections.parents("a") == ["one", "two"]
    with pytest.raises(OrphanedRecordError, match="'one', 'two'"):
        setup.registry.collections.remove("a", request_id=uuid.uuid4())
    assert setup.find("note", DATA_ID, "two", want_artifacts=True) is not None
    setup.registry.collections.remove("one", request_id=uuid.uuid4())
    assert setup.registry.collections.parents("a") == ["two"]


def test_a_search_goes_depth_first_and_visits_each_collection_once(setup: RegistrySetup) -> None:
    # D8
    register_types(setup)
    register_runs(setup, "a", "b", "c")
    setup.chain("inner", "b", "a")
    setup.chain("outer", "inner", "c", "b")
    in_c = setup.put("note", "c", DATA_ID, {**DATA_ID, "detector": 2})
    in_a = setup.put("note", "a", DATA_ID)
    found = setup.find("note", DATA_ID, "outer")
    assert found is not None
    assert found.ref.id == in_a[0]
    other = setup.find("note", {**DATA_ID, "detector": 2}, "outer")
    assert other is not None
    assert other.ref.id == in_c[1]
    in_b = setup.put("note", "b", DATA_ID)
    found = setup.find("note", DATA_ID, "outer")
    assert found is not None
    assert found.ref.id == in_b[0]


def test_the_order_of_collections_decides_between_a_tag_and_a_run(setup: RegistrySetup) -> None:
    # D7
    register_types(setup)
    register_runs(setup, "r1", "r2")
    setup.register("tag", CollectionType.TAGGED)
    first = setup.put("note", "r1", DATA_ID)
    second = setup.put("note", "r2", DATA_ID, {**DATA_ID, "detector": 2})
    setup.associate("tag", *first)
    for order, expected in ((("tag", "r2"), first[0]), (("r2", "tag"), second[0])):
        found = setup.find("note", DATA_ID, *order)
        assert found is not None
        assert found.ref.id == expected
    other = setup.find("note", {**DATA_ID, "detector": 2}, "tag", "r2")
    assert other is not None
    assert other.ref.id == second[1]


def test_concurrent_edits_of_one_chain_lose_nothing(setup: RegistrySetup, home: RegistryHome) -> None:
    # D78
    names = [f"run{i}" for i in range(8)]
    register_runs(setup, *names)
    setup.chain("chain")
    with second_client(home, setup) as other:
        editors = [setup.registry.collections, other.collections]

        def extend(number: int) -> None:
            editors[number % 2].edit_chain(
                "chain", ChainEdit.EXTEND, [names[number]], request_id=uuid.uuid4()
            )

        at_once(*(lambda n=n: extend(n) for n in range(len(names))))
    assert sorted(members(setup, "chain")) == names


def test_two_concurrent_edits_never_make_a_cycle_together(setup: RegistrySetup, home: RegistryHome) -> None:
    # D78
    with second_client(home, setup) as other:
        for number in range(5):
            one, two = setup.chain(f"one{number}"), setup.chain(f"two{number}")

            def into(registry: object, parent: str, child: str) -> bool:
                collections = (setup.registry if registry is None else other).collections
                try:
                    collections.edit_chain(parent, ChainEdit.SET, [child], request_id=uuid.uuid4())
                except CollectionCycleError:
                    return False
                return True

            done = at_once(partial(into, None, one, two), partial(into, other, two, one))
            assert sorted(done) == [False, True]
