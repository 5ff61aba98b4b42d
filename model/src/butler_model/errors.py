# SPDX-License-Identifier: BSD-3-Clause
"""The closed catalogue of everything that can go wrong.

One class per distinct action a caller can take. Each has a stable ``reason`` (what travels on the wire),
a canonical gRPC ``status``, and a message that names the offender and the remedy. Where the field already
expects a built-in exception (``KeyError``, ``LookupError``, ``TypeError`` ...), the class is one of those too,
so the same ``except`` clause works embedded and remote.
"""

from __future__ import annotations

__all__ = [
    "CATALOGUE",
    "AmbiguousDataIdError",
    "AmbiguousDatasetError",
    "ArtifactExistsError",
    "ArtifactIntegrityError",
    "ArtifactNotFoundError",
    "ButlerError",
    "CalibrationTypeError",
    "ChecksumMismatchError",
    "CollectionCycleError",
    "CollectionTypeError",
    "ConfigurationError",
    "ConflictingDefinitionError",
    "DataIdValueError",
    "DatasetNotFoundError",
    "DatasetTypeMismatchError",
    "DeadlineExceededError",
    "DimensionNameError",
    "DimensionValueError",
    "EmptyQueryResultError",
    "ExpressionSyntaxError",
    "ExpressionTypeError",
    "FormatterError",
    "GovernorError",
    "GrantError",
    "IncompatibleVersionError",
    "InconsistentDataIdError",
    "IntentError",
    "InternalError",
    "InvalidNameError",
    "InvalidPageTokenError",
    "InvalidRequestError",
    "LimitExceededError",
    "MalformedExportError",
    "MissingCollectionError",
    "MissingDatasetTypeError",
    "MissingParentError",
    "NoDefaultCollectionError",
    "NotInsertableError",
    "OrphanedRecordError",
    "OverloadedError",
    "ReadOnlyError",
    "RepositoryExistsError",
    "RepositoryNotFoundError",
    "ServiceUnavailableError",
    "StaleEditError",
    "Status",
    "StorageClassError",
    "StorageClassTypeError",
    "StoreFullError",
    "TruncatedUploadError",
    "UnknownNameError",
    "UnsupportedOperationError",
]

from enum import Enum
from typing import ClassVar


class Status(Enum):
    """Canonical status of an error; the names are those of ``google.rpc.Code``."""

    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    DATA_LOSS = 15


class ButlerError(Exception):
    """Root of the catalogue.

    Parameters
    ----------
    message
        One sentence for a person: what was wrong, with its name, and what to do about it.
    **metadata
        Machine-readable facts (names, ids) that travel in ``google.rpc.ErrorInfo.metadata``.
    """

    reason: ClassVar[str]
    status: ClassVar[Status]

    def __init__(self, message: str, **metadata: str) -> None:
        super().__init__(message)
        self.message = message
        self.metadata = metadata

    def __str__(self) -> str:
        # KeyError would otherwise show the repr of its argument.
        return self.message


class DimensionNameError(ButlerError, KeyError):
    """A dimension or element name is unknown, or a required dimension is missing from a data ID."""

    reason = "DIMENSION_NAME"
    status = Status.INVALID_ARGUMENT


class DimensionValueError(ButlerError, ValueError):
    """A dimension or record field has a value of the wrong type or length, or a key that matches nothing."""

    reason = "DIMENSION_VALUE"
    status = Status.INVALID_ARGUMENT


class DataIdValueError(ButlerError, LookupError):
    """A data ID names a dimension value that has no record."""

    reason = "DATA_ID_VALUE"
    status = Status.NOT_FOUND


class InconsistentDataIdError(ButlerError, ValueError):
    """Values of a data ID contradict each other or the records they point to."""

    reason = "INCONSISTENT_DATA_ID"
    status = Status.INVALID_ARGUMENT


class AmbiguousDataIdError(ButlerError, RuntimeError):
    """Alternate keys of a data ID match no record, or several."""

    reason = "AMBIGUOUS_DATA_ID"
    status = Status.INVALID_ARGUMENT


