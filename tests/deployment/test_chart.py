# SPDX-License-Identifier: BSD-3-Clause
"""What is in ``deploy/`` fits Kubernetes and the services; ``make deploy-check`` also renders it anew."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from prometheus_client.registry import CollectorRegistry

from butler_api.metrics import ServiceMetrics
from butler_api.process import ServiceSettings
from butler_api.process_figures import ProcessFigures
from butler_datastore.application import DatastoreApplication
from butler_datastore.config import MemoryStoreConfig
from butler_datastore.metrics import HousekeepingCollector
from butler_datastore.settings import DatastoreSettings
from butler_model.grants import TokenSigner
from butler_registry.application import RegistryApplication
from butler_registry.config import RegistrySettings
from butler_registry.metrics import PoolCollector, RepositoryCollector
from tools.deployment import (
    CHART,
    DIGEST,
    EXAMPLES,
    GOLDEN,
    KUSTOMIZE,
    ROOT,
    VALUES,
    objects_of,
    sources_digest,
    validate,
)

_METRIC = re.compile(r"\b(?:butler|process)_[a-z0-9_]+\b")
_OF_SECURITY = {"allow_plaintext", "authentication", "registry_tls", "tls"}
"""Settings that come with identity (docs/security.md); where the services have them already, they are checked, too."""
_SUFFIXES = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count"), "gauge": ("",)}


def golden(name: str) -> list[dict[str, Any]]:
    """Return the objects of a golden file."""
    return objects_of((GOLDEN / f"{name}.yaml").read_text())


def of_kind(kind: str, objects: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [each for each in objects if each["kind"] == kind]


def pods(objects: list[dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the specification of each pod with its name."""
    for each in objects:
        if each["kind"] == "Pod":
            yield each["metadata"]["name"], each["spec"]
        elif each["kind"] in ("Deployment", "Job"):
            yield each["metadata"]["name"], each["spec"]["template"]["spec"]


