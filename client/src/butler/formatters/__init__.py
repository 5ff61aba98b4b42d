# SPDX-License-Identifier: BSD-3-Clause
"""Formatters: how Python objects become bytes and back.

Each lives in a module of its own, which alone imports the library that it needs and which is itself imported
only when its label comes up.
"""

from __future__ import annotations

__all__ = ["Choice", "Formatter", "FormatterFactory", "default_formatters"]

from .factory import Choice, FormatterFactory, default_formatters
from .formatter import Formatter
