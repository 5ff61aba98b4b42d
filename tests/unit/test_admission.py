# SPDX-License-Identifier: BSD-3-Clause
"""Nobody holds all threads of a service, and nobody holds one for nothing."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from butler_api.admission import Lane, Places, StallWatch
from butler_model.errors import OverloadedError


class Call:
    """Notes that it was cancelled."""

    def __init__(self) -> None:
        self.cancelled = threading.Event()

    def cancel(self) -> None:
        self.cancelled.set()


@pytest.fixture
def watch() -> Iterator[StallWatch]:
    watch = StallWatch()
    yield watch
    watch.stop()


def soon(condition: Callable[[], bool], seconds: float = 20.0) -> bool:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)
    return condition()


def test_one_caller_has_no_more_than_a_share_and_others_have_the_rest() -> None:
    places = Places("work", 4, 3)
    with ExitStack() as stack:
        for _ in range(3):
            stack.enter_context(places.held("greedy"))
        with (
            pytest.raises(OverloadedError, match="3 already, the most for one caller"),
            places.held("greedy"),
        ):
            pass
        with (
            places.held("modest"),
            pytest.raises(OverloadedError, match="all are taken"),
            places.held("third"),
        ):
            pass
        with places.held("third"):
            pass


def test_who_waits_gets_the_place_that_is_given_back() -> None:
    places = Places("work", 1, 1)
    order: list[str] = []

    def work(key: str) -> None:
        with places.held(key, None):
            order.append(key)

    with ThreadPoolExecutor(2) as pool:
        with places.held("first"):
            second = pool.submit(work, "second")
            assert soon(lambda: places.waiting == 1)
            third = pool.submit(work, "third")
            assert soon(lambda: places.waiting == 2)
            assert not order
        second.result(20)
        third.result(20)
    assert order == ["second", "third"]


def test_who_waits_beyond_a_share_keeps_nobody_waiting_behind() -> None:
    places = Places("work", 2, 1)
    passed = threading.Event()

    def work(key: str) -> None:
        with places.held(key, None):
            passed.set()

    with ThreadPoolExecutor(2) as pool, places.held("greedy"):
        with places.held("modest"):
            pool.submit(work, "greedy")
            assert soon(lambda: places.waiting == 1)
            pool.submit(work, "other")
            assert soon(lambda: places.waiting == 2)
        assert passed.wait(20)
        assert places.waiting == 1


def test_waiting_ends_with_the_time_for_it() -> None:
    places = Places("work", 1, 1)
    with places.held("a"), pytest.raises(OverloadedError), places.held("b", 0.05):
        pass
    assert places.waiting == 0
    with places.held("b"):
        pass


def test_places_are_given_back_whatever_happens() -> None:
    places = Places("work", 3, 2)

    def work(number: int) -> int:
        with places.held(str(number % 5), None):
            return number

    with ThreadPoolExecutor(20) as pool:
        assert sorted(pool.map(work, range(500))) == list(range(500))
    with places.held("a"), places.held("a"), places.held("b"):
        pass


def test_a_call_that_brings_nothing_is_cancelled(watch: StallWatch) -> None:
    slow, quick = Call(), Call()
    watch.end(watch.begin(quick, 0.1))
    watch.begin(slow, 0.1)
    assert slow.cancelled.wait(20)
    assert not quick.cancelled.is_set()


def test_a_call_that_brings_nothing_is_cancelled_earlier_when_others_wait_for_its_thread(
    watch: StallWatch,
) -> None:
    call, lane, release = Call(), Lane("test", 1, 1), threading.Event()
    watch.begin(call, 600.0, lane)
    lane.submit(release.wait, 60)
    assert not call.cancelled.is_set()
    lane.submit(release.wait, 60)
    assert call.cancelled.wait(20)
    release.set()
    lane.shutdown()


def test_only_the_time_between_messages_counts(watch: StallWatch) -> None:
    call = Call()
    for _ in watch.each(iter([1, 2]), call, Lane("test", 1, 1), pause_seconds=0.1):
        time.sleep(0.8)
    assert not call.cancelled.is_set()
