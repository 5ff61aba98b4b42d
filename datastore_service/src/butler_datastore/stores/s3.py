# SPDX-License-Identifier: BSD-3-Clause
"""A bucket of S3, or of a server that speaks its protocol: requests, their repeats, and what their answers mean.

How far a server can be trusted to create and never to replace decides how objects are written. These are the rungs;
the best that the server offers is taken, and a log tells of the lowest:

1. ``If-None-Match: *`` is honoured, for whole objects and for those in parts: of any number of writers one wins.
2. It is honoured for whole objects, but two that complete the same object in parts at the same moment may both be
   told that they won (SeaweedFS 4). A writer therefore looks, when it is done, whether the object is its own.
3. It is not honoured: a writer looks whether the key is free, and then writes. Two writers in the same moment may
   both win. They are then repeats of the same put, for a key ends in digits of the dataset's UUID.

The first writer of a process finds out by an object ``.create-only`` below the prefix, which stays there.
"""

from __future__ import annotations

__all__ = ["S3Bucket", "S3Object"]

import base64
import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import cache
from threading import Lock
from typing import TYPE_CHECKING, Literal, TypedDict, TypeVar

import boto3
from botocore import exceptions
from botocore.config import Config

from butler_datastore.config import S3StoreConfig
from butler_model.errors import (
    ArtifactIntegrityError,
    ConfigurationError,
    ServiceUnavailableError,
)
from butler_model.path_template import check_key

from .blocks import readable
from .s3_credentials import read_credentials
from .s3_faults import fault
from .s3_upkeep import S3Upkeep
from .s3_upload import CreateOnly, PartsUpload
from .store import CHUNK_BYTES, check_size

if TYPE_CHECKING:
    from botocore.response import StreamingBody
    from types_boto3_s3.client import S3Client

_LOGGER = logging.getLogger(__name__)
_T = TypeVar("_T")

_one_at_a_time = Lock()
"""A session must not make two clients at the same moment."""

_PAUSE_SECONDS = 0.05
_PROBE = ".create-only"
_MISCONFIGURED = (
    exceptions.BaseEndpointResolverError,
    exceptions.CredentialRetrievalError,
    exceptions.NoCredentialsError,
    exceptions.ParamValidationError,
    exceptions.PartialCredentialsError,
    exceptions.ProfileNotFound,
)


@dataclass(frozen=True, slots=True)
class S3Object:
    """An object that is there.

    Attributes
    ----------
    size, etag
        Length in bytes, and what changes when the object does.
    computed
        Checksum that the server computed of the whole object; empty if it did not.
    noted
        Checksum that its writer noted; empty if it did not.
    """

    size: int
    etag: str
    computed: str
    noted: str


class _Unchanged(TypedDict, total=False):
    IfMatch: str


