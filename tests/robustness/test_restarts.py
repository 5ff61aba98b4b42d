# SPDX-License-Identifier: BSD-3-Clause
"""A change whose answer was lost, since the registry was killed, is asked for again when it is back."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest

from butler import Butler, CollectionType
from butler_model.collection import ChainEdit, Collection
from butler_model.ports import PruneDatasets, RemoveRun
from tests.robustness.support.deployments import SERVICES, DeploymentKind, Deployments
from tests.robustness.support.history import History
from tests.robustness.support.invariants import check_settled, settle

Change = Callable[[Butler, str, UUID, UUID], Any]
"""Given the name of a case, the id of a dataset in its run and the id of the request."""

CHANGES: dict[str, Change] = {
    "register a collection": lambda butler, name, dataset, request: (
        butler._connection.registry.collections.register(
            Collection(f"{name}-new", CollectionType.RUN), request_id=request
        )
    ),
    "edit a chain": lambda butler, name, dataset, request: butler._connection.registry.collections.edit_chain(
        f"{name}-chain", ChainEdit.EXTEND, [name], request_id=request
    ),
    "associate": lambda butler, name, dataset, request: butler._connection.registry.associations.associate(
        f"{name}-tag", [dataset], request_id=request
    ),
    "prune": lambda butler, name, dataset, request: butler._connection.registry.removals.prune(
        PruneDatasets(request, (dataset,), unstore=True, purge=True)
    ),
    "remove a run": lambda butler, name, dataset, request: butler._connection.registry.removals.remove_run(
        RemoveRun(request, name)
    ),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize("kind", [kind for kind in SERVICES if kind.store == "posix"], ids=str)
def test_a_repeat_after_a_restart_gets_the_same_answer_and_has_no_second_effect(
    deployments: Deployments, kind: DeploymentKind, change: Change
) -> None:
    # D79
    deployment = deployments[kind]
    name, request = f"restart{deployment.new_case()}", uuid.uuid4()
    with deployment.butler(run=name) as butler:
        butler.registry.registerCollection(f"{name}-chain", CollectionType.CHAINED)
        butler.registry.registerCollection(f"{name}-tag", CollectionType.TAGGED)
        ref = butler.put(b"four", "blob", instrument="Cam1", detector=1)
        first = change(butler, name, ref.getCheckedId(), request)
    revision = deployment.rows.select("SELECT value FROM revision")
    deployment.start("registry")
    with deployment.butler() as butler:
        assert change(butler, name, ref.getCheckedId(), request) == first
    assert deployment.rows.select("SELECT value FROM revision") == revision
    # The trash of a registry that is asked directly is left for others, who count it.
    settle(deployment)
    assert check_settled(deployment, History()) == []
