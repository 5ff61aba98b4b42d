# SPDX-License-Identifier: BSD-3-Clause
"""Where datasets will be: a prediction is the later place."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from butler import Butler, errors
from tests.support.butlers import Repository, on_every_store, on_posix_and_s3
from tests.support.survey import insert_survey, register_types

CAM = {"instrument": "Cam1"}


@on_posix_and_s3
def test_a_predicted_uri_is_marked_and_is_where_the_dataset_then_is(repository: Repository) -> None:
    # D32
    butler = repository.surveyed("run1")
    predicted = butler.getURI("note", CAM, detector=1, predict=True)
    assert predicted.endswith("#predicted")
    assert butler.getURI("note", CAM, full_name="Aa", predict=True) == predicted
    assert repository.files() == {}
    butler.put({"a": 1}, "note", CAM, full_name="Aa")
    assert butler.getURI("note", CAM, detector=1) == predicted.removesuffix("#predicted")
    assert butler.getURI("note", CAM, detector=1, predict=True) == predicted.removesuffix("#predicted")
    (file,) = repository.files()
    assert predicted.removesuffix("#predicted").endswith(file)


@on_every_store
def test_a_prediction_is_for_one_run_and_leaves_other_puts_alone(repository: Repository) -> None:
    # D32
    butler = repository.surveyed("run1")
    butler.registry.registerRun("run2")
    predicted = butler.getURI("note", CAM, detector=1, predict=True, run="run2")
    butler.put({"a": 1}, "note", CAM, detector=1)
    butler.put_many([({"a": d}, "note", {**CAM, "detector": d}) for d in (2, 1)], run="run2")
    found = [butler.getURI("note", CAM, detector=d, collections="run2") for d in (1, 2)]
    assert found[0] == predicted.removesuffix("#predicted")
    assert len({*found, butler.getURI("note", CAM, detector=1)}) == 3


@on_every_store
def test_what_could_not_be_put_is_not_predicted(repository: Repository) -> None:
    # D32
    repository.surveyed("run1")
    nowhere = repository.butler(collections="run1", instrument="Cam1")
    with pytest.raises(TypeError, match="run"):
        nowhere.getURI("note", detector=1, predict=True)
    with pytest.raises(errors.DatasetNotFoundError):
        nowhere.getURI("note", detector=1)
    with pytest.raises(errors.DataIdValueError, match="99"):
        nowhere.getURI("note", detector=99, predict=True, run="run1")
    with pytest.raises(errors.MissingCollectionError, match="nope"):
        nowhere.getURI("note", detector=1, predict=True, run="nope")
    assert nowhere.getURI("note", detector=1, predict=True, run="run1").endswith("#predicted")


@on_posix_and_s3
def test_places_of_many_datasets_are_those_of_each(repository: Repository) -> None:
    butler = repository.surveyed("run1")
    refs = [butler.put({"a": d}, "note", CAM, detector=d) for d in (1, 2, 3)]
    places = butler.get_many_uris([*refs, refs[0]])
    assert places == {ref: butler.getURIs(ref) for ref in refs}
    assert len({uri for uri, _ in places.values()}) == 3
    assert butler.get_many_uris([]) == {}
    butler.pruneDatasets(refs[:1], disassociate=False, unstore=True)
    with pytest.raises(errors.ArtifactNotFoundError):
        butler.get_many_uris(refs)
    assert list(butler.get_many_uris(refs, allow_missing=True)) == refs[1:]
    butler.pruneDatasets(refs[:1], purge=True, unstore=True)
    with pytest.raises(errors.DatasetNotFoundError):
        butler.get_many_uris(refs, allow_missing=True)


@pytest.fixture
def templated(tmp_path: Path) -> Iterator[Butler]:
    """Give a butler of a repository that names files by records, in a store for each kind."""
    stores = {
        "notes": {
            "root": "<butlerRoot>/notes",
            "template": "{run}/{datasetType}/{detector.raft}/{instrument|skymap}_{detector.full_name}",
            "constraints": {"accept": ["note", "blob"]},
        },
        "rest": {"root": "<butlerRoot>/rest", "constraints": {"reject": ["log"]}},
    }
    root = tmp_path / "repository"
    Butler.makeRepo(root, stores=stores)
    with ExitStack() as stack:
        butler = stack.enter_context(Butler(root, run="run1"))
        insert_survey(butler)
        register_types(butler)
        yield stack.enter_context(butler.clone(instrument="Cam1"))


def test_a_prediction_uses_the_records_that_the_template_asks_for(templated: Butler) -> None:
    # D32
    predicted = templated.getURI("note", detector=2, predict=True)
    assert "/notes/run1/note/A/Cam1_Ab_" in predicted
    templated.put({"a": 1}, "note", detector=2)
    path = Path(urlsplit(templated.getURI("note", detector=2)).path)
    assert str(path) in predicted
    assert json.loads(path.read_bytes()) == {"a": 1}


def test_the_first_store_that_takes_a_dataset_gets_it_and_one_that_none_takes_is_refused(
    templated: Butler,
) -> None:
    templated.put({"a": 1}, "summary", visit=1)
    assert "/rest/run1/summary/" in templated.getURI("summary", visit=1)
    with pytest.raises(errors.DatasetTypeNotSupportedError, match="'log'"):
        templated.put("text", "log")
    assert templated.find_dataset("log") is None
