# SPDX-License-Identifier: BSD-3-Clause
"""Which colour stands for which value in a chart, and what explains it."""

from __future__ import annotations

__all__ = ["ColourKey", "Value", "colour_key"]

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

Value = str | int | float | None
"""What a colour stands for; `None` where there is nothing to be told apart, or nothing known."""

_ONLY = "#0072b2"
_UNKNOWN = "#808080"
_BANDS = {"u": "#56b4e9", "g": "#009e73", "r": "#d55e00", "i": "#e69f00", "z": "#cc79a7", "y": "#7f3c00"}
"""Colours of bands, from the palette of Okabe and Ito (2008), which the colour-blind can tell apart."""
_MOST_IN_LEGEND = 20
"""More numbers than that are explained by a bar; of more texts only the first are named."""


class ColourKey(ABC):
    """Colours of values."""

    @abstractmethod
    def colours(self, values: Sequence[Value], alpha: float) -> Any:
        """Return a colour for each value, as rows of red, green, blue and opacity."""

    @abstractmethod
    def explain(self, axes: Any) -> None:
        """Draw the legend or bar that explains them beside the chart."""


def colour_key(values: Iterable[Value], name: str) -> ColourKey:
    """Return the colours of values, which are all numbers or all text, apart from `None`."""
    known = {value for value in values if value is not None}
    numbers = [value for value in known if isinstance(value, int | float)]
    if len(numbers) == len(known) > _MOST_IN_LEGEND or any(isinstance(value, float) for value in known):
        return _Scale(min(numbers), max(numbers), name)
    return _Palette(_in_order(known), name)


def _in_order(values: Iterable[Value]) -> list[Value]:
    bands = list(_BANDS)
    return sorted(
        values,
        key=lambda value: (
            bands.index(value) if isinstance(value, str) and value in _BANDS else len(bands),
            value if isinstance(value, int) else 0,
            str(value),
        ),
    )


class _Palette(ColourKey):
    """A colour for each of a few values."""

    def __init__(self, values: Sequence[Value], name: str) -> None:
        from matplotlib import colormaps

        wheel = [colormaps["tab20"](i) for i in (*range(0, 20, 2), *range(1, 20, 2))]
        are_bands = set(values) <= set(_BANDS)
        self._name = name
        self._colours: dict[Value, Any] = {
            value: _BANDS[str(value)] if are_bands else wheel[i % len(wheel)]
            for i, value in enumerate(values)
        }

    def colours(self, values: Sequence[Value], alpha: float) -> Any:
        from matplotlib.colors import to_rgba_array

        other = _UNKNOWN if self._colours else _ONLY
        return to_rgba_array([self._colours.get(value, other) for value in values], alpha)

    def explain(self, axes: Any) -> None:
        from matplotlib.patches import Patch

        if not self._colours:
            return
        shown = list(self._colours.items())[:_MOST_IN_LEGEND]
        handles = [Patch(facecolor=colour, label=str(value)) for value, colour in shown]
        if len(self._colours) > len(shown):
            handles.append(Patch(facecolor="none", label=f"… {len(self._colours) - len(shown):,} more"))
        axes.figure.legend(
            handles=handles, title=self._name, loc="outside right center", fontsize="small", frameon=False
        )


class _Scale(ColourKey):
    """Colours between the least and the greatest of many numbers."""

    def __init__(self, least: float, greatest: float, name: str) -> None:
        from matplotlib.cm import ScalarMappable
        from matplotlib.colors import Normalize

        self._name = name
        self._mappable = ScalarMappable(Normalize(least, greatest), "viridis")

    def colours(self, values: Sequence[Value], alpha: float) -> Any:
        numbers = np.array([np.nan if value is None else value for value in values], dtype=float)
        colours = self._mappable.to_rgba(np.nan_to_num(numbers))
        colours[np.isnan(numbers), :3] = 0.5
        colours[:, 3] = alpha
        return colours

    def explain(self, axes: Any) -> None:
        from matplotlib.axes import Axes

        beside = axes.inset_axes([1.03, 0.0, 0.03, 1.0], axes_class=Axes)
        axes.figure.colorbar(self._mappable, cax=beside, label=self._name)
