# SPDX-License-Identifier: BSD-3-Clause
"""The butler itself: what a person opens."""

from __future__ import annotations

__all__ = ["Butler"]

import html
import os
import weakref
from collections.abc import Collection, Iterable, Mapping
from types import EllipsisType, TracebackType
from typing import IO, Any, Self

from butler_model.collection import CollectionType
from butler_model.errors import CollectionTypeError, DataIdValueError, MissingCollectionError, ReadOnlyError
from butler_model.universe import DimensionUniverse

from .collections import ButlerCollections
from .configuration import RepositoryConfiguration
from .connect import Connection, connect, make_repository
from .dataset_uris import DatasetLocating
from .dataset_writing import DatasetWriting
from .defaults import RegistryDefaults, plain_data_id
from .loading import ImportSummary, Progress, import_export
from .lookup import DatasetFinder, check_writeable
from .query_arguments import check_collections
from .querying import DatasetQuerying
from .registry import ButlerRegistry
from .retrieving import ArtifactRetrieving
from .sky_plotting import SkyPlotting

_SHOWN = 5


class Butler(DatasetLocating, DatasetWriting, DatasetQuerying, ArtifactRetrieving, SkyPlotting):
    """Gives and takes datasets by what they are, wherever they are.

    Threads may share a butler. A pickled one opens the repository anew where it is unpickled. It is a context
    manager that closes itself.

    Parameters
    ----------
    config
        Directory of a repository, path of its ``butler.yaml``, or ``grpc://host:port/repository``.
    collections
        Name or names of the collections to search, in order; ``run`` if absent. They need not exist yet.
    run
        Name of the RUN collection to put into; registered if it does not exist and the butler is writeable.
    writeable
        Whether anything may be changed; by default, if there is a run.
    inferDefaults
        Whether a governor dimension of which the default collections hold exactly one value has that value
        where a data ID lacks it.
    **kwargs
        Values of governor dimensions (``instrument="HSC"``) where a data ID lacks them.

    Raises
    ------
    RepositoryNotFoundError, ConfigurationError, IncompatibleVersionError, ServiceUnavailableError
        Raised if the repository cannot be opened.
    ReadOnlyError
        Raised if the run would have to be registered, and the butler is not writeable.
    DataIdValueError
        Raised if there is no record of a default value.
    TypeError
        Raised for a keyword argument that is no governor dimension.
    """

    registry: ButlerRegistry
    """Definitions and queries."""
    collections: ButlerCollections
    """The default collections, and what there is to do with all others."""

    def __init__(
        self,
        config: str | os.PathLike[str],
        *,
        collections: str | Iterable[str] | None = None,
        run: str | None = None,
        writeable: bool | None = None,
        inferDefaults: bool = True,
        **kwargs: Any,
    ) -> None:
        self._open(connect(config), collections, run, writeable, inferDefaults, kwargs)

    def _open(
        self,
        connection: Connection,
        collections: str | Iterable[str] | None,
        run: str | None,
        writeable: bool | None,
        infer: bool,
        data_id: Mapping[str, Any],
    ) -> None:
        self._connection = connection
        # A butler that nobody closes gives the connection back when nobody has it any more.
        self._release = weakref.finalize(self, connection.release)
        self._release.atexit = False
        try:
            self._take_arguments(collections, run, writeable, infer, data_id)
        except BaseException:
            self.close()
            raise

    def _take_arguments(
        self,
        collections: str | Iterable[str] | None,
        run: str | None,
        writeable: bool | None,
        infer: bool,
        data_id: Mapping[str, Any],
    ) -> None:
        if collections is None:
            collections = () if run is None else (run,)
        names = check_collections(collections)
        connection = self._connection
        given = _governor_values(connection, data_id)
        self._writeable = run is not None if writeable is None else writeable
        self._defaults = RegistryDefaults(connection, names, run, given, infer)
        self._finder = DatasetFinder(connection, self._defaults)
        self.registry = ButlerRegistry(connection, self._defaults, self._finder, writeable=self._writeable)
        self.collections = ButlerCollections(self.registry, connection.registry)
        if run is not None:
            self._ensure_run(run)

    def _ensure_run(self, run: str) -> None:
        if self._writeable:
            self.registry.registerRun(run)
            return
        try:
            found = self.registry.getCollectionType(run)
        except MissingCollectionError as error:
            raise ReadOnlyError(
                f"Butler is read-only. Open it with writeable=True to register run {run!r}, or name one "
                "that exists."
            ) from error
        if found is not CollectionType.RUN:
            raise CollectionTypeError(f"Collection {run!r} is {found.name}, not a RUN.", collection=run)

    @staticmethod
    def makeRepo(
        root: str | os.PathLike[str],
        *,
        dimensionConfig: Mapping[str, Any] | str | os.PathLike[str] | int | None = None,
        database: str | None = None,
        stores: Mapping[str, Mapping[str, Any]] | None = None,
        composites: Mapping[str, Any] | None = None,
        overwrite: bool = False,
    ) -> RepositoryConfiguration | None:
        """Create an empty repository; if that fails, nothing that was made stays behind.

        Parameters
        ----------
        root
            Directory to make it in, or ``grpc://host:port/repository`` to have a service make it.
        dimensionConfig
            The dimensions: a mapping, the path of a YAML or JSON file, or the version of one that is shipped.
            Version 8 if absent.
        database
            ``postgresql://USER@HOST/NAME`` to keep the registry there; a SQLite file in the directory if
            absent.
        stores
            For each store its name and where it is (``root`` and the other keys of the datastore's configuration;
            ``<butlerRoot>`` stands for the directory), how it names artifacts (``template``, and ``templates`` by
            dataset type, dimensions or storage class) and which it takes (``constraints`` with ``accept`` and
            ``reject``); an artifact goes to the first that takes it. One in the directory if absent.
        composites
            Which composite datasets are stored as separate components: ``{"default": False, "disassembled":
            {key: bool}}``, where a key is a dataset type, dimensions (``instrument+visit``) or a storage class.
            If absent, what the service is set up with, or nothing.
        overwrite
            Whether ``butler.yaml`` may be replaced. A registry never is.

        Returns
        -------
        configuration
            What ``butler.yaml`` says; `None` for a repository of a service.

        Raises
        ------
        RepositoryExistsError
            Raised if there is one already.
        ConfigurationError, IncompatibleVersionError
            Raised if the directory, database or dimensions cannot be used.
        """
        return make_repository(root, dimensionConfig, database, stores, composites, overwrite=overwrite)

    def clone(
        self,
        *,
        collections: str | Iterable[str] | EllipsisType | None = ...,
        run: str | EllipsisType | None = ...,
        writeable: bool | None = None,
        inferDefaults: bool | None = None,
        **kwargs: Any,
    ) -> Butler:
        """Return a butler of the same repository, over the same connection, with other defaults.

        What is not given stays; a new ``run`` without ``collections`` is also what is searched.
        """
        if collections is ...:
            collections = self._defaults.collections if run is ... else None
        clone = object.__new__(Butler)
        clone._open(
            self._connection.share(),
            collections,
            self.run if run is ... else run,
            self._writeable if writeable is None else writeable,
            self._defaults.infer if inferDefaults is None else inferDefaults,
            {**self._defaults.given, **kwargs},
        )
        return clone

    def import_(
        self,
        *,
        filename: str | os.PathLike[str] | IO[bytes] | IO[str] | None = None,
        directory: str | os.PathLike[str] | None = None,
        transfer: str | None = None,
        skip_dimensions: Collection[str] = frozenset(),
        progress: Progress | None = None,
    ) -> ImportSummary:
        """Put what an export holds into the repository; `butler.loading` tells the order and the errors.

        Parameters
        ----------
        filename
            The YAML file, by itself or in ``directory``, or an open stream; ``export.yaml`` if absent.
        directory
            Where the artifacts are that it names.
        transfer
            `None`, ``auto`` or ``copy``, which are the same.
        skip_dimensions
            Names of elements whose records are left out.
        progress
            Called with a phase, what of it is done, and its total.
        """
        check_writeable(self._writeable, "import into it")
        source: Any = "export.yaml" if filename is None else filename
        if directory is not None and isinstance(source, str | os.PathLike) and not os.path.exists(source):
            source = os.path.join(directory, source)
        return import_export(
            self._connection.registry,
            self._connection.datastore,
            source,
            directory=directory,
            transfer=transfer,
            skip_dimensions=skip_dimensions,
            progress=progress,
        )

    @property
    def run(self) -> str | None:
        """Name of the default run."""
        return self._defaults.run

    @property
    def dimensions(self) -> DimensionUniverse:
        """All dimensions of the repository."""
        return self._connection.info.universe

    def isWriteable(self) -> bool:
        """Return whether anything may be changed through this butler."""
        return self._writeable

    def close(self) -> None:
        """Give back connections and files; the butler cannot be used afterwards, its clones can."""
        self._release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __reduce__(self) -> tuple[Any, ...]:
        arguments = {
            "collections": self._defaults.collections,
            "run": self.run,
            "writeable": self._writeable,
            "inferDefaults": self._defaults.infer,
            **self._defaults.given,
        }
        return (_reopen, (self._connection.address, arguments))

    def __str__(self) -> str:
        names = ", ".join(self.collections[:_SHOWN])
        more = f", … {len(self.collections) - _SHOWN} more" if len(self.collections) > _SHOWN else ""
        return f"Butler({self._connection.address!r}, collections=[{names}{more}], run={self.run!r})"

    __repr__ = __str__

    def _repr_html_(self) -> str:
        rows = {
            "repository": self._connection.address,
            "collections": ", ".join(self.collections) or "none",
            "run": self.run or "none",
            "writeable": "yes" if self._writeable else "no",
        }
        cells = "".join(
            f"<tr><th>{name}</th><td>{html.escape(text)}</td></tr>" for name, text in rows.items()
        )
        return f"<table><caption>Butler</caption>{cells}</table>"


def _governor_values(connection: Connection, data_id: Mapping[str, Any]) -> dict[str, Any]:
    """Check default values of governor dimensions."""
    universe = connection.info.universe
    for name in data_id:
        if name not in universe.governors:
            raise TypeError(
                f"Butler() got an unexpected keyword argument {name!r}; besides its own it takes values of "
                f"{', '.join(universe.governors)}."
            )
    given = plain_data_id(None, data_id)
    for name, value in given.items():
        try:
            connection.registry.dimension_records.expand(universe.conform([name]), [{name: value}])
        except DataIdValueError as error:
            raise DataIdValueError(f"Default data ID: {error}", **error.metadata) from error
    return given


def _reopen(address: str, arguments: dict[str, Any]) -> Butler:
    return Butler(address, **arguments)
