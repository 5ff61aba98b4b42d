# SPDX-License-Identifier: BSD-3-Clause
"""From the data IDs that people write to the values of required dimensions.

People name a detector by its full name, an exposure by night and sequence number. The rules, in one place for find,
get and put (behaviour A3 in the documentation of the model):

1. A key that is a dimension, with a value of the right type, is taken as it is.
2. ``dimension.field`` asks for the record of that dimension with that value.
3. A value of the wrong type for a dimension is looked for among its alternate keys of that type.
4. Any other key is a field of a dimension that has no value otherwise: of a required one rather than another, and of
   several the one that has most of such keys, so ``day_obs`` and ``seq_num`` mean an exposure.

Exactly one record must match. Values are always bound, never pasted.
"""

from __future__ import annotations

__all__ = ["required_values"]

from collections.abc import Mapping, Sequence
from typing import Any

from butler_model.data_id import DataIdValue, check_value
from butler_model.dimensions import DimensionElement
from butler_model.errors import (
    AmbiguousDataIdError,
    DimensionNameError,
    DimensionValueError,
    InconsistentDataIdError,
)
from butler_model.misspellings import suggestion
from butler_model.universe import DimensionGroup

from .definitions import Snapshot

Constraints = dict[str, dict[str, Any]]
"""For each dimension to be looked up, the fields that its record must have."""


def required_values(
    snapshot: Snapshot,
    group: DimensionGroup,
    data_ids: Sequence[Mapping[str, Any]],
    also: Sequence[str] = (),
) -> list[dict[str, DataIdValue]]:
    """Return, for each data ID as given, the values of all dimensions that it determines.

    Every required dimension has a value in the result; others may have. Fields may also be those of the dimensions
    ``also``: an exposure's, where its time decides which calibration is meant.

    Raises
    ------
    DimensionNameError
        Raised if a required dimension has no value.
    DimensionValueError
        Raised if a key means nothing here, or a value is of the wrong type.
    AmbiguousDataIdError
        Raised if no record, or more than one, has the fields given.
    InconsistentDataIdError
        Raised if fields contradict an explicit value.
    """
    rewriter = _Rewriter(snapshot, group, also)
    return [rewriter.rewrite(data_id) for data_id in data_ids]


class _Rewriter:
    def __init__(self, snapshot: Snapshot, group: DimensionGroup, also: Sequence[str]) -> None:
        self._snapshot = snapshot
        self._group = group
        self._universe = group.universe
        self._candidates = [*group.names, *(name for name in also if name not in group.index)]
        self._found: dict[tuple[Any, ...], DataIdValue] = {}

    def rewrite(self, data_id: Mapping[str, Any]) -> dict[str, DataIdValue]:
        values: dict[str, DataIdValue] = {}
        constraints: Constraints = {}
        loose: dict[str, Any] = {}
        for key, value in data_id.items():
            element = self._universe.get(key)
            if element is not None and element.is_dimension:
                self._take_dimension(element, value, values, constraints)
            elif "." in key:
                dimension, _, field = key.partition(".")
                constraints.setdefault(self._universe.dimension(dimension).name, {})[field] = value
            else:
                loose[key] = value
        if loose:
            self._assign(loose, values, constraints)
        for dimension, fields in constraints.items():
            self._look_up(self._universe[dimension], fields, values)
        missing = [name for name in self._group.required if name not in values]
        if missing:
            self._assign_implied(data_id, values, missing)
        return values

    def _take_dimension(
        self, element: DimensionElement, value: Any, values: dict[str, DataIdValue], constraints: Constraints
    ) -> None:
        try:
            values[element.name] = check_value(element, value)
        except DimensionValueError:
            alternates = [c for c in element.alternate_keys if isinstance(value, c.python_type)]
            if not alternates or value is None:
                raise
            constraints.setdefault(element.name, {})[alternates[0].name] = value

    def _assign(
        self, loose: dict[str, Any], values: dict[str, DataIdValue], constraints: Constraints
    ) -> None:
        """Give each loose key to the dimension whose record it most likely is a field of."""
        candidates = {
            name: {key for key in loose if key in self._universe[name].column_index}
            for name in self._candidates
            if self._universe[name].has_table
        }
        for key, value in loose.items():
            having = [name for name, keys in candidates.items() if key in keys]
            if not having:
                fields = {c.name for name in self._candidates for c in self._universe[name].columns}
                raise DimensionValueError(
                    f"{key!r} is neither a dimension nor a field of a record of {', '.join(self._candidates)}"
                    f"{suggestion(key, [*self._candidates, *sorted(fields)])}.",
                    key=key,
                )
            unknown = [name for name in having if name not in values]
            required = [name for name in unknown if name in self._group.required]
            best = max(required or unknown or having, key=lambda name: len(candidates[name]))
            constraints.setdefault(best, {})[key] = value

    def _assign_implied(
        self, data_id: Mapping[str, Any], values: dict[str, DataIdValue], missing: Sequence[str]
    ) -> None:
        """Find required dimensions without a value by the dimensions that they imply, such as day_obs."""
        for name in missing:
            element = self._universe[name]
            fields = {implied: values[implied] for implied in element.implied if implied in values}
            known_parents = all(parent in values for parent in element.required if parent != name)
            if not fields or not known_parents:
                raise DimensionNameError(
                    f"The data ID {_show(data_id)} has no value for {name!r}; dimensions {self._group} need "
                    f"{', '.join(self._group.required)}.",
                    missing=name,
                )
            self._look_up(element, fields, values)

    def _look_up(
        self, element: DimensionElement, fields: dict[str, Any], values: dict[str, DataIdValue]
    ) -> None:
        checked = self._checked(element, fields)
        for parent in element.required:
            if parent != element.name and parent in values:
                checked[element.field_name(parent)] = values[parent]
        if element.name in values and element.primary_key is not None:
            checked[element.primary_key.name] = values[element.name]
        # Implied dimensions that were given narrow the search: day_obs together with seq_num.
        checked.update({name: values[name] for name in element.implied if name in values})
        cache_key = (element.name, *sorted(checked.items()))
        if cache_key not in self._found:
            self._found[cache_key] = self._find_one(element, checked, element.name in values)
        values[element.name] = self._found[cache_key]

    def _checked(self, element: DimensionElement, fields: dict[str, Any]) -> dict[str, Any]:
        columns = {column.name: column for column in element.columns}
        checked = {}
        for name, value in fields.items():
            column = columns.get(name)
            if column is None or name in ("region", "timespan"):
                raise DimensionValueError(
                    f"{element} has no field {name!r} that a data ID could use; it has {', '.join(columns)}.",
                    key=f"{element.name}.{name}",
                )
            checked[name] = column.check(value, element.name)
        return checked

    def _find_one(self, element: DimensionElement, fields: dict[str, Any], explicit: bool) -> DataIdValue:
        if not element.has_table or element.primary_key is None:
            raise DimensionValueError(f"Records of {element} have no fields to look for.", key=element.name)
        records = self._snapshot.matching_records(element, fields, limit=2)
        if len(records) == 1:
            value: DataIdValue = records[0].get(element.primary_key.name)
            return value
        if explicit and not records:
            raise InconsistentDataIdError(
                f"No {element} has {_show(fields)}: the data ID contradicts itself.", dimension=element.name
            )
        how_many = "No" if not records else "More than one"
        raise AmbiguousDataIdError(
            f"{how_many} {element} has {_show(fields)}; name exactly one.", dimension=element.name
        )


def _show(values: Mapping[str, Any]) -> str:
    return "{" + ", ".join(f"{name}: {value!r:.100}" for name, value in values.items()) + "}"
