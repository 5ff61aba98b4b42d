# SPDX-License-Identifier: BSD-3-Clause
"""What the registry says should be in a store."""

from __future__ import annotations

__all__ = ["committed_keys"]

from butler_model.ports import Ledgers, Ownership

_ENOUGH = 100


def committed_keys(ledgers: Ledgers, repository: str, store: str) -> list[str]:
    """Return the keys of some artifacts that were committed, be they in the trash by now; none if there are none.

    What a put may have written counts for nothing: the first put into a repository may fail before there is a root.
    """
    known = ledgers.ledger(repository).known(store, limit=_ENOUGH)
    return [artifact.key for artifact in known if artifact.ownership is not Ownership.INTENDED]
