# SPDX-License-Identifier: BSD-3-Clause
"""What moves, and what stays in memory, when artifacts are large; the service is a process of its own."""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
import pyarrow as pa
import pytest

from butler.artifacts import ArtifactReader
from butler.remote import RemoteDatastore
from butler_model.artifact import Grant, Operation, Receipt
from tests.support.proxy import Proxy, proxy_to