class S3Bucket:
    """The objects of a bucket whose names begin with a prefix; every method takes the keys that come after it.

    Every method raises `ServiceUnavailableError` if the server cannot be reached or does not work, after all retries;
    `ConfigurationError` if it does not know the bucket or the credentials; `StoreFullError` if it has no room.
    `InvalidNameError` for a key that is no plain relative path.

    Parameters
    ----------
    config
        The bucket, and how to reach it.
    repository
        Whose artifacts they are.
    """

    def __init__(self, config: S3StoreConfig, repository: str) -> None:
        self._bucket = config.bucket
        self._prefix = config.prefix_of(repository)
        self._attempts = config.attempts
        self._client = _client(config, config.endpoint)
        self._signing = _client(config, config.public_endpoint) if config.public_endpoint else self._client
        self._conditional: bool | None = None
        self._bucket_seen = False
        self.upkeep = S3Upkeep(self._client, self._bucket, self._prefix, self._reported)

    def name(self, key: str) -> str:
        """Return the name of the object that has a key."""
        return check_key(f"{self._prefix}/{check_key(key)}")

    def head(self, key: str) -> S3Object | None:
        """Return what is known of an object, `None` if it is not there."""
        with self._reported("read", key):
            try:
                there = self._client.head_object(
                    Bucket=self._bucket, Key=self.name(key), ChecksumMode="ENABLED"
                )
            except exceptions.ClientError as error:
                if _status(error) != 404:
                    raise
            else:
                computed = there.get("ChecksumSHA256", "")
                if computed and there.get("ChecksumType") != "COMPOSITE":
                    computed = f"sha256:{base64.b64decode(computed).hex()}"
                else:
                    computed = ""
                return S3Object(
                    there["ContentLength"], there["ETag"], computed, there["Metadata"].get("sha256", "")
                )
        self._check_bucket(key)
        return None

    def put(self, key: str, held: Sequence[bytes | bytearray], checksum: str) -> bool:
        """Create an object, which the server checks against the checksum; return False if the key is taken."""
        with self._reported("written", key):
            condition = self._condition()
            if not condition and self.head(key) is not None:
                return False
            try:
                self._unless_conflict(
                    lambda: self._client.put_object(
                        Bucket=self._bucket,
                        Key=self.name(key),
                        Body=readable(held),
                        ContentLength=sum(map(len, held)),
                        ChecksumSHA256=base64.b64encode(
                            bytes.fromhex(checksum.removeprefix("sha256:"))
                        ).decode(),
                        Metadata={"sha256": checksum},
                        **condition,
                    )
                )
            except exceptions.ClientError as error:
                if _status(error) != 412:
                    raise
                return False
        return True

    def begin_parts(self, key: str) -> PartsUpload:
        """Begin to upload an object in parts; it is to be completed or aborted."""
        with self._reported("written", key):
            return PartsUpload(self._client, self._bucket, self.name(key))

    def add_part(self, key: str, upload: PartsUpload, block: bytearray) -> None:
        """Upload the next part."""
        with self._reported("written", key):
            upload.add(block)

    def complete_parts(self, key: str, upload: PartsUpload) -> bool:
        """Create an object of its parts; return False if the key is taken, be it by a request of this very call."""
        with self._reported("written", key):
            condition = self._condition()
            if not condition and self.head(key) is not None:
                return False
            try:
                etag = self._unless_conflict(lambda: upload.complete(condition))
            except exceptions.ClientError as error:
                # If an answer was lost, the repeat finds no upload any more, or the object in its way.
                if _status(error) == 412 or (_status(error) == 404 and self.head(key) is not None):
                    return False
                raise
        there = self.head(key)
        return there is None or there.etag == etag

    def abort_parts(self, key: str, upload: PartsUpload) -> None:
        """Forget the parts; if that fails it is logged, and up to the bucket's life cycle."""
        try:
            upload.abort()
        except (exceptions.ClientError, exceptions.BotoCoreError) as error:
            if isinstance(error, exceptions.ClientError) and _status(error) == 404:
                return
            _LOGGER.warning("parts of %s stay in the bucket %s: %s", key, self._bucket, error)

    def get(self, key: str, offset: int, end: int, *, size: int) -> Iterator[bytes]:
        """Yield the bytes from ``offset`` up to ``end``, of which there is one, of an object that has ``size``.

        If the connection breaks, what is left is asked for again, a bounded number of times.
        """
        etag = ""
        broken = 0
        while offset < end:
            with self._reported("read", key):
                body, etag = self._open(key, offset, end, size, etag)
            try:
                with self._reported("read", key), closing(body):
                    while offset < end:
                        chunk = body.read(min(CHUNK_BYTES, end - offset))
                        if not chunk:
                            raise self._unavailable(key, "its server ended the answer too early")
                        offset += len(chunk)
                        yield chunk
            except ServiceUnavailableError:
                broken += 1
                if broken == self._attempts:
                    raise
                time.sleep(_PAUSE_SECONDS * 2**broken)

    def delete(self, key: str) -> None:
        """Remove an object, be it there or not."""
        with self._reported("deleted", key):
            self._client.delete_object(Bucket=self._bucket, Key=self.name(key))

    def sign(
        self,
        operation: Literal["get_object", "put_object"],
        key: str,
        seconds: int,
        parameters: Mapping[str, object],
    ) -> str:
        """Return a URL that allows an operation for a time; headers that the parameters stand for are signed."""
        with self._reported("signed for", key):
            return self._signing.generate_presigned_url(
                operation,
                Params={"Bucket": self._bucket, "Key": self.name(key), **parameters},
                ExpiresIn=seconds,
            )

    def _open(self, key: str, offset: int, end: int, size: int, etag: str) -> tuple[StreamingBody, str]:
        unchanged: _Unchanged = {"IfMatch": etag} if etag else {}
        try:
            answer = self._client.get_object(
                Bucket=self._bucket, Key=self.name(key), Range=f"bytes={offset}-{end - 1}", **unchanged
            )
        except exceptions.ClientError as error:
            if _status(error) == 416 and (there := self.head(key)) is not None:
                check_size(key, there.size, size)
            if _status(error) == 412:
                raise ArtifactIntegrityError(
                    f"The artifact {key!r} changed while it was read.", key=key
                ) from error
            raise
        try:
            total = answer["ContentRange"].rpartition("/")[2] if "ContentRange" in answer else None
            if total is None and offset:
                raise ConfigurationError(
                    f"The server of the bucket {self._bucket!r} gives no ranges of {key!r}; use one that does.",
                    bucket=self._bucket,
                    key=key,
                )
            # One that gives all may say so in this way.
            check_size(key, answer["ContentLength"] if total is None else int(total), size)
        except BaseException:
            answer["Body"].close()
            raise
        return answer["Body"], answer["ETag"]

    def _check_bucket(self, key: str) -> None:
        """Raise `ConfigurationError` if there is no bucket, which the answer to a HEAD does not tell."""
        if self._bucket_seen:
            return
        with self._reported("read", key):
            try:
                self._client.head_bucket(Bucket=self._bucket)
            except exceptions.ClientError as error:
                if _status(error) == 404:
                    raise fault("read", self._bucket, key, 404, "NoSuchBucket", "") from error
                if _status(error) != 403:
                    raise
        self._bucket_seen = True

    def _condition(self) -> CreateOnly:
        if self._conditional is None:
            self._conditional = self._honours_conditions()
            if not self._conditional:
                _LOGGER.warning(
                    "the server of the bucket %s does not honour If-None-Match: of two writers of one key in the "
                    "same moment both may be told that they won",
                    self._bucket,
                )
        return {"IfNoneMatch": "*"} if self._conditional else {}

    def _honours_conditions(self) -> bool:
        def create() -> None:
            self._client.put_object(
                Bucket=self._bucket, Key=f"{self._prefix}/{_PROBE}", Body=b"", IfNoneMatch="*"
            )

        try:
            # Once to have it there, once to see whether that matters.
            self._unless_conflict(create)
            self._unless_conflict(create)
        except exceptions.ClientError as error:
            if _status(error) == 412:
                return True
            if error.response["Error"]["Code"] != "NotImplemented":
                raise
        return False

    def _unless_conflict(self, request: Callable[[], _T]) -> _T:
        """Make a request again while the server says that another is in its way."""
        for attempt in range(1, self._attempts):
            try:
                return request()
            except exceptions.ClientError as error:
                if _status(error) != 409:
                    raise
            time.sleep(_PAUSE_SECONDS * 2**attempt)
        return request()

    @contextmanager
    def _reported(self, action: str, key: str) -> Iterator[None]:
        """Turn what the client raises into errors of the catalogue."""
        try:
            yield
        except exceptions.ClientError as error:
            told = error.response["Error"]
            raise fault(
                action, self._bucket, key, _status(error), told["Code"], told.get("Message", "")
            ) from error
        except _MISCONFIGURED as error:
            raise ConfigurationError(
                f"The bucket {self._bucket!r} cannot be used as it is configured: {error}",
                bucket=self._bucket,
                key=key,
            ) from error
        except exceptions.BotoCoreError as error:
            raise self._unavailable(key, str(error)) from error

    def _unavailable(self, key: str, why: str) -> ServiceUnavailableError:
        return ServiceUnavailableError(
            f"The artifact {key!r} in the bucket {self._bucket!r} cannot be reached now: {why:.300}; try again later.",
            bucket=self._bucket,
            key=key,
        )


