# SPDX-License-Identifier: BSD-3-Clause
"""Arguments and options that several commands have."""

from __future__ import annotations

__all__ = [
    "check_dataset_types",
    "data_id_argument",
    "data_id_option",
    "json_option",
    "limit_option",
    "names",
    "repository_argument",
    "typed_data_id",
]

import re
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import click

from butler import Butler, DatasetType
from butler.registry.patterns import is_glob
from butler_model.config_keys import nearest_known
from butler_model.dimensions import Column, ColumnType
from butler_model.errors import DimensionValueError, MissingDatasetTypeError
from butler_model.universe import DimensionUniverse

from .output import Output

_Command = TypeVar("_Command", bound=Callable[..., Any])


def _pairs(ctx: click.Context, param: click.Parameter, texts: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    pairs: dict[str, str] = {}
    for text in texts:
        key, separator, value = text.partition("=")
        if not key or not separator:
            raise click.BadParameter(f"{text!r} is not KEY=VALUE, such as detector=10.", ctx, param)
        if key in pairs:
            raise click.BadParameter(f"{key} is given twice.", ctx, param)
        pairs[key] = value
    return tuple(pairs.items())


def repository_argument(command: _Command) -> _Command:
    """Add the argument ``repository``: a path or an address."""
    return click.argument("repository", metavar="REPO")(command)


def json_option(command: _Command) -> _Command:
    """Add the option ``--json`` and pass the command an `Output` as ``output``."""
    return click.option(
        "--json",
        "output",
        is_flag=True,
        callback=lambda ctx, param, value: Output(as_json=value),
        help="Print JSON, one object per line.",
    )(command)


def limit_option(command: _Command) -> _Command:
    """Add the option ``--limit``."""
    return click.option(
        "--limit",
        type=click.IntRange(min=1),
        metavar="N",
        help="Show N at most, and say so if there are more.",
    )(command)


def data_id_argument(command: _Command) -> _Command:
    """Add the arguments ``data_id``: pairs of key and text, for `typed_data_id`."""
    return click.argument("data_id", metavar="[KEY=VALUE]...", nargs=-1, callback=_pairs)(command)


def data_id_option(command: _Command) -> _Command:
    """Add the same as an option that may be repeated."""
    return click.option(
        "--data-id",
        multiple=True,
        metavar="KEY=VALUE",
        callback=_pairs,
        help="A value that a dimension must have; may be repeated.",
    )(command)


def check_dataset_types(butler: Butler, texts: Iterable[str]) -> None:
    """Check that each name that is no glob is that of a dataset type, or of a component of one.

    Raises
    ------
    MissingDatasetTypeError
        Raised for one that is not; it names the nearest that is.
    """
    known: list[str] = []
    for name in names(texts):
        whole, _ = DatasetType.splitDatasetTypeName(name)
        if is_glob(name):
            continue
        known = known or [each.name for each in butler.registry.queryDatasetTypes()]
        if whole not in known:
            remedy = nearest_known(whole, known) if known else "none is registered yet"
            raise MissingDatasetTypeError(
                f"There is no dataset type {whole!r}; {remedy}.", dataset_type=whole
            )


def names(texts: Iterable[str]) -> list[str]:
    """Return names that were given one by one, or several with commas between them."""
    return [name for text in texts for name in text.split(",") if name]


def typed_data_id(universe: DimensionUniverse, pairs: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Return a data ID whose values are of the types that the universe gives its keys.

    A key that the universe does not know keeps its text: whoever uses the data ID refuses it, and names it.

    Raises
    ------
    DimensionValueError
        Raised if a text is no value of that type.
    """
    return {key: _typed(key, text, _column(universe, key)) for key, text in pairs}


def _column(universe: DimensionUniverse, key: str) -> Column | None:
    """Return the column that a key of a data ID stands for: a dimension, ``element.field`` or a field's name alone."""
    element, _, field = key.partition(".")
    if field:
        known = universe.get(element)
        found = [] if known is None else [column for column in known.columns if column.name == field]
    elif (known := universe.get(key)) is not None and known.primary_key is not None:
        found = [known.primary_key]
    else:
        found = [column for each in universe for column in each.columns if column.name == key]
    # A name that stands for fields of several types decides nothing.
    return found[0] if found and len({column.type for column in found}) == 1 else None


def _typed(key: str, text: str, column: Column | None) -> Any:
    if column is None or column.type not in _READERS:
        return text
    read, example = _READERS[column.type]
    try:
        return read(text)
    except (ValueError, KeyError):
        raise DimensionValueError(
            f"{key}={text:.80}: {key} takes values of type {column.type.value}, as in {key}={example}.",
            column=key,
        ) from None


def _integer(text: str) -> int:
    # int() alone also reads blanks, underscores and digits of other scripts.
    if not re.fullmatch("-?[0-9]+", text):
        raise ValueError(text)
    return int(text)


_READERS: dict[ColumnType, tuple[Callable[[str], Any], str]] = {
    ColumnType.INT: (_integer, "42"),
    ColumnType.FLOAT: (float, "1.5"),
    ColumnType.BOOL: ({"true": True, "false": False}.__getitem__, "true"),
}
"""How texts are read that are not to stay texts, and an example of one."""
