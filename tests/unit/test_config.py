# SPDX-License-Identifier: BSD-3-Clause
"""Configurations: keys, files, what they include, and what is never shown."""

from __future__ import annotations

import io
import json
import pickle
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from butler import Config
from butler_model.errors import ConfigurationError, ConfigurationKeyError, ConfigurationNotFoundError

CONTENT = {"a": {"b": {"c": 1}, "list": [{"x": 1}, {"x": 2}]}, "d.e": 5, "f": "text"}
SECRET = "postgresql://someone:tOpSeCrEt@db.example.org/butler"


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("f", "text"),
        (".f", "text"),
        (".a.b.c", 1),
        ("/a/b/c", 1),
        ("→a→b→c", 1),
        (("a", "b", "c"), 1),
        (["a", "b"], {"c": 1}),
        (".a.list.1.x", 2),
        (("a", "list", 0, "x"), 1),
        (".a.list.-1", {"x": 2}),
        ("d.e", 5),
        (r".d\.e", 5),
        ("/d.e", 5),
    ],
    ids=str,
)
def test_a_key_names_levels(key: Any, value: Any) -> None:
    config = Config(CONTENT)
    assert config[key] == value
    assert key in config


@pytest.mark.parametrize(
    ("key", "offender"),
    [
        ("nope", "'nope'"),
        (".a.bb", "the nearest known one is 'b'"),
        (".a.b.c.d", "int"),
        (".a.list.2", "list of 2"),
        (".a.list.x", "'x'"),
        (("a", "b", "c", "d"), ".a.b.c.d"),
    ],
)
def test_a_key_that_is_not_there_is_a_key_error_with_the_nearest_that_is(key: Any, offender: str) -> None:
    config = Config(CONTENT)
    with pytest.raises(KeyError) as caught:
        config[key]
    assert isinstance(caught.value, ConfigurationKeyError)
    assert offender in str(caught.value)
    assert key not in config
    assert config.get(key, 7) == 7


@pytest.mark.parametrize("key", ["", ".a..b", ".", ()])
def test_a_key_with_an_empty_name_is_refused(key: Any) -> None:
    with pytest.raises(ConfigurationError, match="empty"):
        Config(CONTENT)[key]


def test_a_name_of_the_top_goes_before_its_reading_as_a_path() -> None:
    config = Config({".a.b": 1, "a": {"b": 2}})
    assert config[".a.b"] == 1
    assert config["/a/b"] == 2


def test_setting_makes_levels_and_deleting_leaves_their_parents() -> None:
    config = Config()
    config[".x.y.z"] = (1, 2)
    assert config == {"x": {"y": {"z": [1, 2]}}}
    config["x", "y", "z", 1] = {"deep": Config({"er": 1})}
    assert config[".x.y.z.1.deep.er"] == 1
    del config[".x.y.z.1"]
    assert config == {"x": {"y": {"z": [1]}}}
    del config[".x.y.z"]
    assert config == {"x": {"y": {}}}
    with pytest.raises(KeyError):
        del config[".x.y.z"]
    config["plain"] = 1
    with pytest.raises(ConfigurationError, match="int"):
        config[".plain.below"] = 1


def test_what_is_taken_out_is_a_copy() -> None:
    config = Config(CONTENT)
    config["a"]["b"] = 0
    config[".a.list"].append(1)
    config.toDict()["a"] = 0
    config.copy()["a"] = 0
    assert config == CONTENT


def test_update_lays_over_and_merge_lays_under() -> None:
    config = Config({"a": {"b": 1, "list": [1, 2]}})
    config.update({"a": {"c": 2, "list": [3]}, "d": 4})
    assert config == {"a": {"b": 1, "c": 2, "list": [3]}, "d": 4}
    config.merge({"a": {"b": 7, "e": 5}, "f": {"g": 6}})
    assert config == {"a": {"b": 1, "c": 2, "list": [3], "e": 5}, "d": 4, "f": {"g": 6}}
    config.update({"a": 1}, d={"e": 2})
    assert (config["a"], config["d"]) == (1, {"e": 2})


def test_names_are_keys_whatever_is_in_them() -> None:
    config = Config({"a": {"b": 1, "x→y": [{"c": 2}]}, "d.e": 3})
    assert config.nameTuples(topLevelOnly=True) == [("a",), ("d.e",)]
    assert ("a", "x→y", "0", "c") in config.nameTuples()
    assert config.names(topLevelOnly=True) == ["a", "d.e"]
    assert {config.names()[0][0]}.isdisjoint("→.")
    assert [config[name] for name in config.names()] == [config[path] for path in config.nameTuples()]
    assert config.names(delimiter="/")[1] == "/a/b"
    with pytest.raises(ConfigurationError, match="delimit"):
        config.names(delimiter="ab")


