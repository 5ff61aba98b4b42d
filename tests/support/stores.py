# SPDX-License-Identifier: BSD-3-Clause
"""Every kind of store, ready to be tested, from other processes too."""

from __future__ import annotations

__all__ = [
    "NO_LIMIT",
    "STORES",
    "WRITE",
    "StorePlace",
    "bucket_place",
    "files",
    "in_another_process",
    "killed_in_the_middle",
    "objects",
    "opening",
    "posix_place",
    "read",
    "s3_settings",
    "store_place",
    "write_file",
]

import json
import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from butler_datastore.application import open_store
from butler_datastore.store_tables import store_config
from butler_datastore.stores.store import Store
from tests.support.s3 import S3Server
from tools.servers.process import ROOT

NO_LIMIT = 2**62
REPOSITORY = "main"

STORES = ("posix", "posix, not durable", "s3", "memory", "memory + posix", "posix + s3")
"""All kinds of stores; two with a plus between them are a chain."""

WRITE = """
def chunks():
    yield bytes(3_000_000)
    print("writing", flush=True)
    sys.stdin.read()
store.write("run/a", chunks(), 2**40)
"""
"""A program that is in the middle of writing ``run/a`` when it prints ``writing``."""

_OPEN = """
import json, pathlib, sys
from butler_datastore.application import open_store
from butler_datastore.store_tables import store_config
store = open_store(store_config(json.loads(sys.argv[1])), "main")
"""


def _nobody_can(*_: object) -> None:
    raise NotImplementedError


@dataclass(frozen=True, slots=True)
class StorePlace:
    """Where a store has its artifacts.

    Attributes
    ----------
    settings
        What an operator says of the store.
    listings
        Give the keys that there are, and the names of what was left behind, where one can look past the store.
    write_behind, delete_behind
        Change, add or delete an artifact behind the store's back; `NotImplementedError` where nobody can.
    """

    settings: dict[str, Any]
    listings: tuple[Callable[[], list[str]], ...]
    write_behind: Callable[[str, bytes], None] = _nobody_can
    delete_behind: Callable[[str], None] = _nobody_can

    def open(self) -> Store:
        """Open the store once more."""
        return open_store(store_config(self.settings), REPOSITORY)

    def all_keys(self) -> list[str]:
        """Return all keys that there are anywhere."""
        return sorted({key for listing in self.listings for key in listing()})

    def check_only(self, keys: Iterable[str]) -> None:
        """Assert that there are these artifacts, and nothing else, wherever one can look."""
        expected = sorted(keys)
        for listing in self.listings:
            assert listing() == expected


def store_place(kind: str, folder: Path, request: pytest.FixtureRequest) -> StorePlace:
    """Return an empty place for a store of a kind."""
    members = {name.replace(",", "").replace(" ", "_"): name for name in kind.split(" + ")}
    places = {member: _member_place(name, folder, request) for member, name in members.items()}
    if len(places) == 1:
        return next(iter(places.values()))
    return StorePlace(
        {"kind": "chain", "members": {name: place.settings for name, place in places.items()}},
        tuple(listing for place in places.values() for listing in place.listings),
    )


def posix_place(root: Path, **settings: Any) -> StorePlace:
    """Return the place of a store in a directory."""
    return StorePlace(
        {"root": str(root), **settings},
        (partial(files, root),),
        partial(write_file, root),
        lambda key: (root / key).unlink(),
    )


def s3_settings(server: S3Server, bucket: str, folder: Path, **settings: Any) -> dict[str, Any]:
    """Return what an operator says of a store in a bucket; the credentials are in a file in the folder."""
    credentials = folder / "credentials"
    credentials.touch(mode=0o600)
    credentials.write_text(
        f"[default]\naws_access_key_id = {server.access_key}\naws_secret_access_key = {server.secret_key}\n"
    )
    place = {"kind": "s3", "bucket": bucket, "endpoint": server.endpoint, "region": server.region}
    return {**place, "credentials": str(credentials), **settings}


def bucket_place(server: S3Server, bucket: str, folder: Path) -> StorePlace:
    """Return the place of a store in a bucket; its credentials are in a file in the folder."""
    return StorePlace(
        s3_settings(server, bucket, folder),
        (partial(_keys, server, bucket),),
        partial(_write_object, server, bucket),
        partial(_delete_object, server, bucket),
    )


def _member_place(kind: str, folder: Path, request: pytest.FixtureRequest) -> StorePlace:
    if kind == "memory":
        return StorePlace({"kind": "memory"}, ())
    if kind == "s3":
        server: S3Server = request.getfixturevalue("s3_server")
        bucket: str = request.getfixturevalue("s3_bucket")
        return bucket_place(server, bucket, folder)
    return posix_place(folder / "deep" / "root", durable=kind == "posix")


def write_file(root: Path, key: str, content: bytes) -> None:
    """Write an artifact into a directory past the store, which makes its own read-only."""
    file = root / key
    file.parent.mkdir(parents=True, exist_ok=True)
    file.unlink(missing_ok=True)
    file.write_bytes(content)


def _write_object(server: S3Server, bucket: str, key: str, content: bytes) -> None:
    server.client().put_object(Bucket=bucket, Key=f"{REPOSITORY}/{key}", Body=content)


def _delete_object(server: S3Server, bucket: str, key: str) -> None:
    server.client().delete_object(Bucket=bucket, Key=f"{REPOSITORY}/{key}")


def _keys(server: S3Server, bucket: str) -> list[str]:
    return [name.removeprefix(f"{REPOSITORY}/") for name in objects(server, bucket)]


def objects(server: S3Server, bucket: str) -> list[str]:
    """Return the names of all objects, and of uploads that are not complete after ``.upload/``."""
    client = server.client()
    listed = client.get_paginator("list_objects_v2").paginate(Bucket=bucket)
    names = [entry["Key"] for page in listed for entry in page.get("Contents", [])]
    uploads = client.list_multipart_uploads(Bucket=bucket).get("Uploads", [])
    return sorted(
        [name for name in names if not name.endswith("/.create-only")]
        + [f".upload/{upload['Key']}" for upload in uploads]
    )


def read(store: Store, key: str, size: int) -> bytes:
    """Return all bytes of an artifact."""
    return b"".join(store.read(key, 0, None, size=size))


def files(place: Path) -> list[str]:
    """Return all files below a directory, temporary ones too."""
    return sorted(str(path.relative_to(place)) for path in place.rglob("*") if path.is_file())


def opening(code: str) -> str:
    """Return a program that opens the store whose settings it is given, and does something with ``store``."""
    return f"{_OPEN}\n{code}"


def in_another_process(place: StorePlace, code: str) -> subprocess.Popen[str]:
    """Start a process that opens a store and does something with the variable ``store``."""
    command = [sys.executable, "-c", opening(code), json.dumps(place.settings)]
    return subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def killed_in_the_middle(place: StorePlace, code: str) -> None:
    """Run a program until it prints ``writing``, and kill it."""
    with in_another_process(place, code) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "writing\n"
        writer.kill()
