# SPDX-License-Identifier: BSD-3-Clause
"""What is measured: the operations, at which sizes, between which sides, and what ratios the project wants."""

from __future__ import annotations

__all__ = ["PAIRS", "PLAN", "SIZES", "Extent", "Pair", "Step"]

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Extent:
    """How much is measured.

    Attributes
    ----------
    filled, filled_s3
        Datasets of the repositories in directories, and of those in buckets.
    largest
        Largest number of items of a call.
    calls
        Largest number of calls in a round, of operations that are about one thing.
    rounds
        How often each side has its turn.
    clients
        Numbers of client processes.
    client_seconds
        How long they get datasets, in each round.
    """

    filled: int
    filled_s3: int
    largest: int
    calls: int
    rounds: int
    clients: tuple[int, ...]
    client_seconds: float


SIZES = {
    "small": Extent(1_000, 200, 100, 20, 2, (1, 4), 1.0),
    "medium": Extent(10_000, 1_000, 10_000, 100, 5, (1, 8, 32), 2.0),
}


@dataclass(frozen=True, slots=True)
class Pair:
    """Two sides that are compared.

    Attributes
    ----------
    targets
        The ratio theirs / ours that the project wants for an operation; for others, that ours is not slower.
    operations
        Which operations this is about; all if empty.
    """

    name: str
    title: str
    theirs: str
    ours: str
    targets: dict[str, float]
    operations: tuple[str, ...] = ()


_LISTS = ("list_all", "list_run", "list_chain")

PAIRS = (
    Pair(
        "grpc",
        "over gRPC on PostgreSQL / theirs in process on PostgreSQL",
        "theirs-postgresql",
        "ours-grpc",
        {
            **dict.fromkeys(("get", "find", "exists", "get_by_ref", "select", *_LISTS), 4.0),
            **dict.fromkeys(("associate", "certify", "prune_and_return"), 5.0),
            **dict.fromkeys(("ingest_direct", "register"), 6.0),
            "open_repository": 3.0,
            "put": 2.5,
            "put_many": 15.0,
            "prune": 1.3,
        },
    ),
    Pair(
        "sqlite",
        "embedded on SQLite / theirs in process on SQLite",
        "theirs-sqlite",
        "ours-sqlite",
        {
            **dict.fromkeys(("get", "select", "ingest_direct", "register", "open_repository", *_LISTS), 4.0),
            **dict.fromkeys(("find", "exists", "prune_and_return"), 5.0),
            **dict.fromkeys(("associate", "certify", "put"), 3.0),
            **dict.fromkeys(("get_by_ref", "list_data_ids"), 2.0),
            "put_many": 15.0,
            "prune": 1.3,
        },
    ),
    Pair(
        "embedded",
        "embedded on PostgreSQL / theirs in process on PostgreSQL",
        "theirs-postgresql",
        "ours-postgresql",
        {},
    ),
    Pair(
        "s3",
        "over gRPC with a bucket / theirs in process with a bucket",
        "theirs-s3",
        "ours-s3",
        {"get": 6.0, "put": 4.0},
        ("get", "get_by_ref", "put"),
    ),
    Pair(
        "remote",
        "over gRPC with a bucket / their remote server with a bucket",
        "theirs-remote",
        "ours-s3",
        {"get": 15.0, "list_run": 20.0},
        ("get", "find", "list_run", "select"),
    ),
)


@dataclass(frozen=True, slots=True)
class Step:
    """An operation and the numbers of items at which it is measured.

    Attributes
    ----------
    is_bulk
        Whether the items are of one call, rather than so many calls.
    rows
        Whether the items are the rows of the answer.
    """

    operation: str
    title: str
    sizes: tuple[int, ...]
    is_bulk: bool = False
    rows: bool = False

    def sizes_within(self, extent: Extent) -> list[int]:
        """Return the numbers of items that an extent allows."""
        return sorted({min(size, extent.largest if self.is_bulk else extent.calls) for size in self.sizes})


PLAN = (
    Step("open_repository", "open a repository", (10,)),
    Step("get", "get by data ID (1 kB)", (100,)),
    Step("get_by_ref", "get by ref", (100,)),
    Step("get_many", "get many", (1_000,), is_bulk=True),
    Step("get_deferred", "getDeferred, get", (100,)),
    Step("exists", "exists", (100,)),
    Step("stored_many", "stored_many", (1_000,), is_bulk=True),
    Step("find", "find", (100,)),
    Step("expand", "expand a data ID", (100,)),
    Step("list_all", "list all", (10_000,), is_bulk=True, rows=True),
    Step("list_run", "list a run", (100, 1_000, 10_000), is_bulk=True, rows=True),
    Step("list_chain", "list a chain, find first", (10_000,), is_bulk=True, rows=True),
    Step("list_data_ids", "list exposures x detectors", (10_000,), is_bulk=True, rows=True),
    Step("select", "selective query", (20,)),
    Step("count", "count", (20,)),
    Step("insert_records", "insert dimension records", (1_000, 10_000), is_bulk=True),
    Step("register", "register in bulk", (1_000, 10_000), is_bulk=True),
    Step("associate", "associate", (1_000, 10_000), is_bulk=True),
    Step("certify", "certify", (1_000, 10_000), is_bulk=True),
    Step("decertify", "decertify", (1_000,), is_bulk=True),
    Step("put", "put (1 kB)", (100,)),
    Step("put_many", "put many", (100, 1_000), is_bulk=True),
    Step("ingest_direct", "ingest, direct", (1_000, 10_000), is_bulk=True),
    Step("ingest_copy", "ingest, copy", (1_000,), is_bulk=True),
    Step("prune", "prune, until files are gone", (1_000,), is_bulk=True),
    Step("prune_and_return", "prune, until the call returns", (1_000,), is_bulk=True),
    Step("remove_runs", "removeRuns", (1_000,), is_bulk=True),
    Step("empty_trash", "empty the trash", (1_000,), is_bulk=True),
    Step("export", "export, copy", (1_000,), is_bulk=True),
    Step("import_", "import, copy", (1_000,), is_bulk=True),
    Step("transfer_from", "transfer_from, copy", (1_000,), is_bulk=True),
)
