# SPDX-License-Identifier: BSD-3-Clause
"""Configurations: hierarchies of keys, read from YAML and JSON files, with defaults from search paths."""

from __future__ import annotations

__all__ = ["ButlerConfig", "Config", "ConfigSubset", "DatastoreConfig", "RegistryConfig"]

from .butler_config import ButlerConfig, DatastoreConfig, RegistryConfig
from .config import Config
from .config_subset import ConfigSubset
