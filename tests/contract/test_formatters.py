# SPDX-License-Identifier: BSD-3-Clause
"""What every formatter does, and how one is found."""

from __future__ import annotations

import io
import subprocess
import sys
from typing import Any

import pytest

from butler.formatters import FormatterFactory, default_formatters
from butler.storage_classes import default_storage_classes
from butler_model.errors import ConfigurationError, FormatterError, StorageClassError, StorageClassTypeError
from tests.support.formatter_cases import CASES, Case

ASTROPY_WARNS_FIRST = "ignore::astropy.utils.exceptions.AstropyUserWarning"


def of_cases(cases: list[Case]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(
        "case", cases, ids=[f"{case.label}-{case.storage_class}" for case in cases]
    )


@of_cases(CASES)
def test_what_is_written_reads_back_equal(case: Case) -> None:
    for obj, untouched in zip(case.examples(), case.examples(), strict=True):
        content = case.written(obj)
        source = io.BytesIO(content)
        read = case.formatter.read(source, case.pytype)
        assert not source.closed
        source.close()
        case.check(obj, read)
        case.check(untouched, obj)


@of_cases(CASES)
def test_the_formatter_is_the_one_chosen_for_its_storage_class(case: Case) -> None:
    storage_class = default_storage_classes().getStorageClass(case.storage_class)
    label = default_formatters().formatter_for("anything", storage_class).label
    assert label == case.label or case.label == "yaml"


@of_cases(CASES)
def test_an_object_of_a_wrong_type_is_refused(case: Case) -> None:
    for wrong in (case.wrong, object()):
        with pytest.raises((FormatterError, StorageClassTypeError), match=f"'{case.label}'"):
            case.formatter.write(wrong, io.BytesIO())


@pytest.mark.filterwarnings(ASTROPY_WARNS_FIRST)
@pytest.mark.parametrize(
    "garbage", [b"\xff\xfe\x00garbage\x81" * 40, b"[" * 100_000, b"{unfinished", bytes(9)]
)
@of_cases([case for case in CASES if case.label not in ("text", "bytes")])
def test_garbage_is_refused_by_the_name_of_the_formatter(case: Case, garbage: bytes) -> None:
    with pytest.raises(FormatterError, match=f"'{case.label}'"):
        case.formatter.read(io.BytesIO(garbage), case.pytype)


@pytest.mark.filterwarnings(ASTROPY_WARNS_FIRST)
@of_cases([case for case in CASES if case.delimited])
def test_truncated_bytes_are_refused(case: Case) -> None:
    for obj in case.examples():
        content = case.written(obj)
        for length in {0, 1, len(content) // 2, len(content) - 1}:
            with pytest.raises(FormatterError, match=f"'{case.label}'"):
                case.formatter.read(io.BytesIO(content[:length]), case.pytype)


@of_cases(CASES)
def test_reading_as_an_unrelated_type_is_refused(case: Case) -> None:
    content = case.written(case.examples()[0])
    with pytest.raises(FormatterError, match=f"'{case.label}'"):
        case.formatter.read(io.BytesIO(content), io.StringIO)


@of_cases(CASES)
def test_unknown_components_and_parameters_are_refused_by_name(case: Case) -> None:
    source = io.BytesIO(case.written(case.examples()[0]))
    with pytest.raises(StorageClassError, match="'nonsense'"):
        case.formatter.read(source, case.pytype, component="nonsense")
    with pytest.raises(StorageClassError, match="'nonsense'"):
        case.formatter.read(source, case.pytype, parameters={"nonsense": 1})


@of_cases(CASES)
def test_a_failure_of_the_source_is_not_taken_for_corruption(case: Case) -> None:
    class Unreachable(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            raise StorageClassError("stands for any error of the catalogue")

        readinto = read  # type: ignore[assignment]

    with pytest.raises(StorageClassError, match="stands for"):
        case.formatter.read(Unreachable(case.written(case.examples()[0])), case.pytype)


# ------------------------------------------------------------------------------------------------ the factory


def test_labels_and_extensions_are_unique_and_every_formatter_is_covered() -> None:
    factory = default_formatters()
    assert set(factory.labels) == {case.label for case in CASES}
    formatters = [factory.by_label(label) for label in factory.labels]
    assert len({formatter.extension for formatter in formatters}) == len(formatters)
    assert all(formatter.extension.startswith(".") for formatter in formatters)


def test_an_unknown_label_is_refused_with_those_known() -> None:
    with pytest.raises(
        FormatterError, match=r"Unknown formatter 'pickle'; installed here are bytes, ecsv, fits"
    ):
        default_formatters().by_label("pickle")
    with pytest.raises(FormatterError, match="Unknown formatter"):
        default_formatters().by_label("butler.formatters.json:JsonFormatter")


def test_the_dataset_type_comes_before_the_storage_class_and_a_component_after_its_parent() -> None:
    factory = FormatterFactory(
        {"formatters": {"StructuredDataDict": "json", "metrics": "yaml", "metrics.raw": "text"}}
    )
    storage_class = default_storage_classes().getStorageClass("StructuredDataDict")
    assert factory.formatter_for("other", storage_class).label == "json"
    assert factory.formatter_for("metrics", storage_class).label == "yaml"
    assert factory.formatter_for("metrics.part", storage_class).label == "yaml"
    assert factory.formatter_for("metrics.raw", storage_class).label == "text"


def test_a_storage_class_without_a_formatter_is_refused_by_name() -> None:
    exposure = default_storage_classes().getStorageClass("Exposure")
    with pytest.raises(FormatterError, match=r"'calexp' or its storage class 'Exposure'"):
        default_formatters().formatter_for("calexp", exposure)


@pytest.mark.parametrize("config", [{}, {"formatters": ["json"]}, {"formatters": {"Text": 5}}])
def test_a_formatter_configuration_of_another_shape_is_refused(config: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match="formatter configuration"):
        FormatterFactory(config)


def test_heavy_libraries_are_imported_only_when_used() -> None:
    program = (
        "import sys; from butler.formatters import default_formatters; from butler.storage_classes import *;"
        "default_storage_classes();"
        "[default_formatters().by_label(label) for label in ('json', 'yaml', 'text')];"
        "heavy = {'numpy', 'pandas', 'pyarrow', 'astropy'} & set(sys.modules);"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
