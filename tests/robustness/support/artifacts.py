# SPDX-License-Identifier: BSD-3-Clause
"""What is in a store, seen without the product."""

from __future__ import annotations

__all__ = ["ObjectListing", "StoredFiles", "StoredObjects"]

import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from tests.support.s3 import S3Server

if TYPE_CHECKING:
    from types_boto3_s3.client import S3Client

# Staging of the product: no artifact, and swept by age.
_NO_KEYS = (".tmp", ".create-only", ".quarantine")


class ObjectListing(Protocol):
    """The artifacts of one repository."""

    def sizes(self) -> Mapping[str, int]:
        """Return the length of each artifact by its key, and nothing else that is there."""
        ...

    def content(self, key: str) -> bytes:
        """Return the bytes of one."""
        ...

    def add(self, key: str, content: bytes) -> None:
        """Write behind the back of the product."""
        ...

    def remove(self, key: str) -> None:
        """Remove behind the back of the product."""
        ...


@dataclass(frozen=True)
class StoredFiles:
    """Artifacts that are files."""

    root: Path

    def sizes(self) -> Mapping[str, int]:
        found = {}
        # What is deleted meanwhile, a directory too, is not there.
        for folder, _, names in os.walk(self.root):
            for path in (Path(folder, name) for name in names):
                key = path.relative_to(self.root)
                with suppress(FileNotFoundError):
                    if key.parts[0] not in _NO_KEYS:
                        found[str(key)] = path.stat().st_size
        return found

    def content(self, key: str) -> bytes:
        return (self.root / key).read_bytes()

    def add(self, key: str, content: bytes) -> None:
        path = self.root / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    def remove(self, key: str) -> None:
        (self.root / key).unlink()


@dataclass(frozen=True)
class StoredObjects:
    """Artifacts that are objects of a bucket."""

    server: S3Server
    bucket: str
    prefix: str

    @cached_property
    def _client(self) -> S3Client:
        return self.server.client()

    def sizes(self) -> Mapping[str, int]:
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket)
        named = {entry["Key"]: entry["Size"] for page in pages for entry in page.get("Contents", [])}
        keys = {name.removeprefix(f"{self.prefix}/"): size for name, size in named.items()}
        return {key: size for key, size in keys.items() if key.split("/")[0] not in _NO_KEYS}

    def content(self, key: str) -> bytes:
        return self._client.get_object(Bucket=self.bucket, Key=f"{self.prefix}/{key}")["Body"].read()

    def add(self, key: str, content: bytes) -> None:
        self._client.put_object(Bucket=self.bucket, Key=f"{self.prefix}/{key}", Body=content)

    def remove(self, key: str) -> None:
        self._client.delete_object(Bucket=self.bucket, Key=f"{self.prefix}/{key}")
