# SPDX-License-Identifier: BSD-3-Clause
"""Random queries that join searches for datasets and data IDs, and what they select, found by plain loops."""

from __future__ import annotations

__all__ = ["Drawn", "Night", "Search", "draws", "fill"]

import random
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import product
from typing import Any

from hypothesis import strategies as st

from butler import Butler, CollectionType, Timespan

from .observed import DAY, START, register_type

Values = Mapping[str, Any]

_CAMERAS = ("Cam1", "Cam2")
_FILTERS = {"g1": "g", "r1": "r", "r2": "r"}
_DETECTORS = (1, 2, 3)
_VISITS = 4
_RUNS = ("a", "b")
_TYPES: dict[str, tuple[str, ...]] = {
    "calexp": ("instrument", "visit", "detector"),
    "summary": ("instrument", "visit"),
    "flat": ("instrument", "detector", "physical_filter"),
    "camera": ("instrument",),
    "dark": ("instrument", "detector"),
}
_REQUIRED = {
    "instrument": ("instrument",),
    "detector": ("instrument", "detector"),
    "physical_filter": ("instrument", "physical_filter"),
    "visit": ("instrument", "visit"),
}
_DAY_OBS = 20200101
_TIMES = [(0, 2), (2, 2), (1, 3), (4, 6), (0, 8)]
"""In hours; the second is empty."""


@dataclass(slots=True)
class Night:
    """What is in the repository, as plain values.

    Attributes
    ----------
    visits
        Filter and hours of each visit of each camera; None for hours if they are not known.
    datasets
        Data IDs by dataset type and collection, with the ids of the datasets.
    validity
        Hours, data ID and id of what is certified as `dark` in `calib`.
    """

    visits: dict[tuple[str, int], tuple[str, tuple[int, int] | None]] = field(default_factory=dict)
    datasets: dict[tuple[str, str], dict[tuple[Any, ...], Any]] = field(default_factory=dict)
    validity: list[tuple[tuple[int, int], tuple[Any, ...], Any]] = field(default_factory=list)


def fill(butler: Butler, seed: int) -> Night:
    """Fill a repository with two cameras, visits, datasets in runs, a tag, a chain, and calibrations."""
    chance = random.Random(seed)
    night = Night()
    insert = butler.registry.insertDimensionData
    for camera in _CAMERAS:
        cam = {"instrument": camera}
        insert("instrument", {"name": camera})
        insert("physical_filter", *({**cam, "name": name, "band": band} for name, band in _FILTERS.items()))
        insert("day_obs", {**cam, "id": _DAY_OBS})
        insert("detector", *({**cam, "id": each, "full_name": f"D{each}"} for each in _DETECTORS))
        for visit in range(_VISITS):
            filter_, hours = chance.choice(list(_FILTERS)), chance.choice([None, *_TIMES])
            night.visits[camera, visit] = (filter_, hours)
            of_visit = {"id": visit, "name": f"v{visit}", "day_obs": _DAY_OBS, "physical_filter": filter_}
            insert("visit", {**cam, **of_visit, "timespan": None if hours is None else _timespan(hours)})
    for name, dimensions in _TYPES.items():
        register_type(butler, name, dimensions, is_calibration=name == "dark")
    butler.registry.registerCollection("tag", CollectionType.TAGGED)
    butler.registry.registerCollection("calib", CollectionType.CALIBRATION)
    for run, (name, dimensions) in product(_RUNS, _TYPES.items()):
        butler.registry.registerRun(run)
        keys = [key for key in product(*map(_values_of, dimensions)) if chance.random() < 0.5]
        items: list[Any] = [({}, name, dict(zip(dimensions, key, strict=True))) for key in keys]
        refs = butler.put_many(items, run=run)
        night.datasets[name, run] = {key: ref.id for key, ref in zip(keys, refs, strict=True)}
        tagged = [
            each
            for each in zip(keys, refs, strict=True)
            if run == "a" and chance.random() < 0.5 and name != "dark"
        ]
        butler.registry.associate("tag", [ref for _, ref in tagged])
        night.datasets.setdefault((name, "tag"), {}).update({key: ref.id for key, ref in tagged})
        if name == "dark":
            hours = (0, 3) if run == "a" else (3, 6)
            butler.registry.certify("calib", refs, _timespan(hours))
            night.validity += [(hours, key, ref.id) for key, ref in zip(keys, refs, strict=True)]
    butler.registry.registerCollection("chain", CollectionType.CHAINED)
    butler.registry.setCollectionChain("chain", ["b", "tag"])
    return night


