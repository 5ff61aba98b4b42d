# SPDX-License-Identifier: BSD-3-Clause
"""Requests keep the rules that stand beside their fields in the protos, before any servicer sees them.

The rules are outer bounds, such as no client reaches that means well: what a repository accepts is less, and says why.
Only the services import this module; they depend on protovalidate, the client does not.
"""

from __future__ import annotations

__all__ = ["ValidationInterceptor", "check_request"]

from collections.abc import Iterator
from typing import Any

import grpc
import protovalidate

from butler_model.errors import InvalidRequestError

from .handlers import Streaming, Unary, WrappedHandlers

_VALIDATOR = protovalidate.Validator()


def check_request(request: Any) -> None:
    """Raise `InvalidRequestError` for a message that breaks a rule; it names the field."""
    violations = _VALIDATOR.collect_violations(request, fail_fast=True)
    if violations:
        found = violations[0].proto
        path = _path(found.field)
        raise InvalidRequestError(
            f"{path or type(request).__name__}: {found.message}; see the rules beside the fields of "
            f"{type(request).__name__} in the protos.",
            field=path,
        )


class ValidationInterceptor(WrappedHandlers):
    """Checks each request, also those of streams; around the methods themselves, so that it is known who calls."""

    def wrap_unary(self, method: str, behaviour: Unary, *, requests: bool) -> Unary:
        """Return what first checks the request."""

        def answer(request: Any, context: grpc.ServicerContext) -> Any:
            return behaviour(_checked(request, requests), context)

        return answer

    def wrap_stream(self, method: str, behaviour: Streaming, *, requests: bool) -> Streaming:
        """Return what first checks the request."""

        def answer(request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
            return behaviour(_checked(request, requests), context)

        return answer


def _checked(request: Any, requests: bool) -> Any:
    if requests:
        return _each(request)
    check_request(request)
    return request


def _each(requests: Iterator[Any]) -> Iterator[Any]:
    for request in requests:
        check_request(request)
        yield request


def _path(field: Any) -> str:
    """Return ``batches[0].placing`` for what names a field within fields."""
    parts = []
    for element in field.elements if field is not None else ():
        subscript = "" if element.subscript is None else f"[{element.subscript.value}]"
        parts.append(f"{element.field_name}{subscript}")
    return ".".join(parts)
