# SPDX-License-Identifier: BSD-3-Clause
"""What JSON and YAML have in common: only values that read back exactly as they were are written."""

from __future__ import annotations

__all__ = ["check_plain"]

from collections.abc import Collection

_PATH_SHOWN = 8


def check_plain(obj: object, scalars: Collection[type], keys: Collection[type]) -> None:
    """Check that an object consists of dict, list and the scalar types given, all the way down.

    Subclasses are refused too: they would come back as their parents (a named tuple as a list, an enum or a
    NumPy scalar as a number).

    Raises
    ------
    TypeError
        Raised with the place of the first value that is of another type.
    RecursionError
        Raised if the object is nested too deeply, or contains itself.
    """
    _check(obj, frozenset(scalars), frozenset(keys), ())


def _check(obj: object, scalars: frozenset[type], keys: frozenset[type], path: tuple[object, ...]) -> None:
    if type(obj) in scalars:
        return
    if type(obj) is list:
        for index, item in enumerate(obj):
            _check(item, scalars, keys, (*path, index))
    elif type(obj) is dict:
        for key, value in obj.items():
            if type(key) not in keys:
                raise TypeError(
                    f"key {key!r}{_place(path)} is of type {type(key).__qualname__}, which would not read "
                    f"back the same; keys are {_names(keys)}"
                )
            _check(value, scalars, keys, (*path, key))
    else:
        raise TypeError(
            f"the value{_place(path)} is of type {type(obj).__qualname__}, which would not read back the "
            f"same; use dict, list, {_names(scalars)}"
        )


def _names(types: Collection[type]) -> str:
    return ", ".join(sorted("None" if found is type(None) else found.__name__ for found in types))


def _place(path: tuple[object, ...]) -> str:
    shown = "".join(f"[{step!r}]" for step in path[:_PATH_SHOWN])
    return f" at {shown}{'…' if len(path) > _PATH_SHOWN else ''}" if path else ""
