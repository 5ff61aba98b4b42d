# SPDX-License-Identifier: BSD-3-Clause
"""The data butler's model: dimensions, data IDs, dataset types, collections, errors, and the two contracts.

Pure values: no input or output, no protobuf, no SQL.
"""

from __future__ import annotations

__all__: list[str] = []
