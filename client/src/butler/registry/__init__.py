# SPDX-License-Identifier: BSD-3-Clause
"""``butler.registry``: definitions and queries of a repository, under the names that the field knows."""

from __future__ import annotations

__all__ = ["ButlerRegistry"]

from .finding import RegistryQueries


class ButlerRegistry(RegistryQueries):
    """The registry as a butler sees it: the same over an embedded registry and over a service."""
