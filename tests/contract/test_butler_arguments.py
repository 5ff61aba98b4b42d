# SPDX-License-Identifier: BSD-3-Clause
"""What is of a wrong type: refused in words, before anything is done, the same embedded and through services."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from butler import Butler, CollectionType, DatasetRef, DatasetType, FileDataset, Timespan, errors
from tests.support.butlers import Repository
from tests.support.survey import insert_survey, register_types

ALWAYS = Timespan(None, None)
NOTE = {"instrument": "Cam1", "detector": 1}


@pytest.fixture
def butler(repository: Repository) -> Butler:
    """Give a butler of a repository with one note, and a collection of each type."""
    opened = repository.butler(writeable=True)
    insert_survey(opened)
    register_types(opened)
    opened.registry.registerRun("run1")
    opened.registry.registerCollection("tag", CollectionType.TAGGED)
    opened.registry.registerCollection("calib", CollectionType.CALIBRATION)
    opened.registry.registerCollection("chain", CollectionType.CHAINED)
    opened.put({"n": 1}, "note", NOTE, run="run1")
    return opened


Call = Callable[[Butler, Any], object]

OF_REFS: dict[str, Call] = {
    "pruneDatasets": lambda butler, refs: butler.pruneDatasets(refs, unstore=True, purge=True),
    "associate": lambda butler, refs: butler.registry.associate("tag", refs),
    "disassociate": lambda butler, refs: butler.registry.disassociate("tag", refs),
    "certify": lambda butler, refs: butler.registry.certify("calib", refs, ALWAYS),
    "transfer_from": lambda butler, refs: butler.transfer_from(butler, refs),
    "transfer_dimension_records_from": lambda butler, refs: butler.transfer_dimension_records_from(butler, refs),
    "get_many": lambda butler, refs: butler.get_many(refs),
    "exists_many": lambda butler, refs: butler.exists_many(refs),
    "stored_many": lambda butler, refs: butler.stored_many(refs),
    "get_many_uris": lambda butler, refs: butler.get_many_uris(refs),
    "retrieve_artifacts": lambda butler, refs: butler.retrieve_artifacts(refs, "nowhere"),
    "FileDataset": lambda butler, refs: FileDataset("nowhere.json", refs),
    "trash.undelete": lambda butler, refs: butler.trash.undelete(datasets=refs),
    "put_many": lambda butler, refs: butler.put_many(refs, run="run1"),
}  # fmt: skip
OF_ONE: dict[str, Call] = {
    "ingest": lambda butler, given: butler.ingest(given, run="run1"),
    "ingest of a path": lambda butler, given: butler.ingest(FileDataset(given, a_note(butler)), run="run1"),
    "transfer_from": lambda butler, given: butler.transfer_from(given, []),
    "getDirect": lambda butler, given: butler.getDirect(given),
    "getDirectDeferred": lambda butler, given: butler.getDirectDeferred(given),
    "stored": lambda butler, given: butler.stored(given),
    "getDatasetLocations": lambda butler, given: butler.registry.getDatasetLocations(given),
    "registerDatasetType": lambda butler, given: butler.registry.registerDatasetType(given),
    "getDatasetType": lambda butler, given: butler.registry.getDatasetType(given),
    "get_dataset_type": lambda butler, given: butler.get_dataset_type(given),
    "decertify": lambda butler, given: butler.registry.decertify("calib", given, ALWAYS),
    "decertify data IDs": lambda butler, given: butler.registry.decertify("calib", "note", ALWAYS, dataIds=given),
    "queryDatasetAssociations": lambda butler, given: list(butler.registry.queryDatasetAssociations(given)),
    "query_datasets": lambda butler, given: butler.query_datasets(given, "run1"),
    "query_data_ids": lambda butler, given: butler.query_data_ids(given),
    "get parameters": lambda butler, given: butler.get("note", NOTE, collections="run1", parameters=given),
    "getCollectionType": lambda butler, given: butler.registry.getCollectionType(given),
    "getCollectionChain": lambda butler, given: butler.registry.getCollectionChain(given),
    "getCollectionSummary": lambda butler, given: butler.registry.getCollectionSummary(given),
    "getCollectionDocumentation": lambda butler, given: butler.registry.getCollectionDocumentation(given),
    "setCollectionDocumentation": lambda butler, given: butler.registry.setCollectionDocumentation("tag", given),
    "removeCollection": lambda butler, given: butler.registry.removeCollection(given),
    "associate to": lambda butler, given: butler.registry.associate(given, a_note(butler)),
    "pruneCollection": lambda butler, given: butler.pruneCollection(given),
    "get_info": lambda butler, given: butler.collections.get_info(given),
    "extend_chain": lambda butler, given: butler.collections.extend_chain(given, "run1"),
    "import_": lambda butler, given: butler.import_(filename=given),
    "DatasetType": lambda butler, given: DatasetType("new", ["detector"], given, universe=butler.dimensions),
    "DatasetRef": lambda butler, given: DatasetRef(given, NOTE),
    "DatasetRef of": lambda butler, given: DatasetRef(butler.get_dataset_type("note"), given),
}  # fmt: skip


def a_note(butler: Butler) -> list[DatasetRef]:
    return [DatasetRef(butler.get_dataset_type("note"), NOTE)]


def test_what_are_no_refs_is_refused_and_named(butler: Butler) -> None:
    for name, call in OF_REFS.items():
        for wrong in ("a text", ["a text"], 5, [5], [None]):
            with pytest.raises(errors.InvalidRequestError) as caught:
                call(butler, wrong)
            offender = wrong[0] if isinstance(wrong, list) else wrong
            assert repr(offender) in str(caught.value), name
    assert butler.exists("note", NOTE, collections="run1")


def test_one_ref_where_there_may_be_many_is_refused_with_the_way_to_give_it(butler: Butler) -> None:
    ref = butler.find_dataset("note", NOTE, collections="run1")
    with pytest.raises(errors.InvalidRequestError, match=r"refs: give several .* such as \[ref\]"):
        butler.pruneDatasets(ref, unstore=True, purge=True)  # type: ignore[arg-type]
    assert butler.exists("note", NOTE, collections="run1")


def test_what_is_of_a_wrong_type_is_refused_and_named(butler: Butler) -> None:
    for name, call in OF_ONE.items():
        for wrong in (98765, [98765]):
            with pytest.raises(errors.ButlerError) as caught:
                call(butler, wrong)
            assert "98765" in str(caught.value), name
    assert butler.collections.query() == ["calib", "chain", "run1", "tag"]


def test_nothing_is_written_to_where_wrong_refs_were_to_go(butler: Butler, tmp_path: Path) -> None:
    with pytest.raises(errors.InvalidRequestError):
        butler.retrieve_artifacts(["a text"], tmp_path / "out")  # type: ignore[list-item]
    assert not (tmp_path / "out").exists()
