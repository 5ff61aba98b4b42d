# SPDX-License-Identifier: BSD-3-Clause
"""The butler itself: what a person opens."""

from __future__ import annotations

__all__ = ["Butler"]

import os
import weakref
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from types import EllipsisType, TracebackType
from typing import Any, Self

from butler_model.collection import CollectionType
from butler_model.errors import CollectionTypeError, DataIdValueError, MissingCollectionError, ReadOnlyError
from butler_model.storage_class import StorageClassFactory
from butler_model.universe import DimensionUniverse

from .collections import ButlerCollections
from .config import ButlerConfig
from .connect import Connection, connect
from .dataset_existence import DatasetExisting
from .dataset_finding import DatasetFinding
from .dataset_uris import DatasetLocating
from .dataset_writing import DatasetWriting
from .defaults import RegistryDefaults, plain_data_id
from .html_view import butler_as_html
from .lookup import DatasetFinder, check_writeable
from .query_arguments import check_collections
from .querying import DatasetQuerying
from .registry import ButlerRegistry
from .removing import DatasetRemoving
from .repositories import RepositoryKeeping
from .repository_moves import RepositoryMoving
from .retrieving import ArtifactRetrieving
from .sky_plotting import SkyPlotting
from .storage_classes import default_storage_classes
from .trash import ButlerTrash
from .validation import ConfigurationValidating

_SHOWN = 5


class Butler(
    DatasetLocating,
    DatasetExisting,
    DatasetFinding,
    DatasetWriting,
    DatasetRemoving,
    DatasetQuerying,
    ArtifactRetrieving,
    RepositoryMoving,
    ConfigurationValidating,
    RepositoryKeeping,
    SkyPlotting,
):
    """Gives and takes datasets by what they are, wherever they are.

    Threads may share a butler. A pickled one opens the repository anew where it is unpickled. It is a context
    manager that closes itself.

    Parameters
    ----------
    config
        Label of a repository, its directory, the path of its ``butler.yaml``, ``grpc://host:port/repository``, or its
        configuration.
    butler
        A butler whose repository and connection this one is to share, instead of ``config``, ``searchPaths`` and
        ``writeable``; nothing else is taken from it.
    collections
        Name or names of the collections to search, in order; ``run`` if absent. They need not exist yet.
    run
        Name of the RUN collection to put into; registered if it does not exist and the butler is writeable.
    searchPaths
        Directories with defaults of what the configuration does not say, the strongest first; see `ConfigSubset`.
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
        Raised for a keyword argument that is no governor dimension, and for ``butler`` along with what it replaces.
    """

    GENERATION = 3
    """Which generation of the field's butlers this one is like."""

    registry: ButlerRegistry
    """Definitions and queries."""
    collections: ButlerCollections
    """The default collections, and what there is to do with all others."""
    trash: ButlerTrash
    """What was removed and is not deleted yet."""

    def __init__(
        self,
        config: Mapping[Any, Any] | str | os.PathLike[str] | None = None,
        *,
        butler: Butler | None = None,
        collections: str | Iterable[str] | None = None,
        run: str | None = None,
        searchPaths: Iterable[str | os.PathLike[str]] | None = None,
        writeable: bool | None = None,
        inferDefaults: bool = True,
        **kwargs: Any,
    ) -> None:
        if butler is None:
            connection = connect(config, searchPaths)
        elif config is None and searchPaths is None and writeable is None:
            connection, writeable = butler._connection.share(), butler._writeable
        else:
            raise TypeError("Butler() takes butler=, or config, searchPaths and writeable, not both.")
        self._open(connection, collections, run, writeable, inferDefaults, kwargs)

    @classmethod
    def from_config(
        cls, config: Mapping[Any, Any] | str | os.PathLike[str] | None = None, **arguments: Any
    ) -> Self:
        """Return a butler, as ``Butler(config, …)`` does."""
        return cls(config, **arguments)

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
        self.trash = ButlerTrash(connection, writeable=self._writeable)
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

    def transaction(self) -> AbstractContextManager[None]:
        """Return a context manager: what this thread does in it with the repository is done together, or not at all.

        An exception leaves no dimension record, dataset, collection, edit of one, or file. Within, the thread sees what
        it did, and nobody else does. One transaction in another is a part of it that can fail by itself: catch its
        exception around the inner ``with``, and go on. A call that fails leaves nothing, so its exception can
        be caught as well.

        It belongs to the thread, for this butler and all its clones; other threads are not in it, nor are butlers that
        were opened by themselves, those unpickled among them. On SQLite nobody else can write until it ends.

        Raises
        ------
        ReadOnlyError
            Raised if the butler is not writeable.
        OverloadedError
            Raised if there are too many transactions; the repository's limits have how many may be.
        TransactionError
            Raised, by whatever is called next, if it was rolled back because it lasted or waited too long, or because a
            connection broke; nothing of it is done then, and it can be begun again.
        """
        check_writeable(self._writeable, "change it in a transaction")
        return self._connection.registry.transaction()

    @property
    def run(self) -> str | None:
        """Name of the default run."""
        return self._defaults.run

    @property
    def dimensions(self) -> DimensionUniverse:
        """All dimensions of the repository."""
        return self._connection.info.universe

    @property
    def storageClasses(self) -> StorageClassFactory:
        """The storage classes that this process knows."""
        return default_storage_classes()

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
        return (_reopen, (self._connection.source, arguments))

    def __str__(self) -> str:
        names = ", ".join(self.collections[:_SHOWN])
        more = f", … {len(self.collections) - _SHOWN} more" if len(self.collections) > _SHOWN else ""
        return f"Butler({self._connection.address!r}, collections=[{names}{more}], run={self.run!r})"

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return butler_as_html(self._connection, self._defaults, writeable=self._writeable)


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


def _reopen(source: str | ButlerConfig, arguments: dict[str, Any]) -> Butler:
    return Butler(source, **arguments)
