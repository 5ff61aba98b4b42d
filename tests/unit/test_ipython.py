# SPDX-License-Identifier: BSD-3-Clause
"""Names on Tab, in IPython."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from IPython.core.completer import provisionalcompleter
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

from butler import Butler, CollectionType, DatasetType
from butler.ipython import CompletedName, load_ipython_extension, name_to_complete, unload_ipython_extension


@pytest.mark.parametrize(
    ("text", "path", "method", "keyword", "position", "begun"),
    [
        ('butler.get("cal', "butler", "get", None, 0, "cal"),
        ("x = butler.put(obj, 'cal", "butler", "put", None, 1, "cal"),
        ('butler.get("calexp", collections="u/me', "butler", "get", "collections", 1, "u/me"),
        ("butler.get('a', collections=['x', 'u/", "butler", "get", "collections", 1, "u/"),
        ("f(butler.registry.getCollectionType('", "butler.registry", "getCollectionType", None, 0, ""),
        ("butler.put(f(1, 2), g[3, 4], '", "butler", "put", None, 2, ""),
        ("butler.get('a', where=\"it's, (x", "butler", "get", "where", 1, "it's, (x"),
        ("a.get('x'); b.get('y", "b", "get", None, 0, "y"),
    ],
)
def test_the_end_of_a_text_is_a_name_in_a_call(
    text: str, path: str, method: str, keyword: str | None, position: int, begun: str
) -> None:
    assert name_to_complete(text) == CompletedName(tuple(path.split(".")), method, keyword, position, begun)


@pytest.mark.parametrize(
    "text", ["", "butler", "butler.get(", "butler.get('x'", "butler.get('x')['", "get('x", "x = 'y"]
)
def test_other_texts_type_no_name(text: str) -> None:
    assert name_to_complete(text) is None


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[InteractiveShell]:
    """Give an IPython shell with a butler in it."""
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    Butler.makeRepo(tmp_path / "repo")
    butler = Butler(tmp_path / "repo", run="u/me/run-1")
    butler.registry.registerCollection("u/me/tag", CollectionType.TAGGED)
    for name in ("calexp", "calexp_background", "raw"):
        butler.registry.registerDatasetType(DatasetType(name, [], "Text", universe=butler.dimensions))
    settings = Config()
    settings.HistoryManager.enabled = False
    made = InteractiveShell(config=settings)  # type: ignore[no-untyped-call]
    made.user_ns["butler"] = butler
    load_ipython_extension(made)
    yield made
    butler.close()


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ('butler.get("cal', {"calexp", "calexp_background"}),
        ('butler.put(1, "r', {"raw"}),
        ('butler.get("raw", collections="u/me/', {"u/me/run-1", "u/me/tag"}),
        ('butler.get("raw", collections=["u/me/tag", "u/me/run-', {"u/me/run-1"}),
        ('butler.collections.get_info("', {"u/me/run-1", "u/me/tag"}),
        ('butler.registry.getDatasetType("ra', {"raw"}),
        ('butler.nothing.get("', set()),
        ('butler.get("raw", storageClass="', set()),
        ('nobody.get("', set()),
    ],
)
def test_tab_offers_what_the_repository_has(shell: InteractiveShell, text: str, names: set[str]) -> None:
    assert completed(shell, text) == {text[: text.rindex('"') + 1] + name for name in names}


def test_an_extension_can_be_loaded_twice_and_unloaded(shell: InteractiveShell) -> None:
    load_ipython_extension(shell)
    assert completed(shell, 'butler.get("r') == {'butler.get("raw'}
    unload_ipython_extension(shell)
    assert 'butler.get("raw' not in completed(shell, 'butler.get("r')


def completed(shell: InteractiveShell, text: str) -> set[str]:
    """Return what becomes of a text by each of the names that are offered."""
    with provisionalcompleter():
        offered = list(shell.Completer.completions(text, len(text)))
    return {text[: each.start] + each.text + text[each.end :] for each in offered if each.type == "str"}
