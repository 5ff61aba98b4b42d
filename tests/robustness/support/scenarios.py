# SPDX-License-Identifier: BSD-3-Clause
"""What is under way when a process is killed: what was there before, and the steps of the client."""

from __future__ import annotations

__all__ = ["POINTS", "PURGE_POINTS", "Plan", "Scenario", "transact"]

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias
from uuid import uuid4

from butler import CollectionType, DatasetRef, FileDataset

from .deployments import Deployment
from .history import History, Outcome, Put
from .jobs import payload

_LARGE = 2_500_000
"""Three chunks, so that it has a middle."""
_PARTS = 65 * 1024 * 1024
"""More than S3 takes in one request."""


@dataclass(slots=True)
class Plan:
    """What the client of a case does, and what was done before; the file that it exports, if it does."""

    steps: list[dict[str, Any]]
    history: History = field(default_factory=History)
    exported: Path | None = None


Scenario: TypeAlias = Callable[[Deployment, str], Plan]
"""Prepares a case in a run that is there; its name begins the names of all else."""


def single(deployment: Deployment, run: str) -> Plan:
    return Plan([{"do": "put", "run": run, "detector": 1, "token": run, "size": 64}])


def many(deployment: Deployment, run: str) -> Plan:
    return Plan([{"do": "put_many", "run": run, "detectors": [1, 2, 3], "token": run, "size": 64}])


def large(deployment: Deployment, run: str) -> Plan:
    return Plan([{"do": "put", "run": run, "detector": 1, "token": run, "size": _LARGE}])


def in_parts(deployment: Deployment, run: str) -> Plan:
    size = _PARTS if deployment.kind.store == "s3" else _LARGE
    return Plan([{"do": "put", "run": run, "detector": 1, "token": run, "size": size}])


def refused(deployment: Deployment, run: str) -> Plan:
    """Put what somebody else puts first; it is refused when it commits."""
    return Plan([{"do": "put_overtaken", "run": run, "detector": 1, "token": run, "size": 64}])


def transact(deployment: Deployment, run: str) -> Plan:
    step = {"do": "put_in_transaction", "run": run, "detectors": [1, 2], "token": run, "size": 64}
    return Plan([step])


def reap(deployment: Deployment, run: str) -> Plan:
    """Reap an ingest whose client died when its files were in the store, and whose lease has ended."""
    broken = ingest(deployment, run)
    job = deployment.job(broken.steps, f"{run}-broken", failpoints="ingest.before_registration@1=kill")
    job.process.wait(60)
    broken.history.add(broken.steps, job.entries())
    deployment.rows.execute("UPDATE put_intent SET lease_expires_nsec = 0")
    return Plan([{"do": "reap"}], broken.history)


def export(deployment: Deployment, run: str) -> Plan:
    folder = deployment.folder / f"{run}-exported"
    steps = [{"do": "export", "directory": str(folder), "run": run}]
    return Plan(steps, stored(deployment, run), folder / "export.yaml")


def ingest(deployment: Deployment, run: str) -> Plan:
    files = [str(deployment.drop / f"{run}-{number}.bin") for number in range(2)]
    tokens = [f"{run}-{number}" for number in range(2)]
    # The first file is that of two datasets.
    step = {"do": "ingest", "run": run, "files": files, "detectors": [[1, 2], [3]], "transfer": "copy"}
    return Plan([{**step, "tokens": tokens}])


def import_(deployment: Deployment, run: str) -> Plan:
    folder = deployment.folder / f"{run}-export"
    folder.mkdir()
    contents = {f"{run}{part}": {"1": f"{run}{part}1", "2": f"{run}{part}2"} for part in "ab"}
    ids = {token: str(uuid4()) for tokens in contents.values() for token in tokens.values()}
    return Plan([{"do": "import", "folder": str(folder), "contents": contents, "ids": ids}])


def import_twice(deployment: Deployment, run: str) -> Plan:
    return Plan(import_(deployment, run).steps * 2)


def stored(deployment: Deployment, run: str) -> History:
    """Put three datasets together, and two that share a file."""
    history = History()
    with deployment.butler() as butler:
        contents = {d: payload(f"{run}-{d}") for d in (1, 2, 3)}
        items = ((content, "blob", {"instrument": "Cam1", "detector": d}) for d, content in contents.items())
        refs = butler.put_many(items, run=run)
        history.puts.append(Put(run, contents, Outcome.DONE, tuple(ref.getCheckedId() for ref in refs)))
        file = deployment.drop / f"{run}-shared.bin"
        file.write_bytes(payload(f"{run}-shared"))
        blob = butler.registry.getDatasetType("blob")
        data_ids = [butler.registry.expandDataId(instrument="Cam1", detector=d) for d in (4, 5)]
        shared = FileDataset(str(file), [DatasetRef(blob, data_id) for data_id in data_ids])
        butler.ingest(shared, transfer="copy", run=run)
        for ref, detector in zip(shared.refs, (4, 5), strict=True):
            content = {detector: payload(f"{run}-shared")}
            history.puts.append(Put(run, content, Outcome.DONE, (ref.getCheckedId(),)))
    return history


def _ids(history: History, *puts: int) -> list[str]:
    return [str(each) for number in puts for each in history.puts[number].ids]


def prune(deployment: Deployment, run: str) -> Plan:
    """Purge three datasets; then one of the two that share a file."""
    history = stored(deployment, run)
    steps = [{"do": "prune", "ids": _ids(history, 0)}, {"do": "prune", "ids": _ids(history, 1)}]
    return Plan(steps, history)


