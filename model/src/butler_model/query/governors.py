# SPDX-License-Identifier: BSD-3-Clause
"""The governor rule: an expression says of which instrument, and of which sky map, it speaks.

An expression is taken as an OR of branches. Where a branch uses a field that depends on a governor dimension, the
governor must have one value: written in the branch as ``instrument = 'HSC'``, or in the data ID of the query, or by
default. IN, ``!=`` and bound values do not count. A default counts for all branches or for none.
"""

from __future__ import annotations

__all__ = ["MAX_BRANCHES", "governors_by_default"]

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import product

from butler_model.errors import GovernorError, LimitExceededError
from butler_model.universe import DimensionUniverse

from .typed import AllOf, AnyOf, Column, Comparison, Constant, Inverse, Typed, columns_of

MAX_BRANCHES = 4_096
"""Different branches of an expression, as far as governor dimensions tell them apart."""


@dataclass(frozen=True, slots=True)
class _Branch:
    """What one branch says of governor dimensions, and of which it needs to."""

    said: frozenset[tuple[str, str]] = frozenset()
    needed: frozenset[str] = frozenset()

    def __or__(self, other: _Branch) -> _Branch:
        return _Branch(self.said | other.said, self.needed | other.needed)


def governors_by_default(
    tree: Typed,
    universe: DimensionUniverse,
    given: Mapping[str, object],
    defaults: Mapping[str, object],
) -> dict[str, object]:
    """Check the governor rule; return the default values that the whole query is to have.

    Parameters
    ----------
    given
        Values of the query's data ID.
    defaults
        Values for governor dimensions that are not given.

    Raises
    ------
    GovernorError
        Raised if a branch lacks a value that it needs, has two, or contradicts the data ID; and if one branch would
        need the default and another gives a value.
    LimitExceededError
        Raised if there are more than `MAX_BRANCHES` branches.
    """
    branches = _branches(tree, universe, negated=False)
    used: dict[str, object] = {}
    for branch in branches:
        for governor in branch.needed | {name for name, _ in branch.said}:
            values = {value for name, value in branch.said if name == governor}
            _refuse_two(governor, values, given)
            if values or governor in given:
                continue
            if governor not in defaults:
                raise GovernorError(
                    f"The expression does not say which {governor} it means; add {governor} = '...' to it (to each "
                    f"branch of OR), or give {governor} in the data ID or as a default.",
                    dimension=governor,
                )
            used[governor] = defaults[governor]
    for governor in used:
        if any(name == governor for branch in branches for name, _ in branch.said):
            raise GovernorError(
                f"One branch of the expression gives a value of {governor}, another would need the default "
                f"{used[governor]!r}; give it in both.",
                dimension=governor,
            )
    return used


def _refuse_two(governor: str, values: set[str], given: Mapping[str, object]) -> None:
    everything = sorted(values | ({str(given[governor])} if governor in given else set()))
    if len(everything) > 1:
        raise GovernorError(
            f"{governor} cannot be {' and '.join(map(repr, everything))} at once; join the two with OR.",
            dimension=governor,
        )


def _branches(tree: Typed, universe: DimensionUniverse, *, negated: bool) -> frozenset[_Branch]:
    """Return the different branches; a negation turns AND into OR, and unsays what is said."""
    match tree:
        case Inverse(operand):
            return _branches(operand, universe, negated=not negated)
        case AllOf(operands) | AnyOf(operands):
            found = [_branches(operand, universe, negated=negated) for operand in operands]
            together = isinstance(tree, AllOf) != negated
            return _all(found) if together else _limited(branch for each in found for branch in each)
        case _:
            return frozenset({_leaf(tree, universe, negated)})


def _all(parts: Iterable[frozenset[_Branch]]) -> frozenset[_Branch]:
    together = frozenset({_Branch()})
    for part in parts:
        together = _limited(one | other for one, other in product(together, part))
    return together


def _limited(branches: Iterable[_Branch]) -> frozenset[_Branch]:
    found: set[_Branch] = set()
    for branch in branches:
        found.add(branch)
        if len(found) > MAX_BRANCHES:
            raise LimitExceededError(
                f"The expression has more than {MAX_BRANCHES} branches that name different values of governor "
                "dimensions; ask in several queries.",
                limit=str(MAX_BRANCHES),
            )
    return frozenset(found)


def _leaf(tree: Typed, universe: DimensionUniverse, negated: bool) -> _Branch:
    said = None if negated else _said(tree, universe)
    if said is not None:
        return _Branch(said=frozenset({said}))
    needed: set[str] = set()
    for column in columns_of(tree):
        if isinstance(column, Column):
            element = universe[column.element]
            needed.update(n for n in element.required if universe[n].is_governor and n != element.name)
    return _Branch(needed=frozenset(needed))


def _said(tree: Typed, universe: DimensionUniverse) -> tuple[str, str] | None:
    """Return the governor and the value that ``governor = 'value'`` names, either way round."""
    if not isinstance(tree, Comparison) or tree.operator != "=":
        return None
    for column, value in ((tree.left, tree.right), (tree.right, tree.left)):
        if not (isinstance(column, Column) and isinstance(value, Constant) and value.literal):
            continue
        element = universe[column.element]
        if element.is_governor and column.field == element.field_name(element.name):
            return element.name, str(value.value)
    return None
