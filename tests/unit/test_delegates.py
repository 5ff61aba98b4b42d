# SPDX-License-Identifier: BSD-3-Clause
"""Delegates, converters, and the labels by which they are found."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from butler.converters import constructed, dataclass_from_mapping, mapping_from_dataclass
from butler.delegates import StorageClassDelegate, default_delegates
from butler.entry_points import LabelledCode
from butler.storage_classes import add_storage_classes, coerce, default_storage_classes
from butler_model.errors import (
    ConfigurationError,
    ConflictingDefinitionError,
    StorageClassError,
    StorageClassTypeError,
)
from butler_model.storage_class import StorageClass
from tests.support.composites import CONFIG, DataDelegate, MetricsDelegate, MetricsExample, Pair, add_metrics


@dataclass
class Wider:
    """Has more than its storage class names."""

    left: int | None = None
    right: int | None = None
    extra: int = 0


class Getters:
    """Has its components behind methods."""

    def get_left(self) -> int:
        return 1

    def getRight(self) -> int:
        return 2


def delegate(pytype: type) -> StorageClassDelegate:
    components = {"left": "int", "right": "int"}
    return StorageClassDelegate(StorageClass("Test", "dict", components, {"sum": "int"}), pytype)


def test_a_component_is_an_item_an_attribute_or_what_a_getter_gives() -> None:
    for composite in ({"left": 1, "right": 2}, Pair(1, {}), Getters()):
        assert delegate(dict).getComponent(composite, "left") == 1
    assert delegate(dict).getComponent(Getters(), "right") == 2
    assert delegate(dict).getComponent({"left": 1}, "right") is None
    for composite in ({"left": 1}, Pair(), Getters()):
        with pytest.raises(StorageClassError):
            delegate(dict).getComponent(composite, "sum")


def test_components_that_are_none_are_left_out_and_come_back() -> None:
    assert delegate(dict).disassemble({"left": 0, "right": None}) == {"left": 0}
    assert delegate(dict).assemble({"left": 0}) == {"left": 0, "right": None}
    assert delegate(Pair).disassemble(Pair()) == {}
    assert delegate(Pair).assemble({}) == Pair()
    assert delegate(Getters).disassemble(Getters()) == {"left": 1, "right": 2}


@pytest.mark.parametrize("composite", [{"left": 1, "extra": 2}, Wider(1, 2, 3)])
def test_what_is_no_component_is_refused_instead_of_lost(composite: Any) -> None:
    with pytest.raises(StorageClassError, match="extra"):
        delegate(type(composite)).disassemble(composite)


@pytest.mark.parametrize("pytype", [Getters, int])
def test_a_type_that_only_its_own_delegate_can_make_is_refused(pytype: type) -> None:
    with pytest.raises(StorageClassError, match="delegate"):
        delegate(pytype).assemble({"left": 1})


def test_a_data_class_that_has_no_such_field_is_refused() -> None:
    storage_class = StorageClass("Test", "dict", {"left": "int", "other": "int"})
    with pytest.raises(StorageClassError, match="other"):
        StorageClassDelegate(storage_class, Pair).assemble({"left": 1})


def test_the_usual_delegate_knows_no_parameter() -> None:
    composite = {"left": 1, "right": 2}
    assert delegate(dict).handleParameters(composite, {}) is composite
    with pytest.raises(StorageClassError, match="slice"):
        delegate(dict).handleParameters(composite, {"slice": 1})
    assert delegate(dict).selectResponsibleComponent("sum", {"left"}) is None


def test_a_delegate_of_a_process_keeps_its_label() -> None:
    add_metrics()
    add_metrics()
    assert default_delegates().get("test-metrics") is MetricsDelegate
    with pytest.raises(ConflictingDefinitionError):
        default_delegates().add("test-metrics", DataDelegate)
    with pytest.raises(StorageClassError, match="nonsense"):
        default_delegates().get("nonsense")


def test_labels_are_those_of_installed_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def install(package: str, lines: str) -> None:
        folder = tmp_path / f"{package}-1.0.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        (folder / "entry_points.txt").write_text(f"[butler.delegates]\n{lines}\n")

    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])
    install("first", "packaged = tests.support.composites:MetricsDelegate\nbroken = tests.absent:Delegate")
    found = LabelledCode[type[StorageClassDelegate]]("butler.delegates", "delegate")
    assert found.get("packaged") is MetricsDelegate
    assert found.get("packaged") is MetricsDelegate
    with pytest.raises(StorageClassError, match="broken"):
        found.get("broken")
    with pytest.raises(ConflictingDefinitionError):
        found.add("packaged", MetricsDelegate)
    install("second", "packaged = tests.support.composites:DataDelegate")
    with pytest.raises(ConfigurationError, match="packaged"):
        LabelledCode[type[StorageClassDelegate]]("butler.delegates", "delegate")


def test_storage_classes_of_a_file_join_those_of_the_process(tmp_path: Path) -> None:
    file = tmp_path / "classes.yaml"
    name = "TestOfAFile"
    file.write_text(yaml.safe_dump({"storageClasses": {name: {"pytype": "list", "inheritsFrom": "int"}}}))
    add_storage_classes(file)
    assert default_storage_classes().getStorageClass(name).pytype == "list"
    with pytest.raises(ConflictingDefinitionError):
        add_storage_classes({"storageClasses": {name: {"pytype": "dict"}}})
    file.write_text("a: [")
    for path in (file, tmp_path / "absent.yaml"):
        with pytest.raises(ConfigurationError, match=path.name):
            add_storage_classes(path)
    file.write_text("[]")
    with pytest.raises(ConfigurationError):
        add_storage_classes(file)


def test_an_object_is_converted_by_the_first_converter_for_its_type() -> None:
    add_metrics()
    metrics = default_storage_classes().getStorageClass("TestMetrics")
    assert coerce(metrics, {"data": [1]}) == MetricsExample(data=[1])
    made = MetricsExample()
    assert coerce(metrics, made) is made
    with pytest.raises(StorageClassTypeError, match="cannot make"):
        coerce(metrics, {"nonsense": 1})
    with pytest.raises(StorageClassTypeError):
        coerce(metrics, [1])
    of_absent = StorageClass("Test", "list", converters={"absent.Type": "construct", "tuple": "construct"})
    assert coerce(of_absent, (1, 2)) == [1, 2]
    wrong = StorageClass("Test", "list", converters={"tuple": "mapping-from-dataclass"})
    with pytest.raises(StorageClassTypeError):
        coerce(wrong, (1,))


def test_the_converters_that_are_shipped_make_what_they_say() -> None:
    assert constructed([1, 2], tuple) == (1, 2)
    assert dataclass_from_mapping({"left": 1}, Pair) == Pair(1)
    assert mapping_from_dataclass(Pair(1, {"n": 2}), dict) == {"left": 1, "right": {"n": 2}}


def test_the_labels_of_a_definition_are_inherited_with_the_type_that_they_are_for() -> None:
    add_metrics()
    config = {
        "storageClasses": {
            "TestInherited": {"inheritsFrom": "TestMetrics"},
            "TestOther": {"inheritsFrom": "TestMetrics", "pytype": "dict"},
        }
    }
    add_storage_classes(config)
    known = default_storage_classes()
    metrics, inherited, other = map(known.getStorageClass, ("TestMetrics", "TestInherited", "TestOther"))
    assert inherited.delegate == other.delegate == metrics.delegate == "test-metrics"
    assert inherited.converters == metrics.converters == CONFIG["storageClasses"]["TestMetrics"]["converters"]
    assert not other.converters
    assert metrics.can_convert(other)
    assert metrics.can_convert(inherited)
    assert not other.can_convert(metrics)
