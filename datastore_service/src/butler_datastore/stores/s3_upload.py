# SPDX-License-Identifier: BSD-3-Clause
"""An object of S3 that is uploaded in parts."""

from __future__ import annotations

__all__ = ["CreateOnly", "PartsUpload"]

import base64
import zlib
from typing import TYPE_CHECKING, TypedDict

from butler_model.errors import LimitExceededError

from .blocks import MOST_PARTS, readable

if TYPE_CHECKING:
    from types_boto3_s3.client import S3Client
    from types_boto3_s3.type_defs import CompletedPartTypeDef


class CreateOnly(TypedDict, total=False):
    """What keeps a request from replacing an object; nothing for a server that does not care."""

    IfNoneMatch: str


class PartsUpload:
    """An upload that was begun; nobody sees the object until it is complete.

    The server checks every part against a CRC32. All methods raise what the client raises.
    """

    def __init__(self, client: S3Client, bucket: str, name: str) -> None:
        self._client = client
        self._bucket = bucket
        self._name = name
        self._parts: list[CompletedPartTypeDef] = []
        begun = client.create_multipart_upload(Bucket=bucket, Key=name, ChecksumAlgorithm="CRC32")
        self._id = begun["UploadId"]

    def add(self, block: bytearray) -> None:
        """Upload the next part; `LimitExceededError` if there are too many."""
        number = len(self._parts) + 1
        if number > MOST_PARTS:
            raise LimitExceededError(
                f"The object {self._name!r} would have more than {MOST_PARTS} parts, which S3 does not take.",
                key=self._name,
                limit="size",
            )
        checksum = base64.b64encode(zlib.crc32(block).to_bytes(4, "big")).decode()
        done = self._client.upload_part(
            Bucket=self._bucket,
            Key=self._name,
            UploadId=self._id,
            PartNumber=number,
            Body=readable([block]),
            ChecksumCRC32=checksum,
        )
        self._parts.append({"PartNumber": number, "ETag": done["ETag"], "ChecksumCRC32": checksum})

    def complete(self, condition: CreateOnly) -> str:
        """Make an object of the parts, and return its ETag."""
        done = self._client.complete_multipart_upload(
            Bucket=self._bucket,
            Key=self._name,
            UploadId=self._id,
            MultipartUpload={"Parts": self._parts},
            **condition,
        )
        return done["ETag"]

    def abort(self) -> None:
        """Give up, and let the server forget the parts."""
        self._client.abort_multipart_upload(Bucket=self._bucket, Key=self._name, UploadId=self._id)
