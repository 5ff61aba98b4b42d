# SPDX-License-Identifier: BSD-3-Clause
"""How many transactions may be open, in all and of each caller."""

from __future__ import annotations

__all__ = ["TransactionRoom"]

import threading
from collections import Counter

from butler_model.errors import OverloadedError
from butler_model.repository import Limits


class TransactionRoom:
    """Places for transactions, shared by all repositories that share connections. Safe to use from many threads."""

    def __init__(self, limits: Limits) -> None:
        self._most = limits.transactions
        self._share = limits.caller_transactions
        self._held: Counter[str] = Counter()
        self._lock = threading.Lock()

    def take(self, caller: str) -> None:
        """Take a place.

        Parameters
        ----------
        caller
            The name of who begins one; empty where nobody is asked, who may have all places.

        Raises
        ------
        OverloadedError
            Raised if there is none.
        """
        with self._lock:
            if self._held.total() >= self._most:
                raise OverloadedError(
                    f"{self._most} transactions are open already; try again when one is over."
                )
            if caller and self._held[caller] >= self._share:
                raise OverloadedError(
                    f"You have {self._share} transactions open already, the most for one caller; end one of them."
                )
            self._held[caller] += 1

    def give_back(self, caller: str) -> None:
        """Give a place back."""
        with self._lock:
            self._held[caller] -= 1
            if not self._held[caller]:
                del self._held[caller]
