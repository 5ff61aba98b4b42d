# SPDX-License-Identifier: BSD-3-Clause
"""T1: kill -9 at every named step of every protocol, on every kind of deployment."""

from __future__ import annotations

import pytest

from tests.robustness.support.deployments import Deployments
from tests.robustness.support.kills import Cell, cells, kill_in
from tests.robustness.support.sizes import SIZES, drawn


@pytest.mark.timeout(3_600)
@pytest.mark.parametrize("cell", drawn(list(cells()), SIZES.kill_cells, "kills"), ids=str)
def test_nothing_is_lost_when_a_process_is_killed(deployments: Deployments, cell: Cell) -> None:
    # D28, D79
    for _ in range(SIZES.kill_seeds):
        assert kill_in(deployments[cell.kind], cell) == []
