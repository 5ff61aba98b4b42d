# SPDX-License-Identifier: BSD-3-Clause
"""T1: kill -9 at every named step of every protocol, on every kind of deployment."""

from __future__ import annotations

import pytest

from tests.robustness.support.deployments import Deployments
from tests.robustness.support.kills import Cell, cells, kill_in


@pytest.mark.parametrize("cell", list(cells()), ids=str)
def test_nothing_is_lost_when_a_process_is_killed(deployments: Deployments, cell: Cell) -> None:
    assert kill_in(deployments[cell.kind], cell) == []