names = st.text(min_size=1, max_size=6).filter(lambda text: text.isprintable())
hierarchies = st.recursive(
    st.integers() | st.booleans() | names,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(names, hierarchies, max_size=4))
def test_any_configuration_comes_back_from_text_and_by_all_its_names(content: dict[str, Any]) -> None:
    config = Config(content)
    assert Config.fromString(config.dump() or "") == content
    assert Config.fromString(config.dump(format="json") or "", format="json") == content
    for name, path in zip(config.names(delimiter="/"), config.nameTuples(), strict=True):
        if name not in content:
            assert config[name] == config[path]


def test_as_array_makes_a_list_of_one() -> None:
    config = Config({"one": "a", "many": ["a", "b"], "deep": {"x": 1}})
    assert config.asArray("one") == ["a"]
    assert config.asArray("many") == ["a", "b"]
    assert config.asArray("deep") == [{"x": 1}]


def test_a_file_is_read_by_its_extension(tmp_path: Path) -> None:
    for name in ("c.yaml", "c.json"):
        file = write(tmp_path / name, json.dumps(CONTENT))
        config = Config(str(file))
        assert config == CONTENT
        assert config.configFile == str(file)
        assert Config(file.as_uri()) == config == Config(config)
    with pytest.raises(ConfigurationError, match="extension"):
        Config(write(tmp_path / "c.toml", ""))
    with pytest.raises(FileNotFoundError) as caught:
        Config(tmp_path / "none.yaml")
    assert isinstance(caught.value, ConfigurationNotFoundError)
    with pytest.raises(ConfigurationError, match="float"):
        Config(1.5)  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="ftp"):
        Config("ftp://host/c.yaml")


def test_a_path_may_begin_at_home_or_with_a_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "c.yaml", "a: 1")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PLACE", str(tmp_path))
    assert Config("~/c.yaml") == Config("$PLACE/c.yaml") == {"a": 1}


@pytest.mark.parametrize(
    ("text", "offender"),
    [
        ("a: [1\n", "YAML"),
        ("a: 1\nb: 2\na: 3\n", "'a' is there twice at line 3"),
        ("x: {a: 1, a: 2}\n", "twice"),
        ("- 1\n", "mapping"),
        ("", "None"),
        ("a: !!python/name:os.system x\n", "YAML"),
        ("a: !unknown x\n", "YAML"),
        ("a: " + "[" * 5000, "YAML"),
    ],
)
def test_a_malformed_file_is_refused_with_its_name_and_place(
    tmp_path: Path, text: str, offender: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Config(write(tmp_path / "c.yaml", text))
    assert offender in str(caught.value)
    assert "c.yaml" in str(caught.value)


def test_json_is_as_strict(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="twice"):
        Config(write(tmp_path / "c.json", '{"a": 1, "a": 2}'))
    with pytest.raises(ConfigurationError, match="line 2"):
        Config(write(tmp_path / "c.json", '{"a":\n1,}'))


def test_merge_keys_and_anchors_of_yaml_work(tmp_path: Path) -> None:
    file = write(tmp_path / "c.yaml", "base: &base {a: 1, b: 2}\nmine: {<<: *base, b: 3}\n")
    assert Config(file)["mine"] == {"a": 1, "b": 3}


def test_files_are_included_beside_the_file_that_names_them(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    write(tmp_path / "sub" / "inner.yaml", "x: !include deepest.json\n")
    write(tmp_path / "sub" / "deepest.json", '{"y": [1]}')
    write(tmp_path / "two.yaml", "2")
    absolute = write(tmp_path / "three.yaml", "3")
    text = "one: !include sub/inner.yaml\nmany: !include [two.yaml, two.yaml]\n"
    text += f"named: !include {{three: {absolute}, uri: '{absolute.as_uri()}'}}\n"
    config = Config(write(tmp_path / "c.yaml", text))
    assert config == {"one": {"x": {"y": [1]}}, "many": [2, 2], "named": {"three": 3, "uri": 3}}


def test_what_the_older_library_refuses_as_a_runtime_error_is_one(tmp_path: Path) -> None:
    # A6
    toml = write(tmp_path / "c.toml", "")
    for refused in (1.5, toml, tmp_path, write(tmp_path / "c.yaml", "includeConfigs: nowhere.yaml\n")):
        with pytest.raises(RuntimeError):
            Config(refused)  # type: ignore[arg-type]


def test_what_cannot_be_included_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationNotFoundError, match=r"absent\.yaml"):
        Config(write(tmp_path / "c.yaml", "a: !include absent.yaml\n"))
    with pytest.raises(ConfigurationError, match="includes itself"):
        Config(write(tmp_path / "c.yaml", "a: !include c.yaml\n"))
    with pytest.raises(ConfigurationError, match="includes itself"):
        Config(write(tmp_path / "c.yaml", "includeConfigs: c.yaml\n"))
    with pytest.raises(ConfigurationError, match="text"):
        Config(write(tmp_path / "c.yaml", "a: !include [[x]]\n"))


def test_include_configs_lays_a_mapping_over_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "there").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("WHERE", str(tmp_path / "there"))
    write(tmp_path / "here" / "both.yaml", "a: here\nb: {c: 1, d: 1}\n")
    write(tmp_path / "there" / "both.yaml", "a: there\n")
    write(tmp_path / "there" / "later.yaml", "b: {d: 2}\ne: 2\n")
    text = "includeConfigs: [both.yaml, later.yaml]\ne: 3\nsub: {includeConfigs: $WHERE/both.yaml, f: 4}\n"
    config = Config(write(tmp_path / "there" / "c.yaml", text))
    assert config == {"a": "here", "b": {"c": 1, "d": 2}, "e": 3, "sub": {"a": "there", "f": 4}}
    with pytest.raises(ConfigurationNotFoundError, match=r"nowhere\.yaml"):
        Config(write(tmp_path / "c.yaml", "includeConfigs: nowhere.yaml\n"))
    with pytest.raises(ConfigurationError, match="includeConfigs"):
        Config(write(tmp_path / "c.yaml", "includeConfigs: {a: b}\n"))


