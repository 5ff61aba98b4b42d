# SPDX-License-Identifier: BSD-3-Clause
"""Images and the compose file; there is no container engine here, so they are checked and not run."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from butler_api.probe import ask
from butler_api.process import ServiceSettings
from butler_datastore.settings import DatastoreSettings
from butler_registry.config import RegistrySettings
from tools.deployment import ROOT
from tools.servers.process import free_ports
from tools.servers.services import new_keys, own_datastore

IMAGES = ROOT / "deploy/images"
CONTAINERFILES = sorted(IMAGES.glob("*.Containerfile"))


@pytest.mark.parametrize("file", CONTAINERFILES, ids=lambda file: file.stem)
def test_hadolint_has_nothing_to_say(file: Path) -> None:
    command = [
        str(Path(sys.executable).with_name("hadolint")),
        "--config",
        str(IMAGES / "hadolint.yaml"),
        str(file),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("file", CONTAINERFILES, ids=lambda file: file.stem)
def test_an_image_has_what_the_lock_names_and_runs_as_nobody(file: Path) -> None:
    text = file.read_text()
    for copied in re.findall(r"^COPY (?!--from)(\S+)", text, re.MULTILINE):
        assert (ROOT / copied).exists(), copied
    assert text.count("FROM ${BASE}") == 2
    assert "USER 65532:65532" in text.rpartition("FROM ")[2]
    installs = [line for line in text.splitlines() if "pip install" in line]
    assert all("--require-hashes" in line or "--no-index" in line for line in installs)


@pytest.mark.parametrize(
    ("service", "settings"), [("registry", RegistrySettings), ("datastore", DatastoreSettings)]
)
def test_the_services_of_the_compose_file_have_settings_that_they_take(
    service: str, settings: type[ServiceSettings], monkeypatch: pytest.MonkeyPatch
) -> None:
    prefix = f"BUTLER_{service.upper()}_"
    for name, value in composed()[service]["environment"].items():
        if not name.endswith("_ALLOW_PLAINTEXT") or "allow_plaintext" in settings.model_fields:
            monkeypatch.setenv(name, value)
        assert name.startswith((prefix, "AWS_"))
    made = settings.load(None)
    assert made.metrics_port == 9464


def composed() -> dict[str, Any]:
    """Return the services of the compose file."""
    services: dict[str, Any] = yaml.safe_load((ROOT / "deploy/compose.yaml").read_text())["services"]
    return services


def test_what_the_compose_file_publishes_is_for_this_machine_only() -> None:
    ports = [port for service in composed().values() for port in service.get("ports", ())]
    assert len(ports) >= 4
    assert all(port.startswith("127.0.0.1:") for port in ports)
    assert (
        json.loads(composed()["datastore"]["environment"]["BUTLER_DATASTORE_STORES"])["main"]["kind"] == "s3"
    )


def test_the_health_check_of_an_image_tells_a_service_that_serves_from_one_that_does_not(
    tmp_path: Path,
) -> None:
    service = "butler_api.v1.DatastoreService"
    with own_datastore({"main": {"kind": "memory"}}, new_keys(tmp_path), tmp_path) as address:
        assert ask(address, service) == "SERVING"
        command = [sys.executable, "-m", "butler_api.probe", service, address]
        assert subprocess.run(command, check=False).returncode == 0
    assert ask(f"127.0.0.1:{free_ports(1)[0]}", service) == "UNAVAILABLE"
    done = subprocess.run([*command[:-1], address], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "UNAVAILABLE" in done.stderr
