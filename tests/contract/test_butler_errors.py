# SPDX-License-Identifier: BSD-3-Clause
"""Bad input: the documented exception, the same embedded and through services, and nothing left behind."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from butler import Butler, DataCoordinate, DatasetRef, DatasetType, errors
from butler_model.errors import ButlerError
from tests.support.butlers import Deployment, Repository, deployment
from tests.support.survey import insert_survey, register_types
from tools.servers.process import free_ports

NOTE: dict[str, Any] = {"instrument": "Cam1", "detector": 3}
DETECTOR = {"instrument": "Cam1", "id": 8, "full_name": "Ca"}
EXPORT = "description: Butler Data Repository Export\nversion: {version}\nuniverse_version: 8\ndata: {data}\n"

Call = Callable[[Butler], Any]


def put(name: str, obj: object = {}, run: str | None = None, **data_id: Any) -> Call:
    return lambda butler: butler.put(obj, name, data_id, run=run)


def get(name: str, collections: Any = None, parameters: Any = None, **data_id: Any) -> Call:
    return lambda butler: butler.get(name, data_id, collections=collections, parameters=parameters)


def insert(element: str, **row: Any) -> Call:
    return lambda butler: butler.registry.insertDimensionData(element, row)


def load(text: str) -> Call:
    return lambda butler: butler.import_(filename=io.StringIO(text))


def register(name: str, dimensions: list[str], storage_class: str = "Text") -> Call:
    return lambda butler: butler.registry.registerDatasetType(
        DatasetType(name, dimensions, storage_class, universe=butler.dimensions)
    )


def put_resolved_ref(butler: Butler) -> Any:
    return butler.put({}, DatasetRef(butler.registry.getDatasetType("note"), NOTE, "run1"))


def put_other_type(butler: Butler) -> Any:
    return butler.put({}, DatasetType("note", ["visit"], "Text", universe=butler.dimensions), NOTE)


def get_ref_of_another_run(butler: Butler) -> Any:
    ref = butler.find_dataset("note", instrument="Cam1", detector=1)
    assert ref is not None
    return butler.get(ref, collections="run2")


def get_ref_and_data_id(butler: Butler) -> Any:
    return butler.get(DatasetRef(butler.registry.getDatasetType("note"), NOTE), {"detector": 1})


def put_data_coordinate_of_other_dimensions(butler: Butler) -> Any:
    data_id = DataCoordinate.standardize(instrument="Cam1", visit=1, universe=butler.dimensions)
    return butler.put({}, "note", data_id)


# What is done; the class expected; what the message must name.
CASES: dict[str, tuple[Call, type[ButlerError], str]] = {
    "put: key that means nothing": (put("note", **NOTE, bogus=5), errors.DimensionValueError, "bogus"),
    "put: missing key": (put("note", instrument="Cam1"), errors.DimensionNameError, "detector"),
    "put: missing governor": (put("coadd", tract=0, patch=5, band="g"), errors.DimensionNameError, "skymap"),
    "put: data ID of other dimensions": (
        put_data_coordinate_of_other_dimensions,
        errors.DimensionNameError,
        "detector",
    ),
    "put: text where a number is needed": (
        put("coadd", skymap="Sky1", tract="0", patch=5, band="g"),
        errors.DimensionValueError,
        "tract",
    ),
    "put: text that is no alternate key": (
        put("note", instrument="Cam1", detector="3"),
        errors.AmbiguousDataIdError,
        "'3'",
    ),
    "put: value of an impossible type": (
        put("note", instrument="Cam1", detector=[3]),
        errors.DimensionValueError,
        "list",
    ),
    "put: fraction": (put("note", instrument="Cam1", detector=3.5), errors.DimensionValueError, "3.5"),
    "put: truth value": (put("note", instrument="Cam1", detector=True), errors.DimensionValueError, "True"),
    "put: number too large": (
        put("note", instrument="Cam1", detector=2**63),
        errors.DimensionValueError,
        "64 bits",
    ),
    "put: name too long": (put("note", instrument="C" * 33, detector=3), errors.DimensionValueError, "33"),
    "put: no such record": (put("note", instrument="Cam1", detector=99), errors.DataIdValueError, "99"),
    "put: no such instrument": (put("note", instrument="Nope", detector=3), errors.DataIdValueError, "Nope"),
    "put: contradiction": (
        put("summary", instrument="Cam1", visit=1, physical_filter="Cam1-R2"),
        errors.InconsistentDataIdError,
        "Cam1-R2",
    ),
    "put: data ID is no mapping": (
        lambda butler: butler.put({}, "note", [("detector", 3)]),  # type: ignore[arg-type]
        errors.InvalidRequestError,
        "mapping",
    ),
    "put: unregistered type": (put("nothing", **NOTE), errors.MissingDatasetTypeError, "nothing"),
    "put: differing type": (put_other_type, errors.DatasetTypeMismatchError, "note"),
    "put: component": (put("catalog.rowcount", 3, **NOTE, visit=1), errors.InvalidRequestError, "rowcount"),
    "put: resolved ref": (put_resolved_ref, errors.InvalidRequestError, "note"),
    "put: no such run": (put("note", run="nowhere", **NOTE), errors.MissingCollectionError, "nowhere"),
    "put: malformed run": (put("note", run="../up", **NOTE), errors.InvalidNameError, "../up"),
    "put: second time": (
        put("note", instrument="Cam1", detector=1),
        errors.ConflictingDefinitionError,
        "run1",
    ),
    "put: wrong Python type": (put("note", 5, **NOTE), errors.StorageClassTypeError, "int"),
    "put: what JSON cannot hold": (put("note", {"a": {1}}, **NOTE), errors.FormatterError, "set"),
    "put: unknown storage class": (put("strange", 5, **NOTE), errors.StorageClassError, "KnownNowhere"),
    "get: not there": (get("note", **NOTE), errors.DatasetNotFoundError, "note"),
    "get: unregistered type": (get("nothing", **NOTE), errors.MissingDatasetTypeError, "nothing"),
    "get: unknown component": (
        get("note.part", instrument="Cam1", detector=1),
        errors.StorageClassError,
        "part",
    ),
    "get: unknown parameter": (
        get("note", parameters={"zoom": 2}, instrument="Cam1", detector=1),
        errors.StorageClassError,
        "zoom",
    ),
    "get: no such collection": (get("note", "nowhere", **NOTE), errors.MissingCollectionError, "nowhere"),
    "get: collections are no names": (get("note", ..., **NOTE), errors.CollectionTypeError, "Ellipsis"),
    "get: collection is a pattern": (get("note", "run*", **NOTE), errors.InvalidNameError, "run*"),
    "get: no collections": (
        lambda butler: butler.clone(run=None, collections=(), writeable=False).get("note", NOTE),
        errors.NoDefaultCollectionError,
        "collections",
    ),
    "get: key that means nothing": (get("note", **NOTE, bogus=5), errors.DimensionValueError, "bogus"),
    "get: unknown field": (get("note", **{**NOTE, "detector.size": 1}), errors.DimensionValueError, "size"),
    "get: field of no dimension": (
        get("note", **{**NOTE, "detektor.id": 1}),
        errors.DimensionNameError,
        "detektor",
    ),
    "get: ref in another run": (get_ref_of_another_run, errors.DatasetNotFoundError, "run2"),
    "get: ref and data ID": (get_ref_and_data_id, errors.InvalidRequestError, "note"),
    "get: named by nothing": (lambda butler: butler.get(5), errors.InvalidRequestError, "5"),  # type: ignore[arg-type]
    "insert: unknown element": (insert("detektor", **DETECTOR), errors.DimensionNameError, "detektor"),
    "insert: unknown field": (insert("detector", **DETECTOR, size=3), errors.DimensionValueError, "size"),
    "insert: missing key": (insert("detector", id=8), errors.DimensionNameError, "instrument"),
    "insert: text for a number": (
        insert("detector", **{**DETECTOR, "id": "5"}),
        errors.DimensionValueError,
        "'5'",
    ),
    "insert: too long": (
        insert("detector", **{**DETECTOR, "full_name": "x" * 33}),
        errors.DimensionValueError,
        "33",
    ),
    "insert: no parent": (
        insert("detector", **{**DETECTOR, "instrument": "Nope"}),
        errors.MissingParentError,
        "Nope",
    ),
    "insert: there already": (
        insert("detector", **{**DETECTOR, "id": 1}),
        errors.ConflictingDefinitionError,
        "1",
    ),
    "insert: alternate key taken": (
        insert("detector", **{**DETECTOR, "full_name": "Aa"}),
        errors.ConflictingDefinitionError,
        "alternate key",
    ),
    "sync: differs": (
        lambda butler: butler.registry.syncDimensionData("detector", {**DETECTOR, "id": 1}),
        errors.ConflictingDefinitionError,
        "Ca",
    ),
    "register run: ..": (
        lambda butler: butler.registry.registerRun("a/../b"),
        errors.InvalidNameError,
        "a/../b",
    ),
    "register type: ..": (register("a/../b", ["visit"]), errors.InvalidNameError, "a/../b"),
    "register type: unknown dimension": (register("new", ["visite"]), errors.DimensionNameError, "visite"),
    "register type: differs": (register("note", ["visit"]), errors.ConflictingDefinitionError, "note"),
    "expand: no such record": (
        lambda butler: butler.registry.expandDataId(instrument="Cam1", visit=7),
        errors.DataIdValueError,
        "7",
    ),
    "query: unknown collection": (
        lambda butler: list(butler.registry.queryDatasets("note", collections="nowhere")),
        errors.MissingCollectionError,
        "nowhere",
    ),
    "import: unknown version": (
        load(EXPORT.format(version="2.0.0", data="[]")),
        errors.IncompatibleVersionError,
        "2.0.0",
    ),
    "import: corrupted YAML": (load("data: [{type: dimension"), errors.MalformedExportError, "line"),
    "import: no export": (load("just text"), errors.MalformedExportError, ""),
    "import: missing parent": (
        load(
            EXPORT.format(
                version="1.0.2",
                data="[{type: dimension, element: detector, records: [{instrument: Nope, id: 1, full_name: x}]}]",
            )
        ),
        errors.MissingParentError,
        "Nope",
    ),
}


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def pair(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, tuple[Repository, Butler]]]:
    """Give the same repository twice, embedded and behind services; failed calls leave both as they are."""
    database: str = request.param
    server = request.getfixturevalue("postgres_server") if database == "postgresql" else None
    with ExitStack() as stack:
        made: dict[str, tuple[Repository, Butler]] = {}
        for shape in ("embedded", "grpc"):
            url = server.create_database() if server else None
            folder = tmp_path_factory.mktemp(shape)
            place = stack.enter_context(deployment(f"{shape}-{database}", folder, url))
            Butler.makeRepo(place.root, **place.options)
            butler = stack.enter_context(Butler(place.root, run="run1", inferDefaults=False))
            insert_survey(butler)
            register_types(butler)
            butler.registry.registerRun("run2")
            register("strange", ["detector"], "KnownNowhere")(butler)
            butler.put({}, "note", instrument="Cam1", detector=1)
            made[shape] = Repository(place, place.root), butler
        yield made


@pytest.mark.parametrize("case", CASES)
def test_bad_input_gives_the_same_error_everywhere_and_leaves_nothing(
    pair: dict[str, tuple[Repository, Butler]], case: str
) -> None:
    """Issue A: bad input."""
    call, expected, offender = CASES[case]
    messages = {}
    for shape, (repository, butler) in pair.items():
        before = repository.content()
        with pytest.raises(expected) as caught:
            call(butler)
        assert type(caught.value) is expected, shape
        assert offender in str(caught.value), shape
        assert repository.content() == before, shape
        messages[shape] = (without_ids(str(caught.value)), sorted(caught.value.metadata))
    assert messages["embedded"] == messages["grpc"]


def without_ids(message: str) -> str:
    return re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "<id>", message)


def test_a_repository_that_is_not_there_cannot_be_opened(place: Deployment) -> None:
    for address in (place.root, place.other("another"), place.other("another") + "/butler.yaml"):
        if "grpc" in address and address.endswith("yaml"):
            continue
        with pytest.raises(errors.RepositoryNotFoundError) as caught:
            Butler(address)
        assert isinstance(caught.value, FileNotFoundError)


def test_a_repository_is_made_once_and_never_replaced(place: Deployment) -> None:
    Butler.makeRepo(place.root, **place.options)
    repository = Repository(place, place.root)
    with repository.butler(run="run1") as butler:
        insert_survey(butler)
    before = repository.content()
    with pytest.raises(errors.RepositoryExistsError) as caught:
        Butler.makeRepo(place.root, **place.options)
    assert isinstance(caught.value, FileExistsError)
    if not place.root.startswith("grpc"):
        with pytest.raises(errors.RepositoryExistsError):
            Butler.makeRepo(place.root, overwrite=True, **place.options)
    assert repository.content() == before
    with repository.butler() as butler:
        assert butler.registry.queryCollections() == ["run1"]


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (7_000, errors.IncompatibleVersionError),
        ({"version": 1}, errors.ConfigurationError),
        ("nowhere.yaml", errors.ConfigurationError),
    ],
    ids=str,
)
def test_dimensions_that_cannot_be_had_leave_no_repository(
    place: Deployment, config: Any, expected: type[ButlerError]
) -> None:
    with pytest.raises(expected):
        Butler.makeRepo(place.root, dimensionConfig=config, **place.options)
    assert not place.artifacts.exists()
    with pytest.raises(errors.RepositoryNotFoundError):
        Butler(place.root)


def test_a_database_that_does_not_answer_leaves_no_directory(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    with pytest.raises(errors.ServiceUnavailableError):
        Butler.makeRepo(
            tmp_path / "a" / "b", database=f"postgresql://nobody@127.0.0.1:{port}/none?connect_timeout=2"
        )
    with pytest.raises(errors.ConfigurationError):
        Butler.makeRepo(tmp_path / "a" / "b", database="mysql://127.0.0.1/none")
    assert list(tmp_path.iterdir()) == []


def test_a_directory_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(errors.ConfigurationError, match="file"):
        Butler.makeRepo(tmp_path / "file" / "repository")
    with pytest.raises(errors.ConfigurationError, match="file"):
        Butler.makeRepo(tmp_path / "file")


@pytest.mark.parametrize(
    ("text", "offender"),
    [
        ("repository: main\nregistri: {}\n", "'registri'; the nearest known one is 'registry'"),
        ("repository: main\nregistry: {databse: x}\ndatastore: {}\n", "databse"),
        ("registry: 5\n", "registry"),
        ("repository: 5\nregistry: {database: x}\ndatastore: {stores: {main: {root: x}}}\n", "5"),
        ("repository: main\nregistry: {database: x}\ndatastore: {stores: {}}\n", "store"),
        (
            "repository: main\nregistry: {database: 'mysql://x'}\ndatastore: {stores: {main: {root: x}}}\n",
            "mysql",
        ),
        ("repository: [\n", "YAML"),
        ("", "None"),
    ],
)
def test_a_malformed_configuration_is_refused_with_the_place_of_the_fault(
    tmp_path: Path, text: str, offender: str
) -> None:
    (tmp_path / "butler.yaml").write_text(text)
    with pytest.raises(errors.ConfigurationError) as caught:
        Butler(tmp_path)
    assert offender in str(caught.value)


def test_an_unreachable_service_is_named() -> None:
    (port,) = free_ports(1)
    for call in (Butler, Butler.makeRepo):
        with pytest.raises(errors.ServiceUnavailableError, match=f"127.0.0.1:{port}") as caught:
            call(f"grpc://127.0.0.1:{port}/main")
        assert isinstance(caught.value, ConnectionError)


def test_a_database_that_cannot_be_reached_is_named_without_its_password(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    database = f"postgresql://me:secret@127.0.0.1:{port}/x"
    file = tmp_path / "butler.yaml"
    file.touch(mode=0o600)
    file.write_text(
        f"repository: main\nregistry: {{database: '{database}'}}\ndatastore: {{stores: {{main: {{root: x}}}}}}\n"
    )
    for call in (lambda: Butler(tmp_path), lambda: Butler.makeRepo(tmp_path / "new", database=database)):
        with pytest.raises(errors.ServiceUnavailableError, match=rf"me:\*\*\*@127.0.0.1:{port}/x") as caught:
            call()
        assert "secret" not in str(caught.value)
    assert [each.name for each in tmp_path.iterdir()] == ["butler.yaml"]


@pytest.mark.parametrize(
    "address",
    [
        "grpc://localhost/main",
        "grpc://localhost:1",
        "grpc://localhost:1/Main",
        "http://localhost:1/main",
        "grpc:///x",
    ],
)
def test_a_malformed_address_is_refused(address: str) -> None:
    with pytest.raises((errors.ConfigurationError, errors.InvalidNameError)):
        Butler(address)


def test_default_values_are_for_governor_dimensions_that_exist(repository: Repository) -> None:
    """A1."""
    insert_survey(repository.butler(writeable=True))
    with pytest.raises(TypeError, match="detector"):
        repository.butler(detector=1)
    with pytest.raises(errors.DataIdValueError, match="Nope"):
        repository.butler(instrument="Nope")
    assert repository.butler(instrument="Cam1").registry.defaults.dataId == {"instrument": "Cam1"}
