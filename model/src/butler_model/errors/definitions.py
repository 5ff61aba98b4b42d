# SPDX-License-Identifier: BSD-3-Clause
"""Errors of what datasets are described with: dimensions, data IDs, collections, dataset types."""

from __future__ import annotations

__all__ = [
    "AmbiguousDataIdError",
    "CalibrationTypeError",
    "ChainMembershipError",
    "CollectionCycleError",
    "CollectionTypeError",
    "ConflictingDefinitionError",
    "DataIdValueError",
    "DatasetTypeMismatchError",
    "DimensionNameError",
    "DimensionValueError",
    "InconsistentDataIdError",
    "InvalidNameError",
    "MissingCollectionError",
    "MissingDatasetTypeError",
    "MissingParentError",
    "NoDefaultCollectionError",
    "NotInsertableError",
    "OrphanedRecordError",
    "StaleEditError",
]

from .catalogue import ButlerError, Status


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


class ChainMembershipError(ButlerError, RuntimeError):
    """A collection is to be taken out of something that is no chain with it as a member."""

    reason = "CHAIN_MEMBERSHIP"
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


class InvalidNameError(ButlerError, ValueError):
    """A name (collection, dataset type, repository, store key) is malformed."""

    reason = "INVALID_NAME"
    status = Status.INVALID_ARGUMENT
