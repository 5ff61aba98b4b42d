# SPDX-License-Identifier: BSD-3-Clause
"""Making repositories: from what a person gives to what ``butler.yaml`` says, and to an empty registry."""

from __future__ import annotations

__all__ = ["NewRepository", "make_repository"]

import os
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from butler_model.composites import Composites
from butler_model.config_keys import check_keys
from butler_model.errors import ConfigurationError, InvalidRequestError, RepositoryExistsError
from butler_model.repository import Store
from butler_model.universe import DimensionUniverse

from .config import ButlerConfig, Config, ConfigSubset, DatastoreConfig, RegistryConfig
from .config.butler_config import BUTLER_ROOT, CONFIGURATION_FILE
from .config.config_subset import first_found
from .config.files import has_extension
from .config.locations import location_of, without_secrets
from .configuration import RepositoryConfiguration, load_universe, split_stores
from .connect import RemoteAddress, services_needed

_KEYS = ("repository", "registry", "datastore", "composites")
_ORDER = ("root", "repository", "registry", "datastore")
_DIMENSIONS_FILE = "dimensions.yaml"
_DATABASE = ("registry", "database")
_STORES = ("datastore", "stores")

Place = str | os.PathLike[str]


@dataclass(slots=True)
class NewRepository:
    """A repository that is to be made.

    Attributes
    ----------
    root
        A directory, or the address of a service and the repository's name there.
    config
        The keys of ``butler.yaml``, ``composites`` in addition, or the file that has them; `None` if all is as usual.
    dimensions
        As `load_universe` takes them; `None` for ``dimensions.yaml`` of the search path, else the newest that is
        shipped.
    search_paths
        Directories with defaults; see `ConfigSubset`.
    standalone
        Whether ``butler.yaml`` is to say everything, defaults too.
    force_root
        Whether registry and artifacts have to be in the root, whatever the defaults say.
    outfile
        Where the configuration is written instead.
    overwrite
        Whether a configuration that is there is replaced.
    database, stores, composites
        Go before what the configuration says.
    """

    root: Place
    config: Mapping[Any, Any] | Place | None = None
    dimensions: Mapping[str, Any] | Place | int | None = None
    search_paths: Iterable[Place] | None = None
    standalone: bool = False
    force_root: bool = True
    outfile: Place | None = None
    overwrite: bool = False
    database: str | None = None
    stores: Mapping[str, Mapping[str, Any]] | None = None
    composites: Mapping[str, Any] | None = None

    def universe(self) -> DimensionUniverse:
        """Return the universe that it is to have."""
        dimensions = self.dimensions
        if dimensions is None:
            dimensions = first_found(_DIMENSIONS_FILE, self.search_paths)
        return load_universe(dimensions)


def make_repository(new: NewRepository) -> Config:
    """Create a repository; return its configuration. See `Butler.makeRepo`."""
    given = _given(new)
    composites = given.pop("composites", None) if new.composites is None else new.composites
    disassembled = None if composites is None else Composites(composites)
    universe = new.universe()
    address = RemoteAddress.parse(os.fspath(new.root))
    if address is None:
        return _make_embedded(new, given, universe, disassembled)
    return _make_remote(new, given, address, universe, disassembled)


def _make_embedded(
    new: NewRepository, given: Config, universe: DimensionUniverse, composites: Composites | None
) -> Config:
    root = location_of(new.root)
    file = _new_file(root if new.outfile is None else new.outfile, overwrite=new.overwrite)
    placements = _complete(new, given)
    if new.outfile is not None:
        given["root"] = root
    config = Config({name: given[name] for name in _ORDER if name in given})
    placed = ButlerConfig(config, new.search_paths)
    placed.configDir = root
    with services_needed():
        from .embedded import create_embedded
    where = RepositoryConfiguration.from_config(placed)
    create_embedded(Path(root), file, config, where, universe, placements, composites)
    config.configFile = str(file)
    return config


