# SPDX-License-Identifier: BSD-3-Clause
"""Mutations that arrive more than once, because an answer was lost: one effect, and the same answer."""

from __future__ import annotations

__all__ = ["Repeats"]

import json
from collections.abc import Callable
from typing import TypeVar
from uuid import UUID

from butler_registry.storage.database import Connection
from butler_registry.storage.request_store import RequestStore

from .definitions import Definitions

_Answer = TypeVar("_Answer")


class Repeats:
    """Recognises repeats by the id of their request, also after a restart.

    Puts need none of this: the ids that their client made say whether they were done.
    """

    def __init__(self, requests: RequestStore, definitions: Definitions) -> None:
        self._requests = requests
        self._definitions = definitions

    def once(
        self,
        connection: Connection,
        request_id: UUID,
        what: tuple[object, ...],
        effect: Callable[[], _Answer],
    ) -> _Answer:
        """Return what ``effect`` returns, or, if the request was done before, what it returned then.

        Parameters
        ----------
        what
            What is asked for: a name of the mutation and its arguments, with a ``repr`` of their own.
        effect
            Does it in the transaction of the connection; returns what JSON can hold.

        Raises
        ------
        InvalidRequestError
            Raised if another request had the id.
        """
        what = self._of_caller(what)
        if self._requests.is_repeat(connection, request_id, *what):
            self._definitions.snapshot(connection)
            kept: _Answer = json.loads(self._requests.response(connection, request_id) or "null")
            return kept
        answer = effect()
        if answer is not None:
            self._requests.keep_response(connection, request_id, json.dumps(answer))
        return answer

    def noted(
        self, connection: Connection, request_id: UUID, what: tuple[object, ...], *, changed: bool
    ) -> bool:
        """Return whether a request changed something, now or when it was done before.

        For what many ask for and few have to do, such as registering a run: it costs those nothing that change nothing.
        """
        what = self._of_caller(what)
        if changed:
            # Whoever sends it twice at once waits for what was changed, and so comes second.
            self._requests.is_repeat(connection, request_id, *what)
            return True
        return self._requests.was_done(connection, request_id, *what)

    def _of_caller(self, what: tuple[object, ...]) -> tuple[object, ...]:
        """Return what is asked for by whom: an answer is for nobody but who got it before."""
        principal = self._definitions.principal
        return (principal, *what) if principal else what
