# SPDX-License-Identifier: BSD-3-Clause
"""A composite as pipelines have them, to put and get in tests."""

from __future__ import annotations

__all__ = ["MetricsExample", "registerMetricsExample"]

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

from butler.delegates import StorageClassDelegate
from butler.formatters import default_formatters
from butler.storage_classes import add_storage_classes


@dataclass(frozen=True)
class MetricsExample:
    """Some results of a measurement.

    Attributes
    ----------
    summary, output
        Names and values of plain Python types.
    data
        Numbers.
    """

    summary: dict[str, Any] | None = None
    output: dict[str, Any] | None = None
    data: list[float] | None = None


class _MetricsDelegate(StorageClassDelegate):
    """Takes a slice of the data, and counts it."""

    def handleParameters(self, inMemoryDataset: Any, parameters: Mapping[str, Any]) -> MetricsExample:
        metrics: MetricsExample = inMemoryDataset
        if metrics.data is None or "slice" not in parameters:
            return metrics
        return replace(metrics, data=metrics.data[parameters["slice"]])

    def selectResponsibleComponent(
        self, derivedComponent: str, fromComponents: Collection[str]
    ) -> str | None:
        return "data" if derivedComponent == "counter" else None

    def getComponent(self, composite: Any, componentName: str) -> Any:
        if componentName == "counter":
            return len(composite.data or ())
        return super().getComponent(composite, componentName)


class _DataDelegate(StorageClassDelegate):
    """The same of data that is stored by itself."""

    def handleParameters(self, inMemoryDataset: Any, parameters: Mapping[str, Any]) -> Any:
        return inMemoryDataset[parameters["slice"]] if "slice" in parameters else inMemoryDataset

    def getComponent(self, composite: Any, componentName: str) -> Any:
        if componentName == "counter":
            return len(composite)
        return super().getComponent(composite, componentName)


_STORAGE_CLASSES: Mapping[str, Any] = {
    "storageClasses": {
        "StructuredComposite": {
            "pytype": f"{__name__}.MetricsExample",
            "components": {
                "summary": "StructuredDataDict",
                "output": "StructuredDataDict",
                "data": "MetricsData",
            },
            "derivedComponents": {"counter": "int"},
            "parameters": ["slice"],
            "delegate": "metrics-example",
            "converters": {"dict": "dataclass-from-mapping"},
        },
        "MetricsData": {
            "pytype": "list",
            "derivedComponents": {"counter": "int"},
            "parameters": ["slice"],
            "delegate": "metrics-example-data",
        },
    }
}


def registerMetricsExample() -> None:
    """Make the storage class ``StructuredComposite``, of `MetricsExample`, known to this process.

    Its components are ``summary``, ``output`` and ``data``, the derived one ``counter`` is the length of the data, and
    the parameter ``slice`` restricts the data. It is stored as JSON, whole, or in parts if the repository was made with
    ``composites={"disassembled": {"StructuredComposite": True}}``.
    """
    add_storage_classes(
        _STORAGE_CLASSES,
        delegates={"metrics-example": _MetricsDelegate, "metrics-example-data": _DataDelegate},
    )
    default_formatters().add_config({"formatters": {"StructuredComposite": "json", "MetricsData": "json"}})
