# SPDX-License-Identifier: BSD-3-Clause
"""Finding formatters: by label among the entry points, and by what a dataset is."""

from __future__ import annotations

__all__ = ["Choice", "FormatterFactory", "default_formatters"]

import functools
import os
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import yaml

from butler.entry_points import installed_entry_points
from butler_model.config_lookup import find_entry, flat_entries
from butler_model.errors import ConfigurationError, FormatterError

from .formatter import Formatter
from .write_parameters import check_write_parameters, expand_recipe, nearest

if TYPE_CHECKING:
    from butler_model.dataset import DatasetType

_GROUP = "butler.formatters"
_VARIABLE = "BUTLER_FORMATTERS"
_SECTIONS = ("formatters", "default", "write_recipes")


@dataclass(frozen=True, slots=True)
class _Entry:
    """What a configuration says of one key."""

    label: str
    parameters: Mapping[str, object]


@functools.cache
def default_formatters() -> FormatterFactory:
    """The formatters of this process, chosen as the configuration that is shipped says.

    The file that the environment variable ``BUTLER_FORMATTERS`` names, if it is set, goes before that.

    Raises
    ------
    ConfigurationError
        Raised if that file cannot be read, or is not as it should be.
    """
    text = (files("butler") / "configs" / "formatters.yaml").read_text(encoding="utf-8")
    factory = FormatterFactory(yaml.safe_load(text))
    if path := os.environ.get(_VARIABLE):
        try:
            content = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
        except (OSError, ValueError, yaml.YAMLError) as error:
            raise ConfigurationError(
                f"{path!r}, which {_VARIABLE} names, cannot be read as YAML: {error}", path=path
            ) from error
        factory.add_config(content)
    return factory


class Choice(NamedTuple):
    """The formatter that writes a dataset, and the parameters that it does so with."""

    formatter: Formatter
    write_parameters: Mapping[str, object]


