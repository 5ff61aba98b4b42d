# SPDX-License-Identifier: BSD-3-Clause
"""Counting datasets of which there are several files, or none."""

from __future__ import annotations

from dataclasses import replace

from butler_model.ports import DatasetStatistics, StatisticsKey
from tests.support.registries import (  # noqa: F401 - fixtures
    LAYOUT,
    RegistrySetup,
    registry_home_of_module,
    registry_of_test,
)


def test_what_is_stored_in_parts_is_one_dataset_and_what_is_only_registered_is_in_no_store(
    setup: RegistrySetup,
) -> None:
    setup.register_type("bias", ["instrument", "detector"])
    setup.register_run("r1")
    cam = {"instrument": "Cam1"}
    parts = tuple(replace(LAYOUT, component=name) for name in ("image", "mask"))
    setup.commit(setup.begin("bias", "r1", [{**cam, "detector": 1}], artifacts=parts))
    setup.commit(setup.begin("bias", "r1", [{**cam, "detector": 2}], artifacts=()))
    counted = setup.registry.statistics.datasets
    (everything,) = counted([[]])
    assert (everything.datasets, everything.artifacts) == (2, 2)
    assert [(each.store, each.datasets, each.artifacts) for each in counted([[StatisticsKey.STORE]])] == [
        ("", 1, 0),
        ("main", 1, 2),
    ]
    assert counted([[StatisticsKey.DATASET_TYPE, StatisticsKey.RUN]]) == [
        DatasetStatistics("bias", "r1", None, 2, 2, everything.size)
    ]
