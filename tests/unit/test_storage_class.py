# SPDX-License-Identifier: BSD-3-Clause
from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pandas as pd
import pytest

from butler.storage_classes import coerce, default_storage_classes, resolve_pytype
from butler_model.errors import (
    ConfigurationError,
    ConflictingDefinitionError,
    InvalidNameError,
    StorageClassError,
    StorageClassTypeError,
)
from butler_model.storage_class import StorageClass, StorageClassFactory

CONFIG: dict[str, Any] = {
    "storageClasses": {
        "Child": {"inheritsFrom": "Parent", "components": {"extra": "Leaf"}, "parameters": ["zoom"]},
        "Parent": {
            "pytype": "package.Parent",
            "components": {"data": "Leaf", "summary": "dict_"},
            "derivedComponents": {"counter": "dict_"},
            "parameters": ["bbox"],
            "delegate": "parent",
            "converters": {"dict": "parent_from_dict"},
        },
        "Leaf": {"pytype": "package.Leaf", "parameters": ["slice"]},
        "dict_": {"pytype": "dict"},
    }
}


@pytest.fixture
def factory() -> StorageClassFactory:
    return StorageClassFactory(CONFIG)


def test_components_are_stored_and_derived(factory: StorageClassFactory) -> None:
    parent = factory.getStorageClass("Parent")
    assert parent.isComposite()
    assert dict(parent.components) == {"data": "Leaf", "summary": "dict_"}
    assert dict(parent.allComponents()) == {"data": "Leaf", "summary": "dict_", "counter": "dict_"}
    assert not factory.getStorageClass("Leaf").isComposite()


def test_inheritance_merges_components_and_parameters_in_any_order(factory: StorageClassFactory) -> None:
    child = factory.getStorageClass("Child")
    assert child.pytype == "package.Parent"
    assert set(child.components) == {"data", "summary", "extra"}
    assert set(child.derivedComponents) == {"counter"}
    assert child.parameters == {"bbox", "zoom"}


def test_known_parameters_include_those_of_components(factory: StorageClassFactory) -> None:
    assert factory.getStorageClass("Parent").knownParameters() == {"bbox", "slice"}
    factory.getStorageClass("Parent").validateParameters({"bbox": 1, "slice": 2})
    factory.getStorageClass("Parent").validateParameters(None)


def test_an_unknown_parameter_is_named_with_those_known(factory: StorageClassFactory) -> None:
    with pytest.raises(StorageClassError, match=r"'Parent' has no parameter 'box'; it knows bbox, slice"):
        factory.getStorageClass("Parent").validateParameters(["box"])


def test_an_unknown_storage_class_is_named_with_the_nearest_known(factory: StorageClassFactory) -> None:
    with pytest.raises(KeyError, match="Unknown storage class 'Leef'; the nearest known name is 'Leaf'"):
        factory.getStorageClass("Leef")
    with pytest.raises(StorageClassError, match="none is defined"):
        StorageClassFactory().getStorageClass("Leaf")


def test_registering_twice_is_harmless_unless_the_definitions_differ(factory: StorageClassFactory) -> None:
    new = StorageClass("New", "package.New", {"a": "Leaf", "b": "dict_"})
    factory.registerStorageClass(new)
    factory.registerStorageClass(StorageClass("New", "package.New", {"a": "Leaf", "b": "dict_"}))
    assert factory.getStorageClass("New") == new
    assert factory.getStorageClass("New").knownParameters() == {"slice"}
    with pytest.raises(ConflictingDefinitionError, match="'New' is defined already"):
        factory.registerStorageClass(StorageClass("New", "package.Other"))


def test_registering_with_an_unknown_component_class_is_refused(factory: StorageClassFactory) -> None:
    with pytest.raises(StorageClassError, match="'Nothing'"):
        factory.registerStorageClass(StorageClass("New", "package.New", {"a": "Leaf", "b": "Nothing"}))
    assert "New" not in factory


def test_a_configuration_is_added_wholly_or_not_at_all(factory: StorageClassFactory) -> None:
    more = {"storageClasses": {"New": {"pytype": "dict"}, "Leaf": {"pytype": "package.Other"}}}
    with pytest.raises(ConflictingDefinitionError, match="'Leaf'"):
        factory.addFromConfig(more)
    assert "New" not in factory
    factory.addFromConfig({"storageClasses": {"New": {"inheritsFrom": "Leaf"}}})
    assert factory.getStorageClass("New").pytype == "package.Leaf"
    assert len(factory) == len(list(factory)) == 5


