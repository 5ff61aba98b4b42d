# SPDX-License-Identifier: BSD-3-Clause
"""A read-only butler: everything that could change something is refused before anything happens."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from butler import Butler, CollectionType, DatasetRef, FileDataset, Timespan
from butler.collections import ButlerCollections
from butler.registry import ButlerRegistry
from butler.trash import ButlerTrash
from butler_model.errors import ReadOnlyError
from tests.support.butlers import Repository

FOREVER = Timespan.from_nsec(None, None)
DATA_ID = {"instrument": "Cam1", "detector": 2}
DETECTOR = {"instrument": "Cam1", "id": 9, "full_name": "X"}

Change = Callable[[Butler, DatasetRef, Path], Any]

CHANGES: dict[type, dict[str, Change]] = {
    Butler: {
        "put": lambda butler, ref, file: butler.put({}, "note", DATA_ID, run="run1"),
        "put_many": lambda butler, ref, file: butler.put_many([({}, "note", DATA_ID)], run="run1"),
        "ingest": lambda butler, ref, file: butler.ingest(
            FileDataset(str(file), DatasetRef(ref.datasetType, ref.dataId)), transfer="move", run="run2"
        ),
        "import_": lambda butler, ref, file: butler.import_(filename=file),
        "plan_transfer": lambda butler, ref, file: butler.plan_transfer(butler),
        "pruneCollection": lambda butler, ref, file: butler.pruneCollection("tag", purge=True),
        "pruneDatasets": lambda butler, ref, file: butler.pruneDatasets([ref], unstore=True, purge=True),
        "removeRuns": lambda butler, ref, file: butler.removeRuns("run1", unlink_from_chains=True),
        "transaction": lambda butler, ref, file: butler.transaction().__enter__(),
        "transfer_dimension_records_from": lambda butler, ref, file: butler.transfer_dimension_records_from(
            butler, [ref]
        ),
        "transfer_from": lambda butler, ref, file: butler.transfer_from(butler, [ref]),
    },
    ButlerRegistry: {
        "associate": lambda butler, ref, file: butler.registry.associate("tag", [ref]),
        "certify": lambda butler, ref, file: butler.registry.certify("calib", [ref], FOREVER),
        "decertify": lambda butler, ref, file: butler.registry.decertify("calib", "note", FOREVER),
        "disassociate": lambda butler, ref, file: butler.registry.disassociate("tag", [ref]),
        "insertDimensionData": lambda butler, ref, file: butler.registry.insertDimensionData(
            "detector", DETECTOR
        ),
        "registerCollection": lambda butler, ref, file: butler.registry.registerCollection("new"),
        "registerDatasetType": lambda butler, ref, file: butler.registry.registerDatasetType(ref.datasetType),
        "registerRun": lambda butler, ref, file: butler.registry.registerRun("new"),
        "removeCollection": lambda butler, ref, file: butler.registry.removeCollection("tag"),
        "removeDatasetType": lambda butler, ref, file: butler.registry.removeDatasetType("blob"),
        "setCollectionChain": lambda butler, ref, file: butler.registry.setCollectionChain("chain", ["tag"]),
        "setCollectionDocumentation": lambda butler, ref, file: butler.registry.setCollectionDocumentation(
            "tag", "x"
        ),
        "syncDimensionData": lambda butler, ref, file: butler.registry.syncDimensionData(
            "detector", DETECTOR
        ),
        "transaction": lambda butler, ref, file: butler.registry.transaction().__enter__(),
    },
    ButlerCollections: {
        "extend_chain": lambda butler, ref, file: butler.collections.extend_chain("chain", "tag"),
        "prepend_chain": lambda butler, ref, file: butler.collections.prepend_chain("chain", "tag"),
        "redefine_chain": lambda butler, ref, file: butler.collections.redefine_chain("chain", "tag"),
        "register": lambda butler, ref, file: butler.collections.register("new"),
        "remove": lambda butler, ref, file: butler.collections.remove("tag"),
        "remove_from_chain": lambda butler, ref, file: butler.collections.remove_from_chain("chain", "run1"),
        "x_remove": lambda butler, ref, file: butler.collections.x_remove("tag"),
    },
    ButlerTrash: {
        "empty": lambda butler, ref, file: butler.trash.empty(),
        "undelete": lambda butler, ref, file: butler.trash.undelete(datasets=[ref]),
    },
}
"""How to call each method that changes a repository."""

READS: dict[type, set[str]] = {
    Butler: {
        *("clone", "close", "from_config", "get_known_repos", "get_repo_uri", "isWriteable", "makeRepo"),
        *("datasetExists", "datasetExistsDirect", "exists", "exists_many", "stored", "stored_many"),
        *("find_dataset", "get_dataset", "get_dataset_type", "get_many_datasets"),
        *("get", "getDeferred", "getDirect", "getDirectDeferred", "getURI", "getURIs", "get_many"),
        *("getManyURIs", "get_many_uris"),
        *("export", "plot_sky", "validateConfiguration"),
        *("query", "query_all_datasets", "query_data_ids", "query_datasets", "query_dimension_records"),
        *("plan_retrieval", "retrieveArtifacts", "retrieve_artifacts"),
    },
    ButlerRegistry: {
        *("expandDataId", "findDataset", "getDataset", "isWriteable", "refresh", "watch"),
        *("getCollectionChain", "getCollectionDocumentation", "getCollectionParentChains"),
        *("getCollectionSummary", "getCollectionType", "getDatasetLocations", "getDatasetType"),
        *("queryCollections", "queryDataIds", "queryDatasetAssociations", "queryDatasetTypes"),
        *("queryDatasets", "queryDimensionRecords"),
    },
    ButlerCollections: {"count", "get_info", "index", "query", "query_info"},
    ButlerTrash: {"count", "entries"},
}
"""Every other method: of a repository it changes nothing, or (``makeRepo``) not one that is open."""


@pytest.mark.parametrize("kind", CHANGES)
def test_every_method_is_known_to_change_something_or_not(kind: type) -> None:
    methods = {name for name in dir(kind) if not name.startswith("_") and callable(getattr(kind, name))}
    assert methods == {*CHANGES[kind], *READS[kind]}, "say in this module what a new method does"
    assert not READS[kind].intersection(CHANGES[kind])


def test_a_read_only_butler_refuses_every_change_before_anything_happens(
    repository: Repository, tmp_path: Path
) -> None:
    # D75
    writer = repository.surveyed("run1")
    ref = writer.put({}, "note", instrument="Cam1", detector=1)
    writer.registry.registerCollection("tag", CollectionType.TAGGED)
    writer.registry.registerCollection("calib", CollectionType.CALIBRATION)
    writer.registry.registerCollection("chain", CollectionType.CHAINED)
    writer.registry.setCollectionChain("chain", ["run1"])
    file = tmp_path / "file.yaml"
    file.write_text("a: 1\n")
    before = repository.content()
    for reader in (repository.butler(collections="run1"), writer.clone(writeable=False)):
        for changes in CHANGES.values():
            for name, change in changes.items():
                with pytest.raises(
                    ReadOnlyError, match=r"^Butler is read-only\. Open it with writeable=True"
                ) as caught:
                    change(reader, ref, file)
                assert isinstance(caught.value, TypeError), name
                assert repository.content() == before, name
    assert file.read_text() == "a: 1\n"
