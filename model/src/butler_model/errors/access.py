# SPDX-License-Identifier: BSD-3-Clause
"""Errors of those who may not: because a service does not know who they are, or because it does."""

from __future__ import annotations

__all__ = ["AccessDeniedError", "AuthenticationError"]

from .catalogue import ButlerError, Status


class AuthenticationError(ButlerError, PermissionError):
    """A service wants to know who calls, and was told nothing that it accepts."""

    reason = "AUTHENTICATION"
    status = Status.UNAUTHENTICATED


class AccessDeniedError(ButlerError, PermissionError):
    """The caller is known, and may not do this; whoever administers the repository can grant it."""

    reason = "ACCESS_DENIED"
    status = Status.PERMISSION_DENIED
