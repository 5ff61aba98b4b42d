# SPDX-License-Identifier: BSD-3-Clause
"""The errors that a butler raises: the closed catalogue of `butler_model.errors`, under the name people type."""

from __future__ import annotations

from butler_model.errors import *  # noqa: F403 - the same names, all of them
from butler_model.errors import __all__ as __all__
