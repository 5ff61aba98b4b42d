# SPDX-License-Identifier: BSD-3-Clause
"""What a call returned, in a form that is the same for both libraries if they said the same."""

from __future__ import annotations

__all__ = ["digest"]

import hashlib
import json
from typing import Any


def digest(result: Any) -> list[Any]:
    """Return the number of results and a digest of them, whatever their order."""
    if not isinstance(result, list):
        result = [result]
    texts = sorted(json.dumps(_plain(each), sort_keys=True, default=str) for each in result)
    return [len(texts), hashlib.sha256("\n".join(texts).encode()).hexdigest()[:16]]


def _plain(value: Any) -> Any:
    if hasattr(value, "datasetType"):
        return [value.datasetType.name, _data_id(value.dataId), value.run]
    if hasattr(value, "required") and hasattr(value, "dimensions"):
        return _data_id(value)
    return value


def _data_id(data_id: Any) -> dict[str, Any]:
    return dict(data_id.required)