@pytest.fixture(scope="module")
def metric_names(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """Give the names of all samples that the services show."""
    folder = tmp_path_factory.mktemp("tables")
    signer = TokenSigner([b"0" * 32])
    registry = CollectorRegistry()
    service = ServiceMetrics()
    service.watch_waiting(lambda: 0)
    with (
        closing(RegistryApplication(f"sqlite:///{folder}", signer)) as repositories,
        closing(DatastoreApplication({"main": MemoryStoreConfig()}, signer)) as datastore,
    ):
        registry.register(PoolCollector(repositories))
        registry.register(RepositoryCollector(repositories))
        registry.register(HousekeepingCollector(datastore.housekeeping))
        families = [*registry.collect(), *service.registry.collect(), *ProcessFigures().collect()]
    return {family.name + suffix for family in families for suffix in _SUFFIXES.get(family.type, ("",))}


@pytest.mark.parametrize("name", EXAMPLES)
def test_what_is_rendered_is_valid_for_three_versions_of_kubernetes(name: str) -> None:
    assert validate(golden(name), name) == []


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_pod_runs_without_privileges_on_a_file_system_that_it_cannot_write(name: str) -> None:
    found = dict(pods(golden(name)))
    assert len(found) >= 4
    for pod, spec in found.items():
        assert spec["securityContext"]["runAsNonRoot"] is True, pod
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, pod
        assert spec["automountServiceAccountToken"] is False, pod
        for container in spec["containers"]:
            security = container["securityContext"]
            assert security["readOnlyRootFilesystem"] is True, pod
            assert security["allowPrivilegeEscalation"] is False, pod
            assert security["capabilities"] == {"drop": ["ALL"]}, pod
            assert container["resources"]["requests"].keys() == {"cpu", "memory"}, pod
            assert "memory" in container["resources"]["limits"], pod
            mounted = {mount["name"] for mount in container["volumeMounts"]}
            assert mounted == {volume["name"] for volume in spec["volumes"]}, pod


@pytest.mark.parametrize("name", EXAMPLES)
def test_readiness_asks_a_named_service_and_liveness_none(name: str) -> None:
    for deployment in of_kind("Deployment", golden(name)):
        (container,) = deployment["spec"]["template"]["spec"]["containers"]
        if container["name"] == "web":
            assert container["readinessProbe"]["httpGet"] == {"port": "health", "path": "/ready"}
            continue
        assert container["readinessProbe"]["grpc"]["service"].startswith("butler_api.v1.")
        assert "service" not in container["livenessProbe"]["grpc"]
        assert "service" not in container["startupProbe"]["grpc"]


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_pod_has_time_to_end_in_order(name: str) -> None:
    for deployment in of_kind("Deployment", golden(name)):
        spec = deployment["spec"]["template"]["spec"]
        settings = settings_of(golden(name), "registry")
        before = spec["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]
        needed = before + settings["drain_seconds"] + settings["grace_seconds"]
        assert spec["terminationGracePeriodSeconds"] > needed
        assert settings["grace_seconds"] > 60  # the longest call that is no stream


def settings_of(objects: list[dict[str, Any]], service: str) -> dict[str, Any]:
    """Return the settings that a service is given."""
    (found,) = (
        each["data"][f"{service}.toml"]
        for each in of_kind("ConfigMap", objects)
        if each["metadata"]["name"] == f"butler-{service}"
    )
    return tomllib.loads(found)


@pytest.mark.parametrize("name", EXAMPLES)
@pytest.mark.parametrize(
    ("service", "settings"), [("registry", RegistrySettings), ("datastore", DatastoreSettings)]
)
def test_the_services_take_the_settings_that_they_are_given(
    name: str, service: str, settings: type[ServiceSettings], monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {
        setting: value
        for setting, value in settings_of(golden(name), service).items()
        if setting in settings.model_fields or setting not in _OF_SECURITY
    }
    if service == "registry" and "database" not in given:
        monkeypatch.setenv("BUTLER_REGISTRY_DATABASE", "postgresql+psycopg://somebody@somewhere/butler")
    made = settings(**given)
    assert made.workers == 16
    assert made.processes == 1
    assert made.metrics_port == 9464


def test_alerts_and_dashboard_use_figures_that_there_are(metric_names: set[str]) -> None:
    objects = golden("postgresql-files")
    (rule,) = of_kind("PrometheusRule", objects)
    rules = [each for group in rule["spec"]["groups"] for each in group["rules"]]
    dashboard = json.loads((CHART / "files/dashboard.json").read_text())
    expressions = [rule["expr"] for rule in rules]
    expressions += [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    used = {name for expression in expressions for name in _METRIC.findall(expression)}
    assert used - metric_names == set()
    assert {each["alert"] for each in rules} >= {"ButlerTrashIsOld", "ButlerDeletionsFail", "ButlerCallsFail"}
    assert all(rule["annotations"].keys() == {"summary", "description"} for rule in rules)


def test_every_figure_is_explained_to_operators(metric_names: set[str]) -> None:
    manual = (ROOT / "docs/operations.md").read_text()
    own = {name.removesuffix("_bucket") for name in metric_names if name.startswith("butler_")}
    silent = {name for name in own if not name.endswith(("_sum", "_count")) and f"`{name}`" not in manual}
    assert not silent


def test_every_service_that_is_scraped_is_found_by_its_labels() -> None:
    objects = golden("postgresql-files")
    (monitor,) = of_kind("ServiceMonitor", objects)
    wanted = monitor["spec"]["selector"]["matchLabels"].items()
    scraped = [each for each in of_kind("Service", objects) if wanted <= each["metadata"]["labels"].items()]
    assert len(scraped) == 3
    for service in scraped:
        assert service["spec"]["ports"][0]["name"] == monitor["spec"]["endpoints"][0]["port"]


def test_services_and_policies_choose_pods_that_there_are() -> None:
    for name in EXAMPLES:
        objects = golden(name)
        labels = [
            each["spec"]["template"]["metadata"]["labels"]
            for each in objects
            if each["kind"] in ("Deployment", "Job")
        ]
        selectors = [each["spec"]["selector"] for each in of_kind("Service", objects)]
        selectors += [
            each["spec"]["podSelector"]["matchLabels"] for each in of_kind("NetworkPolicy", objects)
        ]
        selectors += [
            each["spec"]["selector"]["matchLabels"] for each in of_kind("PodDisruptionBudget", objects)
        ]
        for selector in selectors:
            if selector["app.kubernetes.io/component"] == "migration" and name == "postgresql-s3":
                continue  # its database is made by the same release, so the first has nothing to migrate
            assert any(selector.items() <= each.items() for each in labels), (name, selector)


def test_the_defaults_and_all_examples_are_values_that_the_schema_takes() -> None:
    for file in [None, *VALUES.glob("*.yaml")]:
        check_values(yaml.safe_load(file.read_text()) if file else {})


def check_values(given: dict[str, Any]) -> None:
    """Raise unless the chart's schema takes some values on top of the defaults, as Helm merges them."""
    values = merged(yaml.safe_load((CHART / "values.yaml").read_text()), given)
    jsonschema.validate(values, json.loads((CHART / "values.schema.json").read_text()))


def merged(defaults: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    result = dict(defaults)
    for name, value in given.items():
        before = result.get(name)
        both = isinstance(before, dict) and isinstance(value, dict)
        result[name] = merged(before, value) if both else value  # type: ignore[arg-type]
    return result


_BAD: dict[str, dict[str, Any]] = {
    "a name that is not known": {"registy": {}},
    "a setting at the wrong place": {"registry": {"worker": 4}},
    "sqlite with two replicas": {"registry": {"database": {"kind": "sqlite"}, "replicas": 2}},
    "sqlite with two processes": {
        "registry": {"database": {"kind": "sqlite"}, "replicas": 1, "processes": 2}
    },
    "sqlite that scales": {
        "registry": {"database": {"kind": "sqlite"}, "replicas": 1, "autoscaling": {"enabled": True}}
    },
    "a database of another kind": {"registry": {"database": {"kind": "mysql"}}},
    "no secret of the database": {"registry": {"database": {"existingSecret": ""}}},
    "no signing keys": {"signingKeysSecret": ""},
    "no replica": {"datastore": {"replicas": 0}},
    "workers as text": {"registry": {"workers": "16"}},
    "no process": {"datastore": {"processes": 0}},
    "a digest that is none": {"registry": {"image": {"digest": "latest"}}},
    "a store of an unknown kind": {"datastore": {"stores": {"main": {"kind": "ftp"}}}},
    "a bucket without a name": {"datastore": {"stores": {"main": {"kind": "s3"}}}},
    "a relative root": {"datastore": {"stores": {"main": {"root": "data"}}}},
    "an access mode that is none": {"datastore": {"files": {"accessModes": ["ReadWrite"]}}},
    "tls without a certificate": {"tls": {"enabled": True}},
    "clients' certificates without tls": {"tls": {"clientCaSecret": "authority"}},
    "an issuer without audiences": {"authentication": {"issuers": [{"issuer": "x", "jwks": "y"}]}},
    "a route to nowhere": {"grpcRoute": {"enabled": True}},
    "a quantity that is none": {"registry": {"resources": {"requests": {"cpu": "much", "memory": "1Gi"}}}},
    "a setting that the chart makes": {"registry": {"settings": {"address": "0.0.0.0:1"}}},
    "an origin with a path": {"web": {"allowedOrigins": ["https://portal.example.org/"]}},
    "an origin that is any": {"web": {"allowedOrigins": ["*"]}},
    "web access that would pass for a certificate": {
        "web": {"enabled": True},
        "tls": {"enabled": True, "existingSecret": "certificate", "clientCaSecret": "authority"},
    },
    "an error ratio above one": {"metrics": {"rules": {"errorRatio": 2}}},
}


@pytest.mark.parametrize("values", _BAD.values(), ids=_BAD)
def test_bad_values_are_refused(values: dict[str, Any]) -> None:
    with pytest.raises(jsonschema.ValidationError):
        check_values(values)


def test_what_is_rendered_is_of_the_chart_as_it_is() -> None:
    assert DIGEST.read_text().strip() == sources_digest(), "run make deploy-render"


def test_what_is_named_in_kustomize_is_there() -> None:
    for file in KUSTOMIZE.rglob("kustomization.yaml"):
        content = yaml.safe_load(file.read_text())
        for each in (*content.get("resources", ()), *content.get("components", ())):
            assert (file.parent / each).exists(), (file, each)
    assert Path(KUSTOMIZE / "base/butler.yaml").read_text().count("helm.sh/") == 0
