# SPDX-License-Identifier: BSD-3-Clause
"""What one caller may ask for in a second."""

from __future__ import annotations

import pytest

from butler_api.rates import CallerRates
from butler_model.errors import RateLimitedError


class Clock:
    """Goes on when it is told to, or when somebody waits."""

    def __init__(self) -> None:
        self.now = 100.0
        self.waits: list[float] = []

    def __call__(self) -> float:
        return self.now

    def wait(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


def rates(clock: Clock, calls: float = 0, size: float = 0) -> CallerRates:
    return CallerRates(calls, size, clock=clock, pause=clock.wait)


def told(error: RateLimitedError) -> float:
    return float(error.metadata["retry_seconds"])


def test_nothing_is_limited_unless_it_is_asked_for(clock: Clock) -> None:
    free = rates(clock)
    assert not free.are_limited
    for _ in range(10_000):
        free.begin("alice")
        free.moved("alice", 10**9)
        free.pace("alice", 10**9, calls=1)
    assert not clock.waits


def test_a_caller_has_two_seconds_at_once_and_then_the_rate(clock: Clock) -> None:
    limited = rates(clock, calls=5)
    for _ in range(10):
        limited.begin("alice")
    for _ in range(20):
        with pytest.raises(RateLimitedError, match="more than 5 calls in a second") as caught:
            limited.begin("alice")
        assert told(caught.value) == pytest.approx(0.2, abs=0.002)
        clock.now += told(caught.value)
        limited.begin("alice")


def test_who_is_refused_pays_nothing_for_it(clock: Clock) -> None:
    limited = rates(clock, calls=1)
    limited.begin("alice")
    limited.begin("alice")
    waits = []
    for _ in range(5):
        with pytest.raises(RateLimitedError) as caught:
            limited.begin("alice")
        waits.append(told(caught.value))
    assert waits == [1.0] * 5


def test_callers_have_nothing_to_do_with_each_other(clock: Clock) -> None:
    limited = rates(clock, calls=1)
    for _ in range(2):
        limited.begin("alice")
    with pytest.raises(RateLimitedError):
        limited.begin("alice")
    limited.begin("bob")


def test_bytes_are_paid_for_by_the_next_call(clock: Clock) -> None:
    limited = rates(clock, size=1000)
    limited.begin("alice")
    limited.moved("alice", 5000)  # two thousand were there
    with pytest.raises(RateLimitedError, match="1000 bytes") as caught:
        limited.begin("alice")
    assert told(caught.value) == pytest.approx(3.0)
    clock.now += 3.001
    limited.begin("alice")


def test_streams_are_slowed_down_and_not_refused(clock: Clock) -> None:
    limited = rates(clock, size=1000)
    begun = clock.now
    for _ in range(20):
        limited.pace("alice", 1000)
    assert clock.now - begun == pytest.approx(18.0)
    assert max(clock.waits) <= 1.01


def test_each_message_of_a_transaction_is_a_call(clock: Clock) -> None:
    limited = rates(clock, calls=10)
    begun = clock.now
    for _ in range(50):
        limited.pace("alice", 0, calls=1)
    assert clock.now - begun == pytest.approx(3.0)


def test_a_burst_is_no_longer_after_a_long_pause(clock: Clock) -> None:
    limited = rates(clock, calls=5)
    limited.begin("alice")
    clock.now += 10_000
    for _ in range(10):
        limited.begin("alice")
    with pytest.raises(RateLimitedError):
        limited.begin("alice")


def test_of_callers_without_number_those_are_remembered_that_have_used_something(clock: Clock) -> None:
    limited = rates(clock, calls=1)
    limited.begin("alice")
    limited.begin("alice")
    for number in range(9_999):
        limited.begin(f"caller {number}")
    clock.now += 1.0
    # All but one have by now what anybody has who comes for the first time.
    limited.begin("one more")
    limited.begin("alice")
    with pytest.raises(RateLimitedError):
        limited.begin("alice")
