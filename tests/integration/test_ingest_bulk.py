# SPDX-License-Identifier: BSD-3-Clause
"""Ten thousand files are ingested with a handful of calls, whatever becomes of them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import grpc
import pytest

from butler import Butler, DatasetRef, DatasetType, FileDataset
from butler_model.errors import ArtifactNotFoundError
from tests.support.butlers import Deployment, Repository, deployment

FILES = 10_000
FIRST_PIXEL = 131_072
"""The ids of htm7 begin with this one; no records are needed for them."""


class CallCounter(grpc.UnaryUnaryClientInterceptor):
    """Notes the calls that go through a channel."""

    def __init__(self) -> None:
        self.methods: list[str] = []

    def intercept_unary_unary(self, continuation: Callable[..., Any], details: Any, request: Any) -> Any:
        self.methods.append(details.method.rpartition("/")[2])
        return continuation(details, request)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> CallCounter:
    """Count the calls on all channels that this process opens."""
    counter, open_channel = CallCounter(), grpc.insecure_channel

    def counted(*arguments: Any, **options: Any) -> grpc.Channel:
        return grpc.intercept_channel(open_channel(*arguments, **options), counter)

    monkeypatch.setattr(grpc, "insecure_channel", counted)
    return counter


@pytest.fixture(params=["grpc-sqlite", "grpc-postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path, calls: CallCounter) -> Iterator[Deployment]:
    with ExitStack() as stack:
        database = None
        if request.param.endswith("postgresql"):
            database = request.getfixturevalue("postgres_database")
        yield stack.enter_context(deployment(request.param, tmp_path, database))


@pytest.fixture
def butler(place: Deployment) -> Iterator[Butler]:
    Butler.makeRepo(place.root)
    repository = Repository(place, place.root)
    butler = repository.butler(run="run1")
    butler.registry.registerDatasetType(
        DatasetType("tiny", ("htm7",), "StructuredDataDict", universe=butler.dimensions)
    )
    yield butler
    repository.close()


def tiny(butler: Butler, folder: Path) -> list[FileDataset]:
    """Return ten thousand files of a few bytes."""
    dataset_type = butler.registry.getDatasetType("tiny")
    files = []
    for number in range(FILES):
        path = folder / f"{number % 100}" / f"{number}.json"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b'{"number": %d}' % number)
        files.append(FileDataset(path, DatasetRef(dataset_type, {"htm7": FIRST_PIXEL + number})))
    return files


def test_ten_thousand_direct_files_take_at_most_eight_calls(
    butler: Butler, place: Deployment, calls: CallCounter
) -> None:
    files = tiny(butler, place.drop)
    calls.methods.clear()
    butler.ingest(*files, transfer="direct")
    assert len(calls.methods) <= 8, calls.methods
    assert sorted(set(calls.methods) - {"GetDatasetType"}) == ["Adopt", "BeginPut", "CommitPut"]
    numbers = (0, 4_999, 5_000, FILES - 1)
    found = butler.get_many([files[number].refs[0] for number in numbers])
    assert found == [{"number": number} for number in numbers]


def test_the_last_of_ten_thousand_files_undoes_the_call(
    butler: Butler, place: Deployment, calls: CallCounter
) -> None:
    # D24: also if the files are put by several requests.
    files = tiny(butler, place.drop)
    os.unlink(files[-1].path)
    calls.methods.clear()
    with pytest.raises(ArtifactNotFoundError, match=r"9999\.json"):
        butler.ingest(*files, transfer="direct")
    assert "CommitPut" not in calls.methods
    assert set(butler.registry.queryDatasets("tiny", collections="run1")) == set()
    butler.ingest(*files[:-1], transfer="direct")
    assert len(set(butler.registry.queryDatasets("tiny", collections="run1"))) == FILES - 1
