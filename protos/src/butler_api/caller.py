# SPDX-License-Identifier: BSD-3-Clause
"""Who makes the call that the current thread answers.

An interceptor says so before any servicer runs, and whoever opens a repository for a call asks. So no method of a
servicer can forget to pass it on.
"""

from __future__ import annotations

__all__ = ["answering", "arriving", "caller", "caller_key", "source"]

from contextvars import ContextVar

from butler_model.principal import ANONYMOUS, LOCAL, Principal

_CALLER: ContextVar[Principal] = ContextVar("caller", default=LOCAL)
_SOURCE: ContextVar[str] = ContextVar("source", default="")


def caller() -> Principal:
    """Return who makes the current call; `LOCAL` where nobody is asked."""
    return _CALLER.get()


def source() -> str:
    """Return where the current call comes from, as gRPC writes it (``ipv4:192.0.2.7:40112``); empty if not known."""
    return _SOURCE.get()


def caller_key() -> str:
    """Return under what the calls of whoever makes the current one are counted: a name, else the connection."""
    principal = _CALLER.get()
    return _SOURCE.get() if principal is LOCAL or principal is ANONYMOUS else principal.name


def arriving(peer: str) -> None:
    """Say where the call comes from that this thread answers from now on; who makes it is not known yet."""
    _SOURCE.set(peer)


def answering(principal: Principal, peer: str) -> None:
    """Say who makes the call that this thread answers from now on.

    It is not taken back: every call begins with it, and a generator may end in another thread than it began in.
    """
    _CALLER.set(principal)
    _SOURCE.set(peer)
