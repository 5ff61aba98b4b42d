# SPDX-License-Identifier: BSD-3-Clause
"""Whether datasets exist, and which ones there are, without reading them."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest

from butler import Butler, DatasetExistence, DatasetRef, DatasetType
from butler_model import errors
from tests.support.butlers import Repository


@pytest.fixture
def butler(repository: Repository) -> Butler:
    return repository.surveyed("run1")


@pytest.fixture
def refs(butler: Butler) -> list[DatasetRef]:
    return [butler.put({"d": d}, "note", instrument="Cam1", detector=d) for d in (1, 2, 3)]


def only_file(repository: Repository, detector: int) -> Path:
    """Return the file of the note of a detector."""
    root = repository.deployment.artifacts
    (name,) = (name for name, content in repository.files().items() if content == b'{"d": %d}' % detector)
    return root / name


def test_existence_tells_what_is_known(
    repository: Repository, butler: Butler, refs: list[DatasetRef]
) -> None:
    only_file(repository, 1).unlink()
    gone, there = refs[:2]
    data_id = {"instrument": "Cam1", "detector": 1}
    # D30
    assert butler.exists("note", data_id) == DatasetExistence.RECORDED | DatasetExistence.DATASTORE
    assert not butler.exists(gone)
    assert butler.exists(gone, full_check=False) == DatasetExistence.KNOWN
    assert butler.exists("note", instrument="Cam1", detector=2) == DatasetExistence.VERIFIED
    assert butler.exists(there)
    assert butler.exists("note", data_id, detector=4) == DatasetExistence.UNRECOGNIZED
    assert butler.exists("nothing", data_id) == DatasetExistence.UNRECOGNIZED
    assert not butler.exists("note", data_id, detector=2, collections=[])
    with pytest.raises(errors.DimensionNameError):
        butler.exists("note", instrument="Cam1")
    with pytest.raises(errors.MissingCollectionError):
        butler.exists("note", data_id, collections="nowhere")


def test_existence_of_many_is_told_of_each(
    repository: Repository, butler: Butler, refs: list[DatasetRef]
) -> None:
    """With two calls for all of them, which tests/integration/test_costs.py counts on the wire."""
    only_file(repository, 1).unlink()
    strange = DatasetRef(refs[0].datasetType, refs[0].dataId, "run1", id=uuid.uuid4())
    found = butler.exists_many([*refs, strange, refs[2]])
    assert list(found) == [*refs, strange]
    assert list(map(bool, found.values())) == [False, True, True, False]
    assert butler.stored_many([*refs, strange]) == {ref: bool(one) for ref, one in found.items()}
    assert (butler.stored(refs[0]), butler.stored(refs[1])) == (False, True)
    assert (butler.datasetExistsDirect(refs[0]), butler.datasetExistsDirect(refs[1])) == (False, True)
    assert butler.exists_many([]) == {}
    with pytest.raises(errors.AmbiguousDatasetError):
        butler.stored(refs[0].unresolved())


def test_datasets_are_found_by_id_and_by_data_id(butler: Butler, refs: list[DatasetRef]) -> None:
    strange = uuid.uuid4()
    assert butler.get_dataset(refs[0].getCheckedId()) == refs[0]
    assert butler.get_dataset(str(refs[0].id)) == refs[0]
    assert butler.get_dataset(strange) is None
    assert butler.registry.getDataset(refs[0].getCheckedId()) == refs[0]
    assert butler.registry.getDataset(strange) is None
    ids: list[uuid.UUID | str] = [str(refs[2].id), strange, refs[0].getCheckedId(), refs[2].getCheckedId()]
    assert butler.get_many_datasets(ids) == [refs[2], refs[0]]
    assert butler.get_many_datasets([]) == []
    for wrong in ("x", 5, None):
        with pytest.raises(errors.InvalidRequestError, match="UUID"):
            butler.get_dataset(wrong)  # type: ignore[arg-type]
    assert butler.find_dataset("note", instrument="Cam1", detector=1) == refs[0]
    assert butler.find_dataset("note", instrument="Cam1", detector=4) is None


def test_refs_come_with_records_and_a_storage_class_where_asked_for(
    butler: Butler, refs: list[DatasetRef]
) -> None:
    summary = butler.put({}, "summary", instrument="Cam1", visit=1)
    plain = butler.get_many_datasets([refs[0].getCheckedId(), summary.getCheckedId()])
    assert not any(ref.dataId.hasRecords() for ref in plain)
    full = butler.get_many_datasets([ref.getCheckedId() for ref in plain], dimension_records=True)
    assert full == plain
    record = full[0].dataId.records["detector"]
    assert record is not None
    assert record.full_name == "Aa"
    found = butler.find_dataset("note", instrument="Cam1", detector=1, dimension_records=True)
    assert found is not None
    assert found.dataId.hasRecords()
    asked = butler.get_dataset(refs[0].getCheckedId(), storage_class="StructuredDataList")
    assert asked is not None
    assert asked.datasetType.storageClass_name == "StructuredDataList"


def test_dataset_types_are_found_with_their_components(butler: Butler) -> None:
    note = butler.get_dataset_type("note")
    assert isinstance(note, DatasetType)
    assert note == butler.registry.getDatasetType("note")
    with pytest.raises(errors.MissingDatasetTypeError):
        butler.get_dataset_type("nothing")
