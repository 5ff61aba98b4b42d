# SPDX-License-Identifier: BSD-3-Clause
"""Errors of questions: requests that are malformed, expressions, results."""

from __future__ import annotations

__all__ = [
    "AmbiguousDatasetError",
    "DatasetNotFoundError",
    "EmptyQueryResultError",
    "ExpressionSyntaxError",
    "ExpressionTypeError",
    "GovernorError",
    "InvalidPageTokenError",
    "InvalidRequestError",
    "LimitExceededError",
    "QueryTimeoutError",
    "UnknownNameError",
]

from .catalogue import ButlerError, Status


class DatasetNotFoundError(ButlerError, LookupError):
    """No dataset of that type and data ID is in the collections searched."""

    reason = "DATASET_NOT_FOUND"
    status = Status.NOT_FOUND


class AmbiguousDatasetError(ButlerError, RuntimeError):
    """A dataset ref has no id and run where one that has them is needed."""

    reason = "AMBIGUOUS_DATASET"
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


class QueryTimeoutError(ButlerError, TimeoutError):
    """The service stopped a query that took longer than it may; a narrower one, or parts of it, take less."""

    reason = "QUERY_TIMEOUT"
    status = Status.RESOURCE_EXHAUSTED
