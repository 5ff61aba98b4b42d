# SPDX-License-Identifier: BSD-3-Clause
"""Credentials in a file of the operator's."""

from __future__ import annotations

__all__ = ["S3Credentials", "read_credentials"]

import configparser
from dataclasses import dataclass, field

from butler_api.private_files import read_private
from butler_model.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class S3Credentials:
    """What signs requests; the secret parts are not shown."""

    access_key: str
    secret_key: str = field(repr=False)
    token: str | None = field(default=None, repr=False)


def read_credentials(file: str) -> S3Credentials:
    """Return the credentials of a file in the form of the AWS tools, section ``[default]``.

    Raises
    ------
    ConfigurationError
        Raised if it cannot be read, if others than its owner may, or if it lacks a key.
    """
    parser = configparser.RawConfigParser()
    text = read_private(file, "The credentials")
    try:
        parser.read_string(text)
        section = parser["default"]
        return S3Credentials(
            section["aws_access_key_id"],
            section["aws_secret_access_key"],
            section.get("aws_session_token"),
        )
    except KeyError as error:
        raise ConfigurationError(
            f"{file!r} lacks {error.args[0]!r}; it has a section [default] with aws_access_key_id and "
            "aws_secret_access_key.",
            credentials=file,
        ) from None
    except configparser.Error:
        # What is in the file must not get into a log.
        raise ConfigurationError(
            f"{file!r} has not the form of a credentials file of the AWS tools.", credentials=file
        ) from None
