# SPDX-License-Identifier: BSD-3-Clause
"""The errors that a butler raises: the closed catalogue of `butler_model.errors`, under the name people type.

Those of `removal_errors` are raised by the client alone, so they are not of the catalogue.
"""

from __future__ import annotations

__all__: list[str] = []

from butler_model import errors as _catalogue
from butler_model.errors import *  # noqa: F403 - the same names, all of them

from . import removal_errors as _removal
from .removal_errors import *  # noqa: F403 - likewise

__all__ += [*_catalogue.__all__, *_removal.__all__]
