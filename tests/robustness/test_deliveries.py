# SPDX-License-Identifier: BSD-3-Clause
"""T7: every call that changes something is delivered twice, at once or late, or loses its reply: it has one effect."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import pytest

from butler import Butler
from tests.robustness.support.deployments import SERVICES, Deployment, DeploymentKind, Deployments
from tests.robustness.support.invariants import check
from tests.robustness.support.mutations import MUTATIONS, Case
from tests.robustness.support.sizes import SIZES, drawn
from tests.support.deliveries import Delivery, DeliveryProxy, deliveries_to

pytestmark = pytest.mark.timeout(180 * SIZES.deliveries)


@dataclass(frozen=True, slots=True)
class Network:
    """A deployment whose services are reached through proxies only."""

    deployment: Deployment
    address: str
    proxies: tuple[DeliveryProxy, ...]


@pytest.fixture(scope="module")
def network(
    request: pytest.FixtureRequest, deployments: Deployments, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Network]:
    """Give a deployment behind proxies."""
    kind: DeploymentKind = request.param
    made = deployments.make(kind, tmp_path_factory.mktemp("deliveries"))
    with ExitStack() as stack:
        registry, datastore = (
            stack.enter_context(deliveries_to(made.addresses[service]))
            for service in ("registry", "datastore")
        )
        made.settings["registry"]["DATASTORE_ENDPOINT"] = datastore.address
        made.start("registry")
        yield Network(made, f"grpc://{registry.address}/main", (registry, datastore))
        made.stop()


CELLS = [
    # Clients of a service that has S3 send what is large to S3 themselves.
    (kind, name, "FinishWrites" if (kind.store, call) == ("s3", "Write") else call, delivery)
    for kind in SERVICES
    for name, mutation in MUTATIONS.items()
    for call in mutation.calls
    for delivery in Delivery
]


@pytest.mark.parametrize(
    ("network", "name", "call", "delivery"),
    drawn(CELLS, SIZES.delivery_cells, "deliveries"),
    indirect=["network"],
    ids=lambda each: each.value if isinstance(each, Delivery) else str(each),
)
def test_however_a_call_is_delivered_it_has_one_effect(
    network: Network, name: str, call: str, delivery: Delivery
) -> None:
    # D79
    mutation = MUTATIONS[name]
    for _ in range(SIZES.deliveries):
        with Butler(network.address, writeable=True) as butler:
            case = Case(f"case{network.deployment.new_case()}", butler, network.deployment.drop)
            mutation.prepare(case)
            for proxy in network.proxies:
                proxy.deliver(call, delivery)
            result = mutation.act(case)
            for proxy in network.proxies:
                proxy.deliver_late()
            assert sum(proxy.done for proxy in network.proxies) == 1
            assert mutation.expected(case, result), result
        assert check(network.deployment, case.history) == []


@pytest.mark.parametrize("network", SERVICES, indirect=True, ids=str)
@pytest.mark.parametrize("call", ["CommitPut", "WriteBatch"])
def test_after_an_unknown_outcome_nothing_is_deleted(network: Network, call: str) -> None:
    """Design, section 4: never delete on an unknown outcome."""
    # D79
    with Butler(network.address, writeable=True) as butler:
        case = Case(f"case{network.deployment.new_case()}", butler, network.deployment.drop)
        butler.registry.registerRun(case.run)
        for proxy in network.proxies:
            proxy.deliver(call, Delivery.LOST_REPLY, times=4)
        (ref,) = case.put(1)
        assert butler.get(ref) == case.history.puts[0].contents[1]
    assert check(network.deployment, case.history) == []
