# SPDX-License-Identifier: BSD-3-Clause
"""Errors of artifacts: of writing and reading them, and of turning objects into them."""

from __future__ import annotations

__all__ = [
    "ArtifactExistsError",
    "ArtifactIntegrityError",
    "ArtifactNotFoundError",
    "ChecksumMismatchError",
    "DatasetTypeNotSupportedError",
    "FormatterError",
    "GrantError",
    "IngestPathError",
    "IntentError",
    "StorageClassError",
    "StorageClassTypeError",
    "StoreFullError",
    "TrashClaimedError",
    "TruncatedUploadError",
    "UploadConflictError",
]

from .catalogue import ButlerError, Status


class IntentError(ButlerError, RuntimeError):
    """A put's intent is unknown, expired or was aborted; begin the put again."""

    reason = "INTENT"
    status = Status.FAILED_PRECONDITION


class GrantError(ButlerError, PermissionError):
    """A grant or receipt was altered, has expired, or does not allow this operation."""

    reason = "GRANT"
    status = Status.PERMISSION_DENIED


class IngestPathError(ButlerError, RuntimeError):
    """A file to be ingested is not where it may be taken from, or is no regular file that can be read."""

    reason = "INGEST_PATH"
    status = Status.INVALID_ARGUMENT


class ArtifactNotFoundError(ButlerError, FileNotFoundError):
    """The registry records an artifact that its store does not hold, or a dataset was never stored."""

    reason = "ARTIFACT_NOT_FOUND"
    status = Status.NOT_FOUND


class ArtifactExistsError(ButlerError, FileExistsError):
    """There is an artifact under that key in a store, or a file of that name, already; neither is replaced."""

    reason = "ARTIFACT_EXISTS"
    status = Status.ALREADY_EXISTS


class ArtifactIntegrityError(ButlerError, RuntimeError):
    """A stored artifact differs in size or checksum from what was recorded."""

    reason = "ARTIFACT_INTEGRITY"
    status = Status.DATA_LOSS


class ChecksumMismatchError(ButlerError, ValueError):
    """Bytes arrived that do not have the checksum sent along with them; send them again."""

    reason = "CHECKSUM_MISMATCH"
    status = Status.INVALID_ARGUMENT


class TruncatedUploadError(ButlerError, ValueError):
    """An upload ended before it said it was finished; nothing was kept."""

    reason = "TRUNCATED_UPLOAD"
    status = Status.INVALID_ARGUMENT


class UploadConflictError(ButlerError, RuntimeError):
    """An upload cannot go on at its offset; ask how much of it is kept, and go on from there, or begin at 0."""

    reason = "UPLOAD_CONFLICT"
    status = Status.ABORTED


class TrashClaimedError(ButlerError, RuntimeError):
    """The deletion of an artifact was begun, so it cannot be restored any more."""

    reason = "TRASH_CLAIMED"
    status = Status.FAILED_PRECONDITION


class StoreFullError(ButlerError, OSError):
    """A store has no room left."""

    reason = "STORE_FULL"
    status = Status.RESOURCE_EXHAUSTED


class DatasetTypeNotSupportedError(ButlerError, RuntimeError):
    """The constraints of every store reject datasets of that type, storage class or instrument."""

    reason = "DATASET_TYPE_NOT_SUPPORTED"
    status = Status.FAILED_PRECONDITION


class StorageClassError(ButlerError, KeyError):
    """A storage class, component or parameter is unknown here."""

    reason = "STORAGE_CLASS"
    status = Status.INVALID_ARGUMENT


class StorageClassTypeError(ButlerError, TypeError):
    """An object is not of the Python type its storage class names."""

    reason = "STORAGE_CLASS_TYPE"
    status = Status.INVALID_ARGUMENT


class FormatterError(ButlerError, ValueError):
    """A formatter could not write an object or read its bytes."""

    reason = "FORMATTER"
    status = Status.INVALID_ARGUMENT
