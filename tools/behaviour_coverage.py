# SPDX-License-Identifier: BSD-3-Clause
"""Keep docs/reference/behaviour-coverage.md true: which test shows which behaviour.

A test says so in a comment inside it or right above it: ``# D44`` or ``# D43, D44: more words``. The page has a row per
behaviour, whose last column this program writes (``write``) or compares (``check``).
"""

from __future__ import annotations

__all__ = ["PAGE", "main", "rows_of_page", "shown_behaviours", "written"]

import ast
import io
import re
import sys
import tokenize
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "reference" / "behaviour-coverage.md"
_MARK = re.compile(r"#\s*((?:D\d+[a-z]?)(?:\s*,\s*D\d+[a-z]?)*)\b")
_ROW = re.compile(r"^\| (D\d+[a-z]?) \| (.+?) \| (.*?) ?\|$")


def shown_behaviours() -> dict[str, list[str]]:
    """Return, for each behaviour that tests speak of, the tests as ``file::name``, in order."""
    found: dict[str, list[str]] = defaultdict(list)
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        source = path.read_text()
        spans = list(_functions(source))
        for line, text in _comments(source):
            mark = _MARK.match(text)
            name = _function_at(spans, line)
            if mark is None or name is None:
                continue
            test = f"{path.relative_to(ROOT)}::{name}"
            for behaviour in re.split(r"\s*,\s*", mark[1]):
                if test not in found[behaviour]:
                    found[behaviour].append(test)
    return dict(found)


def rows_of_page() -> list[tuple[str, str, str]]:
    """Return the rows of the page: behaviour, description, tests."""
    matches = (_ROW.match(line) for line in PAGE.read_text().splitlines())
    return [(match[1], match[2], match[3]) for match in matches if match]


def written(page: str, tests: dict[str, list[str]]) -> str:
    """Return the text of the page with its last column as the tests say."""
    lines = []
    for line in page.splitlines():
        match = _ROW.match(line)
        if match:
            named = "<br>".join(f"`{test}`" for test in tests.get(match[1], []))
            line = f"| {match[1]} | {match[2]} | {named or 'none yet'} |"
        lines.append(line)
    return "\n".join(lines) + "\n"


def main(arguments: Sequence[str]) -> int:
    """Write the page, or say how it differs."""
    if list(arguments) not in (["write"], ["check"]):
        sys.stderr.write("usage: python tools/behaviour_coverage.py write|check\n")
        return 2
    page = PAGE.read_text()
    new = written(page, shown_behaviours())
    if arguments[0] == "write":
        PAGE.write_text(new)
        return 0
    if new != page:
        sys.stderr.write(f"{PAGE.relative_to(ROOT)} is not what the tests say; run make behaviour-coverage\n")
    return int(new != page)


def _comments(source: str) -> Iterator[tuple[int, str]]:
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string


def _functions(source: str) -> Iterator[tuple[int, int, str]]:
    """Yield first line (decorators included), last line and name of each test."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
            yield first, node.end_lineno or first, node.name


def _function_at(spans: Sequence[tuple[int, int, str]], line: int) -> str | None:
    """Return the test that a line is in, or that begins within two lines after it."""
    for first, last, name in spans:
        if first - 2 <= line <= last:
            return name
    return None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
