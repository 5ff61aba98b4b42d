# SPDX-License-Identifier: BSD-3-Clause
"""URIs of files: one for each plain absolute path, and none for anything else."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from butler_model.errors import InvalidNameError
from butler_model.file_uri import MAX_URI_BYTES, file_uri, path_of_file_uri

PARTS = st.binary(min_size=1, max_size=30).filter(
    lambda b: not set(b"/\0") & set(b) and b not in (b".", b"..")
)


@given(st.lists(PARTS, min_size=1, max_size=5))
def test_a_path_comes_back_from_its_uri(parts: list[bytes]) -> None:
    path = os.fsdecode(b"/" + b"/".join(parts))
    uri = file_uri(path)
    assert uri.isascii()
    assert path_of_file_uri(uri) == path
    assert uri == Path(path).as_uri()


@pytest.mark.parametrize(
    "path", ["", "a", "./a", "/a/", "//a", "/a//b", "/a/./b", "/a/..", "/..", "/a\0", "/" + "é" * 700]
)
def test_what_is_no_plain_absolute_path_has_no_uri(path: str) -> None:
    with pytest.raises(InvalidNameError):
        file_uri(path)


def test_the_longest_uri_is_accepted() -> None:
    path = "/" + "x" * (MAX_URI_BYTES - len("file:///"))
    assert path_of_file_uri(file_uri(path)) == path
    with pytest.raises(InvalidNameError):
        file_uri(path + "x")


@pytest.mark.parametrize(
    "uri", ["", "/a", "file:/a", "file://", "file://host/a", "file:///%61", "file:///a%2fb", "http:///a"]
)
def test_what_is_no_such_uri_has_no_path(uri: str) -> None:
    with pytest.raises(InvalidNameError):
        path_of_file_uri(uri)
