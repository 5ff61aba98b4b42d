# SPDX-License-Identifier: BSD-3-Clause
"""Where texts of configurations are: paths, and ``file``, ``http`` and ``https`` URIs."""

from __future__ import annotations

__all__ = ["folder_of", "is_remote", "location_of", "read_text", "without_secrets"]

import os
import re
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit

from butler_api.private_files import check_private
from butler_model.errors import ConfigurationError, ConfigurationNotFoundError

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]+)://")
_SECONDS = 30.0
_PASSWORD = re.compile(
    r"""(://[^\s/@:"']*:)(?!\$\{)[^\s/"']+(?=@)|([?&]password=)(?!\$\{)[^&\s"']+""", re.IGNORECASE
)
"""A password in a URI, if it is there itself and not the name of an environment variable."""


def location_of(text: str | os.PathLike[str], folder: str | None = None) -> str:
    """Return the absolute path, or the ``http`` or ``https`` URI, of a text.

    Parameters
    ----------
    text
        A URI or a path, in which ``~`` and environment variables are expanded.
    folder
        What a relative path is relative to; the working directory if absent.

    Raises
    ------
    ConfigurationError
        Raised for a URI with another scheme.
    """
    place = os.path.expanduser(os.path.expandvars(os.fspath(text)))
    scheme = _SCHEME.match(place)
    if scheme is None:
        if folder is not None and is_remote(folder) and not os.path.isabs(place):
            return urljoin(folder.rstrip("/") + "/", place)
        return os.path.abspath(os.path.join(folder or "", place))
    if scheme[1].lower() == "file":
        return unquote(urlsplit(place).path)
    if is_remote(place):
        return place
    raise ConfigurationError(
        f"A configuration cannot be read from {without_secrets(place)!r:.200}; give a path, or a file, http or https "
        "URI."
    )


def is_remote(location: str) -> bool:
    """Return whether a location is on another machine."""
    return location.lower().startswith(("http://", "https://"))


def folder_of(location: str) -> str:
    """Return the directory, or the beginning of the URI, in which something is."""
    return location.rpartition("/")[0] if is_remote(location) else os.path.dirname(location)


def read_text(location: str) -> str:
    """Return the text at a location.

    Raises
    ------
    ConfigurationNotFoundError
        Raised if there is none.
    ConfigurationError
        Raised if it cannot be read, or if it holds a password and others than its owner may read it.
    """
    if is_remote(location):
        return _download(location)
    try:
        text = Path(location).read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        raise ConfigurationNotFoundError(
            f"There is no configuration file {location!r}.", path=location
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise ConfigurationError(f"{location!r} cannot be read: {reason}.", path=location) from None
    if _PASSWORD.search(text):
        check_private(location, "The password")
    return text


def without_secrets(value: Any) -> Any:
    """Return a part of a configuration, or a text, with passwords in URIs replaced by ``***``."""
    if isinstance(value, dict):
        return {name: without_secrets(item) for name, item in value.items()}
    if isinstance(value, list):
        return [without_secrets(item) for item in value]
    return _PASSWORD.sub(r"\1\2***", value) if isinstance(value, str) else value


def _download(uri: str) -> str:
    import urllib3  # few configurations are elsewhere

    shown = without_secrets(uri)
    try:
        response = urllib3.request("GET", uri, timeout=_SECONDS)
        text = response.data.decode("utf-8")
    except (urllib3.exceptions.HTTPError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{shown!r} cannot be read ({type(error).__name__}).", path=shown) from None
    if response.status == 404:
        raise ConfigurationNotFoundError(f"There is no configuration at {shown!r}.", path=shown)
    if response.status != 200:
        raise ConfigurationError(f"{shown!r} cannot be read: HTTP status {response.status}.", path=shown)
    return text
