# SPDX-License-Identifier: BSD-3-Clause
"""Both services with certificates and tokens, as they run for many, and what one who has a token can do there."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from butler import Butler, DatasetType
from tests.support.secured import SecuredServices, secured_services


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredServices]:
    with secured_services(tmp_path_factory.mktemp("secured")) as made:
        yield made


def command(services: SecuredServices, token: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run ``butler`` with a token."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("BUTLER_T")}
    return subprocess.run(
        [sys.executable, "-m", "butler.cli", *arguments],
        env=environment | services.environment(token),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_one_with_a_token_file_puts_gets_lists_and_removes(
    services: SecuredServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = services.provider.token()
    for name, value in services.environment(token).items():
        monkeypatch.setenv(name, value)
    address = f"{services.registry}/work"
    Butler.makeRepo(address)
    with Butler(address, run="u/alice/run") as butler:
        butler.registry.registerDatasetType(
            DatasetType("note", (), "StructuredDataDict", universe=butler.dimensions)
        )
        ref = butler.put({"a": 1}, "note")
        assert butler.get("note") == {"a": 1}
        listed = command(
            services, token, "query-datasets", address, "note", "--collections", "u/alice/run", "--json"
        )
        assert listed.returncode == 0, listed.stderr
        assert str(ref.id) in listed.stdout
        butler.pruneDatasets([ref], unstore=True, purge=True, disassociate=True)
    assert not [path for path in (services.folder / "store").rglob("*") if path.is_file()]


def test_one_without_a_token_gets_one_line_and_an_exit_code(services: SecuredServices) -> None:
    done = command(services, "", "query-collections", f"{services.registry}/work")
    assert done.returncode == 8
    assert "BUTLER_TOKEN_FILE" in done.stderr
    assert len(done.stderr.splitlines()) == 1
