# SPDX-License-Identifier: BSD-3-Clause
"""User names and passwords of databases, in a file that only its owner may read.

The file is a list, of which the first entry that fits is used::

    - url: postgresql://db.example.org:5432/butler*
      username: someone
      password: secret

``*`` and ``?`` in a URL stand for any characters, and what it leaves out (user, port, database) fits everything.
Without an entry the client library of PostgreSQL looks, as always, at ``PGPASSWORD`` and ``~/.pgpass``.
"""

from __future__ import annotations

__all__ = ["CREDENTIALS_VARIABLES", "with_credentials"]

import fnmatch
import os
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import yaml

from butler_api.private_files import read_private
from butler_model.config_keys import check_keys
from butler_model.errors import ConfigurationError

CREDENTIALS_VARIABLES = ("BUTLER_DB_AUTH", "LSST_DB_AUTH")
"""Environment variables that name the file; the first that is set counts. The second is the field's older one."""

_DEFAULT_FILE = "~/.lsst/db-auth.yaml"
_KEYS = ("url", "username", "password")
_URL = re.compile(
    r"(?P<scheme>postgres(ql)?)(\+\w+)?://((?P<user>[^:@/]*)(:(?P<password>[^@/]*))?@)?"
    r"(?P<host>\[[^\]]*\]|[^:/]*)(:(?P<port>[0-9*?]+))?(/(?P<database>.*))?"
)


def with_credentials(url: str) -> str:
    """Return the URL of a database with the user name and password that the file has for it.

    One that has a password, or is not of PostgreSQL, is returned as it is, and so is one that no entry fits.

    Raises
    ------
    ConfigurationError
        Raised if the file is malformed, cannot be read, or can be read by others than its owner.
    """
    parts = _URL.fullmatch(url.partition("?")[0])
    if parts is None or parts["password"] is not None:
        return url
    file = next((os.environ[name] for name in CREDENTIALS_VARIABLES if os.environ.get(name)), None)
    if file is None:
        file = os.path.expanduser(_DEFAULT_FILE)
        if not os.path.exists(file):
            return url
    for entry in _entries(os.path.expanduser(file)):
        if _fits(entry, parts):
            return _completed(url, parts, entry)
    return url


def _entries(file: str) -> list[Mapping[str, Any]]:
    what = "The passwords of databases"
    try:
        content = yaml.safe_load(read_private(file, what))
    except yaml.YAMLError:
        # What is in the file must not get into a log.
        raise ConfigurationError(f"{what} cannot be read from {file!r}: it is not YAML.", file=file) from None
    if not isinstance(content, list):
        raise ConfigurationError(
            f"{what} in {file!r} are a list of mappings with {', '.join(_KEYS)}.", file=file
        )
    for number, entry in enumerate(content, 1):
        where = f"{file}, entry {number}"
        if not isinstance(entry, dict) or not isinstance(entry.get("url"), str):
            raise ConfigurationError(f"{where}: expected a mapping with {', '.join(_KEYS)}.", file=file)
        check_keys(entry, _KEYS, where)
        if not isinstance(entry.get("password"), str) or not isinstance(entry.get("username", ""), str):
            raise ConfigurationError(f"{where}: username and password are texts; quote them.", file=file)
    return content


def _fits(entry: Mapping[str, Any], url: re.Match[str]) -> bool:
    pattern = _URL.fullmatch(entry["url"])
    if pattern is None:
        return False
    user = entry.get("username") or pattern["user"]
    if url["user"] and user and user != url["user"]:
        return False
    pairs = (
        (pattern["host"], url["host"]),
        (pattern["port"], url["port"] or "5432"),
        (pattern["database"], url["database"] or ""),
    )
    return all(not glob or fnmatch.fnmatchcase(value, glob) for glob, value in pairs)


def _completed(url: str, parts: re.Match[str], entry: Mapping[str, Any]) -> str:
    user = parts["user"] or quote(entry.get("username") or "", safe="")
    if not user:
        pattern = _URL.fullmatch(entry["url"])
        user = "" if pattern is None else pattern["user"] or ""
    scheme, _, rest = url.partition("://")
    place = rest.rpartition("@")[2] if parts["user"] is not None else rest
    return f"{scheme}://{user}:{quote(entry['password'], safe='')}@{place}"
