# SPDX-License-Identifier: BSD-3-Clause
"""How a formatter writes: named parameters with the values that each accepts, and recipes, which are sets of them."""

from __future__ import annotations

__all__ = ["RECIPE", "Accepted", "check_write_parameters", "expand_recipe", "nearest"]

import difflib
from collections.abc import Collection, Mapping

from butler_model.errors import ConfigurationError

Accepted = tuple[object, ...]
"""What a parameter may be: types (of exactly which the value is), and single values."""

RECIPE = "recipe"
"""The parameter that names a recipe; what is given beside it goes before what the recipe says."""


def check_write_parameters(
    label: str, parameters: Mapping[str, object], known: Mapping[str, Accepted]
) -> None:
    """Check that a formatter takes these parameters with these values.

    Raises
    ------
    ConfigurationError
        Raised if it does not.
    """
    for name, value in parameters.items():
        if name not in known:
            raise ConfigurationError(
                f"Formatter {label!r} has no write parameter {name!r}; {nearest(name, known)}.",
                formatter=label,
            )
        accepted = known[name]
        if not any(_fits(value, item) for item in accepted):
            raise ConfigurationError(
                f"Formatter {label!r}: write parameter {name!r} cannot be {value!r:.80}; "
                f"{_described(value, accepted)}.",
                formatter=label,
            )


def expand_recipe(
    label: str, parameters: Mapping[str, object], recipes: Mapping[str, Mapping[str, object]]
) -> dict[str, object]:
    """Return parameters with the recipe that they name, if any, replaced by what it says.

    Raises
    ------
    ConfigurationError
        Raised if there is no such recipe.
    """
    if RECIPE not in parameters:
        return dict(parameters)
    rest = dict(parameters)
    name = rest.pop(RECIPE)
    if not isinstance(name, str) or name not in recipes:
        raise ConfigurationError(
            f"Formatter {label!r} has no recipe {name!r:.80}; {nearest(str(name), recipes)}.", formatter=label
        )
    return {**recipes[name], **rest}


def nearest(name: str, known: Collection[str]) -> str:
    """Return a clause that suggests the nearest of some names, and lists them."""
    if not known:
        return "it has none"
    closest = difflib.get_close_matches(name, known, n=1, cutoff=0.0)[0]
    return f"the nearest is {closest!r} of {', '.join(sorted(known))}"


def _fits(value: object, item: object) -> bool:
    # A bool is no number here, and 1 is not True.
    if isinstance(item, type):
        return type(value) is item
    return type(value) is type(item) and value == item


def _described(value: object, accepted: Accepted) -> str:
    texts = [item for item in accepted if isinstance(item, str)]
    if isinstance(value, str) and texts:
        return nearest(value, texts)
    named = [item.__name__ if isinstance(item, type) else repr(item) for item in accepted]
    return f"it is one of {', '.join(named)}"