def test_a_text_is_read_in_the_format_that_is_named() -> None:
    assert Config.fromYaml("{a: 1}") == Config.fromString('{"a": 1}', format="json") == {"a": 1}
    with pytest.raises(ConfigurationError, match="toml"):
        Config.fromString("", format="toml")


def test_it_is_written_to_streams_and_files(tmp_path: Path) -> None:
    config = Config(CONTENT)
    stream = io.StringIO()
    assert config.dump(stream) is None
    assert Config.fromYaml(stream.getvalue()) == config
    file = config.dumpToUri(tmp_path / "new" / "folder")
    assert file == str(tmp_path / "new" / "folder" / "config.yaml") == config.configFile
    assert Config(file) == config
    other = config.dumpToUri(tmp_path / "c.json", updateFile=False)
    assert json.loads(Path(other).read_text()) == CONTENT
    assert config.configFile == file
    with pytest.raises(FileExistsError):
        config.dumpToUri(file, overwrite=False)
    with pytest.raises(ConfigurationError, match="https"):
        config.dumpToUri("https://host/c.yaml")


def test_it_is_compared_copied_and_pickled_as_a_whole(tmp_path: Path) -> None:
    config = Config(write(tmp_path / "c.yaml", "a: {b: 1}"))
    copy = pickle.loads(pickle.dumps(config))
    assert copy == config == config.copy()
    assert (copy.configFile, config.copy().configFile) == (config.configFile, config.configFile)
    assert config != {"a": {}}
    assert config != 1


def test_a_password_is_never_shown() -> None:
    config = Config({"registry": {"database": SECRET, "more": [SECRET + "?password=tOpSeCrEt"]}})
    for text in (str(config), repr(config), repr(config["registry"])):
        assert "tOpSeCrEt" not in text
        assert "someone:***@db.example.org" in text
    assert config[".registry.database"] == SECRET


def test_a_file_with_a_password_has_to_be_its_owners_alone(tmp_path: Path) -> None:
    file = write(tmp_path / "c.yaml", f"database: {SECRET}\n")
    file.chmod(0o640)
    with pytest.raises(ConfigurationError, match="chmod 600") as caught:
        Config(file)
    assert "tOpSeCrEt" not in str(caught.value)
    file.chmod(0o600)
    config = Config(file)
    written = Path(config.dumpToUri(tmp_path / "copy.yaml"))
    assert written.stat().st_mode & 0o777 == 0o600
    file.write_text(f"database: {SECRET}\nx: [\n")
    with pytest.raises(ConfigurationError, match="YAML") as caught:
        Config(file)
    assert "tOpSeCrEt" not in f"{caught.value} {caught.value.metadata}"
    public = write(tmp_path / "public.yaml", "database: postgresql://someone:${PASSWORD}@db/butler\n")
    public.chmod(0o644)
    assert "${PASSWORD}" in str(Config(public))
