# SPDX-License-Identifier: BSD-3-Clause
"""What every registry does with collections, in process or over the wire."""

from __future__ import annotations

import uuid

import pytest

from butler_model.collection import Collection, CollectionSummary, CollectionType
from butler_model.errors import (
    ConflictingDefinitionError,
    InvalidNameError,
    InvalidRequestError,
    LimitExceededError,
    MissingCollectionError,
    OrphanedRecordError,
)
from butler_model.ports import DatasetLookup
from tests.support.registries import (  # noqa: F401 - fixtures
    RegistryHome,
    RegistrySetup,
    at_once,
    register_types,
    registry_home_of_module,
    registry_of_module,
    registry_of_test,
    second_client,
)

RUN = CollectionType.RUN


def register(setup: RegistrySetup, name: str, doc: str = "") -> bool:
    return setup.registry.collections.register(Collection(name, RUN, doc), request_id=uuid.uuid4())


def names(setup: RegistrySetup, *patterns: str) -> list[str]:
    return [collection.name for collection in setup.registry.collections.find(patterns)]


def test_a_run_is_registered_once_and_keeps_its_first_description(setup: RegistrySetup) -> None:
    assert register(setup, "u/me/run", "first 星") is True
    assert register(setup, "u/me/run", "second") is False
    assert setup.registry.collections.get("u/me/run") == Collection("u/me/run", RUN, "first 星")


def test_of_many_who_register_one_run_one_makes_it(setup: RegistrySetup) -> None:
    results = at_once(*(lambda: register(setup, "run") for _ in range(6)))
    assert sorted(results) == [False] * 5 + [True]


def test_names_differ_by_case_and_by_every_character(setup: RegistrySetup) -> None:
    given = [
        "HSC/runs/a",
        "hsc/runs/a",
        "HSC/runs/A",
        "HSC/runs",
        "HSC_runs_a",
        "2020-01-01T00:00:00",
        "a,b=c@d+e.f",
    ]
    for name in given:
        assert register(setup, name) is True
        assert setup.registry.collections.get(name).name == name
    assert names(setup, "*") == sorted(given)


@pytest.mark.parametrize("name", ["nope", "u/me", "a" * 255, "a" * 300, "", "a b", "../x", "x\0y", "'; --"])
def test_a_collection_that_does_not_exist_is_missing_whatever_its_name(
    shared: RegistrySetup, name: str
) -> None:
    with pytest.raises((MissingCollectionError, InvalidNameError)) as caught:
        shared.registry.collections.get(name)
    assert repr(name)[:80] in str(caught.value)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "/",
        "a//b",
        "/a",
        "a/",
        "..",
        "a/../b",
        ".a",
        "a/.b",
        "a b",
        "a\0b",
        "a\nb",
        "é",
        "a" * 256,
        "a;b",
        "a'b",
        "a*",
    ],
)
def test_a_malformed_name_makes_no_collection(name: str) -> None:
    with pytest.raises(InvalidNameError) as caught:
        Collection(name, RUN)
    assert repr(name)[:80] in str(caught.value)


@pytest.mark.parametrize("doc", ["a\0b", "\ud800"])
def test_a_description_must_be_text_that_can_be_kept(doc: str) -> None:
    with pytest.raises(InvalidNameError, match="run"):
        Collection("run", RUN, doc)


def test_a_long_description_is_kept(setup: RegistrySetup) -> None:
    doc = "línea\n\t'\"%s" * 200
    register(setup, "run", doc)
    assert setup.registry.collections.get("run").doc == doc


def test_globs_find_collections_by_name(setup: RegistrySetup) -> None:
    for name in ("HSC/raw", "HSC/calib", "u/me/a", "u/me/b", "u/you/a"):
        register(setup, name)
    assert names(setup, "u/me/*") == ["u/me/a", "u/me/b"]
    assert names(setup, "*/a") == ["u/me/a", "u/you/a"]
    assert names(setup, "u/??/[ab]") == ["u/me/a", "u/me/b"]
    assert names(setup, "u/you/a", "HSC/raw", "not/there") == ["HSC/raw", "u/you/a"]
    assert names(setup, "hsc/*") == []
    assert names(setup) == []
    assert names(setup, "*") == ["HSC/calib", "HSC/raw", "u/me/a", "u/me/b", "u/you/a"]


def test_collections_may_be_restricted_by_type(setup: RegistrySetup) -> None:
    register(setup, "run")
    find = setup.registry.collections.find
    assert [c.name for c in find(["*"], frozenset({RUN}))] == ["run"]
    assert find(["*"], frozenset({CollectionType.TAGGED, CollectionType.CHAINED})) == []
    assert find(["*"], frozenset()) == []


@pytest.mark.parametrize("pattern", ["a" * 256, "*" * 256])
def test_patterns_have_a_limit(shared: RegistrySetup, pattern: str) -> None:
    with pytest.raises(LimitExceededError, match="255"):
        shared.registry.collections.find([pattern])
    with pytest.raises(LimitExceededError, match="100"):
        shared.registry.collections.find(["*"] * 101)


@pytest.mark.parametrize("pattern", ["a*" * 127, "[", "[!", "[z-a]", "\0", "'", "(?:", "[" * 255, "*" * 255])
def test_a_strange_pattern_is_no_more_than_a_pattern(setup: RegistrySetup, pattern: str) -> None:
    register(setup, "a" * 255)
    assert isinstance(setup.registry.collections.find([pattern]), list)


def test_many_collections_are_all_listed(setup: RegistrySetup) -> None:
    given = [f"runs/{i:03}" for i in range(60)]
    for name in reversed(given):
        register(setup, name)
    assert names(setup, "runs/*") == given


