# SPDX-License-Identifier: BSD-3-Clause
"""Queries as data: what is asked, apart from how it is answered."""

from __future__ import annotations

__all__: list[str] = []
