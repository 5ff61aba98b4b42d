# SPDX-License-Identifier: BSD-3-Clause
"""Finding formatters: by label among the entry points, and by what a dataset is."""

from __future__ import annotations

__all__ = ["FormatterFactory", "default_formatters"]

import functools
from collections.abc import Mapping
from importlib.metadata import EntryPoint, entry_points
from importlib.resources import files
from typing import Any

import yaml

from butler_model.errors import ConfigurationError, FormatterError
from butler_model.storage_class import StorageClass

from .formatter import Formatter

_GROUP = "butler.formatters"


@functools.cache
def default_formatters() -> FormatterFactory:
    """The formatters that this client ships, chosen as its configuration says."""
    text = (files("butler") / "configs" / "formatters.yaml").read_text(encoding="utf-8")
    return FormatterFactory(yaml.safe_load(text))


class FormatterFactory:
    """The formatters that are installed, and which of them writes what.

    Labels are an allow-list: the entry points of the group ``butler.formatters`` of what is installed here. A
    label that comes from a registry can therefore select code, but never name any. A formatter is imported
    when first used.

    Parameters
    ----------
    config
        ``{"formatters": {dataset type or storage class name: label}}``.

    Raises
    ------
    ConfigurationError
        Raised if the configuration has another shape, or two packages claim the same label.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        choices = config.get("formatters") if isinstance(config, Mapping) else None
        if not isinstance(choices, Mapping) or not all(isinstance(label, str) for label in choices.values()):
            raise ConfigurationError("A formatter configuration is {'formatters': {name: label}}.")
        self._choices: Mapping[str, str] = choices
        self._entry_points = _installed()
        self._formatters: dict[str, Formatter] = {}

    @property
    def labels(self) -> tuple[str, ...]:
        """All labels known here, sorted."""
        return tuple(sorted(self._entry_points))

    def formatter_for(self, dataset_type_name: str, storage_class: StorageClass) -> Formatter:
        """Choose the formatter that writes a dataset.

        The most specific name that is configured decides: the dataset type, then, for a component, the
        dataset type that it is part of, then the storage class.

        Raises
        ------
        FormatterError
            Raised if none is configured, or its label is unknown.
        """
        for name in (dataset_type_name, dataset_type_name.partition(".")[0], storage_class.name):
            if name in self._choices:
                return self.by_label(self._choices[name])
        raise FormatterError(
            f"No formatter is configured for dataset type {dataset_type_name!r} or its storage class "
            f"{storage_class.name!r}; use a storage class that has one, or configure one of "
            f"{', '.join(self.labels)}.",
            dataset_type=dataset_type_name,
            storage_class=storage_class.name,
        )

    def by_label(self, label: str) -> Formatter:
        """Look up the formatter that an artifact was written with.

        Raises
        ------
        FormatterError
            Raised if the label is unknown here, or a library that the formatter needs is not installed.
        """
        if label not in self._formatters:
            # Threads may do this twice; either formatter is as good as the other.
            self._formatters[label] = self._load(label)
        return self._formatters[label]

    def _load(self, label: str) -> Formatter:
        if label not in self._entry_points:
            raise FormatterError(
                f"Unknown formatter {label!r}; installed here are {', '.join(self.labels) or 'none'}.",
                formatter=label,
            )
        entry_point = self._entry_points[label]
        try:
            formatter = entry_point.load()()
        except ImportError as error:
            raise FormatterError(
                f"Formatter {label!r} needs a package that is not installed ({error}); "
                "pip install 'butler-grpc-client[fits,tables]'.",
                formatter=label,
            ) from error
        if not isinstance(formatter, Formatter) or formatter.label != label:
            raise FormatterError(
                f"Entry point {entry_point.value!r} is not the formatter {label!r} that it is said to be.",
                formatter=label,
            )
        return formatter


def _installed() -> dict[str, EntryPoint]:
    found: dict[str, EntryPoint] = {}
    for entry_point in entry_points(group=_GROUP):
        known = found.setdefault(entry_point.name, entry_point)
        # A package can be listed twice (once installed, once on the path); two packages must not share a
        # label.
        if known.value != entry_point.value:
            raise ConfigurationError(
                f"Two installed formatters have the label {entry_point.name!r}: {known.value} and "
                f"{entry_point.value}; uninstall one.",
                formatter=entry_point.name,
            )
    return found
