# SPDX-License-Identifier: BSD-3-Clause
"""T8: the network between client, registry, datastore and database is cut, goes one way, loses connections, or is slow.

Every call ends by its deadline and a second, and nothing is lost.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

import pytest

from tests.robustness.support.attempts import Attempt, attempt, problems
from tests.robustness.support.deployments import REPOSITORY, Deployment, DeploymentKind, Deployments, Job
from tests.robustness.support.scenarios import Plan, empty_trash, ingest, large, many
from tests.robustness.support.sizes import SIZES, seeded
from tests.support.proxy import Proxy, proxy_to

KIND = DeploymentKind("services", "postgresql", "posix")
LINKS = (
    "client to registry",
    "client to datastore",
    "registry to database",
    "datastore to registry",
)
DEADLINE_SECONDS = 60.0
"""Of a call; see `butler_api.channel.CALL_SECONDS`."""
REPEATED_SECONDS = 15.0
"""How much longer a client may try again."""


@dataclass(frozen=True, slots=True)
class Network:
    """A deployment of which each link leads through a proxy."""

    deployment: Deployment
    proxies: dict[str, Proxy]


@pytest.fixture(scope="module")
def network(deployments: Deployments, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    """Give it."""
    made = deployments.make(KIND, tmp_path_factory.mktemp("network"))
    with ExitStack() as stack:

        def link(target: str) -> Proxy:
            return stack.enter_context(proxy_to(target))

        database = urlsplit(made.settings["registry"]["DATABASE"])
        proxies = {
            "client to registry": link(made.addresses["registry"]),
            "client to datastore": link(made.addresses["datastore"]),
            "registry to database": link(f"{database.hostname}:{database.port}"),
            "datastore to registry": link(made.addresses["registry"]),
        }
        through = database._replace(netloc=f"{database.username}@{proxies['registry to database'].address}")
        made.settings["registry"]["DATABASE"] = through.geturl()
        made.settings["registry"]["DATASTORE_ENDPOINT"] = proxies["client to datastore"].address
        made.settings["datastore"]["REGISTRY"] = proxies["datastore to registry"].address
        made.stop()
        made.restart_dead()
        address = f"grpc://{proxies['client to registry'].address}/{REPOSITORY}"
        yield Network(replace(made, address=address), proxies)
        made.stop()


def cut(proxy: Proxy) -> None:
    """Nobody gets through for a second."""
    proxy.refusing = True
    proxy.cut()
    time.sleep(1.0)


def one_way(proxy: Proxy) -> None:
    """Requests arrive for two seconds, and answers do not."""
    proxy.blocked = {"down"}
    time.sleep(2.0)


def other_way(proxy: Proxy) -> None:
    """For two seconds nothing arrives."""
    proxy.blocked = {"up"}
    time.sleep(2.0)


def lossy(proxy: Proxy) -> None:
    """One piece of ten is the end of its connection."""
    proxy.chance = seeded("network")
    proxy.loss = 0.1
    time.sleep(3.0)


def slow(proxy: Proxy) -> None:
    """20 kB pass in a second."""
    proxy.bytes_per_second = 20_000
    time.sleep(3.0)


TROUBLES = [cut, one_way, lossy, other_way, slow][: 3 if SIZES.repeats == 1 else 5]


@pytest.mark.timeout(3_600)
@pytest.mark.parametrize("trouble", TROUBLES, ids=lambda t: t.__name__)
@pytest.mark.parametrize("link", LINKS)
def test_whatever_the_network_does_calls_end_and_nothing_is_lost(
    network: Network, link: str, trouble: Callable[[Proxy], None]
) -> None:
    proxy = network.proxies[link]
    for _ in range(SIZES.repeats):
        for scenario in (many, large, ingest, empty_trash):
            tried = troubled(network, proxy, trouble, scenario)
            assert tried.longest_seconds < DEADLINE_SECONDS + REPEATED_SECONDS
            assert problems(network.deployment, tried) == []


def troubled(
    network: Network,
    proxy: Proxy,
    trouble: Callable[[Proxy], None],
    scenario: Callable[[Deployment, str], Plan],
) -> Attempt:
    """Do something while the network is in trouble."""

    def meanwhile(job: Job) -> None:
        while not job.entries() and job.process.running:
            time.sleep(0.001)
        trouble(proxy)
        proxy.recover()

    try:
        return attempt(network.deployment, scenario, meanwhile=meanwhile)
    finally:
        proxy.recover()
