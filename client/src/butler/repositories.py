# SPDX-License-Identifier: BSD-3-Clause
"""Making repositories, and finding them by label."""

from __future__ import annotations

__all__ = ["RepositoryKeeping"]

import os
from collections.abc import Iterable, Mapping
from typing import Any

from .config import Config
from .repository_index import RepositoryIndex
from .repository_making import NewRepository, make_repository


class RepositoryKeeping:
    """What can be done without a repository that is open."""

    @staticmethod
    def makeRepo(
        root: str | os.PathLike[str],
        config: Mapping[Any, Any] | str | os.PathLike[str] | None = None,
        dimensionConfig: Mapping[str, Any] | str | os.PathLike[str] | int | None = None,
        standalone: bool = False,
        searchPaths: Iterable[str | os.PathLike[str]] | None = None,
        forceConfigRoot: bool = True,
        outfile: str | os.PathLike[str] | None = None,
        overwrite: bool = False,
        *,
        database: str | None = None,
        stores: Mapping[str, Mapping[str, Any]] | None = None,
        composites: Mapping[str, Any] | None = None,
    ) -> Config:
        """Create an empty repository; if that fails, nothing that was made stays behind.

        Parameters
        ----------
        root
            Directory to make it in, or ``grpc://host:port/repository`` to have a service make it.
        config
            What ``butler.yaml`` is to say other than the defaults, and ``composites``: a mapping or a file.
        dimensionConfig
            The dimensions: a mapping, the path of a YAML or JSON file, or the version of one that is shipped.
            If absent, ``dimensions.yaml`` of the search path, else version 8.
        standalone
            Whether ``butler.yaml`` is to say everything, so that later changes of defaults do not matter.
        searchPaths
            Directories with files of defaults, the strongest first; see `butler.config.ConfigSubset`.
        forceConfigRoot
            Whether everything has to be in the root: defaults that are not are left aside, and it is an error if
            ``config`` names another place.
        outfile
            Where to write the configuration, if not to ``butler.yaml`` in the root: a file or directory.
        overwrite
            Whether a configuration that is there may be replaced. A registry never is.
        database
            ``postgresql://USER@HOST/NAME`` to keep the registry there; a SQLite file in the root if absent.
        stores
            For each store its name and where it is (``root`` and the other keys of the datastore's configuration;
            ``<butlerRoot>`` stands for the directory), how it names artifacts (``template``, and ``templates`` by
            dataset type, dimensions or storage class) and which it takes (``constraints`` with ``accept`` and
            ``reject``); an artifact goes to the first that takes it. One in the root if absent.
        composites
            Which composite datasets are stored as separate components: ``{"default": False, "disassembled":
            {key: bool}}``, where a key is a dataset type, dimensions (``instrument+visit``) or a storage class.
            If absent, what the service is set up with, or nothing.

        Returns
        -------
        config
            What `Butler` can open: that of ``butler.yaml``, or the address of the service.

        Raises
        ------
        RepositoryExistsError
            Raised if there is one already.
        ConfigurationError, IncompatibleVersionError
            Raised if the directory, database, configuration or dimensions cannot be used.
        """
        return make_repository(
            NewRepository(
                root,
                config,
                dimensionConfig,
                searchPaths,
                standalone,
                forceConfigRoot,
                outfile,
                overwrite,
                database,
                stores,
                composites,
            )
        )

    @staticmethod
    def get_known_repos() -> set[str]:
        """Return the labels of repositories that are known here; see `butler.repository_index`."""
        return set(RepositoryIndex.from_environment().places)

    @staticmethod
    def get_repo_uri(label: str, return_label: bool = False) -> str:
        """Return where the repository with a label is.

        Parameters
        ----------
        return_label
            Whether a label that is not known is returned as it is.

        Raises
        ------
        RepositoryNotFoundError
            Raised otherwise, with the nearest label and those that are known.
        """
        index = RepositoryIndex.from_environment()
        return label if return_label and label not in index.places else index.place_of(label)
