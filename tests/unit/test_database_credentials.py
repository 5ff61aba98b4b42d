# SPDX-License-Identifier: BSD-3-Clause
"""Passwords of databases: which one is used, and that none is shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from butler.configuration import RepositoryConfiguration
from butler.database_credentials import with_credentials
from butler_model.errors import ConfigurationError

ENTRIES = """
- {url: "postgresql://db.example.org:5433/butler", username: other-port, password: p0}
- {url: "postgresql://db.example.org/butler_*", username: some one, password: "p/1@:"}
- {url: "postgresql://reader@*.example.org", password: p2}
- {url: "postgresql://*.example.org", username: anyone, password: p3}
"""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the file of passwords that the environment names."""
    made = tmp_path / "db-auth.yaml"
    made.touch(mode=0o600)
    made.write_text(ENTRIES)
    monkeypatch.setenv("LSST_DB_AUTH", str(made))
    return made


@pytest.mark.parametrize(
    ("url", "completed"),
    [
        (
            "postgresql+psycopg://db.example.org/butler_x",
            "postgresql+psycopg://some%20one:p%2F1%40%3A@db.example.org/butler_x",
        ),
        ("postgresql://db.example.org:5433/butler", "postgresql://other-port:p0@db.example.org:5433/butler"),
        ("postgresql://reader@a.example.org/x?a=b", "postgresql://reader:p2@a.example.org/x?a=b"),
        ("postgresql://me@a.example.org/x", "postgresql://me@a.example.org/x"),
        ("postgresql://a.example.org:1/x", "postgresql://reader:p2@a.example.org:1/x"),
        ("postgresql://me:mine@a.example.org/x", "postgresql://me:mine@a.example.org/x"),
        ("postgresql://elsewhere/x", "postgresql://elsewhere/x"),
        ("sqlite:////data", "sqlite:////data"),
    ],
)
@pytest.mark.usefixtures("file")
def test_the_first_entry_that_fits_gives_user_and_password(url: str, completed: str) -> None:
    assert with_credentials(url) == completed


def test_without_a_file_nothing_is_added(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LSST_DB_AUTH", "BUTLER_DB_AUTH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert with_credentials("postgresql://a.example.org/x") == "postgresql://a.example.org/x"


def test_the_file_in_the_home_directory_is_found(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (file.parent / ".lsst").mkdir()
    file.rename(file.parent / ".lsst" / "db-auth.yaml")
    monkeypatch.delenv("LSST_DB_AUTH")
    monkeypatch.setenv("HOME", str(file.parent))
    assert with_credentials("postgresql://me@db.example.org/butler_1") != "postgresql://me:p3@"
    assert ":p2@" in with_credentials("postgresql://reader@db.example.org/x")


@pytest.mark.parametrize(
    ("text", "offender"),
    [
        ("- {url: 'postgresql://h', password: 5}", "quote"),
        ("- {url: 'postgresql://h', pasword: tOpSeCrEt}", "'pasword'; the nearest known one is 'password'"),
        ("{url: tOpSeCrEt}", "list"),
        ("- tOpSeCrEt", "entry 1"),
        ("- [tOpSeCrEt\n", "YAML"),
    ],
)
def test_a_malformed_file_is_named_and_not_shown(file: Path, text: str, offender: str) -> None:
    file.write_text(text)
    with pytest.raises(ConfigurationError) as caught:
        with_credentials("postgresql://h/x")
    assert offender in str(caught.value)
    assert str(file) in str(caught.value)
    assert "tOpSeCrEt" not in f"{caught.value}{caught.value.metadata}"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_file_that_others_may_read_is_refused(file: Path, mode: int) -> None:
    file.chmod(mode)
    with pytest.raises(ConfigurationError, match=f"chmod 600 {file}"):
        with_credentials("postgresql://a.example.org/x")


def test_a_file_that_is_named_has_to_be_there(file: Path) -> None:
    file.unlink()
    with pytest.raises(ConfigurationError, match=str(file)):
        with_credentials("postgresql://a.example.org/x")


def test_a_configuration_does_not_show_its_database() -> None:
    shown = repr(RepositoryConfiguration("main", "postgresql://me:tOpSeCrEt@h/x", {}))
    assert "tOpSeCrEt" not in shown