@pytest.mark.parametrize(
    ("definitions", "error", "message"),
    [
        ({"A": {}}, ConfigurationError, "'A' needs a 'pytype'"),
        ({"A": "dict"}, ConfigurationError, "'A' is not a mapping"),
        ({"A": {"pytype": "dict", "pythontype": "x"}}, ConfigurationError, "unknown keys pythontype"),
        ({"A": {"pytype": "dict", "components": ["x"]}}, ConfigurationError, "'components'"),
        ({"A": {"pytype": "dict", "parameters": "x"}}, ConfigurationError, "'parameters'"),
        ({"A": {"pytype": "dict", "components": {"x": "A"}}}, ConfigurationError, "single component 'x'"),
        ({"A": {"pytype": "dict", "components": {"x": "A", "y": "A"}}}, ConfigurationError, "circle"),
        ({"A": {"inheritsFrom": "B"}, "B": {"inheritsFrom": "A"}}, ConfigurationError, "circle: A > B"),
        ({"A": {"inheritsFrom": "B"}}, StorageClassError, "'B'"),
        ({"A": {"pytype": "dict", "derivedComponents": {"x": "B"}}}, StorageClassError, "'B'"),
        ({"../A": {"pytype": "dict"}}, InvalidNameError, r"'\.\./A'"),
        ({"A": {"pytype": "os.system()"}}, InvalidNameError, "os.system"),
        ({"A": {"pytype": "dict", "derivedComponents": {"x.y": "A"}}}, InvalidNameError, "'x.y'"),
        ({5: {"pytype": "dict"}}, InvalidNameError, "5"),
        ({"A": {"pytype": "dict", "delegate": "os.system"}}, InvalidNameError, "os.system"),
        ({"A": {"pytype": "dict", "delegate": 5}}, InvalidNameError, "5"),
        ({"A": {"pytype": "dict", "converters": {"list": "Os.system"}}}, InvalidNameError, "Os.system"),
        ({"A": {"pytype": "dict", "converters": {"a b": "label"}}}, InvalidNameError, "'a b'"),
    ],
)
def test_a_bad_definition_is_refused_by_name(
    definitions: dict[Any, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        StorageClassFactory({"storageClasses": definitions})


@pytest.mark.parametrize("config", [{}, {"storageClasses": []}, {"storageClasses": None}])
def test_a_configuration_of_another_shape_is_refused(config: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match="storageClasses"):
        StorageClassFactory(config)


def test_a_component_cannot_be_both_stored_and_derived() -> None:
    with pytest.raises(ConfigurationError, match="x cannot be both"):
        StorageClass("A", "dict", {"x": "B", "y": "B"}, {"x": "B"})


def test_storage_classes_are_values(factory: StorageClassFactory) -> None:
    parent = factory.getStorageClass("Parent")
    copy = pickle.loads(pickle.dumps(parent))
    assert copy == parent
    assert hash(copy) == hash(parent)
    assert copy.knownParameters() == parent.knownParameters()
    with pytest.raises(TypeError):
        parent.components["new"] = "Leaf"  # type: ignore[index]


def test_shipped_storage_classes_name_existing_types_or_packages_to_install() -> None:
    factory = default_storage_classes()
    for name in factory:
        storage_class = factory.getStorageClass(name)
        if storage_class.pytype.startswith("lsst."):
            with pytest.raises(StorageClassError, match="install"):
                resolve_pytype(storage_class)
        else:
            assert isinstance(resolve_pytype(storage_class), type)


def test_an_exposure_has_its_fifteen_components() -> None:
    exposure = default_storage_classes().getStorageClass("ExposureF")
    assert len(exposure.components) == 15
    assert set(exposure.derivedComponents) == {"bbox", "dimensions", "xy0", "filter"}
    assert exposure.components["image"] == "ImageF"
    assert exposure.parameters == {"bbox", "origin"}


def test_the_default_factory_is_shared() -> None:
    assert default_storage_classes() is default_storage_classes()


def test_instances_of_the_type_and_its_subclasses_pass() -> None:
    factory = default_storage_classes()
    coerce(factory.getStorageClass("StructuredDataDict"), {"a": 1})
    coerce(factory.getStorageClass("DataFrame"), pd.DataFrame())
    coerce(factory.getStorageClass("int"), True)
    coerce(factory.getStorageClass("StructuredData"), None)


def test_an_object_of_another_type_is_refused_naming_both_types() -> None:
    frame = default_storage_classes().getStorageClass("DataFrame")
    with pytest.raises(
        StorageClassTypeError, match=r"pandas\.core\.frame\.DataFrame, not numpy\.ndarray"
    ) as caught:
        coerce(frame, np.zeros(3))
    assert isinstance(caught.value, TypeError)
    assert caught.value.metadata["storage_class"] == "DataFrame"


@pytest.mark.parametrize(
    ("pytype", "remedy"),
    [
        ("pandas.no_such_module.Table", r"pip install 'butler-grpc-client\[tables\]'"),
        ("no_such_package.Table", "install its package"),
        ("builtins.no_such_type", "install"),
        ("builtins.len", "not a type"),
    ],
)
def test_a_type_that_cannot_be_imported_comes_with_a_remedy(pytype: str, remedy: str) -> None:
    with pytest.raises(StorageClassError, match=remedy):
        resolve_pytype(StorageClass("Strange", pytype))
