# SPDX-License-Identifier: BSD-3-Clause
"""Dataset ids are UUIDs of version 7 that ascend within a process."""

from __future__ import annotations

import threading
import time
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from butler_model.dataset import new_dataset_id


def milliseconds(made: uuid.UUID) -> int:
    return made.int >> 80


@given(st.integers(1, 500))
def test_ids_are_of_version_7_and_ascend(count: int) -> None:
    ids = [new_dataset_id() for _ in range(count)]
    assert all((made.version, made.variant) == (7, uuid.RFC_4122) for made in ids)
    assert ids == sorted(ids)
    assert len({*ids}) == count
    assert [made.bytes for made in ids] == sorted(made.bytes for made in ids)
    assert [str(made) for made in ids] == sorted(str(made) for made in ids)


def test_an_id_tells_when_it_was_made() -> None:
    before = time.time_ns() // 1_000_000
    made = milliseconds(new_dataset_id())
    # Ids made faster than the clock ticks run ahead of it, by a quarter of a microsecond each.
    assert before <= made <= time.time_ns() // 1_000_000 + 1_000


def test_ids_of_many_threads_differ() -> None:
    made: list[list[uuid.UUID]] = [[] for _ in range(8)]

    def make(ids: list[uuid.UUID]) -> None:
        ids += (new_dataset_id() for _ in range(2_000))

    threads = [threading.Thread(target=make, args=(ids,)) for ids in made]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for ids in made:
        assert ids == sorted(ids)
    everything = [each for ids in made for each in ids]
    assert len({*everything}) == 16_000
    # What tells two datasets' keys apart is random.
    assert len({each.hex[-12:] for each in everything}) == 16_000


def test_ids_ascend_though_the_clock_goes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    now, first = time.time_ns(), new_dataset_id()
    monkeypatch.setattr(time, "time_ns", lambda: now - 3_600 * 10**9)
    assert first < new_dataset_id()
