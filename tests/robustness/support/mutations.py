# SPDX-License-Identifier: BSD-3-Clause
"""Everything that changes a repository: how it is done, by which calls, and what is so afterwards."""

from __future__ import annotations

__all__ = ["MUTATIONS", "Case", "Mutation"]

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from butler import Butler, CollectionType, DatasetRef, DatasetType, FileDataset, Timespan

from .history import History, Outcome, Put
from .jobs import payload

_LARGE = 600_000
"""More than travels in a batch."""
_SPAN = Timespan.from_simple([1_000, 9_000])
_PART = Timespan.from_simple([3_000, 4_000])


@dataclass(slots=True)
class Case:
    """A place for one mutation.

    Attributes
    ----------
    name
        Begins the names of all that it makes.
    butler
        Its calls meet the fault.
    drop
        A directory from which the datastore takes files.
    """

    name: str
    butler: Butler
    drop: Path
    history: History = field(default_factory=History)
    made: dict[str, Any] = field(default_factory=dict)

    @property
    def run(self) -> str:
        return f"{self.name}-run"

    def blob(self) -> DatasetType:
        """Return the type of all datasets here."""
        return self.butler.registry.getDatasetType("blob")

    def put(self, *detectors: int, size: int = 64) -> list[DatasetRef]:
        """Put datasets together."""
        contents = {d: payload(f"{self.name}-{d}", size) for d in detectors}
        items = ((content, "blob", {"instrument": "Cam1", "detector": d}) for d, content in contents.items())
        refs = self.butler.put_many(items, run=self.run)
        self.history.puts.append(Put(self.run, contents, Outcome.DONE, tuple(r.id for r in refs if r.id)))
        return refs

    def file(self, name: str) -> Path:
        """Make a file to ingest."""
        path = self.drop / f"{self.name}-{name}.bin"
        path.write_bytes(payload(f"{self.name}-{name}"))
        return path


@dataclass(frozen=True, slots=True)
class Mutation:
    """A change.

    Attributes
    ----------
    prepare
        What must be there before, done without any fault.
    act
        The change; returns what its caller gets.
    calls
        Last names of the calls that it makes and that change something.
    expected
        What it returns, and what the repository then answers.
    """

    prepare: Callable[[Case], Any]
    act: Callable[[Case], Any]
    calls: tuple[str, ...]
    expected: Callable[[Case, Any], bool]


def _nothing(case: Case) -> None:
    case.butler.registry.registerRun(case.run)


def _stored(case: Case) -> None:
    _nothing(case)
    case.made["refs"] = case.put(1, 2, 3)


def _tagged(case: Case) -> None:
    _stored(case)
    case.butler.registry.registerCollection(f"{case.name}-tag", CollectionType.TAGGED)
    case.butler.registry.associate(f"{case.name}-tag", case.made["refs"][:1])


def _certified(case: Case) -> None:
    butler = case.butler
    _nothing(case)
    dataset_type = DatasetType(
        f"{case.name}_bias".replace("-", "_"),
        ("instrument", "detector"),
        "StructuredDataDict",
        universe=butler.dimensions,
        isCalibration=True,
    )
    butler.registry.registerDatasetType(dataset_type)
    case.made["type"] = dataset_type
    case.made["bias"] = butler.put({"a": 1}, dataset_type, run=case.run, instrument="Cam1", detector=1)
    butler.registry.registerCollection(f"{case.name}-calib", CollectionType.CALIBRATION)


def _valid(case: Case) -> None:
    _certified(case)
    case.butler.registry.certify(f"{case.name}-calib", [case.made["bias"]], _SPAN)


def _chain(case: Case) -> None:
    _nothing(case)
    case.butler.registry.registerCollection(f"{case.name}-chain", CollectionType.CHAINED)


def _in_tag(case: Case) -> int:
    found = case.butler.registry.queryDatasets("blob", collections=f"{case.name}-tag")
    return len(list(found))


def _ranges(case: Case) -> int:
    associations = case.butler.registry.queryDatasetAssociations(case.made["type"].name, f"{case.name}-calib")
    return len(list(associations))


def _ingested(case: Case, transfer: str | None) -> list[bool]:
    path = case.file("one")
    data_id = case.butler.registry.expandDataId(instrument="Cam1", detector=7)
    dataset = FileDataset(str(path), DatasetRef(case.blob(), data_id))
    case.butler.ingest(dataset, transfer=transfer, run=case.run)
    case.history.puts.append(Put(case.run, {7: payload(f"{case.name}-one")}, Outcome.DONE))
    return [path.exists()]


def _refs(case: Case) -> list[DatasetRef]:
    refs: list[DatasetRef] = case.made["refs"]
    return refs


def _trashed(case: Case) -> None:
    _stored(case)
    case.butler.pruneDatasets(_refs(case), purge=True, unstore=True, purge_after=3_600)


def _pruned(case: Case) -> int:
    """Purge three datasets; return how many artifacts went."""
    case.history.puts.clear()
    case.history.purged.update(ref.getCheckedId() for ref in _refs(case))
    return case.butler.pruneDatasets(_refs(case), purge=True, unstore=True).artifacts


def _run_removed(case: Case) -> int:
    case.history.puts.clear()
    case.history.purged.update(ref.getCheckedId() for ref in _refs(case))
    return case.butler.removeRuns(case.run).artifacts


