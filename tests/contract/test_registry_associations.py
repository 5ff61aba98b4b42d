# SPDX-License-Identifier: BSD-3-Clause
"""Datasets in TAGGED collections, in process or over the wire."""

from __future__ import annotations

import uuid
from contextlib import closing
from uuid import UUID

import pytest

from butler_model.collection import CollectionType
from butler_model.dataset import new_dataset_id
from butler_model.errors import (
    CollectionTypeError,
    ConflictingDefinitionError,
    DatasetNotFoundError,
    LimitExceededError,
    MissingCollectionError,
)
from butler_model.ports import RemoveRun
from butler_model.query.spec import QuerySpec, ResultKind
from tests.support.registries import (  # noqa: F401 - fixtures
    LIMITS,
    RegistrySetup,
    register_types,
    registry_home_of_module,
    registry_of_test,
)

NOTES = [{"instrument": "Cam1", "detector": d} for d in (1, 2, 3)]


@pytest.fixture(name="tagged")
def setup_with_tag(setup: RegistrySetup) -> RegistrySetup:
    """Give a repository with two runs and a tag, all empty."""
    register_types(setup)
    setup.register_run("run")
    setup.register_run("other")
    setup.register("tag", CollectionType.TAGGED)
    return setup


def in_tag(setup: RegistrySetup) -> list[UUID | None]:
    found = (setup.find("note", data_id, "tag") for data_id in NOTES)
    return [None if each is None else each.ref.id for each in found]


def disassociate(setup: RegistrySetup, collection: str, *ids: UUID) -> None:
    setup.registry.associations.disassociate(collection, ids, request_id=uuid.uuid4())


def test_what_is_associated_is_found_and_a_repeat_changes_nothing(tagged: RegistrySetup) -> None:
    # D13
    ids = tagged.put("note", "run", *NOTES)
    tagged.associate("tag", ids[0], ids[2])
    tagged.associate("tag", ids[0], ids[2], ids[2])
    assert in_tag(tagged) == [ids[0], None, ids[2]]


def test_one_conflict_stops_the_whole_batch(tagged: RegistrySetup) -> None:
    # D13
    ids, others = tagged.put("note", "run", *NOTES), tagged.put("note", "other", *NOTES)
    tagged.associate("tag", ids[1])
    with pytest.raises(ConflictingDefinitionError, match=r"'tag' has another dataset of type 'note'"):
        tagged.associate("tag", *others)
    assert in_tag(tagged) == [None, ids[1], None]


def test_two_datasets_of_one_data_id_in_one_batch_are_a_conflict(tagged: RegistrySetup) -> None:
    ids, others = tagged.put("note", "run", NOTES[0]), tagged.put("note", "other", NOTES[0])
    with pytest.raises(ConflictingDefinitionError, match="'tag'"):
        tagged.associate("tag", *ids, *others)
    assert in_tag(tagged) == [None, None, None]


def test_datasets_of_several_types_are_associated_together(tagged: RegistrySetup) -> None:
    note, log = tagged.put("note", "run", NOTES[0]), tagged.put("log", "run", {})
    tagged.associate("tag", *note, *log)
    found = tagged.find("log", {}, "tag")
    assert found is not None
    assert found.ref.id == log[0]
    assert in_tag(tagged)[0] == note[0]


@pytest.mark.parametrize("type_", sorted(set(CollectionType) - {CollectionType.TAGGED}))
def test_only_tagged_collections_take_datasets(tagged: RegistrySetup, type_: CollectionType) -> None:
    # D13
    ids = tagged.put("note", "run", NOTES[0])
    tagged.register("no-tag", type_)
    with pytest.raises(CollectionTypeError, match=f"'no-tag' is a {type_.name}"):
        tagged.associate("no-tag", *ids)


def test_unknown_datasets_and_collections_are_errors(tagged: RegistrySetup) -> None:
    ids = tagged.put("note", "run", NOTES[0])
    unknown = new_dataset_id()
    with pytest.raises(DatasetNotFoundError, match=str(unknown)):
        tagged.associate("tag", *ids, unknown)
    assert in_tag(tagged) == [None, None, None]
    with pytest.raises(MissingCollectionError, match="nowhere"):
        tagged.associate("nowhere", *ids)
    with pytest.raises(LimitExceededError, match=str(LIMITS.batch_items)):
        tagged.associate("tag", *(new_dataset_id() for _ in range(LIMITS.batch_items + 1)))


def test_disassociating_leaves_the_run_alone_and_ignores_what_is_absent(tagged: RegistrySetup) -> None:
    # D14
    ids = tagged.put("note", "run", *NOTES)
    tagged.associate("tag", ids[0])
    disassociate(tagged, "tag", ids[0], ids[1], new_dataset_id())
    disassociate(tagged, "tag", ids[0])
    assert in_tag(tagged) == [None, None, None]
    assert all(tagged.find("note", data_id, "run") is not None for data_id in NOTES)
    with pytest.raises(CollectionTypeError, match="'run' is a RUN"):
        disassociate(tagged, "run", ids[0])
    assert tagged.find("note", NOTES[0], "run") is not None


def test_a_stream_gives_what_there_was_when_it_began_also_of_runs_that_are_gone(
    tagged: RegistrySetup,
) -> None:
    ids = [*tagged.put("note", "run", *NOTES[:2]), *tagged.put("note", "other", *NOTES[2:])]
    tagged.associate("tag", *ids)
    spec = QuerySpec(ResultKind.DATASETS, dataset_type="note", collections=("tag",))
    with closing(tagged.registry.queries.stream(spec, 1)) as pages:  # type: ignore[type-var] # a generator
        first = next(pages)
        tagged.registry.removals.remove_run(RemoveRun(uuid.uuid4(), "other"))
        runs = [run for page in (first, *pages) for run in page.column("run")]
    assert runs == ["run", "run", "other"]
    assert tagged.registry.queries.count(spec) == 2
