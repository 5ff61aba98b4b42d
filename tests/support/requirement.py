# SPDX-License-Identifier: BSD-3-Clause
"""What a test does when something that it needs is not there."""

from __future__ import annotations

__all__ = ["unavailable"]

import os
from typing import NoReturn

import pytest


def unavailable(name: str, why: str) -> NoReturn:
    """Skip the test, or fail it where ``name`` is in the comma-separated list ``BUTLER_TEST_REQUIRE``."""
    required = {word.strip() for word in os.environ.get("BUTLER_TEST_REQUIRE", "").split(",")}
    if name in required:
        pytest.fail(
            f"{name} is required here (BUTLER_TEST_REQUIRE) and is not available: {why}", pytrace=False
        )
    pytest.skip(f"{name} is not available: {why}")
