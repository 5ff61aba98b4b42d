# SPDX-License-Identifier: BSD-3-Clause
"""What tests of programs that use a butler need: small repositories, data IDs without ado, and a composite to store.

The fixtures ``butler_repository`` and ``served_butler_repository`` of pytest come with the package; see
`butler.pytest_plugin`.
"""

from __future__ import annotations

__all__ = [
    "MetricsExample",
    "addDataIdValue",
    "addDatasetType",
    "expandUniqueId",
    "makeTestCollection",
    "makeTestRepo",
    "registerMetricsExample",
    "served_repositories",
]

from .data_ids import addDataIdValue, expandUniqueId
from .metrics import MetricsExample, registerMetricsExample
from .repositories import addDatasetType, makeTestCollection, makeTestRepo
from .serving import served_repositories
