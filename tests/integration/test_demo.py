# SPDX-License-Identifier: BSD-3-Clause
"""The demo does what it says, with a survey of its own and with a real one, and leaves nothing running."""

from __future__ import annotations

import io
import math
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from lsst.sphgeom import DISJOINT, ConvexPolygon, UnitVector3d
from rich.console import Console

from butler import Butler
from examples.journal import Journal
from examples.put_and_get import put_and_get
from examples.source_catalog import SOURCES, make_catalog, sources_within
from examples.survey import insert_survey, survey_fields
from tools.servers.process import ROOT

DEMO = [sys.executable, "-m", "examples.demo"]


def run_demo(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*DEMO, *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "COLUMNS": "200"},
    )


def descendants(process: int) -> set[int]:
    """Return the ids of all processes that a process has started, and of those that they have."""
    listing = subprocess.run(["ps", "-Ao", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
    parents = {int(child): int(parent) for child, parent in map(str.split, listing.splitlines())}
    found = {process}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return found - {process}


def is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def angle(a: UnitVector3d, b: UnitVector3d) -> float:
    """Return the angle between two directions, in arcseconds."""
    return math.degrees(math.acos(min(1.0, a.dot(b)))) * 3600


def test_the_demo_does_the_same_embedded_and_through_services_and_leaves_what_it_says(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    done = run_demo("--keep", str(kept))
    assert done.returncode == 0, done.stdout + done.stderr
    for step in ("Make and put catalogues", "Query all datasets", "Get all, compare values"):
        assert len(re.findall(rf"{step} +1,152 datasets", done.stdout)) == 2, done.stdout
    assert done.stdout.count("Refused with ConflictingDefinitionError") == 2
    assert "Both gave back the same values" in done.stdout
    commands = re.findall(rf"^  \S+ (.+ {kept}.*)$", done.stdout, re.MULTILINE)
    assert len(commands) == 5, done.stdout
    for command in commands:
        if not command.startswith("serve"):
            butler = [sys.executable, "-m", "butler.cli", *shlex.split(command)]
            shown = subprocess.run(butler, capture_output=True, text=True, check=False, cwd=ROOT)
            assert shown.returncode == 0, shown.stderr
            assert shown.stdout


def test_the_script_runs_on_a_real_survey(tmp_path: Path, shared_data: Path) -> None:
    repository = str(tmp_path / "repository")
    journal = Journal(repository, Console(file=io.StringIO()))
    checksum = put_and_get(repository, journal, shared_data / "hsc-rc2-subset.yaml")
    assert len(checksum) == 64
    steps = {step.name: step for step in journal.steps}
    assert steps["Query regions on the sky"].remark == "of 160 visits"
    assert steps["Make and put catalogues"].count == 1132
    assert steps["Get all, compare values"].count == 1132


def test_ctrl_c_ends_the_demo_and_every_server_that_it_started() -> None:
    process = subprocess.Popen(
        DEMO, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )
    try:
        servers: set[int] = set()
        deadline = time.monotonic() + 60
        # Each server has a keeper: PostgreSQL, the datastore service and the registry service are six at least.
        while len(servers) < 6 and time.monotonic() < deadline and process.poll() is None:
            time.sleep(0.1)
            servers = descendants(process.pid)
        assert len(servers) >= 6
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 130, output
    assert "Interrupted" in output
    assert "Traceback" not in output
    assert [each for each in servers if is_running(each)] == []


def test_the_demo_overwrites_nothing_and_names_an_export_that_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    taken = run_demo("--keep", str(tmp_path / "mine"))
    assert taken.returncode == 2
    assert "exists already" in taken.stderr
    missing = run_demo("--export", str(tmp_path / "absent.yaml"))
    assert missing.returncode == 2
    assert "absent.yaml" in missing.stderr


def test_the_detectors_of_the_made_up_survey_lie_apart_inside_their_visit(tmp_path: Path) -> None:
    Butler.makeRepo(tmp_path / "repository")
    with Butler(tmp_path / "repository", writeable=True) as butler:
        insert_survey(butler)
        field = survey_fields()[5]
        visit = 1000 * (field.number + 1) + 1
        records = butler.registry.queryDimensionRecords
        whole = next(iter(records("visit", instrument="RingCam", visit=visit))).region
        parts = [r.region for r in records("visit_detector_region", instrument="RingCam", visit=visit)]
    assert len(parts) == 16
    assert all(whole.contains(part) for part in parts)
    assert all(a.relate(b) == DISJOINT for a, b in combinations(parts, 2))
    for part in parts:
        corners = part.getVertices()
        sides = [angle(a, b) for a, b in zip(corners, [*corners[1:], corners[0]], strict=True)]
        assert sides == pytest.approx([2048 * 0.2] * 4, rel=1e-4)
    ra, dec = math.radians(field.ra), math.radians(field.dec)
    boresight = UnitVector3d(math.cos(ra) * math.cos(dec), math.sin(ra) * math.cos(dec), math.sin(dec))
    assert angle(whole.getCentroid(), boresight) < 0.01


def test_a_catalogue_fills_its_region_and_depends_on_nothing_but_region_and_seed() -> None:
    corners = [UnitVector3d(1, y, z) for y in (-0.003, 0.003) for z in (0.7, 0.704)]
    region = ConvexPolygon(corners)
    catalog = make_catalog(region, (1, 2))
    assert catalog.num_rows == SOURCES
    assert sources_within(catalog, region)
    assert catalog.equals(make_catalog(region, (1, 2)))
    assert not catalog.equals(make_catalog(region, (1, 3)))
    assert np.ptp(catalog["ra"].to_numpy() % 180) > 0.1
