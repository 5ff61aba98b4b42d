# SPDX-License-Identifier: BSD-3-Clause
"""The set of all dimensions that a repository knows, and the groups made of them."""

from __future__ import annotations

__all__ = ["DEFAULT_UNIVERSE_VERSION", "DimensionGroup", "DimensionUniverse", "shipped_universe_versions"]

import difflib
import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from importlib import resources
from threading import Lock
from typing import Any, ClassVar

from .dimensions import DimensionElement
from .errors import ConfigurationError, DimensionNameError, IncompatibleVersionError, InvalidRequestError
from .universe_config import load_elements

DEFAULT_UNIVERSE_VERSION = 8


def shipped_universe_versions() -> tuple[int, ...]:
    """Return the versions of the default universe that come with the package, oldest first."""
    files = resources.files("butler_model").joinpath("configs").iterdir()
    found = (re.fullmatch(r"universe-(\d+)\.json", file.name) for file in files)
    return tuple(sorted(int(match[1]) for match in found if match))


class DimensionUniverse:
    """All dimensions and elements of a configuration, in topological order; one object per configuration.

    Parameters
    ----------
    config
        A configuration of the shape of ``configs/universe-8.json``.

    Raises
    ------
    ConfigurationError
        Raised if the configuration is malformed: unknown names, cycles, bad columns.
    """

    _interned: ClassVar[dict[str, DimensionUniverse]] = {}
    _lock: ClassVar[Lock] = Lock()

    config_json: str
    version: int
    namespace: str
    elements: Mapping[str, DimensionElement]
    families: Mapping[str, Mapping[str, tuple[str, ...]]]
    """For ``spatial`` and ``temporal``, the members of each topological family, finest first."""

    def __new__(  # noqa: PYI034 - the class cannot be extended, since objects are interned
        cls, config: Mapping[str, Any] | None = None, version: int | None = None
    ) -> DimensionUniverse:
        if config is None:
            config = _shipped_config(DEFAULT_UNIVERSE_VERSION if version is None else version)
        text = _canonical_json(config)
        with cls._lock:
            self = cls._interned.get(text)
            if self is None:
                self = super().__new__(cls)
                self._load(json.loads(text), text)
                cls._interned[text] = self
        return self

    def _load(self, config: dict[str, Any], text: str) -> None:
        self.config_json = text
        self.version, self.namespace, self.elements, self._common_skypix = load_elements(config)
        for element in self.elements.values():
            object.__setattr__(element, "universe", self)
        topology = config.get("topology", {})
        self.families = {
            kind: {family: tuple(members) for family, members in topology.get(kind, {}).items()}
            for kind in ("spatial", "temporal")
        }
        self._order = {name: i for i, name in enumerate(self.elements)}
        self._groups: dict[frozenset[str], DimensionGroup] = {}

    def __reduce__(self) -> tuple[Any, ...]:
        return (_restore_universe, (self.config_json,))

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the canonical configuration, as hexadecimal text."""
        return hashlib.sha256(self.config_json.encode()).hexdigest()

    def __getitem__(self, name: str) -> DimensionElement:
        try:
            return self.elements[name]
        except KeyError:
            near = difflib.get_close_matches(str(name), self.elements, 1)
            hint = f"did you mean {near[0]!r}? It" if near else "it"
            raise DimensionNameError(
                f"There is no dimension or element {name!r} in {self}; {hint} has "
                f"{', '.join(n for n in self.elements if not self.elements[n].skypix)} and skypix levels.",
                name=str(name),
            ) from None

    def get(self, name: str, default: DimensionElement | None = None) -> DimensionElement | None:
        """Return an element, or the default if there is none of that name."""
        return self.elements.get(name, default)

    def __contains__(self, name: object) -> bool:
        return name in self.elements

    def __iter__(self) -> Iterator[DimensionElement]:
        return iter(self.elements.values())

    def __len__(self) -> int:
        return len(self.elements)

    def dimension(self, name: str) -> DimensionElement:
        """Return a dimension; `DimensionNameError` if there is none of that name."""
        element = self[name]
        if not element.is_dimension:
            raise DimensionNameError(
                f"{name!r} is not a dimension: it relates {', '.join(element.required)} and cannot be a key of "
                "a data ID.",
                name=name,
            )
        return element

    @cached_property
    def governors(self) -> tuple[str, ...]:
        """Names of the governor dimensions (instrument, skymap), in universe order."""
        return tuple(e.name for e in self if e.is_governor)

    @property
    def commonSkyPix(self) -> DimensionElement:
        """The skypix dimension that relates all spatial ones."""
        return self.elements[self._common_skypix]

    @cached_property
    def empty(self) -> DimensionGroup:
        """The group of no dimensions."""
        return self.conform(())

    def sorted(self, names: Iterable[str]) -> list[str]:
        """Return names of elements in universe order, each once; `DimensionNameError` for an unknown one."""
        return sorted({self[name].name for name in names}, key=self._order.__getitem__)

    def conform(self, names: Iterable[str] | DimensionGroup) -> DimensionGroup:
        """Return the group of these dimensions and of all that they require and imply.

        Raises `DimensionNameError` for an unknown name.
        """
        if isinstance(names, DimensionGroup):
            return names if names.universe is self else self.conform(names.names)
        if isinstance(names, str):
            names = (names,)
        if not isinstance(names, Iterable):
            raise InvalidRequestError(
                f"Dimensions are given by their names, as in ['instrument', 'detector'], not by {names!r:.80}."
            )
        key = frozenset(names)
        group = self._groups.get(key)
        if group is None:
            # setdefault: of two threads that are here at once, both must return the same object.
            group = self._groups.setdefault(key, self._conform(key))
        return group

    def _conform(self, names: frozenset[str]) -> DimensionGroup:
        closed: set[str] = set()
        pending = list(names)
        while pending:
            element = self.dimension(pending.pop())
            if element.name not in closed:
                closed.add(element.name)
                pending += [*element.required, *element.implied]
        full = frozenset(closed)
        group = self._groups.get(full)
        if group is None:
            group = self._groups.setdefault(full, DimensionGroup(self, self.sorted(closed)))
        return group

    def __str__(self) -> str:
        return f"the dimension universe {self.namespace!r} version {self.version}"

    def __repr__(self) -> str:
        return f"<DimensionUniverse {self.namespace} {self.version} {self.digest[:8]}>"


class DimensionGroup:
    """A closed set of dimensions: with each one, all it requires and implies. Made by `DimensionUniverse.conform`.

    A group is one object per universe and content, so groups compare by identity.
    """

    __slots__ = (
        "__weakref__",
        "elements",
        "governors",
        "implied",
        "index",
        "names",
        "required",
        "skypix",
        "universe",
    )

    def __init__(self, universe: DimensionUniverse, names: Iterable[str]) -> None:
        closed = tuple(names)
        implied_by_another = {i for name in closed for i in universe.elements[name].implied}
        self.universe = universe
        self.required = tuple(n for n in closed if n not in implied_by_another)
        """Dimensions that identify a data ID, in universe order."""
        self.implied = tuple(n for n in closed if n in implied_by_another)
        """Dimensions whose values follow from those of the required ones."""
        self.names = self.required + self.implied
        self.index: Mapping[str, int] = {name: i for i, name in enumerate(self.names)}
        """Position of each dimension's value in a full data ID; required ones come first."""
        members = set(closed)
        self.elements = tuple(
            e.name
            for e in universe
            if e.name in members or (not e.is_dimension and members >= {*e.required, *e.implied})
        )
        """Every element, dimension or not, whose records the data ID identifies."""
        self.governors = tuple(n for n in closed if universe.elements[n].is_governor)
        self.skypix = tuple(n for n in closed if universe.elements[n].skypix)

    @property
    def lookup_order(self) -> Iterator[DimensionElement]:
        """Elements ordered so that a record's key is known from the data ID or from earlier records."""
        universe = self.universe
        done = set(self.required)
        pending = [universe.elements[name] for name in self.elements]
        while pending:
            ready = [e for e in pending if done.issuperset(e.required)]
            if not ready:
                raise ConfigurationError(f"The values of {pending[0]} cannot be found from {self.required}.")
            for element in ready:
                done.update((element.name, *element.implied))
                yield element
            pending = [e for e in pending if e not in ready]

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)

    def __contains__(self, name: object) -> bool:
        return name in self.index

    def __le__(self, other: DimensionGroup) -> bool:
        return set(self.names) <= set(other.names)

    def __lt__(self, other: DimensionGroup) -> bool:
        return self is not other and self <= other

    def __ge__(self, other: DimensionGroup) -> bool:
        return other <= self

    def __gt__(self, other: DimensionGroup) -> bool:
        return other < self

    def __or__(self, other: DimensionGroup) -> DimensionGroup:
        return self.universe.conform({*self.names, *other.names})

    def __and__(self, other: DimensionGroup) -> DimensionGroup:
        return self.universe.conform(set(self.names) & set(other.names))

    def __reduce__(self) -> tuple[Any, ...]:
        return (_restore_group, (self.universe, self.names))

    def __str__(self) -> str:
        return f"{{{', '.join(self.names)}}}"

    def __repr__(self) -> str:
        return f"DimensionGroup({self!s})"


def _shipped_config(version: int) -> dict[str, Any]:
    if version not in shipped_universe_versions():
        raise IncompatibleVersionError(
            f"Universe version {version} does not come with this software; it has versions "
            f"{', '.join(map(str, shipped_universe_versions()))}. Give the configuration itself.",
            version=str(version),
        )
    text = resources.files("butler_model").joinpath("configs", f"universe-{version}.json").read_text()
    config: dict[str, Any] = json.loads(text)
    return config


def _canonical_json(config: Mapping[str, Any]) -> str:
    try:
        return json.dumps(config, sort_keys=True, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ConfigurationError(
            f"A dimension configuration must be made of plain values: {error}."
        ) from error


def _restore_universe(config_json: str) -> DimensionUniverse:
    return DimensionUniverse(json.loads(config_json))


def _restore_group(universe: DimensionUniverse, names: tuple[str, ...]) -> DimensionGroup:
    return universe.conform(names)
