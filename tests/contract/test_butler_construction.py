# SPDX-License-Identifier: BSD-3-Clause
"""Making repositories and opening them, in every way that there is."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest

from butler import Butler, ButlerConfig, Config, DatasetType, DimensionUniverse
from butler.config import RegistryConfig
from butler_model import errors
from tests.support.butlers import Deployment, Repository
from tests.support.survey import insert_survey

STORES = {
    "fast": {"root": "<butlerRoot>/fast", "constraints": {"accept": ["note"]}},
    "slow": {"root": "<butlerRoot>/slow"},
}


def make(place: Deployment, **arguments: Any) -> Config:
    return Butler.makeRepo(place.root, **{**place.options, **arguments})


def is_served(place: Deployment) -> bool:
    return place.root.startswith("grpc")


def round_trip(butler: Butler) -> None:
    """Put something and get it back."""
    butler.registry.registerDatasetType(
        DatasetType("note", [], "StructuredDataDict", universe=butler.dimensions)
    )
    butler.put({"a": 1}, "note")
    assert butler.get("note") == {"a": 1}


def test_what_makerepo_returns_opens_the_repository(place: Deployment) -> None:
    config = make(place)
    with Butler(config, run="r") as butler:
        round_trip(butler)
        with pickle.loads(pickle.dumps(butler)) as copy:
            # D74
            assert copy.get("note") == {"a": 1}
            assert (copy.run, copy.isWriteable()) == ("r", True)
    for other in (place.root, ButlerConfig(config), dict(config) if is_served(place) else place.root):
        with Butler(other, collections="r") as butler:
            assert butler.get("note") == {"a": 1}


def test_a_butler_is_made_by_either_name_and_knows_the_storage_classes(place: Deployment) -> None:
    make(place)
    with Butler.from_config(place.root, run="r") as butler:
        round_trip(butler)
        assert (type(butler), butler.run) == (Butler, "r")
        assert butler.storageClasses.getStorageClass("StructuredDataDict").pytype == "dict"
        # What others registered is there already.
        with Butler(place.root, writeable=True) as other:
            other.registry.registerRun("s")
            butler.registry.refresh()
            assert "s" in butler.registry.queryCollections()


def test_the_configuration_may_be_kept_elsewhere(place: Deployment, tmp_path: Path) -> None:
    file = tmp_path / "configs" / "mine.yaml"
    config = make(place, outfile=file)
    assert config.configFile == str(file)
    assert is_served(place) or config["root"] == place.root
    with Butler(file, run="r") as butler:
        round_trip(butler)
        with pickle.loads(pickle.dumps(butler)) as copy:
            assert copy.get("note") == {"a": 1}
    if not is_served(place):
        assert not (Path(place.root) / "butler.yaml").exists()
        with pytest.raises(errors.RepositoryNotFoundError):
            Butler(place.root)
    with pytest.raises(errors.RepositoryExistsError, match=r"mine\.yaml|configs"):
        Butler.makeRepo(place.other("other"), outfile=file, **place.options)
    Butler.makeRepo(tmp_path / "second", outfile=tmp_path / "configs")
    assert Config(tmp_path / "configs" / "butler.yaml")["root"] == str(tmp_path / "second")


def test_a_configuration_may_be_given_as_mapping_file_and_config(place: Deployment, tmp_path: Path) -> None:
    (tmp_path / "seed.yaml").write_text("composites: {default: true}\n")
    (tmp_path / "wrong.yaml").write_text("composits: {default: true}\n")
    given: Any
    for number, given in enumerate(
        ({"composites": {"default": True}}, tmp_path / "seed.yaml", Config(tmp_path / "seed.yaml"))
    ):
        if "postgresql" in place.database and not is_served(place) and number:
            break  # one repository in each database
        root = place.other(f"repo{number}")
        Butler.makeRepo(root, given, **place.options)
        with Butler(root) as butler:
            assert butler._connection.info.composites.config_json.startswith('{"default":true')
    with pytest.raises(errors.ConfigurationError, match="'composits'; the nearest known one is 'composites'"):
        make(place, config=tmp_path / "wrong.yaml")
    with pytest.raises(errors.ConfigurationError, match="ButlerConfig"):
        make(place, config=ButlerConfig())
    with pytest.raises(errors.ConfigurationError, match="RegistryConfig"):
        make(place, config=RegistryConfig())
    with pytest.raises(errors.RepositoryNotFoundError):
        Butler(place.root)


def test_a_service_is_told_nothing_about_databases_and_stores(place: Deployment) -> None:
    if not is_served(place):
        return
    for arguments in (
        {"config": {"registry": {"database": "sqlite:///<butlerRoot>"}}},
        {"config": {"datastore": {"stores": STORES}}},
        {"database": "postgresql://h/x"},
        {"overwrite": True},
    ):
        with pytest.raises(errors.InvalidRequestError, match="service"):
            make(place, **arguments)


def test_dimensions_are_found_on_the_search_path(place: Deployment, tmp_path: Path) -> None:
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "dimensions.yaml").write_text(DimensionUniverse(version=0).config_json)
    make(place, searchPaths=[folder])
    with Butler(place.root) as butler:
        assert butler.dimensions.version == 0


def test_a_butler_shares_what_another_one_has_open(repository: Repository) -> None:
    first = repository.butler(run="r1", collections=["r1"])
    insert_survey(first)
    second = Butler(butler=first, collections=["a", "b"], instrument="Cam1")
    assert second._connection is first._connection
    assert (tuple(second.collections), second.run, second.isWriteable()) == (("a", "b"), None, True)
    assert second.registry.defaults.dataId == {"instrument": "Cam1"}
    assert Butler(butler=first).collections == ()
    third = Butler(butler=repository.butler(), collections="r1")
    assert not third.isWriteable()
    first.close()
    assert second.registry.queryCollections() == ["r1"]
    second.close()
    third.close()
    arguments: dict[str, Any]
    for arguments in ({"config": repository.address}, {"searchPaths": []}, {"writeable": True}):
        with pytest.raises(TypeError, match="butler="):
            Butler(butler=first, **arguments)


def test_a_butler_without_any_repository_says_what_to_give(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DAF_BUTLER_CONFIG_PATH", raising=False)
    calls: list[Any] = [Butler, lambda: Butler({}), lambda: Butler(Config())]
    for call in calls:
        with pytest.raises(errors.ConfigurationError, match="give the path of the repository"):
            call()
    with pytest.raises(errors.ConfigurationError, match="int"):
        Butler(5)  # type: ignore[arg-type]
    with pytest.raises(errors.ConfigurationError, match="run="):
        Butler({"run": "r"})
    with pytest.raises(errors.ConfigurationError, match=r"grpc://HOST"):
        Butler({"service": "/some/path"})
    with pytest.raises(errors.ConfigurationError, match=r"grpc://HOST"):
        Butler({"service": 5})


def test_everything_is_in_the_root_unless_it_may_be_elsewhere(tmp_path: Path) -> None:
    elsewhere = {"datastore": {"stores": {"main": {"root": str(tmp_path / "files")}}}}
    database = {"registry": {"database": f"sqlite:///{tmp_path}/tables"}}
    for config, key in ((elsewhere, "datastore.stores.main"), (database, "registry.database")):
        with pytest.raises(errors.ConfigurationError, match=f"{key}.*forceConfigRoot=False"):
            Butler.makeRepo(tmp_path / "repo", config)
    assert list(tmp_path.iterdir()) == []
    Butler.makeRepo(tmp_path / "repo", {**elsewhere, **database}, forceConfigRoot=False)
    with Butler(tmp_path / "repo", run="r") as butler:
        round_trip(butler)
    assert [path.name for path in (tmp_path / "repo").iterdir()] == ["butler.yaml"]
    assert (tmp_path / "files" / "r").is_dir()
    Butler.makeRepo(tmp_path / "inside", {"datastore": {"stores": STORES}})
    with Butler(tmp_path / "inside", run="r") as butler:
        round_trip(butler)
    assert (tmp_path / "inside" / "fast" / "r").is_dir()
    members = {"a": {"root": "<butlerRoot>/a"}, "b": {"root": str(tmp_path / "b")}}
    chain = {"datastore": {"stores": {"main": {"kind": "chain", "members": members}}}}
    with pytest.raises(errors.ConfigurationError, match=f"{tmp_path}/b"):
        Butler.makeRepo(tmp_path / "chain.v2", chain)
    members["b"]["root"] = "<butlerRoot>/b"
    Butler.makeRepo(tmp_path / "chain.v2", chain)
    with Butler(tmp_path / "chain.v2", run="r") as butler:
        round_trip(butler)


def test_defaults_of_a_site_count_when_a_repository_is_made_and_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = tmp_path / "site"
    site.mkdir()
    (site / "datastore.yaml").write_text(
        f"datastore: {{stores: {{big: {{root: {tmp_path}/big, durable: false}}}}}}\n"
    )
    paths = [site]
    inside = Butler.makeRepo(tmp_path / "inside", searchPaths=paths)
    assert inside[".datastore.stores"] == {"main": {"root": "<butlerRoot>"}}
    outside = Butler.makeRepo(tmp_path / "outside", searchPaths=paths, forceConfigRoot=False)
    assert outside[".datastore.stores"] == {"big": {"root": f"{tmp_path}/big", "durable": False}}
    named = {"datastore": {"stores": {"big": {"root": "<butlerRoot>/own"}}}}
    short = Butler.makeRepo(tmp_path / "short", named, searchPaths=paths)
    whole = Butler.makeRepo(tmp_path / "whole", named, searchPaths=paths, standalone=True)
    assert short[".datastore.stores.big"] == {"root": "<butlerRoot>/own"}
    assert whole[".datastore.stores.big"] == {"root": "<butlerRoot>/own", "durable": False}
    monkeypatch.setenv("DAF_BUTLER_CONFIG_PATH", str(site))
    assert ButlerConfig(tmp_path / "short")[".datastore.stores.big.durable"] is False
    with Butler(tmp_path / "short", run="r") as butler:
        round_trip(butler)


def test_butler_yaml_may_be_replaced_and_a_registry_never(tmp_path: Path) -> None:
    Butler.makeRepo(tmp_path / "repo")
    file = tmp_path / "repo" / "butler.yaml"
    before = file.read_text()
    with pytest.raises(errors.RepositoryExistsError):
        Butler.makeRepo(tmp_path / "repo")
    with pytest.raises(errors.RepositoryExistsError, match=str(tmp_path / "repo")):
        Butler.makeRepo(tmp_path / "repo", {"datastore": {"stores": STORES}}, overwrite=True)
    assert file.read_text() == before
    Butler.makeRepo(
        tmp_path / "repo", {"registry": {"database": "sqlite:///<butlerRoot>/new"}}, overwrite=True
    )
    assert "<butlerRoot>/new" in file.read_text()
    assert [path.name for path in tmp_path.iterdir()] == ["repo"]


def test_a_configuration_with_a_password_is_its_owners_alone(
    postgres_database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_password = postgres_database.replace("postgres@", "postgres:tOpSeCrEt@")
    Butler.makeRepo(tmp_path / "repo", database=with_password)
    file = tmp_path / "repo" / "butler.yaml"
    assert file.stat().st_mode & 0o777 == 0o600
    with Butler(tmp_path / "repo", run="r") as butler:
        round_trip(butler)
        assert "tOpSeCrEt" not in repr(butler) + butler._repr_html_() + repr(butler._connection)
    file.chmod(0o644)
    with pytest.raises(errors.ConfigurationError, match="chmod 600") as caught:
        Butler(tmp_path / "repo")
    assert "tOpSeCrEt" not in str(caught.value)
    monkeypatch.setenv("WHO", "postgres:tOpSeCrEt")
    file.write_text(file.read_text().replace("postgres:tOpSeCrEt", "${WHO}"))
    with Butler(tmp_path / "repo") as butler:
        assert butler.registry.queryCollections() == ["r"]


def test_user_and_password_of_a_database_come_from_a_file_of_their_own(
    postgres_database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    credentials = tmp_path / "auth.yaml"
    credentials.touch(mode=0o600)
    credentials.write_text("- {url: 'postgresql://127.0.0.1', username: postgres, password: tOpSeCrEt}\n")
    monkeypatch.setenv("BUTLER_DB_AUTH", str(credentials))
    Butler.makeRepo(tmp_path / "repo", database=postgres_database.replace("postgres@", ""))
    with Butler(tmp_path / "repo", run="r") as butler:
        round_trip(butler)
        assert "tOpSeCrEt" not in repr(butler._connection)
    assert "postgres:" not in (tmp_path / "repo" / "butler.yaml").read_text()
    credentials.chmod(0o644)
    with pytest.raises(errors.ConfigurationError, match="chmod 600"):
        Butler(tmp_path / "repo")


def test_a_notebook_shows_what_the_default_collections_hold(repository: Repository) -> None:
    writer = repository.surveyed("run1")
    writer.put({}, "note", instrument="Cam1", detector=1)
    shown = repository.butler(collections=["run1", "later"], instrument="Cam1")._repr_html_()
    for part in ("<td>run1</td><td>RUN</td><td>note</td><td>instrument: Cam1</td>", "<td>later</td>"):
        assert part in shown
    assert "not registered yet" in shown
    assert "instrument=Cam1" in shown
    many = writer.clone(collections=[f"c{number}" for number in range(30)])
    assert "… and 10 more" in many._repr_html_()
    assert "<td>none</td>" in repository.butler()._repr_html_()
    closed = repository.butler(collections="run1")
    closed.close()
    assert "run1" in closed._repr_html_()
