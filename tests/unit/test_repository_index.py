# SPDX-License-Identifier: BSD-3-Clause
"""Labels of repositories."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from butler import Butler
from butler.cli.main import main
from butler_model.errors import ConfigurationError, RepositoryNotFoundError


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give an index of a repository ``main``, which exists, and of others, which do not."""
    monkeypatch.delenv("DAF_BUTLER_REPOSITORIES", raising=False)
    Butler.makeRepo(tmp_path / "data" / "repo")
    file = tmp_path / "data" / "index.yaml"
    file.write_text("main: repo\n/repo/main: repo/butler.yaml\nserved: grpc://host:1/main\n")
    monkeypatch.setenv("DAF_BUTLER_REPOSITORY_INDEX", str(file))
    return file


def test_a_label_stands_for_a_place(index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert Butler.get_known_repos() == {"main", "/repo/main", "served"}
    assert Butler.get_repo_uri("main") == str(index.parent / "repo")
    assert Butler.get_repo_uri("served") == "grpc://host:1/main"
    for label in ("main", "/repo/main"):
        with Butler(label, run="r") as butler:
            assert butler.registry.queryCollections() == ["r"]
            assert str(index.parent / "repo") in str(butler)
    monkeypatch.setenv("DAF_BUTLER_REPOSITORY_INDEX", index.as_uri())
    assert Butler.get_repo_uri("main") == str(index.parent / "repo")


def test_repositories_may_be_named_inline_and_go_before_the_file(
    index: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAF_BUTLER_REPOSITORIES", '{"main": "grpc://mine:1/main", "own": "~/repo"}')
    monkeypatch.setenv("HOME", "/home/me")
    assert Butler.get_known_repos() == {"main", "/repo/main", "served", "own"}
    assert Butler.get_repo_uri("main") == "grpc://mine:1/main"
    assert Butler.get_repo_uri("own") == "/home/me/repo"
    monkeypatch.delenv("DAF_BUTLER_REPOSITORY_INDEX")
    assert Butler.get_known_repos() == {"main", "own"}
    monkeypatch.setenv("DAF_BUTLER_REPOSITORIES", "own: ./x")
    assert Butler.get_known_repos() == {"own"}


def test_an_unknown_label_is_refused_with_the_nearest_and_the_known_ones(index: Path) -> None:
    calls = (lambda: Butler("mian"), lambda: Butler.get_repo_uri("mian"))
    for call in calls:
        with pytest.raises(RepositoryNotFoundError) as caught:
            call()
        for word in ("'mian'", "the nearest known one is 'main'", "served"):
            assert word in str(caught.value)
    assert Butler.get_repo_uri("mian", return_label=True) == "mian"
    with pytest.raises(RepositoryNotFoundError, match="no file"):
        Butler(index.parent / "nowhere")


@pytest.mark.usefixtures("index")
def test_a_directory_can_always_be_opened_by_its_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Butler.makeRepo("main")
    with Butler("./main") as here, Butler("main") as labelled:
        assert str(tmp_path / "main") in str(here)
        assert str(tmp_path / "data") in str(labelled)


def test_without_an_index_there_are_no_labels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DAF_BUTLER_REPOSITORY_INDEX", raising=False)
    monkeypatch.delenv("DAF_BUTLER_REPOSITORIES", raising=False)
    assert Butler.get_known_repos() == set()
    with pytest.raises(RepositoryNotFoundError, match="DAF_BUTLER_REPOSITORY_INDEX"):
        Butler.get_repo_uri("main")
    with pytest.raises(RepositoryNotFoundError, match="makeRepo"):
        Butler("main")


@pytest.mark.parametrize(
    "text", ["[main]", "main: 5", "main: ''", "5: x", "main: [\n", "a: x\na: y\n", "main: s3://b/x"]
)
def test_a_broken_index_is_named(index: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    index.write_text(text)
    for call in (Butler.get_known_repos, lambda: Butler("main"), lambda: Butler(index.parent / "repo")):
        with pytest.raises(ConfigurationError, match=str(index)):
            call()
    monkeypatch.setenv("DAF_BUTLER_REPOSITORIES", text)
    monkeypatch.delenv("DAF_BUTLER_REPOSITORY_INDEX")
    with pytest.raises(ConfigurationError, match="DAF_BUTLER_REPOSITORIES"):
        Butler.get_known_repos()


def test_an_index_that_is_not_there_is_named(index: Path) -> None:
    index.unlink()
    with pytest.raises(ConfigurationError, match=f"{index}.*DAF_BUTLER_REPOSITORY_INDEX"):
        Butler.get_known_repos()


@contextmanager
def web_server(folder: Path) -> Iterator[str]:
    """Serve the files of a directory; give the address."""
    handler = partial(http.server.SimpleHTTPRequestHandler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_an_index_and_a_configuration_may_be_on_the_web(index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = index.parent / "repo"
    (index.parent / "shared").mkdir()
    (index.parent / "shared" / "butler.yaml").write_text(f"root: {root}\n")
    index.write_text("main: shared\nfile: shared/butler.yaml\nlocal: shared/local.yaml\n")
    (index.parent / "shared" / "local.yaml").write_text(f"registry: !include {root}/butler.yaml\n")
    with web_server(index.parent) as address:
        monkeypatch.setenv("DAF_BUTLER_REPOSITORY_INDEX", f"{address}/index.yaml")
        assert Butler.get_repo_uri("main") == f"{address}/shared"
        for label in ("main", "file"):
            with Butler(label) as butler:
                assert butler.registry.queryCollections() == []
        with pytest.raises(ConfigurationError, match="another machine"):
            Butler("local")
        monkeypatch.setenv("DAF_BUTLER_REPOSITORY_INDEX", f"{address}/absent.yaml")
        with pytest.raises(ConfigurationError, match=r"absent\.yaml"):
            Butler("main")
    with pytest.raises(ConfigurationError, match="cannot be read"):
        Butler("main")


@pytest.mark.usefixtures("index")
def test_the_command_line_takes_labels(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["collections", "register", "main", "u/me/run"])
    assert ended.value.code == 0
    with pytest.raises(SystemExit) as ended:
        main(["ping", "mian"])
    assert ended.value.code == 3
    assert "'main'" in capsys.readouterr().err
