# SPDX-License-Identifier: BSD-3-Clause
"""A composite gives the same answers whether it is stored whole or in parts; embedded and through services."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import pandas as pd
import pytest

from butler import Butler, CollectionType, DatasetType, Timespan
from butler.formatters import default_formatters
from butler_model.errors import (
    ArtifactNotFoundError,
    ConfigurationError,
    DatasetNotFoundError,
    FormatterError,
    StorageClassError,
    StorageClassTypeError,
    UnsupportedOperationError,
)
from tests.support.butlers import Deployment, Repository, on_every_store
from tests.support.composites import DISASSEMBLED, MetricsExample, Pair, add_metrics
from tests.support.survey import FIRST_NIGHT, NIGHT, insert_survey

FORMATS = {
    "TestMetrics": "json",
    "TestMetricsData": "json",
    "TestPair": "yaml",
    "StructuredDataDict": "json",
    "int": "json",
    "DataFrame": "parquet",
}
WHERE = {"instrument": "Cam1", "detector": 1}


@pytest.fixture(params=["whole", "parts"])
def layout(request: pytest.FixtureRequest) -> str:
    """Say how the repository stores composites."""
    kind: str = request.param
    return kind


@pytest.fixture
def repository(place: Deployment, layout: str) -> Any:
    """Give a repository that stores composites so."""
    add_metrics()
    default_formatters().add_config({"formatters": FORMATS})
    Butler.makeRepo(place.root, composites=DISASSEMBLED if layout == "parts" else None, **place.options)
    made = Repository(place, place.root)
    yield made
    made.close()


@pytest.fixture
def butler(repository: Repository) -> Butler:
    """Give a butler that writes composites."""
    butler = repository.butler(run="run1")
    insert_survey(butler)
    for name, storage_class in (("metrics", "TestMetrics"), ("pair", "TestPair"), ("framed", "TestFrame")):
        butler.registry.registerDatasetType(
            DatasetType(
                name,
                ["instrument", "detector"],
                storage_class,
                universe=butler.dimensions,
                isCalibration=name == "pair",
            )
        )
    return butler


def metrics() -> MetricsExample:
    return MetricsExample({"answer": 42}, {"a": {"b": 1.5}}, [563, 234, 456])


@on_every_store
def test_a_composite_comes_back_whole_and_so_does_each_component(butler: Butler) -> None:
    # D34
    ref = butler.put(metrics(), "metrics", WHERE)
    assert butler.get("metrics", WHERE) == metrics()
    assert butler.getDirect(ref) == metrics()
    assert butler.get("metrics.summary", WHERE) == {"answer": 42}
    assert butler.get("metrics.output", WHERE) == {"a": {"b": 1.5}}
    assert butler.get("metrics.data", WHERE) == [563, 234, 456]
    assert butler.get("metrics.data", WHERE, parameters={"slice": slice(2)}) == [563, 234]
    assert butler.datasetExists("metrics", WHERE)
    assert butler.stored_many([ref]) == {ref: True}


@on_every_store
def test_a_derived_component_honours_parameters(butler: Butler) -> None:
    # D34
    butler.put(metrics(), "metrics", WHERE)
    assert butler.get("metrics.counter", WHERE) == 3
    assert butler.get("metrics.counter", WHERE, parameters={"slice": slice(2)}) == 2
    assert butler.get("metrics.size", WHERE) == 5
    assert butler.get("metrics.size", WHERE, parameters={"first": 1}) == 3


@on_every_store
def test_parameters_of_the_whole_and_of_its_components_apply_to_the_whole(butler: Butler) -> None:
    # D34
    butler.put(metrics(), "metrics", WHERE)
    first = butler.get("metrics", WHERE, parameters={"first": 1})
    assert first == MetricsExample({"answer": 42}, {"a": {"b": 1.5}}, [563])
    sliced = butler.get("metrics", WHERE, parameters={"slice": slice(1, None), "first": 1})
    assert sliced == MetricsExample({"answer": 42}, {"a": {"b": 1.5}}, [234])


@on_every_store
def test_a_parameter_of_the_whole_is_refused_by_a_component_that_lacks_it(butler: Butler) -> None:
    # D35
    butler.put(metrics(), "metrics", WHERE)
    for component, parameters in (
        ("summary", {"slice": slice(1)}),
        ("data", {"first": 1}),
        ("counter", {"first": 1}),
        ("size", {"nonsense": 1}),
    ):
        with pytest.raises(StorageClassError):
            butler.get(f"metrics.{component}", WHERE, parameters=parameters)
    with pytest.raises(KeyError):
        butler.get("metrics", WHERE, parameters={"nonsense": 1})
    with pytest.raises(StorageClassError):
        butler.get("metrics.nonsense", WHERE)


@on_every_store
def test_components_that_are_none_come_back_as_none(butler: Butler) -> None:
    # D36: any number of them, also all and all but one
    values: dict[str, Any] = {"summary": {"answer": 42}, "output": {"a": 1}, "data": [1, 2]}
    subsets = [subset for size in range(4) for subset in combinations(values, size)]
    for number, present in enumerate(subsets):
        run = f"subset{number}"
        butler.registry.registerRun(run)
        made = MetricsExample(**{name: values[name] for name in present})
        butler.put(made, "metrics", WHERE, run=run)
        assert butler.get("metrics", WHERE, collections=run) == made, present
        for name, value in values.items():
            expected = value if name in present else None
            assert butler.get(f"metrics.{name}", WHERE, collections=run) == expected, (present, name)
        count = 2 if "data" in present else None
        assert butler.get("metrics.counter", WHERE, collections=run) == count, present
        assert butler.datasetExists("metrics", WHERE, collections=run)
        assert (
            butler.get("metrics", WHERE, collections=run, parameters={"slice": slice(0)}).summary
            == made.summary
        )


@on_every_store
def test_a_component_without_a_delegate_of_its_own_and_one_that_is_false_are_values(butler: Butler) -> None:
    # D36
    butler.put(Pair(0, {}), "pair", WHERE)
    assert butler.get("pair", WHERE) == Pair(0, {})
    assert butler.get("pair.left", WHERE) == 0
    assert butler.get("pair.right", WHERE) == {}
    butler.put(Pair(), "pair", {"instrument": "Cam1", "detector": 2})
    assert butler.get("pair", instrument="Cam1", detector=2) == Pair()
    assert butler.get("pair.left", instrument="Cam1", detector=2) is None


@on_every_store
def test_uris_are_those_of_the_whole_or_of_the_parts(butler: Butler, layout: str) -> None:
    # D33
    butler.put(MetricsExample({"answer": 42}, None, [1]), "metrics", WHERE)
    uri, parts = butler.getURIs("metrics", WHERE)
    with pytest.raises(StorageClassError):
        butler.getURI("metrics.nonsense", WHERE)
    if layout == "whole":
        assert uri == butler.getURI("metrics", WHERE)
        assert parts == {}
        for component in ("data", "output", "counter"):
            assert butler.getURI(f"metrics.{component}", WHERE) == uri
        return
    assert uri is None
    assert set(parts) == {"summary", "data"}
    assert len(set(parts.values())) == 2
    with pytest.raises(UnsupportedOperationError):
        butler.getURI("metrics", WHERE)
    with pytest.raises(RuntimeError):
        butler.getURI("metrics.size", WHERE)
    for component, expected in parts.items():
        assert butler.getURI(f"metrics.{component}", WHERE) == expected
        assert butler.getURIs(f"metrics.{component}", WHERE) == (expected, {})
    assert butler.getURI("metrics.counter", WHERE) == parts["data"]
    with pytest.raises(ArtifactNotFoundError):
        butler.getURI("metrics.output", WHERE)


def test_each_part_has_a_file_of_its_own_with_the_format_of_its_storage_class(
    repository: Repository, butler: Butler, monkeypatch: pytest.MonkeyPatch, layout: str
) -> None:
    frame = pd.DataFrame({"a": [1, 2], "b": [3.0, 4.0]})
    if layout == "whole":
        with pytest.raises(FormatterError):
            butler.put({"table": frame, "note": {"n": 1}}, "framed", WHERE)
        return
    butler.put({"table": frame, "note": {"n": 1}}, "framed", WHERE)
    assert sorted(name.rpartition(".")[2] for name in repository.files()) == ["json", "parq"]
    pd.testing.assert_frame_equal(butler.get("framed.table", WHERE), frame)
    pd.testing.assert_frame_equal(butler.get("framed", WHERE)["table"], frame)
    assert list(butler.get("framed.table", WHERE, parameters={"columns": ["b"]})) == ["b"]
    assert list(butler.get("framed", WHERE, parameters={"columns": ["b"]})["table"]) == ["b"]


def test_a_composite_that_cannot_be_stored_leaves_nothing(
    repository: Repository, butler: Butler, layout: str
) -> None:
    before = repository.content()
    for name, obj, error in (
        ("metrics", MetricsExample({"bad": object()}), FormatterError),
        ("metrics", [1], StorageClassTypeError),
        ("framed", {"note": {}, "lost": 1}, StorageClassError if layout == "parts" else FormatterError),
    ):
        with pytest.raises(error):
            butler.put(obj, name, WHERE)
    if layout == "parts":
        with pytest.raises(StorageClassTypeError):
            butler.put(MetricsExample(data=5), "metrics", WHERE)  # type: ignore[arg-type]
    assert repository.content() == before


def test_a_part_that_is_gone_stops_neither_the_others_nor_the_answer_that_it_is_gone(
    repository: Repository, butler: Butler, layout: str
) -> None:
    ref = butler.put(metrics(), "metrics", WHERE)
    name = next(iter(file for file in repository.files() if layout == "whole" or "data" in file))
    (repository.deployment.artifacts / name).unlink()
    assert not butler.datasetExists("metrics", WHERE)
    assert butler.stored_many([ref]) == {ref: False}
    for wanted in ("metrics", "metrics.data", "metrics.counter"):
        with pytest.raises(ArtifactNotFoundError):
            butler.get(wanted, WHERE)
    if layout == "parts":
        assert butler.get("metrics.summary", WHERE) == {"answer": 42}


def test_many_composites_are_put_and_got_at_once(butler: Butler) -> None:
    made = [
        MetricsExample({"n": 1}, {}, [1]),
        MetricsExample(None, {"n": 2}, None),
        MetricsExample(),
        MetricsExample({"n": 4}, {}, [4, 5]),
    ]
    where = [{"instrument": "Cam1", "detector": number} for number in range(1, 5)]
    refs = butler.put_many((each, "metrics", data_id) for each, data_id in zip(made, where, strict=True))
    assert butler.get_many(refs) == made
    assert butler.get_many([("metrics.data", data_id) for data_id in where]) == [each.data for each in made]
    assert butler.get_many([("metrics.counter", data_id) for data_id in where]) == [1, None, None, 2]


@on_every_store
def test_a_deferred_handle_takes_parameters_at_get_before_its_own(butler: Butler) -> None:
    # D37
    with pytest.raises(DatasetNotFoundError):
        butler.getDeferred("metrics.data", WHERE)
    ref = butler.put(metrics(), "metrics", WHERE)
    handle = butler.getDeferred("metrics.data", WHERE, parameters={"slice": slice(1)})
    assert handle.ref == ref.makeComponentRef("data", "TestMetricsData")
    assert handle.get() == [563]
    assert handle.get(parameters={"slice": slice(2)}) == [563, 234]
    assert butler.getDeferred(handle.ref).get() == metrics().data
    assert butler.get(handle.ref) == metrics().data
    assert butler.getDirectDeferred(handle.ref).get(parameters={"slice": slice(1)}) == [563]
    whole = butler.getDirectDeferred(ref)
    assert whole.get() == metrics()
    assert whole.get(component="counter") == 3
    assert whole.get(component="data", parameters={"slice": slice(1)}) == [563]
    with pytest.raises(StorageClassError):
        handle.get(component="data")


def test_a_component_of_a_calibration_is_found_by_the_validity_of_its_composite(butler: Butler) -> None:
    registry = butler.registry
    begin = FIRST_NIGHT + NIGHT
    registry.registerCollection("calib", CollectionType.CALIBRATION)
    for number in (1, 2):
        registry.registerRun(f"bias{number}")
        ref = butler.put(Pair(number, {"night": number}), "pair", WHERE, run=f"bias{number}")
        nights = [begin + (number - 1) * NIGHT, begin + number * NIGHT]
        registry.certify("calib", [ref], Timespan.from_simple(nights))
    for number in (1, 2):
        exposure = {"instrument": "Cam1", "exposure": 10 + number, "detector": 1}
        assert butler.get("pair", exposure, collections="calib") == Pair(number, {"night": number})
        assert butler.get("pair.left", exposure, collections="calib") == number
        assert butler.getDeferred("pair.right", exposure, collections="calib").get() == {"night": number}


def test_a_repository_says_what_it_takes_apart(place: Deployment) -> None:
    config = {"default": False, "disassembled": {"instrument<Cam1>": {"pair": True}, "TestPair": False}}
    with pytest.raises(ConfigurationError):
        Butler.makeRepo(place.root, composites={"disassembled": {"pair": "yes"}}, **place.options)
    Butler.makeRepo(place.root, composites=config, **place.options)
    with Butler(place.root) as butler:
        pair = DatasetType("pair", ["instrument"], "TestPair", universe=butler.dimensions)
        composites = butler._connection.info.composites
        assert composites.is_disassembled(pair, "Cam1")
        assert not composites.is_disassembled(pair, "Cam2")


def test_the_files_of_a_composite_and_of_a_component_are_retrieved(
    butler: Butler, layout: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    ref = butler.put(metrics(), "metrics", WHERE)
    out = tmp_path_factory.mktemp("retrieved")
    paths = butler.retrieve_artifacts([ref], out)
    component = butler.find_dataset("metrics.summary", WHERE)
    assert component is not None
    (path,) = butler.retrieve_artifacts([component], out)
    assert path in paths
    assert (len(paths) > 1) is (layout == "parts")
