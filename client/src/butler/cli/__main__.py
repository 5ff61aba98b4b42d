# SPDX-License-Identifier: BSD-3-Clause
"""``python -m butler.cli`` is ``butler``."""

from __future__ import annotations

from .console import main

if __name__ == "__main__":
    main()
