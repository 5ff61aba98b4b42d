# SPDX-License-Identifier: BSD-3-Clause
"""Making and opening repositories, many in one place, from several applications."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from butler_model.collection import Collection, CollectionType
from butler_model.composites import NOTHING_DISASSEMBLED, Composites
from butler_model.dataset import DatasetType
from butler_model.errors import (
    ButlerError,
    ConfigurationError,
    DataIdValueError,
    IncompatibleVersionError,
    InconsistentDataIdError,
    IntentError,
    InvalidNameError,
    MissingCollectionError,
    RepositoryExistsError,
    RepositoryNotFoundError,
    ServiceUnavailableError,
)
from butler_model.grants import TokenSigner
from butler_model.paging import PageRequest
from butler_model.ports import Registry
from butler_model.query.spec import QuerySpec, ResultKind
from butler_model.repository import Limits, Store
from butler_model.universe import DimensionUniverse
from butler_registry.application import RegistryApplication
from tests.support.registries import RegistrySetup, at_once, insert_camera, register_types

SIGNER = TokenSigner([b"a key for the tests of repositories"])
UNIVERSE = DimensionUniverse()


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Give an empty place for repositories."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'repositories'}"
    url: str = request.getfixturevalue("postgres_database")
    return url


@pytest.fixture
def application(database: str) -> Iterator[RegistryApplication]:
    made = RegistryApplication(database, SIGNER)
    yield made
    made.close()


@pytest.fixture
def other(database: str) -> Iterator[RegistryApplication]:
    """Give a second application on the same database."""
    made = RegistryApplication(database, SIGNER)
    yield made
    made.close()


def create(application: RegistryApplication, name: str, request_id: uuid.UUID | None = None) -> None:
    application.create(name, UNIVERSE, request_id=request_id or uuid.uuid4())


def execute(database: str, repository: str, statement: str) -> None:
    """Change a repository behind its back; ``{schema}`` stands for its schema, with a dot."""
    url, schema = database, f"butler_{repository}."
    if database.startswith("sqlite"):
        url, schema = f"{database}/{repository}.sqlite3", ""
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text(statement.format(schema=schema)))
    engine.dispose()


def run_names(registry: Registry) -> list[str]:
    return [collection.name for collection in registry.collections.find(["*"])]


def register_run(registry: Registry, name: str) -> None:
    registry.collections.register(Collection(name, CollectionType.RUN), request_id=uuid.uuid4())


def test_a_new_place_has_no_repositories(application: RegistryApplication) -> None:
    assert application.names() == []
    with pytest.raises(RepositoryNotFoundError, match="'main'"):
        application.open("main")


@pytest.mark.parametrize("version", [0, 8])
def test_a_repository_keeps_what_it_was_made_with(database: str, version: int) -> None:
    stores, universe = (
        (Store("main", "{run:/}/{datasetType}/x"), Store("second")),
        DimensionUniverse(version=version),
    )
    first = RegistryApplication(database, SIGNER, stores=stores, datastore_endpoint="127.0.0.1:1")
    info = first.create("main", universe, request_id=uuid.uuid4())
    assert (info.name, info.universe, info.stores) == ("main", universe, stores)
    assert (info.limits, info.datastore_endpoint) == (Limits(), "127.0.0.1:1")
    first.close()
    limits = Limits(batch_items=7)
    second = RegistryApplication(database, SIGNER, limits=limits)
    opened = second.open("main").info
    assert (opened.universe, opened.stores, opened.limits) == (universe, stores, limits)
    assert opened.universe is universe
    second.close()


def test_a_universe_of_ones_own_is_kept(application: RegistryApplication, other: RegistryApplication) -> None:
    config = json.loads(UNIVERSE.config_json)
    config["namespace"] = "mine"
    config["elements"]["telescope"] = {
        "keys": [{"name": "name", "type": "string", "length": 8}],
        "metadata": [{"name": "mirrors", "type": "int"}],
    }
    application.create("main", DimensionUniverse(config), request_id=uuid.uuid4())
    opened = other.open("main")
    record = opened.info.universe["telescope"].RecordClass(name="Simonyi", mirrors=3)
    assert opened.dimension_records.insert("telescope", [record], request_id=uuid.uuid4()) == 1


@pytest.mark.parametrize(
    "name",
    ["", "Main", "1a", "a-b", "a b", "a.b", "../a", "a/b", "a" * 41, "_a", "é", "a\n", 'a"; DROP SCHEMA x'],
)
def test_a_malformed_name_is_refused(application: RegistryApplication, name: str) -> None:
    for call in (lambda: create(application, name), lambda: application.open(name)):
        with pytest.raises(InvalidNameError) as caught:
            call()
        assert repr(name)[:40] in str(caught.value)
    assert application.names() == []


def test_in_the_first_universe_too_a_visit_and_an_exposure_must_belong_together(
    application: RegistryApplication,
) -> None:
    # Behaviour D60; there visit_definition also has the visit system.
    application.create("main", DimensionUniverse(version=0), request_id=uuid.uuid4())
    setup, cam = RegistrySetup(application.open("main"), "main", SIGNER), {"instrument": "Cam1"}
    setup.insert("instrument", {"name": "Cam1"})
    setup.insert("physical_filter", {**cam, "name": "R", "band": "r"})
    setup.insert("visit_system", {**cam, "id": 0, "name": "one-to-one"})
    setup.insert("exposure", {**cam, "id": 1, "obs_id": "e1", "physical_filter": "R"})
    setup.insert("visit", {**cam, "id": 2, "name": "v2", "physical_filter": "R", "visit_system": 0})
    group, data_id = setup.universe.conform(["visit", "exposure"]), {**cam, "visit": 2, "exposure": 1}
    with pytest.raises(InconsistentDataIdError, match="visit_definition"):
        setup.registry.dimension_records.expand(group, [data_id])
    setup.insert("visit_definition", {**cam, "exposure": 1, "visit_system": 0, "visit": 2})
    (expanded,) = setup.registry.dimension_records.expand(group, [data_id])
    assert expanded.full["visit_system"] == 0


def test_names_are_listed_ascending(application: RegistryApplication, other: RegistryApplication) -> None:
    for name in ("b", "a" * 40, "a_1", "main"):
        create(application, name)
    assert application.names() == other.names() == ["a_1", "a" * 40, "b", "main"]


def test_a_name_is_given_once(application: RegistryApplication, other: RegistryApplication) -> None:
    create(application, "main")
    for each in (application, other):
        with pytest.raises(RepositoryExistsError, match="'main'"):
            create(each, "main")
    assert application.names() == ["main"]


def test_the_same_request_may_be_repeated(
    application: RegistryApplication, other: RegistryApplication
) -> None:
    request_id = uuid.uuid4()
    infos = [
        each.create("main", UNIVERSE, request_id=request_id) for each in (application, application, other)
    ]
    assert infos[0] == infos[1] == infos[2]
    with pytest.raises(RepositoryExistsError, match="'main'"):
        application.create("main", DimensionUniverse(version=0), request_id=request_id)


def test_what_is_taken_apart_is_said_by_the_maker_or_else_by_the_deployment(
    application: RegistryApplication, database: str
) -> None:
    mine, theirs = Composites({"default": True}), Composites({"disassembled": {"calexp": True}})
    request_id = uuid.uuid4()
    info = application.create("main", UNIVERSE, composites=mine, request_id=request_id)
    assert info.composites == mine
    deployment = RegistryApplication(database, SIGNER, composites=theirs)
    assert deployment.open("main").info.composites == mine
    assert deployment.create("second", UNIVERSE, request_id=uuid.uuid4()).composites == theirs
    with pytest.raises(RepositoryExistsError, match="'main'"):
        deployment.create("main", UNIVERSE, request_id=request_id)
    deployment.close()


def test_a_repository_from_before_there_was_a_choice_stores_composites_whole(
    application: RegistryApplication, database: str
) -> None:
    create(application, "main")
    execute(database, "main", "DELETE FROM {schema}attribute WHERE name = 'composites'")
    again = RegistryApplication(database, SIGNER, composites=Composites({"default": True}))
    assert again.open("main").info.composites == NOTHING_DISASSEMBLED
    again.close()


def test_of_many_who_make_one_repository_one_does(
    application: RegistryApplication, other: RegistryApplication
) -> None:
    results = at_once(*(lambda a=a: create(a, "main") for a in (application, other, application, other)))
    assert results.count(None) == 1, results
    assert [type(r) for r in results if r is not None] == [RepositoryExistsError] * 3, results
    assert run_names(other.open("main")) == []


def test_of_many_who_send_one_request_all_succeed(
    application: RegistryApplication, other: RegistryApplication
) -> None:
    request_id = uuid.uuid4()
    results = at_once(*(lambda a=a: create(a, "main", request_id) for a in (application, other, application)))
    assert results == [None] * 3


def test_a_half_made_repository_is_never_seen(
    application: RegistryApplication,
    other: RegistryApplication,
    database: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[list[str]] = []

    def fail(*_args: object) -> None:
        seen.append(other.names())
        raise RuntimeError("the machine stopped here")

    with monkeypatch.context() as patch:
        patch.setattr("butler_registry.storage.attribute_store.AttributeStore.initialise", fail)
        with pytest.raises(RuntimeError, match="stopped here"):
            create(application, "main")
    assert seen == [[]]
    assert application.names() == other.names() == []
    with pytest.raises(RepositoryNotFoundError, match="'main'"):
        other.open("main")
    if database.startswith("sqlite"):
        assert list(Path(database.removeprefix("sqlite:///")).iterdir()) == []
    create(other, "main")
    assert application.open("main").info.name == "main"


@pytest.mark.parametrize("revision", ["9999", "", "0000"])
def test_a_schema_of_another_revision_is_refused(
    application: RegistryApplication, database: str, revision: str
) -> None:
    create(application, "main")
    execute(
        database,
        "main",
        f"UPDATE {{schema}}attribute SET value = '{revision}' WHERE name = 'schema_revision'",
    )
    newer = RegistryApplication(database, SIGNER)
    with pytest.raises(IncompatibleVersionError, match=f"'main'.*{revision}"):
        newer.open("main")
    newer.close()


def test_what_is_no_repository_is_said_to_be_none(application: RegistryApplication, database: str) -> None:
    create(application, "main")
    execute(database, "main", "DROP TABLE {schema}attribute")
    again = RegistryApplication(database, SIGNER)
    with pytest.raises(IncompatibleVersionError, match="'main'"):
        again.open("main")
    again.close()


@pytest.mark.parametrize("content", [b"", b"this is no database at all\n" * 100])
def test_a_file_that_is_no_database_is_said_to_be_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "main.sqlite3").write_bytes(content)
    application = RegistryApplication(f"sqlite:///{tmp_path}", SIGNER)
    with pytest.raises(IncompatibleVersionError, match="'main'"):
        application.open("main")
    with pytest.raises((RepositoryExistsError, IncompatibleVersionError), match="'main'"):
        create(application, "main")
    assert (tmp_path / "main.sqlite3").exists()
    application.close()


def test_files_of_others_are_no_repositories(tmp_path: Path) -> None:
    for name in ("Main.sqlite3", ".main-1.sqlite3", "a b.sqlite3", "main.sqlite3-wal", "main.db"):
        (tmp_path / name).touch()
    (tmp_path / "folder.sqlite3").mkdir()
    application = RegistryApplication(f"sqlite:///{tmp_path}", SIGNER)
    create(application, "mine")
    assert application.names() == ["mine"]
    application.close()


def test_schemas_of_others_are_no_repositories(postgres_database: str) -> None:
    engine = create_engine(postgres_database)
    with engine.begin() as connection:
        for name in ("other", "butlers", "butler_Main", "butler_"):
            connection.execute(text(f'CREATE SCHEMA "{name}"'))
    engine.dispose()
    application = RegistryApplication(postgres_database, SIGNER)
    create(application, "mine")
    assert application.names() == ["mine"]
    application.close()


def test_repositories_of_one_database_are_apart(application: RegistryApplication) -> None:
    setups = []
    for name in ("one", "two"):
        create(application, name)
        setups.append(RegistrySetup(application.open(name), name, SIGNER))
    one, two = setups
    insert_camera(one)
    register_types(one)
    one.register_run("run")
    intents = one.begin("note", "run", [{"instrument": "Cam1", "detector": 1}])
    one.commit(intents)
    assert run_names(two.registry) == []
    assert two.registry.dataset_types.find(["*"]) == []
    assert two.rows(QuerySpec(ResultKind.DIMENSION_RECORDS, element="detector")) == []
    assert two.registry.datasets.get([intents[0].dataset_id]) == [None]
    with pytest.raises(MissingCollectionError, match="'run'"):
        two.registry.collections.get("run")
    insert_camera(two)
    two.register_run("run")
    two.register_type("note", ("instrument", "visit"))
    assert two.find("note", {"instrument": "Cam1", "visit": 1}, "run") is None
    assert one.find("note", {"instrument": "Cam1", "detector": 1}, "run") is not None


def test_an_opened_repository_is_shared(application: RegistryApplication) -> None:
    create(application, "main")
    opened = at_once(*(lambda: application.open("main") for _ in range(8)))
    assert all(each is opened[0] for each in opened)
    opened[0].close()
    assert opened[1].info.revision == 1


def test_two_applications_see_each_others_changes_at_once(
    application: RegistryApplication, other: RegistryApplication
) -> None:
    # Behaviour D69.
    create(application, "main")
    mine, theirs = (RegistrySetup(a.open("main"), "main", SIGNER) for a in (application, other))
    for writer, reader in ((mine, theirs), (theirs, mine)):
        i = reader.registry.info.revision
        with pytest.raises(MissingCollectionError):
            reader.registry.collections.get(f"run{i}")
        assert reader.registry.dataset_types.find([f"type{i}"]) == []
        writer.register_run(f"run{i}")
        writer.register_type(f"type{i}", ("instrument",))
        writer.insert("instrument", {"name": f"Cam{i}"})
        assert reader.registry.info.revision == i + 3
        assert reader.registry.collections.get(f"run{i}").name == f"run{i}"
        assert reader.registry.dataset_types.get(f"type{i}").name == f"type{i}"
        reader.put(f"type{i}", f"run{i}", {"instrument": f"Cam{i}"})
        assert writer.find(f"type{i}", {"instrument": f"Cam{i}"}, f"run{i}") is not None
        spec = QuerySpec(ResultKind.DATASETS, dataset_type=f"type{i}", collections=(f"run{i}",))
        assert writer.registry.queries.page(spec, PageRequest()).rows == 1


def test_two_applications_may_register_the_same_at_once(
    application: RegistryApplication, other: RegistryApplication
) -> None:
    create(application, "main")
    registries = [a.open("main") for a in (application, other)] * 3
    types = [DatasetType("thing", UNIVERSE.conform(["visit", "patch"]), "Text") for _ in registries]
    results = at_once(
        *(
            lambda r=r, t=t: r.dataset_types.register(t, request_id=uuid.uuid4())
            for r, t in zip(registries, types, strict=True)
        )
    )
    assert sorted(results) == [False] * 5 + [True]


@pytest.mark.parametrize("url", ["mysql://host/x", "butler.db", "", "sqlite://", "postgresql+psycopg2://h/x"])
def test_a_database_of_an_unknown_kind_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match="database"):
        RegistryApplication(url, SIGNER)


def test_a_database_that_does_not_answer_is_said_to_be_unavailable() -> None:
    application = RegistryApplication("postgresql+psycopg://nobody@127.0.0.1:1/nothing", SIGNER)
    for call in (application.names, lambda: application.open("main"), lambda: create(application, "main")):
        with pytest.raises(ServiceUnavailableError):
            call()
    application.close()


def test_a_database_that_does_not_exist_is_a_mistake_of_the_configuration(postgres_database: str) -> None:
    application = RegistryApplication(f"{postgres_database}_not", SIGNER)
    with pytest.raises(ConfigurationError, match="_not"):
        application.names()
    application.close()


def test_a_registry_of_a_closed_application_fails_with_an_error_of_the_catalogue(
    application: RegistryApplication,
) -> None:
    create(application, "main")
    opened = application.open("main")
    application.close()
    with suppress(ButlerError):
        assert opened.info.name == "main"  # or it connects again
    application.close()


def test_of_a_put_each_step_may_go_to_another_application(
    application: RegistryApplication, other: RegistryApplication
) -> None:
    create(application, "main")
    mine, theirs = (RegistrySetup(a.open("main"), "main", SIGNER) for a in (application, other))
    insert_camera(mine)
    register_types(mine)
    run = mine.register_run("run")
    for detector, beginner, committer in (
        (1, mine, mine),
        (2, mine, theirs),
        (3, theirs, mine),
        (4, mine, mine),
    ):
        data_id = {"instrument": "Cam1", "detector": detector}
        intents = beginner.begin("note", run, [data_id])
        committer.commit(intents, committer.receipts(intents))
        found = theirs.find("note", data_id, run)
        assert found is not None
        assert found.ref.id == intents[0].dataset_id


def test_a_put_that_another_application_gave_up_cannot_be_committed(
    application: RegistryApplication, other: RegistryApplication
) -> None:
    create(application, "main")
    mine, theirs = (RegistrySetup(a.open("main"), "main", SIGNER) for a in (application, other))
    insert_camera(mine)
    register_types(mine)
    run = mine.register_run("run")
    first = mine.begin("note", run, [{"instrument": "Cam1", "detector": 1}])
    mine.commit(first, mine.receipts(first))
    intents = mine.begin("note", run, [{"instrument": "Cam1", "detector": 2}])
    theirs.registry.puts.abort([intents[0].dataset_id], request_id=uuid.uuid4())
    with pytest.raises(IntentError, match="was given up"):
        mine.commit(intents, mine.receipts(intents))


def test_a_put_sees_what_another_application_has_just_defined(
    application: RegistryApplication, other: RegistryApplication
) -> None:
    create(application, "main")
    mine, theirs = (RegistrySetup(a.open("main"), "main", SIGNER) for a in (application, other))
    insert_camera(mine)
    register_types(mine)
    run = mine.register_run("run")
    data_id = {"instrument": "Cam1", "detector": 77}
    with pytest.raises(DataIdValueError, match="77"):
        mine.begin("note", run, [data_id])
    theirs.insert("detector", {"instrument": "Cam1", "id": 77, "full_name": "D77"})
    (intent,) = mine.begin("note", run, [data_id])
    record = intent.data_id.records["detector"]
    assert record is not None
    assert record.get("full_name") == "D77"
