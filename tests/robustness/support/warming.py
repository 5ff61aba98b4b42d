# SPDX-License-Identifier: BSD-3-Clause
"""What a process does once, so that its children need not: imports, and files that libraries read when they begin."""

from __future__ import annotations

__all__ = ["warm"]

import functools
import importlib

_NEEDED = (
    "butler.embedded",
    "butler.formatters.json",
    "butler.formatters.text",
    "butler.pages",
    "butler.remote",
    "butler_datastore.stores.s3_store",
    "encodings.idna",
    "importlib.readers",
    "psycopg",
    "sqlalchemy.dialects.postgresql.psycopg",
    "sqlalchemy.dialects.sqlite.pysqlite",
    "sqlite3",
)
"""What services and clients import when they first need it."""


def warm() -> None:
    """Import and read all that services and clients need."""
    for module in _NEEDED:
        importlib.import_module(module)
    from butler.formatters import default_formatters
    from butler.storage_classes import default_storage_classes

    default_formatters()
    default_storage_classes()
    _remember_descriptions_of_s3()


def _remember_descriptions_of_s3() -> None:
    """Let botocore parse the megabytes of JSON that describe S3 once, not for each client that is made."""
    import boto3
    from botocore.loaders import JSONFileLoader

    read = functools.cache(functools.partial(JSONFileLoader.load_file, JSONFileLoader()))

    def load_file(loader: JSONFileLoader, path: str) -> object:
        return read(path)

    setattr(JSONFileLoader, "load_file", load_file)  # noqa: B010 - mypy forbids to assign a method
    # Its first client also imports what the others need.
    boto3.session.Session("none", "none").client("s3", region_name="us-east-1").close()
