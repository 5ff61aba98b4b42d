# SPDX-License-Identifier: BSD-3-Clause
"""The two services behind gRPC, as implementations of the ports."""

from __future__ import annotations

__all__ = ["RemoteDatastore", "RemoteRegistry", "RemoteRepositories"]

from .datastore import RemoteDatastore
from .registry import RemoteRegistry, RemoteRepositories