@pytest.mark.parametrize("type_", CollectionType)
def test_collections_of_every_type_are_registered_and_told_apart(
    setup: RegistrySetup, type_: CollectionType
) -> None:
    setup.register("u/me/other", type_)
    assert setup.registry.collections.get("u/me/other") == Collection("u/me/other", type_)
    for other in set(CollectionType) - {type_}:
        with pytest.raises(ConflictingDefinitionError, match=f"u/me/other.*{type_.name}"):
            setup.register("u/me/other", other)
        assert setup.registry.collections.find(["u/*"], frozenset([other])) == []


def test_a_description_can_be_changed(setup: RegistrySetup) -> None:
    register(setup, "run", "old")
    setup.registry.collections.set_doc("run", "new 星", request_id=uuid.uuid4())
    assert setup.registry.collections.get("run").doc == "new 星"
    with pytest.raises(MissingCollectionError, match="nowhere"):
        setup.registry.collections.set_doc("nowhere", "new", request_id=uuid.uuid4())


def test_a_run_whose_datasets_are_stored_cannot_be_removed_and_one_without_artifacts_goes_with_its_memberships(
    setup: RegistrySetup,
) -> None:
    # D12
    register_types(setup)
    remove = setup.registry.collections.remove
    register(setup, "run")
    (dataset_id,) = setup.put("note", "run", {"instrument": "Cam1", "detector": 1})
    with pytest.raises(OrphanedRecordError, match="run"):
        remove("run", request_id=uuid.uuid4())
    assert setup.registry.datasets.get([dataset_id])[0] is not None
    register(setup, "bare")
    intents = setup.begin("note", "bare", [{"instrument": "Cam1", "detector": 1}], artifacts=())
    setup.commit(intents)
    setup.register("tag", CollectionType.TAGGED)
    setup.associate("tag", intents[0].dataset_id)
    remove("bare", request_id=uuid.uuid4())
    assert names(setup, "bare") == []
    assert setup.registry.datasets.get([intents[0].dataset_id]) == [None]
    assert setup.find("note", {"instrument": "Cam1", "detector": 1}, "tag") is None


def test_a_run_that_is_being_put_into_cannot_be_removed(setup: RegistrySetup) -> None:
    register_types(setup)
    register(setup, "run")
    intents = setup.begin("note", "run", [{"instrument": "Cam1", "detector": 1}])
    with pytest.raises(OrphanedRecordError, match="put into run"):
        setup.registry.collections.remove("run", request_id=uuid.uuid4())
    setup.commit(intents)


def test_removing_what_does_not_exist_is_an_error_and_a_repeat_is_none(setup: RegistrySetup) -> None:
    remove = setup.registry.collections.remove
    with pytest.raises(MissingCollectionError, match="nowhere"):
        remove("nowhere", request_id=uuid.uuid4())
    register(setup, "run")
    request_id = uuid.uuid4()
    remove("run", request_id=request_id)
    remove("run", request_id=request_id)
    with pytest.raises(InvalidRequestError, match="request_id"):
        remove("other", request_id=request_id)


def test_summaries_tell_what_is_there_now(setup: RegistrySetup) -> None:
    register_types(setup)
    summaries = setup.registry.collections.summaries
    register(setup, "run")
    setup.register("tag", CollectionType.TAGGED)
    assert summaries(["run", "tag"]) == [CollectionSummary(), CollectionSummary()]
    (dataset_id,) = setup.put("note", "run", {"instrument": "Cam1", "detector": 1})
    setup.put("log", "run", {})
    setup.associate("tag", dataset_id)
    setup.chain("chain", "tag", "run")
    in_run = CollectionSummary(("log", "note"), {"instrument": ("Cam1",)})
    in_tag = CollectionSummary(("note",), {"instrument": ("Cam1",)})
    assert summaries(["run", "tag", "chain"]) == [in_run, in_tag, in_run]
    setup.registry.associations.disassociate("tag", [dataset_id], request_id=uuid.uuid4())
    assert summaries(["tag"]) == [CollectionSummary()]
    with pytest.raises(MissingCollectionError, match="nowhere"):
        summaries(["run", "nowhere"])


def test_a_glob_of_a_hundred_stars_is_answered_at_once(setup: RegistrySetup) -> None:
    register(setup, "a" * 200)
    assert names(setup, "*a" * 50 + "*" * 100 + "b") == []
    assert names(setup, "a" * 100 + "*" * 100) == ["a" * 200]


def test_what_one_client_registers_another_sees_at_once(setup: RegistrySetup, home: RegistryHome) -> None:
    # D69
    with second_client(home, setup) as other:
        assert other.collections.find(["*"]) == []
        register(setup, "run")
        setup.chain("chain", "run")
        setup.register_type("note", ("instrument", "detector"))
        assert other.collections.get("chain").children == ("run",)
        assert other.dataset_types.get("note").name == "note"
        setup.put("note", "run", {"instrument": "Cam1", "detector": 1})
        lookup = DatasetLookup("note", [{"instrument": "Cam1", "detector": 1}], ("chain",))
        assert other.datasets.find(lookup)[0] is not None
        setup.chain("chain")
        assert other.datasets.find(lookup) == [None]


def test_a_new_collection_advances_the_revision_and_a_repeat_does_not(setup: RegistrySetup) -> None:
    before = setup.registry.info.revision
    register(setup, "run")
    assert setup.registry.info.revision == before + 1
    register(setup, "run")
    assert setup.registry.info.revision == before + 1
