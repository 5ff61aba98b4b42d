# SPDX-License-Identifier: BSD-3-Clause
"""What every formatter does, and how one is found."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from butler.formatters import FormatterFactory, default_formatters
from butler_model.dataset import DatasetType
from butler_model.errors import ConfigurationError, FormatterError, StorageClassError, StorageClassTypeError
from butler_model.universe import DimensionUniverse
from tests.support.formatter_cases import CASES, Case

UNIVERSE = DimensionUniverse()
ASTROPY_WARNS_FIRST = "ignore::astropy.utils.exceptions.AstropyUserWarning"


def of_cases(cases: list[Case]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(
        "case", cases, ids=[f"{case.label}-{case.storage_class}" for case in cases]
    )


@pytest.fixture(autouse=True)
def pickle_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BUTLER_ALLOW_PICKLE", "1")


def dataset_type(name: str, storage_class: str, *dimensions: str) -> DatasetType:
    parent = "StructuredData" if "." in name else None
    return DatasetType(name, UNIVERSE.conform(dimensions), storage_class, parent)


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
    label = default_formatters().formatter_for(dataset_type("anything", case.storage_class)).formatter.label
    assert label == case.label or case.label == "yaml"


@of_cases(CASES)
def test_an_object_of_a_wrong_type_is_refused(case: Case) -> None:
    # Pickle takes almost everything.
    for wrong in [case.wrong, object()][: 1 if case.label == "pickle" else 2]:
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
    for obj in case.examples() if case.delimited else []:
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


CHECKS = (
    test_what_is_written_reads_back_equal,
    test_an_object_of_a_wrong_type_is_refused,
    test_truncated_bytes_are_refused,
    test_reading_as_an_unrelated_type_is_refused,
    test_unknown_components_and_parameters_are_refused_by_name,
    test_a_failure_of_the_source_is_not_taken_for_corruption,
)
"""What a formatter of another package is held to; see docs/how-to/write-a-formatter.md."""


# ------------------------------------------------------------------------------------------------ the factory


def test_labels_and_extensions_are_unique_and_every_formatter_is_covered() -> None:
    factory = default_formatters()
    assert set(factory.labels) == {case.label for case in CASES}
    formatters = [factory.by_label(label) for label in factory.labels]
    assert len({formatter.extension for formatter in formatters}) == len(formatters)
    assert all(formatter.extension.startswith(".") for formatter in formatters)


def test_an_unknown_label_is_refused_with_those_known() -> None:
    with pytest.raises(
        FormatterError, match=r"Unknown formatter 'marshal'; installed here are bytes, ecsv, fits"
    ):
        default_formatters().by_label("marshal")
    with pytest.raises(FormatterError, match="Unknown formatter"):
        default_formatters().by_label("butler.formatters.json:JsonFormatter")


def test_the_most_specific_key_decides() -> None:
    factory = FormatterFactory(
        {
            "formatters": {
                "StructuredDataDict": "json",
                "metrics": "yaml",
                "metrics.raw": "text",
                "detector+": "bytes",
                "default": "simple",
                "instrument<HSC>": {"metrics": "npy"},
            }
        }
    )

    def chosen(name: str, *dimensions: str, storage: str = "StructuredDataDict", **of: str) -> str:
        return factory.formatter_for(dataset_type(name, storage, *dimensions), **of).formatter.label

    assert chosen("other") == "json"
    assert chosen("metrics") == "yaml"
    assert chosen("metrics.part") == "yaml"
    assert chosen("metrics.raw") == "text"
    assert chosen("other", "detector") == "bytes"
    assert chosen("other", storage="Exposure") == "simple"
    assert chosen("metrics", instrument="HSC") == "npy"
    assert chosen("metrics", instrument="LATISS") == "yaml"


def test_a_storage_class_without_a_formatter_is_refused_by_name() -> None:
    with pytest.raises(FormatterError, match=r"'calexp' or its storage class 'Exposure'"):
        default_formatters().formatter_for(dataset_type("calexp", "Exposure"))


# ------------------------------------------------------------------------------------------- write parameters


def test_write_parameters_come_from_the_defaults_a_recipe_and_the_entry_in_that_order() -> None:
    factory = FormatterFactory(
        {
            "formatters": {
                "plain": "fits",
                "FitsImage": {"formatter": "fits", "parameters": {"recipe": "lossy", "quantize_level": 4}},
                "small": {"formatter": "fits", "parameters": {"recipe": "tiny"}},
            },
            "default": {"fits": {"compression": "GZIP_1", "tile_shape": [8, 8]}},
            "write_recipes": {"fits": {"tiny": {"compression": "GZIP_2"}}},
        }
    )
    assert factory.formatter_for(dataset_type("plain", "FitsImage")).write_parameters == {
        "compression": "GZIP_1",
        "tile_shape": [8, 8],
    }
    assert factory.formatter_for(dataset_type("other", "FitsImage")).write_parameters == {
        "compression": "RICE_1",
        "quantize_level": 4,
        "quantize_method": "subtractive_dither_1",
        "tile_shape": [8, 8],
    }
    small = factory.formatter_for(dataset_type("small", "FitsImage"))
    assert small.write_parameters == {"compression": "GZIP_2", "tile_shape": [8, 8]}


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        ({"default": {"fits": {"compresion": "GZIP_1"}}}, "no write parameter 'compresion'; .* is 'compression'"),
        ({"default": {"fits": {"compression": "RISE_1"}}}, "cannot be 'RISE_1'; the nearest is 'RICE_1'"),
        ({"default": {"fits": {"quantize_level": "16"}}}, "cannot be '16'; it is one of int, float"),
        ({"default": {"fits": {"quantize_level": True}}}, "cannot be True"),
        ({"default": {"fits": {"recipe": "losless"}}}, "no recipe 'losless'; the nearest is 'lossless'"),
        ({"write_recipes": {"fits": {"mine": {"tile": [1]}}}}, "no write parameter 'tile'; .* is 'tile_shape'"),
    ],
)  # fmt: skip
def test_a_write_parameter_or_recipe_that_a_formatter_does_not_know_is_refused(
    sections: dict[str, Any], message: str
) -> None:
    factory = FormatterFactory({"formatters": {"FitsImage": "fits"}, **sections})
    with pytest.raises(ConfigurationError, match=message):
        factory.formatter_for(dataset_type("image", "FitsImage"))


@of_cases(CASES)
def test_a_write_parameter_that_is_unknown_is_refused_by_name(case: Case) -> None:
    with pytest.raises(ConfigurationError, match=f"'{case.label}' has no write parameter 'nonsense'"):
        case.written(case.examples()[0], nonsense=1)


@pytest.mark.parametrize("label", default_formatters().labels)
def test_every_recipe_consists_of_parameters_that_the_formatter_takes(label: str) -> None:
    for recipe in default_formatters().by_label(label).write_recipes:
        config = {"formatters": {"x": {"formatter": label, "parameters": {"recipe": recipe}}}}
        assert FormatterFactory(config).formatter_for(dataset_type("x", "Text")).write_parameters


def test_an_unknown_label_in_a_configuration_is_refused_with_the_nearest() -> None:
    with pytest.raises(
        ConfigurationError, match="'parket', which is not installed here; the nearest is 'parquet'"
    ):
        FormatterFactory({"formatters": {"DataFrame": "parket"}})


def test_a_configuration_of_ones_own_goes_before_what_is_shipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "formatters.yaml"
    path.write_text("formatters: {StructuredDataDict: yaml}", encoding="utf-8")
    monkeypatch.setenv("BUTLER_FORMATTERS", str(path))
    factory = default_formatters.__wrapped__()
    assert factory.formatter_for(dataset_type("x", "StructuredDataDict")).formatter.label == "yaml"
    assert factory.formatter_for(dataset_type("x", "StructuredDataList")).formatter.label == "json"
    path.write_text("formatters: [", encoding="utf-8")
    with pytest.raises(ConfigurationError, match="BUTLER_FORMATTERS"):
        default_formatters.__wrapped__()


@pytest.mark.parametrize(
    "config",
    [
        {},
        [],
        {"formatters": ["json"]},
        {"formatters": {"Text": 5}},
        {"formatter": {"Text": "text"}},
        {"default": {"fits": 1}},
    ],
)
def test_a_formatter_configuration_of_another_shape_is_refused(config: Any) -> None:
    with pytest.raises(ConfigurationError, match="formatter configuration"):
        FormatterFactory(config)


def test_heavy_libraries_are_imported_only_when_used() -> None:
    program = (
        "import sys; from butler.formatters import default_formatters; from butler.storage_classes import *;"
        "default_storage_classes();"
        "light = 'json', 'logs', 'matplotlib', 'pickle', 'simple', 'text', 'yaml';"
        "[default_formatters().by_label(label) for label in light];"
        "heavy = {'numpy', 'pandas', 'pyarrow', 'astropy', 'h5py', 'matplotlib'} & set(sys.modules);"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