class FormatterFactory:
    """The formatters that are installed, and which of them writes what.

    Labels are an allow-list: the entry points of the group ``butler.formatters`` of what is installed here. A
    label that comes from a registry can therefore select code, but never name any. A formatter is imported
    when first used.

    Parameters
    ----------
    config
        See `add_config`.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        self._entry_points = installed_entry_points(_GROUP)
        self._formatters: dict[str, Formatter] = {}
        # As many as there are dataset types, for each instrument.
        self._chosen: dict[tuple[DatasetType, str | None], Choice] = {}
        self._entries: Mapping[str, _Entry] = {}
        self._defaults: Mapping[str, Mapping[str, object]] = {}
        self._recipes: Mapping[str, Mapping[str, Any]] = {}
        self.add_config(config)

    @property
    def labels(self) -> tuple[str, ...]:
        """All labels known here, sorted."""
        return tuple(sorted(self._entry_points))

    @property
    def keys(self) -> tuple[str, ...]:
        """All keys under which a formatter is configured."""
        return tuple(self._entries)

    def add_config(self, config: Mapping[str, Any]) -> None:
        """Add what a configuration says; it goes before what was there.

        Parameters
        ----------
        config
            ``{"formatters": {key: label or {"formatter": label, "parameters": {name: value}}}, "default":
            {label: {name: value}}, "write_recipes": {label: {recipe: {name: value}}}}``, where at least one
            of the three is there. The keys are those of `butler_model.config_lookup`. Write parameters are
            checked when the formatter is first chosen, since that imports it.

        Raises
        ------
        ConfigurationError
            Raised if the configuration has another shape, or names a formatter that is not installed.
        """
        if not isinstance(config, Mapping) or not config:
            raise _misshapen(f"{config!r:.80}")
        if unknown := [key for key in config if key not in _SECTIONS]:
            raise _misshapen(f"{unknown[0]!r}, of which {nearest(str(unknown[0]), _SECTIONS)}")
        sections = {name: config.get(name, {}) for name in _SECTIONS}
        for name, section in sections.items():
            if not isinstance(section, Mapping):
                raise _misshapen(f"{section!r:.80} under {name!r}")
        entries = {
            key: self._entry(key, entry) for key, entry in flat_entries(sections["formatters"]).items()
        }
        defaults, recipes = sections["default"], sections["write_recipes"]
        for label, named in [*defaults.items(), *recipes.items()]:
            self._check_label(label)
            if not isinstance(named, Mapping):
                raise _misshapen(f"{named!r:.80} for {label!r}")
        self._entries = {**self._entries, **entries}
        self._defaults = _merged(self._defaults, defaults)
        self._recipes = _merged(self._recipes, recipes)
        self._chosen = {}

    def formatter_for(self, dataset_type: DatasetType, instrument: str | None = None) -> Choice:
        """Choose the formatter that writes a dataset, with its write parameters.

        The most specific key that is configured decides; see `butler_model.config_lookup.lookup_keys`. Its
        parameters go before the default ones of the formatter.

        Raises
        ------
        FormatterError
            Raised if none is configured.
        ConfigurationError
            Raised if the formatter does not take the parameters that are configured.
        """
        chosen = self._chosen.get((dataset_type, instrument))
        if chosen is None:
            chosen = self._chosen[dataset_type, instrument] = self._choose(dataset_type, instrument)
        return chosen

    def _choose(self, dataset_type: DatasetType, instrument: str | None) -> Choice:
        entry = find_entry(self._entries, dataset_type, instrument)
        if entry is None:
            raise FormatterError(
                f"No formatter is configured for dataset type {dataset_type.name!r} or its storage class "
                f"{dataset_type.storageClass_name!r}; use a storage class that has one, or configure one of "
                f"{', '.join(self.labels)}.",
                dataset_type=dataset_type.name,
                storage_class=dataset_type.storageClass_name,
            )
        formatter = self.by_label(entry.label)
        recipes = {**formatter.write_recipes, **self._recipes.get(entry.label, {})}
        for recipe in recipes.values():
            check_write_parameters(entry.label, recipe, formatter.write_parameters)
        parameters: dict[str, object] = {}
        for given in (self._defaults.get(entry.label, {}), entry.parameters):
            parameters.update(expand_recipe(entry.label, given, recipes))
        check_write_parameters(entry.label, parameters, formatter.write_parameters)
        return Choice(formatter, parameters)

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

    def _entry(self, key: str, entry: Any) -> _Entry:
        label, parameters = entry, {}
        if isinstance(entry, Mapping) and set(entry) <= {"formatter", "parameters"}:
            label, parameters = entry.get("formatter"), entry.get("parameters", {})
        if not isinstance(label, str) or not isinstance(parameters, Mapping):
            raise _misshapen(f"{entry!r:.80} for {key!r}")
        self._check_label(label)
        return _Entry(label, parameters)

    def _check_label(self, label: object) -> None:
        if label not in self._entry_points:
            raise ConfigurationError(
                f"The configuration names the formatter {label!r}, which is not installed here; "
                f"{nearest(str(label), self._entry_points)}.",
                formatter=str(label),
            )

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
                "pip install 'butler-grpc-client[figures,fits,hdf5,tables]'.",
                formatter=label,
            ) from error
        if not isinstance(formatter, Formatter) or formatter.label != label:
            raise FormatterError(
                f"Entry point {entry_point.value!r} is not the formatter {label!r} that it is said to be.",
                formatter=label,
            )
        return formatter


def _merged(
    old: Mapping[str, Mapping[str, Any]], new: Mapping[str, Mapping[str, Any]]
) -> dict[str, Mapping[str, Any]]:
    return {label: {**old.get(label, {}), **new.get(label, {})} for label in {**old, **new}}


def _misshapen(what: str) -> ConfigurationError:
    return ConfigurationError(
        "A formatter configuration is {'formatters': {key: label or {'formatter': label, 'parameters': {…}}}, "
        "'default': {label: parameters}, 'write_recipes': {label: {name: parameters}}}; it cannot have "
        f"{what}."
    )
