# SPDX-License-Identifier: BSD-3-Clause
"""A repository with a registry and a datastore of any kind, whose housekeeping is to be looked at."""

from __future__ import annotations

__all__ = ["Household", "household", "undeletable"]

import os
import subprocess
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any
from uuid import UUID

import pytest

from butler_datastore.application import DatastoreApplication
from butler_datastore.store_tables import store_config
from butler_model.grants import TokenSigner
from butler_model.ports import Finding, Housekeeping, PutIntent
from butler_model.trash import PurgeProgress, TrashSelection
from butler_model.universe import DimensionUniverse
from butler_registry.application import RegistryApplication

from .registries import LIMITS, RegistrySetup, insert_camera
from .trashing import Rows, open_rows

RUN = "run1"


@dataclass(frozen=True, slots=True)
class Household:
    """A registry with a camera and the dataset type ``note``, and a datastore that keeps its house.

    Attributes
    ----------
    registry
        What the datastore is told by.
    """

    setup: RegistrySetup
    registry: RegistryApplication
    datastore: DatastoreApplication
    rows: Rows

    @property
    def housekeeping(self) -> Housekeeping:
        """The housekeeping of the datastore."""
        return self.datastore.housekeeping

    def begin(self, *detectors: int, run: str = RUN) -> list[PutIntent]:
        """Begin a put of notes."""
        data_ids = [{"instrument": "Cam1", "detector": detector} for detector in detectors]
        return self.setup.begin("note", run, data_ids)

    def write(self, intents: list[PutIntent], content: bytes = b"a note") -> list[bytes]:
        """Write the artifacts of a put; return the receipts."""
        grants = [grant.token for intent in intents for grant in intent.grants]
        return [receipt.token for receipt in self.datastore.write_batch([(g, content) for g in grants])]

    def put(self, *detectors: int, run: str = RUN, content: bytes = b"a note") -> list[UUID]:
        """Put notes; return the ids."""
        intents = self.begin(*detectors, run=run)
        self.setup.commit(intents, self.write(intents, content))
        return [intent.dataset_id for intent in intents]

    def key(self, dataset_id: UUID) -> str:
        """Return the key of a dataset's artifact, live or in the trash."""
        tables = self.rows.tables
        rows = [*self.rows.all(tables.artifact_record), *self.rows.all(tables.artifact_trash)]
        return next(str(row.key) for row in rows if row.dataset_id == dataset_id)

    def has(self, key: str) -> bool:
        """Return whether there is an artifact under a key."""
        return self.datastore.stores.get("main", self.setup.repository, key).size(key) is not None

    def remove(self, key: str) -> None:
        """Remove an artifact behind everybody's back."""
        self.datastore.stores.get("main", self.setup.repository, key).delete(key)

    def plant(self, key: str, content: bytes = b"dark") -> None:
        """Write an artifact that nobody knows of."""
        self.datastore.stores.get("main", self.setup.repository, key).write(key, [content], 2**40)

    def empty(self, *trash_ids: UUID, dry_run: bool = False) -> PurgeProgress:
        """Empty the trash; return how it ended."""
        steps = self.housekeeping.empty_trash(
            self.setup.repository, TrashSelection(trash_ids), dry_run=dry_run
        )
        return list(steps)[-1]

    def fsck(self, *, checksums: bool = False, repair: bool = False) -> list[Finding]:
        """Inspect the stores; return what was found."""
        steps = self.housekeeping.fsck(self.setup.repository, checksums=checksums, repair=repair)
        return [finding for step in steps for finding in step.findings]


@contextmanager
def household(
    database: str,
    settings: dict[str, Any],
    *,
    guard_seconds: int = 0,
    ingest_roots: tuple[str, ...] = (),
    others: Mapping[str, dict[str, Any]] = MappingProxyType({}),
) -> Iterator[Household]:
    """Give a fresh household.

    Parameters
    ----------
    database
        As a `RegistryApplication` is given it.
    settings
        What an operator says of the store ``main``.
    others
        The same of other stores, in which nothing is put.
    """
    signer = TokenSigner([b"a key for the tests of housekeeping"])
    registry = RegistryApplication(database, signer, limits=LIMITS)
    datastore = DatastoreApplication(
        {name: store_config(each) for name, each in {"main": settings, **others}.items()},
        signer,
        limits=LIMITS,
        ledgers=registry,
        guard_seconds=guard_seconds,
        ingest_roots=ingest_roots,
    )
    try:
        registry.create("main", DimensionUniverse(), request_id=uuid.uuid4())
        setup = RegistrySetup(registry.open("main"), "main", signer)
        insert_camera(setup)
        setup.register_run(RUN)
        setup.register_type("note", ("instrument", "detector"))
        with open_rows(database, "main") as rows:
            yield Household(setup, registry, datastore, rows)
    finally:
        datastore.close()
        registry.close()


@contextmanager
def undeletable(directory: Path) -> Iterator[None]:
    """Let nobody remove anything from a directory, the superuser neither."""
    if os.geteuid():
        mode = directory.stat().st_mode
        directory.chmod(0o555)
        try:
            yield
        finally:
            directory.chmod(mode)
        return
    if subprocess.run(["chattr", "+i", str(directory)], check=False, capture_output=True).returncode:
        pytest.skip("The superuser cannot protect a directory on this file system.")
    try:
        yield
    finally:
        subprocess.run(["chattr", "-i", str(directory)], check=True)