def unstore(deployment: Deployment, run: str) -> Plan:
    """Give up the artifacts of three datasets, and take them out of a tag."""
    history = stored(deployment, run)
    tag = f"{run}-tag"
    with deployment.butler() as butler:
        butler.registry.registerCollection(tag, CollectionType.TAGGED)
        found = butler._connection.registry.datasets.get(history.puts[0].ids)
        butler.registry.associate(tag, [each.ref for each in found if each is not None])
    return Plan([{"do": "prune", "ids": _ids(history, 0), "purge": False, "tags": [tag]}], history)


def remove_run(deployment: Deployment, run: str) -> Plan:
    """Remove a run that is in a chain."""
    history = stored(deployment, run)
    with deployment.butler() as butler:
        butler.registry.registerCollection(f"{run}-chain", CollectionType.CHAINED)
        butler.registry.setCollectionChain(f"{run}-chain", [run])
    return Plan([{"do": "remove_runs", "names": [run]}], history)


def empty_trash(deployment: Deployment, run: str) -> Plan:
    """Empty the trash of three datasets, and of one of two that share a file."""
    history = stored(deployment, run)
    removed = [{"do": "prune", "ids": _ids(history, number), "purge_after": 60} for number in (0, 1)]
    job = deployment.job(removed, f"{run}-removed")
    job.process.wait(60)
    history.add(removed, job.entries())
    deployment.rows.execute("UPDATE artifact_trash SET due_nsec = 0")
    return Plan([{"do": "empty_trash"}], history)


def take_over(deployment: Deployment, run: str) -> Plan:
    """Empty trash that somebody claimed whose lease has ended."""
    plan = empty_trash(deployment, run)
    deployment.rows.execute("UPDATE artifact_trash SET state = 2, claim_id = ?, attempts = 1", (uuid4(),))
    return plan


PURGE_POINTS: Mapping[str, tuple[tuple[str, Scenario], ...]] = {
    "empty_trash.before_claim": (("datastore", empty_trash),),
    "empty_trash.after_claim_commit": (("datastore", empty_trash),),
    "empty_trash.before_first_delete": (("datastore", empty_trash),),
    "empty_trash.after_k_deletes": (("datastore", empty_trash),),
    "empty_trash.after_last_delete_before_confirm_txn": (("datastore", empty_trash),),
    "empty_trash.in_confirm_after_shared_check": (("registry", empty_trash),),
    "empty_trash.in_confirm_after_rows": (("registry", empty_trash),),
    "empty_trash.before_commit": (("registry", empty_trash),),
    "empty_trash.after_commit": (("registry", empty_trash),),
    "empty_trash.lease_expired_while_deleting": (("datastore", empty_trash),),
    "empty_trash.second_worker_takes_over": (("registry", take_over),),
    "empty_trash.delete_error_permission": (("datastore", empty_trash),),
    "empty_trash.delete_error_503": (("datastore", empty_trash),),
    "empty_trash.delete_error_timeout_but_deleted": (("datastore", empty_trash),),
}

POINTS: Mapping[str, tuple[tuple[str, Scenario], ...]] = {
    "put.begin_before_commit": (("registry", many),),
    "put.begin_after_commit_before_reply": (("registry", single),),
    "put.upload_0": (("client", many), ("datastore", many)),
    "put.upload_half": (("client", large), ("datastore", large)),
    "put.upload_all_before_fsync": (("datastore", single),),
    "put.after_fsync_before_rename": (("datastore", in_parts),),
    "put.after_rename_before_dirsync": (("datastore", many),),
    "put.datastore_ack_before_reply": (("datastore", large),),
    "put.commit_before_txn": (("registry", single),),
    "put.in_txn_after_dataset": (("registry", many),),
    "put.in_txn_after_tags": (("registry", many),),
    "put.in_txn_after_records": (("registry", many),),
    "put.before_commit": (("registry", many),),
    "put.after_commit_before_reply": (("registry", single), ("registry", many)),
    "put.client_before_cleanup": (("client", refused),),
    "prune.before_txn": (("registry", prune),),
    "prune.after_select_refs": (("registry", prune),),
    "prune.after_move_to_trash": (("registry", unstore),),
    "prune.after_disassociate": (("registry", unstore),),
    "prune.after_chain_edit": (("registry", remove_run),),
    "prune.before_commit": (("registry", remove_run),),
    "prune.after_commit_before_reply": (("registry", prune),),
    "prune.between_chunks": (("client", prune),),
    "prune.client_between_trash_and_empty": (("client", prune),),
    **PURGE_POINTS,
    "ingest.before_copy": (("datastore", ingest),),
    "ingest.between_files": (("datastore", ingest),),
    "ingest.after_copy": (("datastore", ingest),),
    "ingest.before_registration": (("client", ingest),),
    "ingest.after_registration": (("client", ingest),),
    "transact.before_commit": (("registry", transact),),
    "transact.after_commit_before_reply": (("registry", transact),),
    "reap.before_discard": (("datastore", reap),),
    "reap.after_discard_before_confirm": (("datastore", reap),),
    "export.before_rename": (("client", export),),
    "import.between_batches": (("client", import_),),
    "import.resume": (("client", import_twice),),
}
"""For each step, in which process it is reached and by doing what."""