def _new_file(place: Place, *, overwrite: bool) -> Path:
    """Return where the configuration is to be written; `RepositoryExistsError` if one is there that has to stay."""
    file = Path(location_of(place))
    if file.is_dir() or not has_extension(file):
        file /= CONFIGURATION_FILE
    if file.exists() and not overwrite:
        there = str(file.parent if file.name == CONFIGURATION_FILE else file)
        raise RepositoryExistsError(
            f"There is a repository at {there!r} already; open it with Butler({there!r}), or make the new "
            "one elsewhere.",
            path=str(file),
        )
    return file


def _given(new: NewRepository) -> Config:
    if isinstance(new.config, ButlerConfig | ConfigSubset):
        raise ConfigurationError(
            f"makeRepo takes what is to differ from the defaults, not a {type(new.config).__name__}, which has them "
            "already; give a Config, a mapping or a file."
        )
    given = Config(new.config)
    given.pop("root", None)
    check_keys(given.toDict(), _KEYS, given.configFile or "The configuration of the new repository")
    return given


def _complete(new: NewRepository, config: Config) -> tuple[Store, ...]:
    """Complete what ``butler.yaml`` is to say, and take out what is said of new artifacts in the stores."""
    full = Config()
    for subset in (RegistryConfig, DatastoreConfig):
        full[subset.component or ""] = subset.part_of(config, new.search_paths)
    config.setdefault("repository", "main")
    if new.force_root:
        _check_inside(config)
        Config.updateParameters(
            RegistryConfig, config, full, {"database": f"sqlite:///{BUTLER_ROOT}"}, overwrite=False
        )
        Config.updateParameters(
            DatastoreConfig, config, full, {"stores": {"main": {"root": BUTLER_ROOT}}}, overwrite=False
        )
    if new.database is not None:
        config[_DATABASE] = new.database
    if new.stores is not None:
        config[_STORES] = new.stores
    for subset, key in ((RegistryConfig, "database"), (DatastoreConfig, "stores")):
        Config.updateParameters(subset, config, full, toCopy=(key,), overwrite=False)
    if new.standalone:
        config.update({"datastore": DatastoreConfig.part_of(config, new.search_paths)})
    where, placements = split_stores(config.toDict()["datastore"]["stores"])
    config[_STORES] = where
    return placements


def _check_inside(config: Config) -> None:
    """Check that a configuration puts nothing outside of the repository's root."""
    content = config.toDict()
    places = [(".".join(_DATABASE), content.get("registry", {}).get("database"))]
    for name, store in (content.get("datastore", {}).get("stores") or {}).items():
        members = store.get("members") if isinstance(store, dict) else None
        for each in members.values() if isinstance(members, dict) else [store]:
            place = each.get("root", "no directory") if isinstance(each, dict) else each
            places.append((f"datastore.stores.{name}", place))
    for key, place in places:
        if place is not None and BUTLER_ROOT not in str(place):
            raise ConfigurationError(
                f"{key} would be outside of the repository's root ({without_secrets(str(place))!r:.200}); leave it "
                "out, or say that it may be, with forceConfigRoot=False.",
                key=key,
            )


def _make_remote(
    new: NewRepository,
    given: Config,
    address: RemoteAddress,
    universe: DimensionUniverse,
    composites: Composites | None,
) -> Config:
    file = None if new.outfile is None else _new_file(new.outfile, overwrite=new.overwrite)
    if new.database is not None or new.stores is not None or given or (new.overwrite and file is None):
        raise InvalidRequestError(
            "A service knows its database and stores and replaces no repository: leave database, stores, overwrite and "
            "what the configuration says of them out."
        )
    from .remote import RemoteRepositories

    repositories = RemoteRepositories(address.target)
    try:
        repositories.create(address.repository, universe, composites=composites, request_id=uuid.uuid4())
    finally:
        repositories.close()
    config = Config({"service": os.fspath(new.root)})
    if file is not None:
        config.dumpToUri(file, overwrite=new.overwrite)
    return config
