# SPDX-License-Identifier: BSD-3-Clause
"""Whatever components of a composite are None, it comes back equal, stored whole or in parts."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from butler import Butler, DatasetType
from butler.formatters import FormatterFactory
from tests.support.composites import MetricsExample, add_metrics

FORMATS = {"TestMetrics": "yaml", "TestMetricsData": "json", "StructuredDataDict": "json"}
RUNS = count()
DICTS = st.none() | st.dictionaries(st.text(max_size=5), st.integers() | st.none(), max_size=3)
METRICS = st.builds(MetricsExample, DICTS, DICTS, st.none() | st.lists(st.integers(), max_size=4))


@pytest.fixture(scope="module")
def butler(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Butler]:
    """Give a butler of a repository that stores type ``whole`` whole and type ``parts`` in parts."""
    add_metrics()
    root = tmp_path_factory.mktemp("composites")
    Butler.makeRepo(Path(root), composites={"disassembled": {"parts": True}})
    formatters = FormatterFactory({"formatters": FORMATS})
    with Butler(root, writeable=True) as butler, pytest.MonkeyPatch.context() as patch:
        patch.setattr("butler.putting.default_formatters", lambda: formatters)
        for name in ("whole", "parts"):
            butler.registry.registerDatasetType(
                DatasetType(name, [], "TestMetrics", universe=butler.dimensions)
            )
        yield butler


@settings(max_examples=40, deadline=None)
@given(made=METRICS, first=st.integers(0, 5))
def test_any_subset_of_components_may_be_none(butler: Butler, made: MetricsExample, first: int) -> None:
    # D34, D36
    run = f"run{next(RUNS)}"
    butler.registry.registerRun(run)
    answers = []
    for name in ("whole", "parts"):
        butler.put(made, name, run=run)
        got = [
            butler.get(name, collections=run),
            butler.get(name, collections=run, parameters={"first": first, "slice": slice(1, None)}),
            *(
                butler.get(f"{name}.{component}", collections=run)
                for component in ("summary", "output", "data", "counter", "size")
            ),
            butler.get(f"{name}.counter", collections=run, parameters={"slice": slice(first)}),
        ]
        assert got[0] == made
        assert got[2:5] == [made.summary, made.get_output(), made.data]
        answers.append(got)
    assert answers[0] == answers[1]
