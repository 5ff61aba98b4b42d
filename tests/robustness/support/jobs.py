# SPDX-License-Identifier: BSD-3-Clause
"""What a client process does in a test: steps, of which it writes down each when it begins and when it is done.

A step is a mapping with ``do``, the name of one of the functions below, and their arguments. The journal has a line
``{"step": i, "begun": true}`` and then ``{"step": i, "done": result}`` or ``{"step": i, "failed": class, …}``; the
operating system keeps it when the process is killed.
"""

from __future__ import annotations

__all__ = ["payload", "run"]

import hashlib
import io
import json
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from butler import Butler, DatasetRef, FileDataset
from butler_model.errors import ButlerError

BLOB = "blob"


def payload(token: str, size: int = 64) -> bytes:
    """Return bytes that tell who wrote them."""
    return hashlib.shake_128(token.encode()).digest(size)


def run(program: str, argument: Mapping[str, Any]) -> None:
    """Go through steps."""
    journal = os.open(argument["journal"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)

    def note(**entry: Any) -> None:
        os.write(journal, json.dumps({**entry, "time": time.monotonic()}).encode() + b"\n")

    with Butler(argument["address"], writeable=True) as butler:
        for number, step in enumerate(argument["steps"]):
            arguments = dict(step)
            name = arguments.pop("do")
            note(step=number, begun=True)
            try:
                note(step=number, done=_STEPS[name](butler, **arguments))
            except (ButlerError, OSError) as error:
                note(step=number, failed=type(error).__name__, message=str(error))


def _put(butler: Butler, run: str, detector: int, token: str, size: int) -> list[str]:
    ref = butler.put(payload(token, size), BLOB, run=run, instrument="Cam1", detector=detector)
    return [str(ref.id)]


def _put_many(butler: Butler, run: str, detectors: list[int], token: str, size: int) -> list[str]:
    items = (
        (payload(f"{token}-{detector}", size), BLOB, {"instrument": "Cam1", "detector": detector})
        for detector in detectors
    )
    return [str(ref.id) for ref in butler.put_many(items, run=run)]


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


def _run(butler: Butler, name: str) -> None:
    butler.registry.registerRun(name)


_STEPS: dict[str, Callable[..., Any]] = {
    "put": _put,
    "put_many": _put_many,
    "ingest": _ingest,
    "import": _import,
    "run": _run,
}
