# SPDX-License-Identifier: BSD-3-Clause
"""What a client process does in a test: steps, of which it writes down each when it begins and when it is done.

A step is a mapping with ``do``, the name of one of the functions below, and their arguments. The journal has a line
``{"step": i, "begun": true}`` and then ``{"step": i, "done": result}`` or ``{"step": i, "failed": class, …}``; the
operating system keeps it when the process is killed.
"""

from __future__ import annotations

__all__ = ["STEPS", "payload", "run"]

import hashlib
import io
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from butler import Butler, DatasetRef, DatasetType, FileDataset
from butler_model.artifact import ArtifactLayout
from butler_model.dataset import new_dataset_id
from butler_model.errors import ButlerError

BLOB = "blob"


def payload(token: str, size: int = 64) -> bytes:
    """Return bytes that tell who wrote them."""
    return hashlib.shake_128(token.encode()).digest(size)


def run(program: str, argument: Mapping[str, Any]) -> None:
    """Go through steps; those of different ``lane`` at the same time."""
    journal = os.open(argument["journal"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    lanes: dict[int, list[tuple[int, dict[str, Any]]]] = {}
    for number, step in enumerate(argument["steps"]):
        arguments = dict(step)
        lanes.setdefault(arguments.pop("lane", 0), []).append((number, arguments))
    with Butler(argument["address"], writeable=True) as butler:
        if len(lanes) == 1:
            _go_through(butler, next(iter(lanes.values())), journal)
            return
        with ThreadPoolExecutor(len(lanes)) as pool:
            for done in [pool.submit(_go_through, butler, steps, journal) for steps in lanes.values()]:
                done.result()


def _go_through(butler: Butler, steps: Sequence[tuple[int, dict[str, Any]]], journal: int) -> None:
    for number, step in steps:
        arguments = dict(step)
        name = arguments.pop("do")
        _note(journal, step=number, begun=True)
        try:
            _note(journal, step=number, done=STEPS[name](butler, **arguments))
        except (ButlerError, OSError) as error:
            _note(journal, step=number, failed=type(error).__name__, message=str(error))


def _note(journal: int, **entry: Any) -> None:
    os.write(journal, json.dumps({**entry, "time": time.monotonic()}).encode() + b"\n")


def _put(butler: Butler, run: str, detector: int, token: str, size: int) -> list[str]:
    ref = butler.put(payload(token, size), BLOB, run=run, instrument="Cam1", detector=detector)
    return [str(ref.id)]


@dataclass(frozen=True, slots=True)
class _Overtaken:
    """The bytes of a dataset; while they are read, another put of its data ID is done."""

    layout: ArtifactLayout
    content: bytes
    meanwhile: Callable[[], Any]

    @property
    def size(self) -> int:
        return len(self.content)

    def chunks(self, size: int) -> Iterator[bytes]:
        self.meanwhile()
        yield self.content


@dataclass(frozen=True, slots=True)
class _OvertakenDataset:
    dataset_type: DatasetType
    data_id: Mapping[str, Any]
    id: UUID
    artifacts: tuple[_Overtaken, ...]


def _put_overtaken(butler: Butler, run: str, detector: int, token: str, size: int) -> None:
    """Begin a put; while its bytes are written, another one is first, so it is refused when it commits."""
    data_id = {"instrument": "Cam1", "detector": detector}

    def meanwhile() -> None:
        butler.put(payload(f"{token}-first", size), BLOB, data_id, run=run)

    content = _Overtaken(ArtifactLayout("bytes", ".bin", "Bytes"), payload(token, size), meanwhile)
    blob = butler.registry.getDatasetType(BLOB)
    butler._put_protocol.put(run, [_OvertakenDataset(blob, data_id, new_dataset_id(), (content,))])


def _put_many(butler: Butler, run: str, detectors: list[int], token: str, size: int) -> list[str]:
    items = (
        (payload(f"{token}-{detector}", size), BLOB, {"instrument": "Cam1", "detector": detector})
        for detector in detectors
    )
    return [str(ref.id) for ref in butler.put_many(items, run=run)]


def _put_in_transaction(butler: Butler, run: str, detectors: list[int], token: str, size: int) -> list[str]:
    with butler.transaction():
        return [
            str(butler.put(payload(f"{token}-{d}", size), BLOB, run=run, instrument="Cam1", detector=d).id)
            for d in detectors
        ]


def _ingest(
    butler: Butler, run: str, files: list[str], detectors: list[list[int]], transfer: str, tokens: list[str]
) -> list[str]:
    blob = butler.registry.getDatasetType(BLOB)
    for path, token in zip(files, tokens, strict=True):
        Path(path).write_bytes(payload(token))
    datasets = []
    for path, of_file in zip(files, detectors, strict=True):
        ids = [butler.registry.expandDataId(instrument="Cam1", detector=detector) for detector in of_file]
        datasets.append(FileDataset(path, [DatasetRef(blob, data_id) for data_id in ids]))
    butler.ingest(*datasets, transfer=transfer, run=run)
    return [str(ref.id) for dataset in datasets for ref in dataset.refs]


def _import(
    butler: Butler, folder: str, contents: dict[str, dict[str, str]], ids: dict[str, str]
) -> list[str]:
    """Import an export that has datasets of several runs: for each run the token of each detector."""
    lines = [
        "version: 1.0.2",
        "universe_version: 8",
        "data:",
        *(f"- {{type: run, name: {run}}}" for run in contents),
    ]
    for run, tokens in contents.items():
        lines.append(f"- type: dataset\n  dataset_type: {BLOB}\n  run: {run}\n  records:")
        for detector, token in tokens.items():
            path = f"{run}-{detector}.bin"
            Path(folder, path).write_bytes(payload(token))
            data_id = f"data_id: [{{instrument: Cam1, detector: {detector}}}]"
            lines.append(
                f"  - {{dataset_id: [!uuid '{ids[token]}'], {data_id}, path: {path}, formatter: BytesFormatter}}"
            )
    text = "\n".join(lines)
    butler.import_(filename=io.StringIO(text), directory=folder, transfer="copy")
    return list(ids.values())


def _prune(
    butler: Butler, ids: list[str], purge: bool = True, tags: Sequence[str] = (), purge_after: int = 0
) -> None:
    found = butler._connection.registry.datasets.get([UUID(each) for each in ids])
    refs = [each.ref for each in found if each is not None]
    disassociate = purge or bool(tags)
    butler.pruneDatasets(
        refs, disassociate=disassociate, unstore=True, purge=purge, tags=tags, purge_after=purge_after
    )


def _remove_runs(butler: Butler, names: list[str]) -> None:
    there = butler.registry.queryCollections()
    butler.removeRuns([name for name in names if name in there], unlink_from_chains=True)


def _empty_trash(butler: Butler) -> int:
    progress = butler.trash.empty()
    return progress.deleted + progress.kept


def _reap(butler: Butler) -> int:
    return butler._connection.datastore.housekeeping.reap(butler._connection.info.name)


def _export(butler: Butler, directory: str, run: str) -> None:
    with butler.export(directory=directory, filename="export.yaml", transfer="copy") as export:
        export.saveDatasets(butler.registry.queryDatasets(BLOB, collections=run))


def _meet(butler: Butler, file: str) -> None:
    """Wait until a file is there."""
    while not os.path.exists(file):
        time.sleep(0.005)


STEPS: dict[str, Callable[..., Any]] = {
    "put": _put,
    "put_many": _put_many,
    "put_in_transaction": _put_in_transaction,
    "put_overtaken": _put_overtaken,
    "ingest": _ingest,
    "import": _import,
    "prune": _prune,
    "remove_runs": _remove_runs,
    "empty_trash": _empty_trash,
    "reap": _reap,
    "export": _export,
    "meet": _meet,
}
"""What can be done, by name."""
