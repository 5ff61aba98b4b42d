# SPDX-License-Identifier: BSD-3-Clause
"""The page of examples/clients/browser looks into a repository through Envoy: under Node, and in Chromium."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import struct
import subprocess
import sys
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from butler import Butler, DatasetType
from tests.support.requirement import unavailable
from tests.support.survey import insert_survey
from tests.support.web import services_with_web
from tools.languages import BROWSER, build
from tools.servers.process import free_ports, running

NAMES = os.environ.get("BUTLER_LANGUAGES", "python").split()
SECONDS = 120.0
MORE_DETECTORS = range(5, 26)

pytestmark = [
    pytest.mark.skipif(
        not {"all", "browser"} & set(NAMES),
        reason="the page is built by Node: make languages LANGUAGE=browser",
    ),
    pytest.mark.timeout(0),
]


@dataclass(frozen=True, slots=True)
class Place:
    """Where the page is, and where what it looks into is."""

    page: str
    address: str


def picture(width: int = 320, height: int = 200) -> bytes:
    """Return a PNG: two galaxies."""

    def brightness(x: int, y: int) -> int:
        one = 220 / (1 + ((x - 110) ** 2 / 9 + (y - 90) ** 2 / 2) / 60)
        other = 150 / (1 + ((x - 230) ** 2 / 2 + (y - 130) ** 2 / 8) / 40)
        return min(255, 12 + int(one + other))

    def part(kind: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        )

    rows = b"".join(b"\0" + bytes(brightness(x, y) for x in range(width)) for y in range(height))
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + part(b"IHDR", header)
        + part(b"IDAT", zlib.compress(rows, 9))
        + part(b"IEND", b"")
    )


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    build(BROWSER)
    folder = tmp_path_factory.mktemp("services")
    (port,) = free_ports(1)
    page = f"http://127.0.0.1:{port}"
    served = [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1"]
    served += ["--directory", str(BROWSER.folder)]
    with services_with_web(folder, origin=page) as web, running(served, log=folder / "page.log"):
        Butler.makeRepo(f"grpc://127.0.0.1:{web.port}/survey")
        with Butler(f"grpc://127.0.0.1:{web.port}/survey", run="run/one") as butler:
            fill(butler)
        yield Place(page, f"http://127.0.0.1:{web.port}")


def fill(butler: Butler) -> None:
    """Put a note of each detector, and pictures of two."""
    insert_survey(butler)
    details = {"instrument": "Cam1", "raft": "C", "purpose": "SCIENCE"}
    for number in MORE_DETECTORS:
        name = {"id": number, "full_name": f"C{number}", "name_in_raft": str(number)}
        butler.registry.insertDimensionData("detector", {**details, **name})
    for kind, storage_class in (("note", "StructuredDataDict"), ("preview", "Bytes")):
        described = DatasetType(kind, ("instrument", "detector"), storage_class, universe=butler.dimensions)
        butler.registry.registerDatasetType(described)
    for number in range(1, MORE_DETECTORS.stop):
        butler.put(
            {"detector": number, "seeing": 0.6 + number / 100}, "note", instrument="Cam1", detector=number
        )
    for number in (1, 2):
        butler.put(picture(), "preview", instrument="Cam1", detector=number)


def look(place: Place, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Do what the page does, without a page."""
    return subprocess.run(
        [*BROWSER.run, place.address, *arguments],
        cwd=BROWSER.folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS,
    )


def test_a_page_finds_datasets_and_reads_them(place: Place) -> None:
    done = look(place, "survey", "preview", "run/one", "instrument = 'Cam1' AND detector = 2")
    assert done.returncode == 0, done.stderr
    content = picture()
    assert done.stdout.splitlines() == [
        "collections run/one",
        "page of 1",
        f"detector 2: {len(content)} bytes, {hashlib.sha256(content).hexdigest()}",
    ]


def test_a_page_gets_results_page_by_page(place: Place) -> None:
    done = look(place, "survey", "note", "run/one", "instrument = 'Cam1' AND detector < 6")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert [line for line in lines if line.startswith("page")] == ["page of 2", "page of 2", "page of 1"]
    assert [line.partition(":")[0] for line in lines if line.startswith("detector")] == [
        f"detector {number}" for number in range(1, 6)
    ]


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("elsewhere", "note", "run/one"), "REPOSITORY_NOT_FOUND"),
        (("survey", "note", "run/none"), "MISSING_COLLECTION"),
        (("survey", "note", "run/one", "detector ="), "EXPRESSION_SYNTAX"),
    ],
)
def test_a_page_tells_errors_by_their_reason(place: Place, arguments: tuple[str, ...], reason: str) -> None:
    done = look(place, *arguments)
    assert done.returncode == 1
    problem = json.loads(done.stderr)
    assert problem["reason"] == reason
    assert problem["message"]


def test_somebody_looks_at_a_picture_in_chromium(place: Place, tmp_path: Path) -> None:
    chromium = shutil.which("chromium")
    if chromium is None:
        unavailable("chromium", "it is not installed; on Debian: apt-get install chromium")
    screenshot = Path(os.environ.get("BUTLER_SCREENSHOT", tmp_path / "page.png"))
    done = subprocess.run(
        ["node", "test/drive.mjs", chromium, place.page, place.address, "survey", str(screenshot)],
        cwd=BROWSER.folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert screenshot.stat().st_size > 10_000
