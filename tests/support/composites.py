# SPDX-License-Identifier: BSD-3-Clause
"""A composite as pipelines have them: metrics with a summary, an output and data, and a derived counter."""

from __future__ import annotations

__all__ = [
    "CONFIG",
    "DISASSEMBLED",
    "DataDelegate",
    "MetricsDelegate",
    "MetricsExample",
    "Pair",
    "add_metrics",
]

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from butler.delegates import StorageClassDelegate
from butler.storage_classes import add_storage_classes


class MetricsExample:
    """Some results; not a data class, so that only its delegate knows how to make one."""

    def __init__(
        self,
        summary: dict[str, Any] | None = None,
        output: dict[str, Any] | None = None,
        data: list[int] | None = None,
    ) -> None:
        self.summary = summary
        self._output = output
        self.data = data

    def get_output(self) -> dict[str, Any] | None:
        """Return the output, which is no attribute."""
        return self._output

    def __eq__(self, other: object) -> bool:
        return isinstance(other, MetricsExample) and self.__dict__ == other.__dict__

    def __repr__(self) -> str:
        return f"MetricsExample({self.summary}, {self._output}, {self.data})"


@dataclass(frozen=True)
class Pair:
    """A composite without a delegate of its own."""

    left: int | None = None
    right: dict[str, Any] | None = None


class MetricsDelegate(StorageClassDelegate):
    """Makes metrics; takes a slice of their data; counts that."""

    def assemble(self, components: Mapping[str, Any]) -> MetricsExample:
        return MetricsExample(**components)

    def handleParameters(self, inMemoryDataset: Any, parameters: Mapping[str, Any]) -> MetricsExample:
        metrics: MetricsExample = inMemoryDataset
        if metrics.data is None or "first" not in parameters:
            return metrics
        return MetricsExample(metrics.summary, metrics.get_output(), metrics.data[: parameters["first"]])

    def selectResponsibleComponent(
        self, derivedComponent: str, fromComponents: Collection[str]
    ) -> str | None:
        return "data" if derivedComponent == "counter" else None

    def getComponent(self, composite: Any, componentName: str) -> Any:
        if componentName == "size":
            return sum(
                len(part or ()) for part in (composite.summary, composite.get_output(), composite.data)
            )
        return super().getComponent(composite, componentName)


class DataDelegate(StorageClassDelegate):
    """Takes a slice of a list; counts it."""

    def handleParameters(self, inMemoryDataset: Any, parameters: Mapping[str, Any]) -> Any:
        return inMemoryDataset[parameters["slice"]] if "slice" in parameters else inMemoryDataset

    def getComponent(self, composite: Any, componentName: str) -> Any:
        return (
            len(composite) if componentName == "counter" else super().getComponent(composite, componentName)
        )


CONFIG: Mapping[str, Any] = {
    "storageClasses": {
        "TestMetrics": {
            "pytype": f"{__name__}.MetricsExample",
            "components": {
                "summary": "StructuredDataDict",
                "output": "StructuredDataDict",
                "data": "TestMetricsData",
            },
            "derivedComponents": {"counter": "int", "size": "int"},
            "parameters": ["first"],
            "delegate": "test-metrics",
            "converters": {"dict": "test-metrics-from-dict"},
        },
        "TestMetricsData": {
            "pytype": "list",
            "derivedComponents": {"counter": "int"},
            "parameters": ["slice"],
            "delegate": "test-metrics-data",
        },
        "TestPair": {
            "pytype": f"{__name__}.Pair",
            "components": {"left": "int", "right": "StructuredDataDict"},
            "converters": {"dict": "dataclass-from-mapping"},
        },
        "TestMappingPair": {
            "pytype": "dict",
            "components": {"left": "int", "right": "StructuredDataDict"},
            "converters": {f"{__name__}.Pair": "mapping-from-dataclass"},
        },
        "TestFrame": {
            "pytype": "dict",
            "components": {"table": "DataFrame", "note": "StructuredDataDict"},
        },
    }
}

DISASSEMBLED: Mapping[str, Any] = {"disassembled": {"TestMetrics": True, "TestPair": True, "TestFrame": True}}
"""What of these a repository stores in parts, if it stores them so."""


def add_metrics() -> None:
    """Make the storage classes known to this process; again changes nothing."""
    add_storage_classes(
        CONFIG,
        delegates={"test-metrics": MetricsDelegate, "test-metrics-data": DataDelegate},
        converters={"test-metrics-from-dict": _metrics_from_dict},
    )


def _metrics_from_dict(obj: dict[str, Any], pytype: type) -> object:
    return pytype(**obj)
