# SPDX-License-Identifier: BSD-3-Clause
"""Datasets with ranges of validity: certified, decertified, and found by time, in process or over the wire."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any
from uuid import UUID

import pytest

from butler_model.collection import CollectionType
from butler_model.errors import (
    AmbiguousDatasetError,
    ButlerError,
    CalibrationTypeError,
    CollectionTypeError,
    ConflictingDefinitionError,
    DataIdValueError,
    InvalidRequestError,
)
from butler_model.ports import DatasetLookup, PruneDatasets, Registry
from butler_model.timespan import Timespan
from tests.support.registries import (  # noqa: F401 - fixtures
    RegistryHome,
    RegistrySetup,
    at_once,
    night,
    register_types,
    registry_home_of_module,
    registry_of_test,
    second_client,
)

ONE = {"instrument": "Cam1", "detector": 1}
TWO = {"instrument": "Cam1", "detector": 2}


@pytest.fixture(name="calibs")
def setup_with_calibrations(setup: RegistrySetup) -> RegistrySetup:
    """Give a repository with a calibration type, two runs and a CALIBRATION collection, all empty."""
    register_types(setup)
    setup.register_type("bias", ("instrument", "detector"), is_calibration=True)
    setup.register_run("run")
    setup.register_run("other")
    setup.register("calib", CollectionType.CALIBRATION)
    return setup


def days(begin: float | None, end: float | None) -> Timespan:
    """Return a range in days after the beginning of the first night, open where there is no number."""
    ends = [None if day is None else night(1, day, day + 1).nsec[0] for day in (begin, end)]
    return Timespan.from_nsec(
        0 if ends[0] is None else ends[0], Timespan(None, None).nsec[1] if ends[1] is None else ends[1]
    )


def find(
    setup: RegistrySetup,
    data_id: Mapping[str, Any] = ONE,
    timespan: Timespan | None = None,
    collections: Sequence[str] = ("calib",),
) -> UUID | None:
    lookup = DatasetLookup("bias", [data_id], tuple(collections), timespan)
    found = setup.registry.datasets.find(lookup)[0]
    return None if found is None else found.ref.id


def at(day: float) -> Timespan:
    begin = night(1, day, day + 1).nsec[0]
    return Timespan.from_nsec(begin, begin + 1)


def decertify(
    setup: RegistrySetup, timespan: Timespan, data_ids: Sequence[Mapping[str, Any]] | None = None
) -> None:
    setup.registry.associations.decertify(
        "calib", "bias", timespan, request_id=uuid.uuid4(), data_ids=data_ids
    )


def test_validity_ranges_are_half_open(calibs: RegistrySetup) -> None:
    # D43
    (first,), (second,) = calibs.put("bias", "run", ONE), calibs.put("bias", "other", ONE)
    calibs.certify("calib", days(0, 1), first)
    calibs.certify("calib", days(1, 2), second)
    assert [find(calibs, timespan=at(day)) for day in (0, 0.999, 1, 2)] == [first, first, second, None]


def test_any_overlap_of_one_data_id_is_refused_even_with_itself(calibs: RegistrySetup) -> None:
    # D44
    (first,), (second,) = calibs.put("bias", "run", ONE), calibs.put("bias", "other", ONE)
    calibs.certify("calib", days(0, 1), first)
    for timespan in (days(0, 1), days(0.5, 2), days(None, None), days(0.9, 0.95)):
        for dataset_id in (first, second):
            with pytest.raises(ConflictingDefinitionError, match=r"'bias'.*'calib'"):
                calibs.certify("calib", timespan, dataset_id)
    assert find(calibs, timespan=at(1)) is None


def test_other_data_ids_are_independent_and_a_batch_is_all_or_none(calibs: RegistrySetup) -> None:
    # D44
    (first,), (second, third) = calibs.put("bias", "run", ONE), calibs.put("bias", "other", ONE, TWO)
    calibs.certify("calib", days(0, 1), first)
    with pytest.raises(ConflictingDefinitionError):
        calibs.certify("calib", days(0, 1), second, third)
    assert find(calibs, TWO, at(0)) is None
    calibs.certify("calib", days(0, 1), third)
    assert find(calibs, TWO, at(0)) == third
    with pytest.raises(ConflictingDefinitionError, match="twice"):
        calibs.certify("calib", days(5, 6), first, second)


def test_only_calibration_types_and_collections_take_ranges_and_an_empty_one_is_refused(
    calibs: RegistrySetup,
) -> None:
    (bias,), (note,) = calibs.put("bias", "run", ONE), calibs.put("note", "run", ONE)
    with pytest.raises(CalibrationTypeError, match="'note'"):
        calibs.certify("calib", days(0, 1), bias, note)
    with pytest.raises(CollectionTypeError, match="'run' is a RUN"):
        calibs.certify("run", days(0, 1), bias)
    with pytest.raises(InvalidRequestError, match="empty"):
        calibs.certify("calib", Timespan.EMPTY, bias)
    with pytest.raises(CalibrationTypeError, match="'note'"):
        calibs.registry.associations.decertify("calib", "note", days(0, 1), request_id=uuid.uuid4())
    assert find(calibs, timespan=at(0)) is None


def test_a_repeated_certify_is_recognised_by_its_request(calibs: RegistrySetup) -> None:
    (bias,) = calibs.put("bias", "run", ONE)
    request_id = uuid.uuid4()
    for _ in range(2):
        calibs.registry.associations.certify("calib", [bias], days(0, 1), request_id=request_id)
    with pytest.raises(InvalidRequestError, match=str(request_id)):
        calibs.registry.associations.certify("calib", [bias], days(3, 4), request_id=request_id)


def test_decertifying_cuts_splits_and_removes(calibs: RegistrySetup) -> None:
    # D45
    (bias,) = calibs.put("bias", "run", ONE)
    calibs.certify("calib", days(None, None), bias)
    decertify(calibs, days(2, 3))
    assert [find(calibs, timespan=at(day)) for day in (-1000, 1.9, 2, 2.9, 3, 1000)] == [
        bias, bias, None, None, bias, bias,
    ]  # fmt: skip
    decertify(calibs, days(None, 1))
    decertify(calibs, days(4, None))
    assert [find(calibs, timespan=at(day)) for day in (0.9, 1, 1.9, 3, 3.9, 4)] == [
        None, bias, bias, bias, bias, None,
    ]  # fmt: skip
    decertify(calibs, days(0, 10))
    assert all(find(calibs, timespan=at(day)) is None for day in (1, 3.5))


def test_decertifying_can_be_limited_to_data_ids(calibs: RegistrySetup) -> None:
    # D45
    one, two = calibs.put("bias", "run", ONE, TWO)
    calibs.certify("calib", days(0, 10), one, two)
    decertify(calibs, days(0, 5), [{"instrument": "Cam1", "detector": "Aa"}])
    assert [find(calibs, ONE, at(2)), find(calibs, TWO, at(2)), find(calibs, ONE, at(7))] == [None, two, one]
    decertify(calibs, days(0, 10), [])
    assert find(calibs, ONE, at(7)) == one


def test_a_lookup_that_touches_two_ranges_is_an_error(calibs: RegistrySetup) -> None:
    # D46
    (first,), (second,) = calibs.put("bias", "run", ONE), calibs.put("bias", "other", ONE)
    calibs.certify("calib", days(0, 1), first)
    calibs.certify("calib", days(1, 2), second)
    with pytest.raises(AmbiguousDatasetError, match="'bias'"):
        find(calibs, timespan=days(0.5, 1.5))
    assert find(calibs, timespan=days(0.5, 1)) == first


def test_without_a_time_calibration_collections_are_passed_over(calibs: RegistrySetup) -> None:
    # D41
    (bias,) = calibs.put("bias", "run", ONE)
    calibs.certify("calib", days(None, None), bias)
    assert find(calibs) is None
    assert find(calibs, collections=("calib", "run")) == bias


def test_an_exposure_finds_the_calibration_that_is_valid_for_it(calibs: RegistrySetup) -> None:
    # D40
    (first,), (second,) = calibs.put("bias", "run", ONE), calibs.put("bias", "other", ONE)
    calibs.certify("calib", days(0, 1), first)
    calibs.certify("calib", days(1, 2), second)
    for exposure, expected in ((11, first), (12, second)):
        assert find(calibs, {**ONE, "exposure": exposure}) == expected
    for obs_id, expected in (("e1", first), ("e2", second)):
        assert find(calibs, {**ONE, "exposure": obs_id}) == expected
        assert find(calibs, {**ONE, "obs_id": obs_id}) == expected
        assert find(calibs, {**ONE, "exposure.obs_id": obs_id}) == expected
    assert find(calibs, {**ONE, "visit": 1}) == first
    assert find(calibs, {**ONE, "exposure": 11}, at(1.5)) == second
    with pytest.raises(DataIdValueError, match="exposure: 99"):
        find(calibs, {**ONE, "exposure": 99})


def test_an_exposure_without_times_counts_as_unbounded(calibs: RegistrySetup) -> None:
    # D42
    calibs.insert(
        "exposure",
        {
            "instrument": "Cam1",
            "id": 50,
            "obs_id": "e50",
            "day_obs": 20200101,
            "physical_filter": "Cam1-G",
            "group": "g1",
            "timespan": None,
        },
    )
    (first,), (second,) = calibs.put("bias", "run", ONE), calibs.put("bias", "other", ONE)
    calibs.certify("calib", days(0, 1), first)
    assert find(calibs, {**ONE, "exposure": 50}) == first
    calibs.certify("calib", days(1, 2), second)
    with pytest.raises(AmbiguousDatasetError):
        find(calibs, {**ONE, "exposure": 50})


def test_a_calibration_lookup_goes_on_to_the_next_collection(calibs: RegistrySetup) -> None:
    (first,), (second,) = calibs.put("bias", "run", ONE), calibs.put("bias", "other", ONE)
    calibs.certify("calib", days(0, 1), first)
    calibs.chain("chain", "calib", "other")
    assert find(calibs, {**ONE, "exposure": 11}, collections=("chain",)) == first
    assert find(calibs, {**ONE, "exposure": 12}, collections=("chain",)) == second
    assert find(calibs, {**ONE, "exposure": 11}, collections=("other", "calib")) == second


def test_many_lookups_at_once_have_times_of_their_own(calibs: RegistrySetup) -> None:
    one, two = calibs.put("bias", "run", ONE, TWO)
    (later,) = calibs.put("bias", "other", ONE)
    calibs.certify("calib", days(0, 1), one, two)
    calibs.certify("calib", days(1, 2), later)
    data_ids = [{**base, "exposure": exposure} for base in (ONE, TWO) for exposure in (11, 12)]
    lookup = DatasetLookup("bias", data_ids, ("calib",), want_artifacts=True)
    found = [None if each is None else each.ref.id for each in calibs.registry.datasets.find(lookup)]
    assert found == [one, later, two, None]
    assert [len(each.artifacts) for each in calibs.registry.datasets.find(lookup) if each] == [1, 1, 1]


def test_of_concurrent_overlapping_ranges_one_wins(calibs: RegistrySetup, home: RegistryHome) -> None:
    # D78
    (first,), (second,) = calibs.put("bias", "run", ONE), calibs.put("bias", "other", ONE)
    with second_client(home, calibs) as other:
        registries = [calibs.registry, other]

        def certify(number: int) -> bool:
            try:
                registries[number % 2].associations.certify(
                    "calib", [(first, second)[number % 2]], days(0.1 * number, 5), request_id=uuid.uuid4()
                )
            except ButlerError as error:
                assert isinstance(error, ConflictingDefinitionError)
                return False
            return True

        assert sorted(at_once(*(lambda n=n: certify(n) for n in range(8)))) == [False] * 7 + [True]


def test_ranges_are_cut_while_their_datasets_are_pruned(calibs: RegistrySetup, home: RegistryHome) -> None:
    """Neither waits for the other while the other waits for it."""
    # D78
    data_ids = [{"instrument": "Cam1", "detector": detector} for detector in (1, 2, 3, 4)]

    def prune(registry: Registry, ids: Sequence[UUID]) -> None:
        registry.removals.prune(PruneDatasets(uuid.uuid4(), tuple(ids), unstore=True, purge=True))

    with second_client(home, calibs) as other:
        for _ in range(12):
            ids, kept = (calibs.put("bias", run, *data_ids) for run in ("run", "other"))
            calibs.certify("calib", days(0, 10), *ids)
            calls = [
                partial(decertify, calibs, days(3, 4)),
                partial(prune, other, ids),
                partial(calibs.certify, "calib", days(20, 30), *kept),
                partial(decertify, calibs, days(6, 7)),
            ]
            assert at_once(*calls) == [None] * 4
            assert [find(calibs, each, at(5)) for each in data_ids] == [None] * 4
            prune(calibs.registry, kept)
