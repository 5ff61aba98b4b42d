# SPDX-License-Identifier: BSD-3-Clause
"""Repositories move to the current release of the older library and back, which nothing here imports.

Only if ``BUTLER_TEST_OLDER_LIBRARY`` is set: to ``install``, to have it installed in an environment of its own, or to
the path of an interpreter that has it.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from butler import Butler, CollectionType
from tests.support.contents import contents_of, save_all
from tests.support.observed import observe, square
from tests.support.requirement import unavailable
from tools.older_library import python_with_older_library

PROGRAM = Path(__file__).resolve().parents[1] / "support" / "older_library.py"


@pytest.fixture(scope="module")
def older_python(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Give an interpreter that has the older library."""
    wish = os.environ.get("BUTLER_TEST_OLDER_LIBRARY", "")
    if not wish:
        pytest.skip("BUTLER_TEST_OLDER_LIBRARY is not set")
    if wish != "install":
        return wish
    try:
        return str(python_with_older_library(tmp_path_factory.mktemp("older") / "venv"))
    except RuntimeError as error:
        unavailable("older-library", str(error))


def ask(python: str, *arguments: str | Path) -> Any:
    """Run the program over there; return what it printed."""
    command = [python, str(PROGRAM), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr.splitlines()[-1]
    return json.loads(done.stdout) if done.stdout else None


def described(butler: Butler) -> dict[str, Any]:
    """Return what a repository here holds in the form in which the program tells it of one there."""
    infos = butler.collections.query_info("*")
    refs = butler.query_all_datasets("*", find_first=False, limit=None)
    return {
        "collections": {
            info.name: {"type": info.type.name, "doc": info.doc, "children": list(info.children)}
            for info in infos
        },
        "datasets": {
            str(ref.id): {
                "type": ref.datasetType.name,
                "storage_class": ref.datasetType.storageClass_name,
                "run": ref.run,
                "data_id": dict(ref.dataId.required),
                "content": butler.getDirect(ref),
            }
            for ref in refs
        },
        "members": sorted(
            [
                association.collection,
                str(association.ref.id),
                None if association.timespan is None else list(association.timespan.nsec),
            ]
            for dataset_type in butler.registry.queryDatasetTypes()
            for association in butler.registry.queryDatasetAssociations(
                dataset_type, collectionTypes=set(CollectionType) - {CollectionType.CHAINED}
            )
        ),
    }


@pytest.mark.timeout(1200)
def test_a_repository_goes_there_and_comes_back(older_python: str, tmp_path: Path) -> None:
    # D70
    here, there, out, back = (tmp_path / name for name in ("here", "there", "out", "back"))
    Butler.makeRepo(here)
    with Butler(here, writeable=True) as butler:
        observe(butler)
        # The older library exports no dataset of a visit and a detector without one.
        butler.registry.insertDimensionData(
            "visit_detector_region",
            *(
                {
                    "instrument": "Cam1",
                    "visit": visit,
                    "detector": detector,
                    "region": square(10.0 * visit, 0.0),
                }
                for visit in (1, 2)
                for detector in (1, 2)
            ),
        )
        butler.collections.register("outer", CollectionType.CHAINED, doc="Über allem;\n'zwei' Zeilen")
        butler.collections.redefine_chain("outer", ["chain", "tag"])
        with butler.export(directory=out, format="yaml", transfer="copy") as export:
            save_all(butler, export)
        expected, contents = described(butler), contents_of(butler)
    ask(older_python, "make", there)
    ask(older_python, "import", there, out)
    found = ask(older_python, "describe", there)
    for what, value in expected.items():
        assert found[what] == json.loads(json.dumps(value))
    back.mkdir()
    ask(older_python, "export", there, back)
    Butler.makeRepo(tmp_path / "again")
    with Butler(tmp_path / "again", writeable=True) as butler:
        butler.import_(directory=back, transfer="copy")
        assert described(butler) == expected
        again = contents_of(butler)
        assert again.datasets == contents.datasets
        assert again.members == contents.members
