# SPDX-License-Identifier: BSD-3-Clause
"""A service as a process, with its log and its figures."""

from __future__ import annotations

__all__ = ["Service", "served"]

import json
import re
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from tools.servers.process import ServerProcess, running, wait_until


@dataclass(frozen=True, slots=True)
class Service:
    """A running service."""

    address: str
    log: Path
    process: ServerProcess

    @property
    def lines(self) -> list[dict[str, object]]:
        """The lines of its log that are JSON."""
        return [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]

    def figures(self) -> dict[str, float]:
        """Scrape it; return the value of each sample by name and labels, as ``name{label=value}``."""
        text = self.log.read_text()
        found = re.search(r"metrics on (http://\S+?/metrics)", text)
        assert found is not None, text
        with urllib.request.urlopen(found[1], timeout=10) as answer:
            families = text_string_to_metric_families(answer.read().decode())
            samples = [sample for family in families for sample in family.samples]
        return {
            f"{sample.name}{{{','.join(f'{k}={v}' for k, v in sorted(sample.labels.items()))}}}": sample.value
            for sample in samples
        }


@contextmanager
def served(module: str, folder: Path, **settings: str) -> Iterator[Service]:
    """Run a service with JSON logs and figures."""
    log = folder / f"{module}.log"
    prefix = f"{module.upper()}_"
    given = {"ADDRESS": "127.0.0.1:0", "SIGNING_KEYS": str(folder / "keys"), "LOG_FORMAT": "json"}
    environment = {prefix + name: value for name, value in (given | {"METRICS_PORT": "0"} | settings).items()}
    with running([sys.executable, "-m", module, "serve"], log=log, environment=environment) as process:
        announced = re.compile(rf"^{module} listening on (\S+)$", re.MULTILINE)
        wait_until(lambda: announced.search(log.read_text()) is not None, process, seconds=60)
        found = announced.search(log.read_text())
        assert found is not None
        yield Service(found[1], log, process)
