# SPDX-License-Identifier: BSD-3-Clause
"""What a client does with services of another version, and what it sees; a program, since it is run by either version.

``python -m tests.support.skewed_client work ADDRESS`` makes a repository and does everything that most programs do;
``look`` tells what is there. Both print what they saw as JSON. It uses only what the older version has, too.
"""

from __future__ import annotations

__all__ = ["look", "work"]

import hashlib
import json
import sys
from collections.abc import Mapping
from typing import Any

import butler
from butler import Butler, CollectionType, DatasetType, errors
from tests.support.survey import insert_survey

RUN = "skew/run"
LARGE = b"0123456789abcdef" * 200_000
"""More than goes in one message."""


def work(address: str) -> Mapping[str, Any]:
    """Make a repository; put, get, query, give up and prune; return what was seen."""
    Butler.makeRepo(address)
    with Butler(address, run=RUN) as repository:
        insert_survey(repository)
        for name, storage_class in (("note", "StructuredDataDict"), ("blob", "Bytes")):
            repository.registry.registerDatasetType(
                DatasetType(name, ("instrument", "detector"), storage_class, universe=repository.dimensions)
            )
        repository.put_many(
            [({"n": n}, "note", {"instrument": "Cam1", "detector": n}) for n in (1, 2, 3)], run=RUN
        )
        last = repository.put({"n": 4}, "note", instrument="Cam1", detector=4)
        repository.put(LARGE, "blob", instrument="Cam1", detector=1)
        repository.registry.registerCollection("skew/chain", CollectionType.CHAINED)
        repository.registry.setCollectionChain("skew/chain", [RUN])
        seen: dict[str, Any] = {
            "refused": _refusal(repository),
            "given up": _given_up(repository),
        }
        seen["before"] = look(address)
        repository.pruneDatasets([last], disassociate=True, unstore=True, purge=True)
        seen["after"] = look(address)
    return seen


def _refusal(repository: Butler) -> str | None:
    try:
        repository.put({"n": 5}, "note", instrument="Cam1", detector=1)
    except errors.ConflictingDefinitionError as error:
        return type(error).__name__
    return None


def _given_up(repository: Butler) -> list[int]:
    """Return which blobs there are after a transaction that put another was rolled back."""
    try:
        with repository.transaction():
            repository.put(b"a blob", "blob", instrument="Cam1", detector=2)
            raise KeyError("a reason of its own")
    except KeyError:
        return sorted(int(ref.dataId["detector"]) for ref in repository.registry.queryDatasets("blob"))


def look(address: str) -> Mapping[str, Any]:
    """Return what is there, by queries and by gets."""
    with Butler(address, collections=["skew/chain"]) as repository:
        refs = list(
            repository.registry.queryDatasets(
                "note", where="instrument = 'Cam1' AND detector > least", bind={"least": 1}
            )
        )
        large = repository.get("blob", instrument="Cam1", detector=1)
        return {
            "notes": sorted((ref.dataId["detector"], repository.get(ref)["n"]) for ref in refs),
            "by name": repository.get("note", instrument="Cam1", full_name="Ab"),
            "large": hashlib.sha256(large).hexdigest(),
            "visits": sorted(
                (data_id["visit"], data_id["band"])
                for data_id in repository.registry.queryDataIds(["visit", "band"], instrument="Cam1")
            ),
            "collections": sorted(repository.registry.queryCollections()),
        }


def main() -> None:
    """Run the command line."""
    command, address = sys.argv[1:]
    seen = {"work": work, "look": look}[command](address)
    json.dump({"butler": butler.__file__, "seen": seen}, sys.stdout)


if __name__ == "__main__":
    main()
