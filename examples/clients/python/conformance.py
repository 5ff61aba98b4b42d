# SPDX-License-Identifier: BSD-3-Clause
"""``conformance FILE ADDRESS``: does what a file of examples/conformance says, with bare stubs.

This is the reference: what the file means, in case of doubt, is what this does.
"""

from __future__ import annotations

__all__ = ["conform"]

import base64
import hashlib
import itertools
import json
import sys
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import google_crc32c
import grpc

from butler_api.v1.event_service_pb2 import DatasetEvent, DatasetEventKind
from butler_api.v1.query_service_pb2 import BindValue, QueryFilter
from butler_api.v1.values_pb2 import Value

from .client import Client, Placement, connect, problem_of

Answer = dict[str, Any]
Step = Mapping[str, Any]


def conform(client: Client, file: Path) -> None:
    """Do the steps of a file.

    Raises
    ------
    AssertionError
        If one gives something else than it is to.
    """
    saved: dict[str, str] = {}
    for raw in json.loads(file.read_text())["steps"]:
        text = json.dumps(raw)
        for name, value in saved.items():
            text = text.replace(f'"${name}"', f'"{value}"')
        step = json.loads(text)
        given = _outcome(client, step)
        assert _matches(_expected(step), given), f"{step['name']}: gave {given}, not {_expected(step)}"
        if "save" in step:
            saved[step["save"]] = given["to_save"]
        print("ok", step["name"], flush=True)


def _expected(step: Step) -> Answer:
    return {"error": step["expect_error"]} if "expect_error" in step else step["expect"]


def _outcome(client: Client, step: Step) -> Answer:
    try:
        return OPERATIONS[step["do"]](client, step["with"])
    except grpc.RpcError as error:
        problem = problem_of(error)
        if problem is None:
            raise
        code, reason, metadata = problem
        return {"error": {"code": code, "reason": reason, "metadata": metadata}}


def _matches(wanted: Any, given: Any) -> bool:
    """Tell whether what was given has all that is wanted: of objects only the members that are named."""
    match wanted, given:
        case dict(), dict():
            return all(name in given and _matches(value, given[name]) for name, value in wanted.items())
        case list(), list():
            return len(wanted) == len(given) and all(map(_matches, wanted, given))
        case _:
            return type(wanted) is type(given) and bool(wanted == given)


def _content(step: Step) -> bytes:
    content = str(step["content"]["text"]).encode()
    size = int(step["content"].get("size", len(content)))
    return (content * (size // max(len(content), 1) + 1))[:size]


def _checksum(client: Client, step: Step) -> Answer:
    return {"crc32c": google_crc32c.value(_content(step))}


def _position(client: Client, step: Step) -> Answer:
    return {"to_save": base64.b64encode(client.position()).decode()}


def _put(client: Client, step: Step) -> Answer:
    named = ("run", "dataset_type", "storage_class", "data_id", "formatter", "extension")
    dataset, receipt = client.put(Placement(**{name: step[name] for name in named}), _content(step))
    return {"size": receipt.size, "checksum": receipt.checksum, "to_save": str(dataset)}


def _find(client: Client, step: Step) -> Answer:
    found = client.find(step["dataset_type"], step["data_id"], step["collections"])
    if found is None:
        return {"id": None}
    return {"id": str(found.id), "run": found.run, "data_id": found.data_id, "size": found.record.size}


def _get(client: Client, step: Step) -> Answer:
    found = client.find(step["dataset_type"], step["data_id"], step["collections"])
    assert found is not None
    content = client.read(found, step.get("offset", 0), step.get("limit", 0))
    given: Answer = {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    return given | ({"text": content.decode()} if len(content) <= 1000 else {})


def _filter(step: Step) -> QueryFilter:
    made = QueryFilter(where=step["where"], order_by=step["order_by"])
    for name, value in step["bind"].items():
        kind = {int: "int_value", float: "float_value", str: "string_value"}[type(value)]
        made.bind[name].CopyFrom(BindValue(value=Value(**{kind: value})))
    return made


def _query_datasets(client: Client, step: Step) -> Answer:
    pages = list(
        client.query_datasets(step["dataset_type"], step["collections"], _filter(step), step["page_size"])
    )
    return {"pages": [len(page) for page in pages], "rows": list(itertools.chain(*pages))}


def _query_data_ids(client: Client, step: Step) -> Answer:
    pages = list(client.query_data_ids(step["dimensions"], _filter(step), step["page_size"]))
    return {"pages": [len(page) for page in pages], "rows": list(itertools.chain(*pages))}


def _prune(client: Client, step: Step) -> Answer:
    summary = client.prune([uuid.UUID(text) for text in step["ids"]])
    return {"datasets": dict(summary.datasets), "artifacts": summary.artifacts, "size": summary.size}


def _watch(client: Client, step: Step) -> Answer:
    events: list[Answer] = []
    for event in client.watch(base64.b64decode(step["from"]), step["dataset_types"]):
        # Each comes at least once, so it may come again.
        if (described := _described(event)) not in events[-1:]:
            events.append(described)
        if len(events) == step["events"]:
            break
    return {"events": events}


def _described(event: DatasetEvent) -> Answer:
    ids = [str(uuid.UUID(bytes=event.dataset_ids[i : i + 16])) for i in range(0, len(event.dataset_ids), 16)]
    kind = DatasetEventKind.Name(event.kind).removeprefix("DATASET_EVENT_KIND_")
    return {"kind": kind, "dataset_type": event.dataset_type, "run": event.run, "ids": ids}


OPERATIONS: Mapping[str, Callable[[Client, Step], Answer]] = {
    "checksum": _checksum,
    "position": _position,
    "put": _put,
    "find": _find,
    "get": _get,
    "query_datasets": _query_datasets,
    "query_data_ids": _query_data_ids,
    "prune": _prune,
    "watch": _watch,
}


def main() -> None:
    """Run the command line."""
    match sys.argv[1:]:
        case [file, address]:
            client = connect(address)
            conform(client, Path(file))
            client.close()
        case _:
            sys.exit("usage: python -m examples.clients.python.conformance FILE ADDRESS")


if __name__ == "__main__":
    main()