MUTATIONS: dict[str, Mutation] = {
    "purge": Mutation(
        _stored,
        _pruned,
        ("PruneDatasets", "EmptyTrash"),
        lambda case, result: result == 3 and not any(case.butler.trash.count(datasets=_refs(case)).values()),
    ),
    "remove a run": Mutation(
        _stored,
        _run_removed,
        ("RemoveRun", "EmptyTrash"),
        lambda case, result: result == 3 and case.run not in case.butler.registry.queryCollections(),
    ),
    "undelete": Mutation(
        _trashed,
        lambda case: case.butler.trash.undelete(datasets=_refs(case)),
        ("Undelete",),
        lambda case, result: result == 3 and case.butler.get(_refs(case)[0]) is not None,
    ),
    "register a run": Mutation(
        lambda case: None,
        lambda case: case.butler.registry.registerRun(case.run),
        ("RegisterCollection",),
        lambda case, result: case.run in case.butler.registry.queryCollections(case.run),
    ),
    "remove a collection": Mutation(
        _tagged,
        lambda case: case.butler.registry.removeCollection(f"{case.name}-tag"),
        ("RemoveCollection",),
        lambda case, result: not case.butler.registry.queryCollections(f"{case.name}-tag*"),
    ),
    "describe a collection": Mutation(
        _nothing,
        lambda case: case.butler.registry.setCollectionDocumentation(case.run, "described"),
        ("SetCollectionDoc",),
        lambda case, result: case.butler.registry.getCollectionDocumentation(case.run) == "described",
    ),
    "edit a chain": Mutation(
        _chain,
        lambda case: case.butler.registry.setCollectionChain(f"{case.name}-chain", [case.run]),
        ("EditChain",),
        lambda case, result: case.butler.registry.getCollectionChain(f"{case.name}-chain") == (case.run,),
    ),
    "register a dataset type": Mutation(
        lambda case: None,
        lambda case: case.butler.registry.registerDatasetType(
            DatasetType(case.name, ("instrument",), "StructuredDataDict", universe=case.butler.dimensions)
        ),
        ("RegisterDatasetType",),
        lambda case, result: case.butler.registry.getDatasetType(case.name).name == case.name,
    ),
    "remove a dataset type": Mutation(
        lambda case: case.butler.registry.registerDatasetType(
            DatasetType(case.name, ("instrument",), "StructuredDataDict", universe=case.butler.dimensions)
        ),
        lambda case: case.butler.registry.removeDatasetType(case.name),
        ("RemoveDatasetTypes",),
        lambda case, result: not list(case.butler.registry.queryDatasetTypes(case.name)),
    ),
    "insert records": Mutation(
        lambda case: None,
        lambda case: case.butler.registry.insertDimensionData("instrument", {"name": case.name}),
        ("InsertDimensionRecords",),
        lambda case, result: (
            case.butler.registry.expandDataId(instrument=case.name)["instrument"] == case.name
        ),
    ),
    "synchronise a record": Mutation(
        lambda case: None,
        lambda case: case.butler.registry.syncDimensionData("instrument", {"name": case.name}),
        ("SyncDimensionRecord",),
        lambda case, result: (
            case.butler.registry.expandDataId(instrument=case.name)["instrument"] == case.name
        ),
    ),
    "put one": Mutation(
        _nothing,
        lambda case: len(case.put(1)),
        ("BeginPut", "WriteBatch", "CommitPut"),
        lambda case, result: result == 1,
    ),
    "put many": Mutation(
        _nothing,
        lambda case: len(case.put(1, 2, 3, 4)),
        ("BeginPut", "WriteBatch", "CommitPut"),
        lambda case, result: result == 4,
    ),
    "put a large one": Mutation(
        _nothing,
        lambda case: len(case.put(1, size=_LARGE)),
        ("BeginPut", "Write", "CommitPut"),
        lambda case, result: result == 1,
    ),
    "ingest a copy": Mutation(
        _nothing,
        lambda case: _ingested(case, "copy"),
        ("BeginPut", "Ingest", "CommitPut"),
        lambda case, result: result == [True],
    ),
    "ingest by moving": Mutation(
        _nothing,
        lambda case: _ingested(case, "move"),
        ("BeginPut", "Ingest", "CommitPut", "FinishMoves"),
        lambda case, result: result == [False],
    ),
    "ingest in place": Mutation(
        _nothing,
        lambda case: _ingested(case, "direct"),
        ("BeginPut", "Adopt", "CommitPut"),
        lambda case, result: result == [True],
    ),
    "tag": Mutation(
        _tagged,
        lambda case: case.butler.registry.associate(f"{case.name}-tag", case.made["refs"]),
        ("Associate",),
        lambda case, result: _in_tag(case) == 3,
    ),
    "untag": Mutation(
        _tagged,
        lambda case: case.butler.registry.disassociate(f"{case.name}-tag", case.made["refs"]),
        ("Disassociate",),
        lambda case, result: _in_tag(case) == 0,
    ),
    "certify": Mutation(
        _certified,
        lambda case: case.butler.registry.certify(f"{case.name}-calib", [case.made["bias"]], _SPAN),
        ("Certify",),
        lambda case, result: _ranges(case) == 1,
    ),
    "decertify": Mutation(
        _valid,
        lambda case: case.butler.registry.decertify(f"{case.name}-calib", case.made["type"], _PART),
        ("Decertify",),
        lambda case, result: _ranges(case) == 2,
    ),
}
