# SPDX-License-Identifier: BSD-3-Clause
"""Delegates: what takes composites apart, puts them together, and applies parameters to objects."""

from __future__ import annotations

__all__ = ["StorageClassDelegate", "default_delegates"]

from .delegate import StorageClassDelegate
from .factory import default_delegates
