# SPDX-License-Identifier: BSD-3-Clause
"""Defaults from search paths, and the whole configuration of a repository."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import pytest

from butler import ButlerConfig, Config
from butler.config import ConfigSubset, DatastoreConfig, RegistryConfig
from butler.configuration import RepositoryConfiguration
from butler_model.errors import ConfigurationError, ConfigurationNotFoundError, RepositoryNotFoundError

MINIMAL = {"registry": {"database": "sqlite:////data"}, "datastore": {"stores": {"main": {"root": "/data"}}}}


class Lamp(ConfigSubset):
    """A component for these tests."""

    component = "lamp"
    requiredKeys = ("colour",)
    defaultConfigFile = "lamp.yaml"


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Path]:
    """Give directories of defaults: two that are given, and two of the environment."""
    made = {name: tmp_path / name for name in ("first", "second", "site", "weak")}
    for name, folder in made.items():
        folder.mkdir()
        (folder / "lamp.yaml").write_text(f"lamp: {{where: {name}, deep: {{{name}: 1}}}}\n")
    monkeypatch.setenv(
        "DAF_BUTLER_CONFIG_PATH", os.pathsep.join([str(made["site"]), str(made["weak"]), "/none"])
    )
    return made


def test_defaults_are_laid_over_each_other_and_what_is_given_over_them(folders: dict[str, Path]) -> None:
    lamp = Lamp({"lamp": {"colour": "red"}}, searchPaths=[folders["first"], folders["second"]])
    everything = dict.fromkeys(("first", "second", "site", "weak"), 1)
    assert lamp == {"where": "first", "deep": everything, "colour": "red"}
    assert lamp.filesRead == [
        str(folders[name] / "lamp.yaml") for name in ("weak", "site", "second", "first")
    ]
    assert Lamp({"colour": "red"})["where"] == "site"
    assert Lamp({"colour": "red"}, mergeDefaults=False) == {"colour": "red"}
    assert Lamp({"lamp": {"lamp": {"colour": "x"}}}, mergeDefaults=False) == {"colour": "x"}


def test_a_component_checks_its_keys() -> None:
    with pytest.raises(ConfigurationError, match=r"lamp.*'colour'"):
        Lamp({"lamp": {}})
    assert Lamp({"lamp": {}}, validate=False) == {}
    with pytest.raises(ConfigurationError, match="'databse'; the nearest known one is 'database'"):
        RegistryConfig({"registry": {"databse": "x"}})
    with pytest.raises(ConfigurationError, match="mapping"):
        RegistryConfig({"registry": [1]})


def test_a_directory_that_is_given_has_to_be_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationNotFoundError, match="absent"):
        Lamp({"colour": "red"}, searchPaths=[tmp_path / "absent"])


def test_a_default_says_more_of_a_store_but_names_none(tmp_path: Path) -> None:
    assert DatastoreConfig() == {"stores": {"main": {"root": "<butlerRoot>"}}}
    (tmp_path / "datastore.yaml").write_text(
        "datastore: {stores: {s: {kind: s3, region: here}, t: {root: x}}}\n"
    )
    given = {"datastore": {"stores": {"s": {"bucket": "b"}, "u": {"root": "y"}}}}
    found = DatastoreConfig(given, searchPaths=[tmp_path])
    assert found == {"stores": {"s": {"kind": "s3", "region": "here", "bucket": "b"}, "u": {"root": "y"}}}
    assert set(DatastoreConfig(searchPaths=[tmp_path])["stores"]) == {"s", "t"}


def test_keys_of_a_component_are_set_and_copied() -> None:
    config, full = Config({"lamp": {"a": 1}}), Config({"lamp": {"a": 5, "b": {"c": 6}}})
    Config.updateParameters(Lamp, config, full, {"a": 2, ".x.y": 3}, ["b", "absent"])
    assert config == {"lamp": {"a": 2, "b": {"c": 6}, "x": {"y": 3}}}
    Config.updateParameters(Lamp, config, full, {"a": 7}, ["a"], overwrite=False)
    assert config[".lamp.a"] == 2
    with pytest.raises(ConfigurationError, match="updateParameters"):
        Config.updateParameters(Lamp, config, full)


def test_a_repository_is_configured_by_file_directory_mapping_or_address(tmp_path: Path) -> None:
    file = tmp_path / "butler.yaml"
    file.write_text("repository: mine\n")
    for given in (tmp_path, file, str(file), file.as_uri(), Config(file)):
        config = ButlerConfig(given)
        assert config["repository"] == "mine"
        assert config[".registry.database"] == "sqlite:///<butlerRoot>"
        assert config.configDir == str(tmp_path)
        assert RepositoryConfiguration.from_config(config).database == f"sqlite:///{tmp_path}"
    assert ButlerConfig(MINIMAL)["repository"] == "main"
    assert ButlerConfig("grpc://host:1/main").service == "grpc://host:1/main"
    assert ButlerConfig(ButlerConfig(tmp_path)).configDir == str(tmp_path)
    copy = pickle.loads(pickle.dumps(ButlerConfig(tmp_path)))
    assert (copy, copy.configDir) == (ButlerConfig(tmp_path), str(tmp_path))


def test_a_file_elsewhere_says_where_the_root_is(tmp_path: Path) -> None:
    file = tmp_path / "elsewhere.json"
    file.write_text('{"root": "repo"}')
    assert ButlerConfig(file).configDir == str(tmp_path / "repo")
    with pytest.raises(ConfigurationError, match="root"):
        ButlerConfig({"root": 1})


@pytest.mark.parametrize(
    ("content", "offender"),
    [
        ({"registri": {}}, "'registri'; the nearest known one is 'registry'"),
        ({"run": "r"}, "run="),
        ({"collection": "r"}, "collections="),
        ({"datastore": {"store": {}}}, "'store'; the nearest known one is 'stores'"),
        ({"service": "grpc://h:1/main", "registry": {}}, "registry"),
        ({"registry": 1}, "registry"),
        ({"registry": {"db": "sqlite:///<butlerRoot>/gen3.sqlite3"}}, "older library"),
        ({"datastore": {"cls": "some.Datastore", "root": "<butlerRoot>"}}, "butler import"),
    ],
)
def test_what_is_not_known_is_refused(content: dict[str, Any], offender: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        ButlerConfig(content)
    assert offender in str(caught.value)
    assert isinstance(caught.value, ValueError)


def test_what_is_not_there_is_no_repository(tmp_path: Path) -> None:
    for place in (tmp_path, tmp_path / "absent", tmp_path / "absent.v2", tmp_path / "absent.yaml"):
        with pytest.raises(RepositoryNotFoundError, match=str(tmp_path)):
            ButlerConfig(place)
    (tmp_path / "butler.yaml").write_text("includeConfigs: absent.yaml")
    with pytest.raises(ConfigurationNotFoundError, match=r"absent\.yaml"):
        ButlerConfig(tmp_path)


def test_the_root_and_the_environment_are_filled_in_when_a_repository_is_opened(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DATABASE_HOST", "db.example.org")
    stores = {"main": {"root": "<butlerRoot>/x", "list": ["${DATABASE_HOST}"]}}
    config = ButlerConfig(
        {
            "root": "/data/repo",
            "registry": {"database": "postgresql://me@${DATABASE_HOST}/butler"},
            "datastore": {"stores": stores},
        }
    )
    found = RepositoryConfiguration.from_config(config)
    assert found.database == "postgresql+psycopg://me@db.example.org/butler"
    assert found.stores == {"main": {"root": "/data/repo/x", "list": ["db.example.org"]}}
    assert "DATABASE_HOST" in config[".registry.database"]
    monkeypatch.delenv("DATABASE_HOST")
    with pytest.raises(ConfigurationError, match="'DATABASE_HOST'"):
        RepositoryConfiguration.from_config(config)
    with pytest.raises(ConfigurationError, match="<butlerRoot>"):
        RepositoryConfiguration.from_config(ButlerConfig())


@pytest.mark.parametrize(
    "place", ["me:tOpSeCrEt@host:port/x", "me:tOpSeCrEt@[::1/x", "me:tOpSeCrEt@host:99999/x"]
)
def test_a_malformed_database_is_refused_without_being_shown(place: str) -> None:
    with pytest.raises(ConfigurationError, match="postgresql://USER") as caught:
        RepositoryConfiguration.from_config(
            ButlerConfig({**MINIMAL, "registry": {"database": f"postgresql://{place}"}})
        )
    assert "tOpSeCrEt" not in str(caught.value)


def test_a_repository_of_a_service_is_not_embedded() -> None:
    with pytest.raises(ConfigurationError, match="grpc://host:1/main"):
        RepositoryConfiguration.from_config(ButlerConfig("grpc://host:1/main"))
