# SPDX-License-Identifier: BSD-3-Clause
"""A butler whose process forks, as multiprocessing does, with the services in it."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from butler import Butler
from butler_model.errors import TransactionError
from tests.support.butlers import Repository

DETECTORS = (1, 2, 3)


def in_a_fork(work: Callable[[], None]) -> int:
    """Begin to do something in a forked process, and return its id; it ends with 0 if nothing was raised."""
    child = os.fork()
    if child == 0:
        # Whatever happens, the child must not go on with the tests.
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    return child


def codes(children: list[int]) -> list[int]:
    return [os.waitpid(child, 0)[1] for child in children]


@pytest.fixture
def butler(repository: Repository) -> Butler:
    if repository.address.startswith("grpc://"):
        pytest.skip("a process with servers of gRPC does not survive a fork")
    return repository.surveyed()


def test_each_process_gets_its_own_answers(butler: Butler) -> None:
    for detector in DETECTORS:
        butler.put({"number": detector}, "note", instrument="Cam1", detector=detector)

    def read() -> None:
        for detector in DETECTORS * 30:
            assert butler.get("note", instrument="Cam1", detector=detector, collections="run1") == {
                "number": detector
            }

    def write() -> None:
        read()
        butler.put({"number": 4}, "note", instrument="Cam1", detector=4)

    read()
    children = [in_a_fork(read), in_a_fork(write)]
    read()
    assert codes(children) == [0, 0]
    assert butler.get("note", instrument="Cam1", detector=4, collections="run1") == {"number": 4}


def test_a_transaction_belongs_to_the_process_that_began_it(butler: Butler) -> None:
    def refused() -> None:
        for _ in range(2):
            with pytest.raises(TransactionError, match="forked"), butler.transaction():
                pass
            with pytest.raises(TransactionError, match="forked"):
                butler.put({"number": 2}, "note", instrument="Cam1", detector=2)

    try:
        with butler.transaction():
            butler.put({"number": 1}, "note", instrument="Cam1", detector=1)
            assert codes([in_a_fork(refused)]) == [0]
            leaving = os.fork()
            if leaving == 0:
                raise KeyboardInterrupt
            assert codes([leaving]) == [0]
    except KeyboardInterrupt:
        os._exit(0)
    for detector, there in ((1, True), (2, False)):
        ref = butler.find_dataset("note", instrument="Cam1", detector=detector, collections="run1")
        assert (ref is not None) == there
    assert butler.get("note", instrument="Cam1", detector=1, collections="run1") == {"number": 1}