def _client(config: S3StoreConfig, endpoint: str) -> S3Client:
    keys = read_credentials(config.credentials) if config.credentials else None
    settings = Config(
        signature_version="s3v4",
        max_pool_connections=config.connections,
        connect_timeout=config.connect_seconds,
        read_timeout=config.read_seconds,
        retries={"mode": "standard", "total_max_attempts": config.attempts},
        # Whoever has one host only has no names of buckets in the DNS.
        s3={"addressing_style": "path" if endpoint else "auto"},
        # Checksums are given and checked here, where they are of use.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    try:
        with _one_at_a_time:
            # What is not said here is asked of the environment, and it may be another one each time.
            session = _session() if keys and config.region else boto3.session.Session()
            return session.client(
                "s3",
                endpoint_url=endpoint or None,
                region_name=config.region or None,
                aws_access_key_id=keys.access_key if keys else None,
                aws_secret_access_key=keys.secret_key if keys else None,
                aws_session_token=keys.token if keys else None,
                config=settings,
            )
    except (exceptions.BotoCoreError, ValueError) as error:
        raise ConfigurationError(
            f"The bucket {config.bucket!r} cannot be used as it is configured: {error}", bucket=config.bucket
        ) from error


@cache
def _session() -> boto3.session.Session:
    """Return the session of all clients that ask it for nothing but the description of S3, which takes long to read."""
    return boto3.session.Session()


def _status(error: exceptions.ClientError) -> int:
    return int(error.response["ResponseMetadata"]["HTTPStatusCode"])
