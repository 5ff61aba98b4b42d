# SPDX-License-Identifier: BSD-3-Clause
"""Which versions of which packages made something."""

from __future__ import annotations

import pickle
import platform
from importlib.metadata import version

import pytest

from butler.packages import Packages


def test_the_system_says_what_is_installed() -> None:
    packages = Packages.from_system()
    assert packages["numpy"] == version("numpy")
    assert packages["python"] == platform.python_version()
    assert list(packages) == sorted(packages)


def test_the_difference_names_both_versions() -> None:
    old = Packages({"a": "1", "b": "1", "c": "1"})
    new = Packages({"a": "1", "b": "2", "d": "1"})
    assert old.difference(new) == {"b": ("1", "2"), "c": ("1", None), "d": (None, "1")}
    assert old.difference(old) == {}


def test_packages_are_values() -> None:
    packages = Packages({"b": "1", "a": "2"})
    assert packages == Packages({"a": "2", "b": "1"})
    assert hash(packages) == hash(Packages({"a": "2", "b": "1"}))
    assert pickle.loads(pickle.dumps(packages)) == packages
    assert Packages.from_simple(packages.to_simple()) == packages
    with pytest.raises(TypeError):
        packages["a"] = "3"  # type: ignore[index]


def test_names_and_versions_are_text() -> None:
    with pytest.raises(ValueError, match="both are str"):
        Packages({"a": 1})  # type: ignore[dict-item]