def _timespan(hours: tuple[int, int]) -> Timespan:
    if hours[0] == hours[1]:
        return Timespan.makeEmpty()
    return Timespan.from_nsec(*(START + hour * DAY // 24 for hour in hours))


def _values_of(dimension: str) -> Iterable[Any]:
    return {
        "instrument": _CAMERAS,
        "visit": range(_VISITS),
        "detector": _DETECTORS,
        "physical_filter": tuple(_FILTERS),
    }[dimension]


@dataclass(frozen=True, slots=True)
class Search:
    """A search for datasets of a type in collections, in order."""

    dataset_type: str
    collections: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Drawn:
    """A query: what it asks for, what it joins, and values that are given by data ID or in a condition."""

    dimensions: tuple[str, ...]
    searches: tuple[Search, ...]
    uploads: tuple[tuple[Values, ...], ...]
    given: Values
    where: str

    def rows(self, night: Night) -> list[dict[str, Any]]:
        """Return all rows, with a value for each dimension that anything of the query has."""
        return [row for row in self._universe(night) if self._is_selected(row, night)]

    def _universe(self, night: Night) -> Iterator[dict[str, Any]]:
        named = set(self.dimensions) | {name for name in self.given if name in _REQUIRED}
        for search in self.searches:
            named |= set(_TYPES[search.dataset_type])
        for table in self.uploads:
            named |= {name for name in table[0] if name in _REQUIRED}
        named |= {"detector"} if "detector" in self.where else set()
        named |= {"visit"} if "visit" in self.where else set()
        named |= {each for name in named for each in _REQUIRED[name]}
        is_implied = "visit" in named
        free = [
            name for name in _REQUIRED if name in named and not (is_implied and name == "physical_filter")
        ]
        for values in product(*map(_values_of, free)):
            row = dict(zip(free, values, strict=True))
            if is_implied:
                row["physical_filter"], row["hours"] = night.visits[row["instrument"], row["visit"]]
            yield row

    def _is_selected(self, row: dict[str, Any], night: Night) -> bool:
        if any(row[name] != value for name, value in self.given.items()):
            return False
        if self.where and not eval(self.where, {}, row):  # noqa: S307 - one of a few of ours
            return False
        for table in self.uploads:
            if not any(all(row[name] == value for name, value in each.items()) for each in table):
                return False
        return all(_finds(search, row, night) for search in self.searches)

    def data_ids(self, night: Night) -> set[tuple[Any, ...]]:
        """Return what is selected, by the required values of the dimensions that are asked for."""
        return {tuple(row[name] for name in self.key_names()) for row in self.rows(night)}

    def key_names(self) -> list[str]:
        """Return the names of the values that tell data IDs apart."""
        names = {each for name in self.dimensions for each in _REQUIRED[name]}
        return [
            name
            for name in _REQUIRED
            if name in names and not (name == "physical_filter" and "visit" in names)
        ]

    def first_datasets(self, search: Search, night: Night) -> set[Any]:
        """Return the ids of the datasets of a search whose data IDs are selected: the first one for each."""
        dimensions = _TYPES[search.dataset_type]
        found = set()
        for row in self.rows(night):
            key = tuple(row[name] for name in dimensions)
            for collection in _flat(search.collections):
                if key in night.datasets[search.dataset_type, collection]:
                    found.add(night.datasets[search.dataset_type, collection][key])
                    break
        return found


def _finds(search: Search, row: dict[str, Any], night: Night) -> bool:
    key = tuple(row[name] for name in _TYPES[search.dataset_type])
    for collection in _flat(search.collections):
        if collection == "calib":
            valid = (hours for hours, each, _ in night.validity if each == key)
            if any("visit" not in row or _overlap(hours, row["hours"]) for hours in valid):
                return True
        elif key in night.datasets[search.dataset_type, collection]:
            return True
    return False


def _overlap(one: tuple[int, int], other: tuple[int, int] | None) -> bool:
    # A record without times counts as unbounded.
    if other is None:
        return True
    return other[0] != other[1] and one[0] < other[1] and other[0] < one[1]


def _flat(collections: Iterable[str]) -> list[str]:
    flat = [each for name in collections for each in (("b", "tag") if name == "chain" else (name,))]
    return list(dict.fromkeys(flat))


@st.composite
def _uploads(draw: st.DrawFn) -> tuple[Values, ...]:
    """Draw data IDs, all of the same dimensions."""
    names = _REQUIRED[draw(st.sampled_from(sorted(_REQUIRED)))]
    one = st.fixed_dictionaries({each: st.sampled_from(list(_values_of(each))) for each in names})
    return tuple(draw(st.lists(one, min_size=1, max_size=6)))


def searches(*, with_calibrations: bool) -> st.SearchStrategy[Search]:
    """Return random searches."""

    def of(name: str) -> st.SearchStrategy[Search]:
        places = ["a", "b", "tag", "chain"] + (["calib"] if with_calibrations and name == "dark" else [])
        drawn = st.lists(st.sampled_from(places), min_size=1, max_size=3, unique=True)
        return drawn.map(lambda each: Search(name, tuple(each)))

    return st.sampled_from(sorted(_TYPES)).flatmap(of)


def draws() -> st.SearchStrategy[Drawn]:
    """Return random queries."""
    names = st.lists(st.sampled_from(sorted(_REQUIRED)), min_size=1, max_size=3, unique=True)
    given = st.fixed_dictionaries(
        {},
        optional={"instrument": st.sampled_from(_CAMERAS)},
    ).flatmap(
        lambda values: (
            st.fixed_dictionaries(
                {name: st.just(value) for name, value in values.items()},
                optional={
                    "detector": st.sampled_from([*_DETECTORS, 9]),
                    "physical_filter": st.sampled_from(list(_FILTERS)),
                },
            )
            if values
            else st.just({})
        )
    )
    wheres = st.sampled_from(["", "", "detector > 1", "visit in (1, 3)"])
    return st.builds(
        lambda dimensions, joined, uploads, values, where: Drawn(
            tuple(dimensions), tuple(joined), tuple(uploads), values, where if "instrument" in values else ""
        ),
        names,
        st.lists(searches(with_calibrations=True), max_size=2),
        st.lists(_uploads(), max_size=2),
        given,
        wheres,
    )
