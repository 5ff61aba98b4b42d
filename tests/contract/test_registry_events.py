# SPDX-License-Identifier: BSD-3-Clause
"""Events: what was put and what was removed, told to whoever watches."""

from __future__ import annotations

import threading
import uuid
from contextlib import closing
from functools import partial
from itertools import islice

import pytest

from butler_model.errors import InvalidPageTokenError, LimitExceededError
from butler_model.ports import DatasetEvent, DatasetEventKind
from tests.support.registries import (  # noqa: F401 - fixtures
    RegistrySetup,
    at_once,
    registry_home_of_module,
    registry_of_test,
)

CAM = {"instrument": "Cam1"}


def events_after(
    setup: RegistrySetup, position: bytes, wanted: int, **filters: list[str]
) -> list[DatasetEvent]:
    """Return so many events after a position, waiting for them."""
    watch = setup.registry.events.watch(position, **filters)
    with closing(watch):  # type: ignore[type-var] # a generator
        return list(islice((event for event in watch if event is not None), wanted))


@pytest.fixture
def typed(setup: RegistrySetup) -> RegistrySetup:
    setup.register_type("bias", ["instrument", "detector"])
    setup.register_type("flat", ["instrument", "detector"])
    setup.register_run("r1")
    setup.register_run("r2")
    return setup


def test_a_watch_tells_what_appeared_and_what_was_removed(typed: RegistrySetup) -> None:
    start = typed.registry.events.position()
    ids = typed.put("bias", "r1", {**CAM, "detector": 1}, {**CAM, "detector": 2})
    appeared = events_after(typed, start, 1)[0]
    assert appeared.kind is DatasetEventKind.APPEARED
    assert (appeared.dataset_type, appeared.run) == ("bias", "r1")
    assert set(appeared.dataset_ids) == set(ids)


def test_a_watch_goes_on_where_another_ended(typed: RegistrySetup) -> None:
    start = typed.registry.events.position()
    ids = [typed.put("bias", "r1", {**CAM, "detector": detector})[0] for detector in (1, 2, 3)]
    first = events_after(typed, start, 1)
    rest = events_after(typed, first[0].position, 2)
    assert [event.dataset_ids for event in first + rest] == [(dataset_id,) for dataset_id in ids]
    assert typed.registry.events.position() != start


def test_a_watch_without_position_begins_at_the_oldest_event(typed: RegistrySetup) -> None:
    (dataset_id,) = typed.put("bias", "r1", {**CAM, "detector": 1})
    assert events_after(typed, b"", 1)[0].dataset_ids == (dataset_id,)


def test_a_watch_tells_only_of_the_types_and_runs_asked_for(typed: RegistrySetup) -> None:
    start = typed.registry.events.position()
    typed.put("flat", "r1", {**CAM, "detector": 1})
    typed.put("bias", "r2", {**CAM, "detector": 1})
    (wanted,) = typed.put("bias", "r1", {**CAM, "detector": 2})
    (event,) = events_after(typed, start, 1, dataset_types=["b*", "x"], runs=["r1"])
    assert event.dataset_ids == (wanted,)


def test_of_many_who_put_at_once_nothing_is_passed_over(typed: RegistrySetup) -> None:
    start = typed.registry.events.position()
    watched: list[DatasetEvent] = []
    watcher = threading.Thread(target=lambda: watched.extend(events_after(typed, start, 24)))
    watcher.start()

    def put(part: int) -> list[uuid.UUID]:
        runs = [typed.register_run(f"r{part}_{number}") for number in range(4)]
        return [typed.put("bias", run, {**CAM, "detector": 1})[0] for run in runs]

    results = at_once(*(partial(put, part) for part in range(6)))
    watcher.join(30)
    assert not watcher.is_alive()
    assert {i for event in watched for i in event.dataset_ids} == {i for ids in results for i in ids}


def test_a_position_that_was_altered_is_refused(typed: RegistrySetup) -> None:
    position = typed.registry.events.position()
    with pytest.raises(InvalidPageTokenError):
        next(typed.registry.events.watch(position[:-1] + b"x"))
    with pytest.raises(LimitExceededError):
        next(typed.registry.events.watch(position, runs=["*"] * 101))