class NotInsertableError(ButlerError, TypeError):
    """Records of this element are computed, or come from those of another; they cannot be inserted."""

    reason = "NOT_INSERTABLE"
    status = Status.INVALID_ARGUMENT


class MissingParentError(ButlerError, LookupError):
    """A dimension record refers to a record that does not exist."""

    reason = "MISSING_PARENT"
    status = Status.FAILED_PRECONDITION


class ConflictingDefinitionError(ButlerError, ValueError):
    """Something of that name or data ID exists already and is different."""

    reason = "CONFLICTING_DEFINITION"
    status = Status.ALREADY_EXISTS


class MissingCollectionError(ButlerError, LookupError):
    """A collection does not exist."""

    reason = "MISSING_COLLECTION"
    status = Status.NOT_FOUND


class CollectionTypeError(ButlerError, TypeError):
    """A collection is of a type that cannot do what was asked."""

    reason = "COLLECTION_TYPE"
    status = Status.FAILED_PRECONDITION


class CollectionCycleError(ButlerError, ValueError):
    """A chain would contain itself."""

    reason = "COLLECTION_CYCLE"
    status = Status.FAILED_PRECONDITION


class StaleEditError(ButlerError, RuntimeError):
    """Something was changed by another since it was read; read it again and repeat the edit."""

    reason = "STALE_EDIT"
    status = Status.ABORTED


class OrphanedRecordError(ButlerError, RuntimeError):
    """Something cannot be removed while others depend on it."""

    reason = "ORPHANED_RECORD"
    status = Status.FAILED_PRECONDITION


class CalibrationTypeError(ButlerError, TypeError):
    """A dataset type is no calibration type where one is needed."""

    reason = "CALIBRATION_TYPE"
    status = Status.INVALID_ARGUMENT


class NoDefaultCollectionError(ButlerError, TypeError):
    """No run or collections were given, and the butler has no defaults."""

    reason = "NO_DEFAULT_COLLECTION"
    status = Status.INVALID_ARGUMENT


class MissingDatasetTypeError(ButlerError, KeyError):
    """A dataset type is not registered."""

    reason = "MISSING_DATASET_TYPE"
    status = Status.NOT_FOUND


class DatasetTypeMismatchError(ButlerError, ValueError):
    """A dataset type or ref differs from the one the repository holds."""

    reason = "DATASET_TYPE_MISMATCH"
    status = Status.INVALID_ARGUMENT


class DatasetNotFoundError(ButlerError, LookupError):
    """No dataset of that type and data ID is in the collections searched."""

    reason = "DATASET_NOT_FOUND"
    status = Status.NOT_FOUND


class AmbiguousDatasetError(ButlerError, RuntimeError):
    """A dataset ref has no id and run where one that has them is needed."""

    reason = "AMBIGUOUS_DATASET"
    status = Status.INVALID_ARGUMENT


class InvalidNameError(ButlerError, ValueError):
    """A name (collection, dataset type, repository, store key) is malformed."""

    reason = "INVALID_NAME"
    status = Status.INVALID_ARGUMENT


class InvalidRequestError(ButlerError, ValueError):
    """A request contradicts itself or the documented rules of its method."""

    reason = "INVALID_REQUEST"
    status = Status.INVALID_ARGUMENT


class InvalidPageTokenError(ButlerError, ValueError):
    """A page token was altered, or belongs to another query."""

    reason = "INVALID_PAGE_TOKEN"
    status = Status.INVALID_ARGUMENT


class LimitExceededError(ButlerError, ValueError):
    """A batch, page, name or message is larger than the published limit; split it."""

    reason = "LIMIT_EXCEEDED"
    status = Status.INVALID_ARGUMENT


class ExpressionSyntaxError(ButlerError, RuntimeError):
    """An expression cannot be parsed; the message shows where."""

    reason = "EXPRESSION_SYNTAX"
    status = Status.INVALID_ARGUMENT


class ExpressionTypeError(ButlerError, TypeError):
    """An expression combines values of types that do not go together."""

    reason = "EXPRESSION_TYPE"
    status = Status.INVALID_ARGUMENT


