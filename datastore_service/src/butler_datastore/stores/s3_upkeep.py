# SPDX-License-Identifier: BSD-3-Clause
"""The upkeep of a bucket: what is done to many of its objects at a time."""

from __future__ import annotations

__all__ = ["S3Upkeep"]

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from butler_model.errors import ButlerError, InvalidNameError
from butler_model.path_template import check_key

from .s3_faults import fault
from .sorted_listing import sorted_listing
from .store import Listed
from .threads import side_by_side

if TYPE_CHECKING:
    from types_boto3_s3.client import S3Client

_KEYS_PER_REQUEST = 1_000
_THREADS = 8
_QUARANTINE = ".quarantine"


class S3Upkeep:
    """Works on the objects below a prefix.

    Parameters
    ----------
    reported
        Gives what turns the errors of the client into those of the catalogue, for an action and a key.
    """

    def __init__(
        self,
        client: S3Client,
        bucket: str,
        prefix: str,
        reported: Callable[[str, str], AbstractContextManager[None]],
    ) -> None:
        self._client = client
        self._bucket = bucket
        self._prefix = prefix
        self._reported = reported

    def delete_many(self, keys: Sequence[str]) -> dict[str, Exception]:
        """Remove objects, up to 1,000 with a request; see `Store.delete_many`."""
        for key in keys:
            check_key(key)
        batches = [keys[i : i + _KEYS_PER_REQUEST] for i in range(0, len(keys), _KEYS_PER_REQUEST)]
        failed: dict[str, Exception] = {}
        for outcome in side_by_side(self._delete_batch, batches, _THREADS):
            failed |= outcome
        return failed

    def _delete_batch(self, keys: Sequence[str]) -> dict[str, Exception]:
        names = {self._name(key): key for key in keys}
        try:
            with self._reported("deleted", keys[0]):
                answer = self._client.delete_objects(
                    Bucket=self._bucket, Delete={"Objects": [{"Key": name} for name in names], "Quiet": True}
                )
        except ButlerError as error:
            return dict.fromkeys(keys, error)
        failed: dict[str, Exception] = {}
        for told in answer.get("Errors", []):
            key, code = names[told["Key"]], told.get("Code", "")
            if code not in ("NoSuchKey", "NotFound"):
                # An answer with errors has the status 200, and each error a code only.
                status = 403 if code == "AccessDenied" else 500
                failed[key] = fault("deleted", self._bucket, key, status, code, told.get("Message", ""))
        return failed

    def check(self) -> None:
        """Raise `ConfigurationError` if there is no bucket, `ServiceUnavailableError` if it cannot be reached."""
        begin = f"{self._prefix}/"
        with self._reported("listed", begin):
            self._client.list_objects_v2(Bucket=self._bucket, Prefix=begin, MaxKeys=1)

    def make(self) -> None:
        """Do nothing: it is its operator who makes a bucket."""

    def listing(self) -> Iterator[Listed]:
        """Yield all objects whose names are keys; see `Store.listing`.

        S3 lists them in that order, but for its directory buckets; some other servers list by directories.
        """
        return sorted_listing(self._listed())

    def _listed(self) -> Iterator[Listed]:
        begin = f"{self._prefix}/"
        token: dict[str, Any] = {}
        while True:
            with self._reported("listed", begin):
                page = self._client.list_objects_v2(Bucket=self._bucket, Prefix=begin, **token)
            now = _server_time(page)
            for entry in page.get("Contents", []):
                key = entry["Key"].removeprefix(begin)
                if _is_key(key):
                    yield Listed(key, entry["Size"], (now - entry["LastModified"]).total_seconds())
            if not page.get("IsTruncated"):
                return
            token = {"ContinuationToken": page["NextContinuationToken"]}

    def quarantine(self, key: str) -> None:
        """Copy an object below ``.quarantine``, and remove it."""
        target = f"{self._prefix}/{_QUARANTINE}/{check_key(key)}"
        source = {"Bucket": self._bucket, "Key": self._name(key)}
        with self._reported("moved", key):
            # In parts if it is too large for one request.
            self._client.copy({"Bucket": source["Bucket"], "Key": source["Key"]}, self._bucket, target)
            self._client.delete_object(Bucket=self._bucket, Key=source["Key"])

    def sweep(self, age_seconds: float) -> int:
        """Abort uploads in parts that were begun so long ago and are not complete."""
        begin = f"{self._prefix}/"
        aborted = 0
        with self._reported("listed", begin):
            # Before any is aborted: thousands that are still young may come before one that is old.
            uploads = self._client.get_paginator("list_multipart_uploads")
            pages = list(uploads.paginate(Bucket=self._bucket, Prefix=begin))
        oldest = _server_time(pages[0]) - timedelta(seconds=age_seconds)
        for upload in (each for page in pages for each in page.get("Uploads", [])):
            if upload["Initiated"] < oldest:
                with self._reported("discarded", upload["Key"]):
                    self._client.abort_multipart_upload(
                        Bucket=self._bucket, Key=upload["Key"], UploadId=upload["UploadId"]
                    )
                aborted += 1
        return aborted

    def _name(self, key: str) -> str:
        return f"{self._prefix}/{check_key(key)}"


def _server_time(answer: Any) -> datetime:
    """Return the time of the server that answered; of this machine if it does not say."""
    told = answer["ResponseMetadata"]["HTTPHeaders"].get("date")
    return datetime.now(UTC) if told is None else parsedate_to_datetime(told)


def _is_key(key: str) -> bool:
    try:
        check_key(key)
    except InvalidNameError:
        return False
    return True
