# SPDX-License-Identifier: BSD-3-Clause
"""Whether what is configured fits the dataset types of a repository."""

from __future__ import annotations

__all__ = ["ConfigurationValidating", "configuration_problems"]

import logging
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from butler_model.config_lookup import DEFAULT
from butler_model.dataset import DatasetType
from butler_model.errors import ButlerError, DimensionNameError, ValidationError
from butler_model.placement import Placement
from butler_model.query.spec import QuerySpec, ResultKind
from butler_model.repository import Constraints, RepositoryInfo
from butler_model.universe import DimensionUniverse

from .connect import Connection
from .formatters import default_formatters
from .lookup import DatasetAccess
from .putting import planned_layouts
from .results import DimensionRecordResults
from .storage_classes import default_storage_classes

_LOG = logging.getLogger(__name__)
_INSTRUMENT = "instrument"
_ALL = "all"


class ConfigurationValidating(DatasetAccess):
    """The method that checks what is configured."""

    def validateConfiguration(
        self,
        logFailures: bool = False,
        datasetTypeNames: Iterable[str] | None = None,
        ignore: Iterable[str] | None = None,
    ) -> None:
        """Check that datasets of every registered type could be stored, and that every key that is configured is known.

        Of each type, and of each instrument if it has one, there have to be a storage class, a formatter, a store that
        takes it, and a template that needs nothing which its datasets do not have. Keys of templates, constraints,
        composites and formatters name dataset types, storage classes, dimensions or instruments that exist.

        Parameters
        ----------
        logFailures
            Whether each problem is also logged, as an error.
        datasetTypeNames
            Names of the dataset types to check, and nothing else.
        ignore
            Names of dataset types, and keys, that are not checked.

        Raises
        ------
        ValidationError
            Raised if there is a problem; names them all.
        MissingDatasetTypeError
            Raised if one that is named does not exist.
        """
        names = None if datasetTypeNames is None else list(datasetTypeNames)
        problems = configuration_problems(self._connection, names, frozenset(ignore or ()))
        if logFailures:
            for problem in problems:
                _LOG.error("%s", problem)
        if problems:
            count = "one problem" if len(problems) == 1 else f"{len(problems)} problems"
            raise ValidationError(f"The configuration has {count}: {' '.join(problems)}")


def configuration_problems(
    connection: Connection, names: Collection[str] | None, ignore: Collection[str]
) -> list[str]:
    """Return what does not fit, a sentence for each; the parameters are those of ``validateConfiguration``."""
    info, port = connection.info, connection.registry.dataset_types
    everything = port.find(["*"]) if names is None else [port.get(name) for name in names]
    types = [dataset_type for dataset_type in everything if dataset_type.name not in ignore]
    instruments = _instruments(connection)
    problems = [problem for each in types for problem in _of_type(info, each, instruments)]
    if names is None:
        known = {each.name for each in everything}
        problems += [
            problem
            for place, keys in _keys(info).items()
            for key in keys
            if key not in ignore and (problem := _of_key(info.universe, place, key, known, instruments))
        ]
    return problems


def _instruments(connection: Connection) -> list[str]:
    universe = connection.info.universe
    if _INSTRUMENT not in universe:
        return []
    spec = QuerySpec(ResultKind.DIMENSION_RECORDS, element=_INSTRUMENT)
    records = DimensionRecordResults(connection.registry, [spec], universe[_INSTRUMENT])
    return sorted(str(record.dataId[_INSTRUMENT]) for record in records)


def _of_type(info: RepositoryInfo, dataset_type: DatasetType, instruments: Iterable[str]) -> Iterator[str]:
    """Yield what does not fit one dataset type, the same sentence for several instruments once."""
    of_instrument = _INSTRUMENT in dataset_type.dimensions.names
    seen: set[str] = set()
    for instrument in (None, *(instruments if of_instrument else ())):
        try:
            placement = Placement(info.stores, info.universe)
            for layout in planned_layouts(dataset_type, instrument, info.composites):
                placement.check(dataset_type, layout.component, layout.storage_class, instrument)
        except ButlerError as error:
            if error.message not in seen:
                seen.add(error.message)
                yield f"Dataset type {dataset_type.name!r}: {error.message}"


def _keys(info: RepositoryInfo) -> Mapping[str, list[str]]:
    """Return the keys of every configuration by dataset, and what it is called."""

    def constrained(constraints: Constraints) -> list[str]:
        return [key for key in (*constraints.accept, *constraints.reject) if key != _ALL]

    keys: dict[str, list[str]] = {
        "the formatters": [*default_formatters().keys],
        "the composites": [*info.composites.keys],
    }
    for store in info.stores:
        keys[f"the templates of store {store.name!r}"] = [*store.templates]
        keys[f"the constraints of store {store.name!r}"] = constrained(store.constraints)
        for name, constraints in store.members.items():
            keys[f"the constraints of member {name!r} of store {store.name!r}"] = constrained(constraints)
    return keys


def _of_key(
    universe: DimensionUniverse, place: str, key: str, types: Collection[str], instruments: Collection[str]
) -> str | None:
    """Return why a key means nothing, `None` if it means something."""
    name = key
    if key.startswith(f"{_INSTRUMENT}<"):
        instrument, _, name = key.removeprefix(f"{_INSTRUMENT}<").partition(">/")
        if instrument not in instruments:
            return f"{key!r} in {place} is for an instrument that does not exist."
    if "+" in name:
        return _of_dimensions(universe, place, key, [part for part in name.split("+") if part])
    parent = DatasetType.splitDatasetTypeName(name)[0]
    if name == DEFAULT or parent in types or name in default_storage_classes():
        return None
    return f"{key!r} in {place} is neither a dataset type nor a storage class nor a set of dimensions (a+b+)."


def _of_dimensions(universe: DimensionUniverse, place: str, key: str, names: Any) -> str | None:
    try:
        universe.conform(names)
    except DimensionNameError as error:
        return f"{key!r} in {place}: {error.message}"
    return None