class UnknownNameError(ButlerError, LookupError):
    """A name in an expression or an order is neither a dimension, nor a field, nor bound."""

    reason = "UNKNOWN_NAME"
    status = Status.INVALID_ARGUMENT


class GovernorError(ButlerError, RuntimeError):
    """An expression lacks a value of a governor dimension that it needs, or has two."""

    reason = "GOVERNOR"
    status = Status.INVALID_ARGUMENT


class EmptyQueryResultError(ButlerError, LookupError):
    """A query that was to give something gave nothing; the message has the reasons that are known."""

    reason = "EMPTY_QUERY_RESULT"
    status = Status.NOT_FOUND


class UnsupportedOperationError(ButlerError, NotImplementedError):
    """The repository, store or format cannot do what was asked."""

    reason = "UNSUPPORTED_OPERATION"
    status = Status.UNIMPLEMENTED


class ReadOnlyError(ButlerError, TypeError):
    """The butler or registry was opened read-only."""

    reason = "READ_ONLY"
    status = Status.FAILED_PRECONDITION


class RepositoryNotFoundError(ButlerError, FileNotFoundError):
    """There is no repository of that name or at that place."""

    reason = "REPOSITORY_NOT_FOUND"
    status = Status.NOT_FOUND


class RepositoryExistsError(ButlerError, FileExistsError):
    """A repository of that name or at that place exists already."""

    reason = "REPOSITORY_EXISTS"
    status = Status.ALREADY_EXISTS


class IncompatibleVersionError(ButlerError, RuntimeError):
    """A schema, universe or export file is of a version this software cannot handle."""

    reason = "INCOMPATIBLE_VERSION"
    status = Status.FAILED_PRECONDITION


class ConfigurationError(ButlerError, ValueError):
    """A configuration is malformed or incomplete."""

    reason = "CONFIGURATION"
    status = Status.INVALID_ARGUMENT


class MalformedExportError(ButlerError, ValueError):
    """An export file is not YAML, or does not have the documented shape."""

    reason = "MALFORMED_EXPORT"
    status = Status.INVALID_ARGUMENT


class IntentError(ButlerError, RuntimeError):
    """A put's intent is unknown, expired or was aborted; begin the put again."""

    reason = "INTENT"
    status = Status.FAILED_PRECONDITION


class GrantError(ButlerError, PermissionError):
    """A grant or receipt was altered, has expired, or does not allow this operation."""

    reason = "GRANT"
    status = Status.PERMISSION_DENIED


class ArtifactNotFoundError(ButlerError, FileNotFoundError):
    """The registry records an artifact that its store does not hold, or a dataset was never stored."""

    reason = "ARTIFACT_NOT_FOUND"
    status = Status.NOT_FOUND


class ArtifactExistsError(ButlerError, FileExistsError):
    """A store already holds an artifact under that key; artifacts are never replaced."""

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


class StoreFullError(ButlerError, OSError):
    """A store has no room left."""

    reason = "STORE_FULL"
    status = Status.RESOURCE_EXHAUSTED


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


class OverloadedError(ButlerError, RuntimeError):
    """The service is at its limit of concurrent work; try again after the time it names."""

    reason = "OVERLOADED"
    status = Status.RESOURCE_EXHAUSTED


class ServiceUnavailableError(ButlerError, ConnectionError):
    """A service cannot be reached, is draining, or has lost its database."""

    reason = "SERVICE_UNAVAILABLE"
    status = Status.UNAVAILABLE


class DeadlineExceededError(ButlerError, TimeoutError):
    """A call did not finish by its deadline; its outcome is unknown until it is repeated."""

    reason = "DEADLINE_EXCEEDED"
    status = Status.DEADLINE_EXCEEDED


class InternalError(ButlerError, RuntimeError):
    """The service failed in a way it did not foresee; its log has the details under the id given."""

    reason = "INTERNAL"
    status = Status.INTERNAL


CATALOGUE: dict[str, type[ButlerError]] = {error.reason: error for error in ButlerError.__subclasses__()}
"""Every reason and the class that carries it; the wire conversion is generated from this table alone."""
