# SPDX-License-Identifier: BSD-3-Clause
"""Every mutation may arrive twice, at once or late: one effect, and the same answer. D79, rule R10."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest

from butler_model.collection import ChainEdit, Collection, CollectionType
from butler_model.dataset import DatasetType
from butler_model.errors import InvalidRequestError
from butler_model.ports import DatasetLookup, Registry
from tests.support.registries import (  # noqa: F401 - fixtures
    RegistrySetup,
    at_once,
    night,
    register_types,
    registry_home_of_module,
    registry_of_test,
)

NOTES = [{"instrument": "Cam1", "detector": d} for d in (1, 2)]
NIGHTS = night(1)


@pytest.fixture(name="filled")
def setup_with_collections(setup: RegistrySetup) -> RegistrySetup:
    """Give a repository with a run, a tag, a chain of both, and calibrations."""
    register_types(setup)
    bias = DatasetType(
        "bias",
        ["instrument", "detector"],
        "StructuredDataDict",
        universe=setup.registry.info.universe,
        isCalibration=True,
    )
    setup.registry.dataset_types.register(bias, request_id=uuid.uuid4())
    setup.register_run("run")
    setup.register("tag", CollectionType.TAGGED)
    setup.register("chain", CollectionType.CHAINED)
    setup.register("calib", CollectionType.CALIBRATION)
    return setup


Mutation = Callable[[Registry, UUID], Any]


def _new_record(registry: Registry) -> Any:
    detector = registry.info.universe["detector"]
    return detector.RecordClass(instrument="Cam1", id=77, full_name="new", purpose="SCIENCE")


MUTATIONS: dict[str, Mutation] = {
    "insert records": lambda registry, request_id: registry.dimension_records.insert(
        "detector", [_new_record(registry)], request_id=request_id
    ),
    "sync record": lambda registry, request_id: registry.dimension_records.sync(
        _new_record(registry), request_id=request_id
    ),
    "register collection": lambda registry, request_id: registry.collections.register(
        Collection("new", CollectionType.RUN), request_id=request_id
    ),
    "set doc": lambda registry, request_id: registry.collections.set_doc(
        "tag", "Some words.", request_id=request_id
    ),
    "edit chain": lambda registry, request_id: registry.collections.edit_chain(
        "chain", ChainEdit.EXTEND, ["run", "tag"], request_id=request_id
    ),
    "remove collection": lambda registry, request_id: registry.collections.remove(
        "tag", request_id=request_id
    ),
    "register dataset type": lambda registry, request_id: registry.dataset_types.register(
        DatasetType("new", [], "StructuredDataDict", universe=registry.info.universe), request_id=request_id
    ),
    "remove dataset types": lambda registry, request_id: registry.dataset_types.remove(
        ["warp", "coadd"], request_id=request_id
    ),
}


@pytest.mark.parametrize("name", MUTATIONS)
def test_a_repeat_gets_the_same_answer_and_changes_nothing(filled: RegistrySetup, name: str) -> None:
    # D79
    request_id, mutate = uuid.uuid4(), MUTATIONS[name]
    first = mutate(filled.registry, request_id)
    revision = filled.registry.info.revision
    assert mutate(filled.registry, request_id) == first
    assert filled.registry.info.revision == revision


@pytest.mark.parametrize("name", MUTATIONS)
def test_of_two_deliveries_in_the_same_moment_one_has_an_effect(filled: RegistrySetup, name: str) -> None:
    # D79
    request_id, mutate = uuid.uuid4(), MUTATIONS[name]
    before = filled.registry.info.revision
    first, second = at_once(*[lambda: mutate(filled.registry, request_id)] * 2)
    assert first == second
    assert filled.registry.info.revision == before + 1


def test_a_repeat_that_comes_late_does_not_undo_what_was_done_since(filled: RegistrySetup) -> None:
    # D79
    ids = filled.put("note", "run", *NOTES)
    associations = filled.registry.associations
    filled.associate("tag", *ids)
    request_id = uuid.uuid4()
    associations.disassociate("tag", ids, request_id=request_id)
    filled.associate("tag", *ids)
    associations.disassociate("tag", ids, request_id=request_id)
    assert [filled.find("note", data_id, "tag") is None for data_id in NOTES] == [False, False]


def test_calibrations_are_certified_and_decertified_once(filled: RegistrySetup) -> None:
    # D79
    (bias,) = filled.put("bias", "run", NOTES[0])
    associations = filled.registry.associations
    certify, decertify = uuid.uuid4(), uuid.uuid4()
    for _ in range(2):
        associations.certify("calib", [bias], NIGHTS, request_id=certify)
    for _ in range(2):
        associations.decertify("calib", "bias", NIGHTS, request_id=decertify)
    filled.certify("calib", NIGHTS, bias)
    associations.certify("calib", [bias], NIGHTS, request_id=certify)
    associations.decertify("calib", "bias", NIGHTS, request_id=decertify)
    lookup = DatasetLookup("bias", [NOTES[0]], ("calib",), timespan=NIGHTS)
    (found,) = filled.registry.datasets.find(lookup)
    assert found is not None


def test_an_id_is_good_for_one_request_only(filled: RegistrySetup) -> None:
    request_id = uuid.uuid4()
    filled.registry.collections.set_doc("tag", "Some words.", request_id=request_id)
    with pytest.raises(InvalidRequestError, match=str(request_id)):
        filled.registry.collections.set_doc("tag", "Others.", request_id=request_id)
    with pytest.raises(InvalidRequestError, match=str(request_id)):
        filled.registry.associations.disassociate("tag", [], request_id=request_id)
