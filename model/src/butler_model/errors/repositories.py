# SPDX-License-Identifier: BSD-3-Clause
"""Errors of repositories, and of the services that keep them."""

from __future__ import annotations

__all__ = [
    "ConfigurationError",
    "ConfigurationKeyError",
    "ConfigurationNotFoundError",
    "DeadlineExceededError",
    "IncompatibleVersionError",
    "InternalError",
    "MalformedExportError",
    "OverloadedError",
    "QuotaExceededError",
    "RateLimitedError",
    "ReadOnlyError",
    "RepositoryExistsError",
    "RepositoryNotFoundError",
    "ServiceUnavailableError",
    "TransactionError",
    "UnsupportedOperationError",
    "ValidationError",
]

from .catalogue import ButlerError, Status


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


class ConfigurationError(ButlerError, ValueError, RuntimeError):
    """A configuration is malformed or incomplete."""

    # The older library raises either, one where a file cannot be read and the other where it says what cannot be.

    reason = "CONFIGURATION"
    status = Status.INVALID_ARGUMENT


class ConfigurationKeyError(ButlerError, KeyError):
    """A configuration has no such key."""

    reason = "CONFIGURATION_KEY"
    status = Status.NOT_FOUND


class ConfigurationNotFoundError(ButlerError, FileNotFoundError, RuntimeError):
    """There is no such configuration file."""

    # The older library raises the one for the file itself, the other for what `includeConfigs` names.

    reason = "CONFIGURATION_NOT_FOUND"
    status = Status.NOT_FOUND


class ValidationError(ButlerError, ValueError):
    """What is configured does not fit the dataset types of the repository."""

    reason = "VALIDATION"
    status = Status.FAILED_PRECONDITION


class MalformedExportError(ButlerError, ValueError):
    """An export file is not YAML, or does not have the documented shape."""

    reason = "MALFORMED_EXPORT"
    status = Status.INVALID_ARGUMENT


class OverloadedError(ButlerError, RuntimeError):
    """The service is at its limit of concurrent work; try again after the time it names."""

    reason = "OVERLOADED"
    status = Status.RESOURCE_EXHAUSTED


class QuotaExceededError(ButlerError, OSError):
    """What is to be stored is more than a quota of the repository allows; waiting does not help."""

    reason = "QUOTA_EXCEEDED"
    status = Status.RESOURCE_EXHAUSTED


class RateLimitedError(ButlerError, RuntimeError):
    """The caller asks for more in a second than the service grants; ``retry_seconds`` says when to come back."""

    reason = "RATE_LIMITED"
    status = Status.RESOURCE_EXHAUSTED


class ServiceUnavailableError(ButlerError, ConnectionError):
    """A service cannot be reached, is draining, or has lost its database."""

    reason = "SERVICE_UNAVAILABLE"
    status = Status.UNAVAILABLE


class TransactionError(ButlerError, RuntimeError):
    """A transaction is over, or what was asked does not fit how far it is; what it did is undone as a whole."""

    reason = "TRANSACTION"
    status = Status.ABORTED


class DeadlineExceededError(ButlerError, TimeoutError):
    """A call did not finish by its deadline; its outcome is unknown until it is repeated."""

    reason = "DEADLINE_EXCEEDED"
    status = Status.DEADLINE_EXCEEDED


class InternalError(ButlerError, RuntimeError):
    """The service failed in a way it did not foresee; its log has the details under the id given."""

    reason = "INTERNAL"
    status = Status.INTERNAL
