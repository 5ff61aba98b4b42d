# SPDX-License-Identifier: BSD-3-Clause
"""Where the real exports are."""

from __future__ import annotations

__all__ = ["shared_data_folder"]

import os
from pathlib import Path

from tests.support.requirement import unavailable

ROOT = Path(__file__).resolve().parents[2]


def shared_data_folder() -> Path:
    """Return the folder of real exports: ``BUTLER_TEST_DATA``, or ``shared/data`` beside the checkout."""
    folder = Path(os.environ.get("BUTLER_TEST_DATA") or ROOT.parent / "shared" / "data")
    if not folder.is_dir():
        unavailable("data", f"there is no folder {folder}; BUTLER_TEST_DATA can name another")
    return folder
