# SPDX-License-Identifier: BSD-3-Clause
"""The rules that every source file keeps."""

from __future__ import annotations

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path

from tests.support.requirement import unavailable

ROOT = Path(__file__).resolve().parents[2]
LICENCE = "SPDX-License-Identifier: BSD-3-Clause"
# Kinds of file that can hold a comment; a tool writes the locked requirements, and JSON has none.
SOURCES = {".py", ".pyi", ".proto", ".toml", ".yaml", ".yml", ".sh", ".mako", ".ini", ".in", ".md"}
NAMED_SOURCES = {"Makefile", ".ci/run", ".gitignore", ".editorconfig"}
PACKAGES = (
    "model/src/",
    "protos/src/",
    "registry_service/src/",
    "datastore_service/src/",
    "client/src/",
)
VENDORED = ("protos/buf/", "protos/src/buf/")
"""What others wrote, under their licence."""
GENERATED = ("protos/src/butler_api/v1/", "protos/src/buf/")
MODULE_LINES = 400
FUNCTION_LINES = 50
PUBLIC_METHODS = 15
DRAWERS = {"utils", "util", "common", "helpers", "helper", "base", "manager", "impl", "misc"}
THE_MODEL_MAY_IMPORT = {"butler_model", "lsst"}
# In parts, so that this file does not hold what it forbids.
HOSTS = [
    ".".join(parts)
    for parts in (
        ("pypi", "org"),
        ("pythonhosted", "org"),
        ("registry", "npmjs"),
        ("deb", "debian"),
        ("proxy", "golang"),
        ("crates", "io"),
        ("repo", "maven"),
        ("repo1", "maven"),
    )
]
PLACES = ["/".join(parts) for parts in (("", "root", ""), ("", "tmp", "bash"), ("", "opt", "wheels"))]


@cache
def project_files() -> tuple[str, ...]:
    """Return every file that is tracked, or would be by ``git add``."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        listing = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        unavailable("git", f"the sources are not a git checkout: {error}")
    return tuple(sorted(name for name in set(listing.split("\0")) if name and (ROOT / name).is_file()))


def package_modules() -> list[str]:
    """Return the Python modules of the five distributions, without generated code."""
    return [
        name
        for name in project_files()
        if name.startswith(PACKAGES) and name.endswith(".py") and not name.startswith(GENERATED)
    ]


@cache
def tree(name: str) -> ast.Module:
    """Return the syntax tree of a module of the project."""
    return ast.parse((ROOT / name).read_bytes(), filename=name)


def own_python() -> list[str]:
    """Return every Python file of the project, without generated code."""
    return [name for name in project_files() if name.endswith(".py") and not name.startswith(GENERATED)]


def function_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Return how many lines a function takes, its docstring not counted."""
    lines = (function.end_lineno or function.lineno) - function.lineno + 1
    first = function.body[0]
    if ast.get_docstring(function, clean=False) is not None:
        lines -= (first.end_lineno or first.lineno) - first.lineno + 1
    return lines


def public_methods(definition: ast.ClassDef) -> list[str]:
    """Return a class's own public methods; an overload counts once, and a property is no method."""
    methods = [node for node in definition.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    names = {node.name for node in methods if not any(map(makes_property, node.decorator_list))}
    return sorted(name for name in names if not name.startswith("_"))


def makes_property(decorator: ast.expr) -> bool:
    """Tell whether a decorator is ``@property``, ``@cached_property`` or ``@name.setter``."""
    match decorator:
        case ast.Name(id="property" | "cached_property") | ast.Attribute(attr="cached_property" | "setter"):
            return True
        case _:
            return False


def test_every_source_file_names_its_licence_at_its_top() -> None:
    without = [
        name
        for name in project_files()
        if (Path(name).suffix in SOURCES or name in NAMED_SOURCES)
        and not name.startswith(VENDORED)
        and not any(LICENCE in line for line in (ROOT / name).read_text().splitlines()[:2])
    ]
    assert not without, f"no line '{LICENCE}' at the top of: {without}"


def test_no_module_is_longer_than_it_may_be() -> None:
    lengths = {name: len((ROOT / name).read_bytes().splitlines()) for name in own_python()}
    long = {name: n for name, n in lengths.items() if n > MODULE_LINES and not name.startswith("tests/")}
    assert not long, f"longer than {MODULE_LINES} lines; split by noun: {long}"


def test_no_function_is_longer_than_it_may_be() -> None:
    long = {
        f"{name}:{node.lineno} {node.name}": function_lines(node)
        for name in own_python()
        for node in ast.walk(tree(name))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and function_lines(node) > FUNCTION_LINES
    }
    assert not long, f"longer than {FUNCTION_LINES} lines: {long}"


def test_no_class_has_more_public_methods_than_it_may() -> None:
    wide = {
        f"{name}:{node.lineno} {node.name}": len(public_methods(node))
        for name in own_python()
        for node in ast.walk(tree(name))
        if isinstance(node, ast.ClassDef) and len(public_methods(node)) > PUBLIC_METHODS
    }
    assert not wide, f"more than {PUBLIC_METHODS} public methods: {wide}"


def test_every_module_says_what_is_public() -> None:
    silent = []
    for name in package_modules():
        if name.endswith(("/__main__.py", "migrations/env.py")) or "/migrations/versions/" in name:
            continue
        statements = [node for node in tree(name).body if not isinstance(node, ast.Expr)]
        targets = [
            target.id
            for node in statements
            if isinstance(node, ast.Assign | ast.AnnAssign)
            for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
            if isinstance(target, ast.Name)
        ]
        if statements and "__all__" not in targets:
            silent.append(name)
    assert not silent, f"no __all__ in: {silent}"


def test_no_file_name_says_nothing() -> None:
    drawers = [name for name in own_python() if Path(name).stem in DRAWERS]
    assert not drawers, f"name these after what is in them: {drawers}"


def test_no_file_names_a_package_index_or_a_place_on_one_machine() -> None:
    found = []
    for name in project_files():
        content = (ROOT / name).read_bytes().decode(errors="replace")
        found += [f"{name}: {word}" for word in (*HOSTS, *PLACES) if word in content]
    assert not found, f"these hold only on one machine, or tie the project to one index: {found}"


def test_the_model_imports_only_the_standard_library_and_its_geometry() -> None:
    allowed = THE_MODEL_MAY_IMPORT | sys.stdlib_module_names
    foreign = []
    for name in (name for name in package_modules() if name.startswith("model/src/")):
        also = {"astropy"} if name.endswith("butler_model/timespan.py") else set()
        for node in ast.walk(tree(name)):
            imported = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.level == 0:
                imported = [node.module or ""]
            foreign += [f"{name}: {each}" for each in imported if each.split(".")[0] not in allowed | also]
    assert not foreign, f"not for the model: {foreign}"
