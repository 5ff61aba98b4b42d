# SPDX-License-Identifier: BSD-3-Clause
"""Exports: what is written, and that an import of it gives the same repository."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from butler import Butler, CollectionType
from tests.support.butlers import Deployment, Repository
from tests.support.contents import contents_of, save_all, second_repository
from tests.support.observed import observe


class _Loader(yaml.SafeLoader):
    """Reads an export as plain values, tags as pairs of tag and content."""


_Loader.add_multi_constructor("", lambda loader, tag, node: (tag, node.value))


def content_of(path: Path) -> dict[str, Any]:
    """Return an export as plain values."""
    content: dict[str, Any] = yaml.load(path.read_text(), Loader=_Loader)  # noqa: S506
    return content


def blocks_of(path: Path, kind: str) -> list[dict[str, Any]]:
    return [block for block in content_of(path)["data"] if block["type"] == kind]


@pytest.fixture
def embedded(place: Deployment) -> bool:
    return not place.root.startswith("grpc://")


@pytest.fixture
def observed_butler(repository: Repository) -> Butler:
    butler = repository.butler(writeable=True)
    observe(butler)
    return butler


def test_everything_comes_back_by_an_import_also_twice(
    observed_butler: Butler, place: Deployment, tmp_path: Path
) -> None:
    # D70, D71
    butler = observed_butler
    butler.collections.register("outer", CollectionType.CHAINED, doc="Über allem;\n'zwei' Zeilen")
    butler.collections.redefine_chain("outer", ["chain", "tag"])
    expected = contents_of(butler)
    with butler.export(directory=tmp_path / "out", format="yaml", transfer="copy") as export:
        save_all(butler, export)
    with second_repository(place) as second:
        for new in (True, False):
            summary = second.import_(directory=tmp_path / "out", transfer="copy")
            assert any(count.new for count in summary.datasets.values()) is new
            assert contents_of(second) == expected
