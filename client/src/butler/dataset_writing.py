# SPDX-License-Identifier: BSD-3-Clause
"""Storing datasets."""

from __future__ import annotations

__all__ = ["DatasetWriting"]

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import Any

from butler_api.tracing import carrying_trace, traced
from butler_model.data_id import DataId
from butler_model.dataset import DatasetRef, DatasetType
from butler_model.errors import InvalidRequestError

from .dataset_arguments import check_several
from .ingest import FileDataset, FileIngest
from .ingest_files import Progress
from .lookup import DatasetAccess, check_writeable
from .predictions import checked
from .putting import FormattedDataset, PutProtocol, format_dataset

_TRIPLES = "triples of an object, a dataset type and a data ID"
_PUT_ITEMS = 500
_PUT_BYTES = 32 * 1024 * 1024
# One in each of the three calls of a put.
_PUTS_UNDER_WAY = 3


class DatasetWriting(DatasetAccess):
    """The methods that store datasets."""

    _writeable: bool

    @traced("butler.put")
    def put(
        self,
        obj: object,
        datasetRefOrType: DatasetRef | DatasetType | str,
        dataId: DataId | None = None,
        *,
        run: str | None = None,
        **kwargs: Any,
    ) -> DatasetRef:
        """Store an object as a new dataset.

        Parameters
        ----------
        datasetRefOrType, dataId, **kwargs
            An unresolved ref alone, or a dataset type (or its name) and a data ID.
        run
            The RUN collection to put it into; the default one if absent.

        Returns
        -------
        ref
            Resolved, with an expanded data ID.

        Raises
        ------
        ConflictingDefinitionError
            Raised if the run has a dataset of that type and data ID; it stays as it is.
        StorageClassTypeError
            Raised if the object is not of the Python type of the storage class, and no converter makes it such.
        StorageClassError
            Raised if a composite that is stored in parts cannot be taken apart.
        InvalidRequestError
            Raised for a resolved ref or the type of a component.
        ReadOnlyError, NoDefaultCollectionError, MissingCollectionError, CollectionTypeError,
        MissingDatasetTypeError
            Raised if there is nothing to put into.
        DimensionNameError, DimensionValueError, DataIdValueError, InconsistentDataIdError
            Raised if the data ID is incomplete, malformed, or has no dimension records.
        """
        run = self._run_for(run)
        dataset = self._formatted(obj, datasetRefOrType, dataId, kwargs)
        return self._put_batch(run, [dataset])[0]

    @traced("butler.put_many")
    def put_many(
        self,
        items: Iterable[tuple[object, DatasetType | str, DataId]],
        *,
        run: str | None = None,
    ) -> list[DatasetRef]:
        """Store many objects with few calls.

        Parameters
        ----------
        items
            Objects, each with its dataset type and data ID. They are taken one by one, so a generator keeps
            few of them in memory.

        Returns
        -------
        refs
            In order.

        Notes
        -----
        Each batch of up to 500 is stored all or none. If one fails with an error of `put`, no further one is
        begun; those before it, and those that were under way with it, stay.
        """
        run = self._run_for(run)
        refs: list[DatasetRef] = []
        put_batch = carrying_trace(self._connection.registry.carried(self._put_batch))
        with ThreadPoolExecutor(_PUTS_UNDER_WAY, "butler-put") as pool:
            # The next batch is formatted here while earlier ones are under way.
            under_way: deque[Future[list[DatasetRef]]] = deque()
            for batch in self._formatted_batches(items):
                if len(under_way) == _PUTS_UNDER_WAY:
                    refs += under_way.popleft().result()
                under_way.append(pool.submit(put_batch, run, batch))
            while under_way:
                refs += under_way.popleft().result()
        return refs

    @traced("butler.ingest")
    def ingest(
        self,
        *datasets: FileDataset,
        transfer: str | None = "auto",
        run: str | None = None,
        skip_existing: bool = False,
        progress: Progress | None = None,
    ) -> None:
        """Make existing files the artifacts of new datasets; each `FileDataset` then has resolved refs and its key.

        All or none: if it fails, there are no datasets, nothing is stored, and every file is where it was. (Of more
        than 5,000 datasets, those that were committed before a later commit failed stay.)

        Parameters
        ----------
        transfer
            ``copy``; ``move``, which removes the file once its dataset is there; ``hardlink``, ``symlink``,
            ``relsymlink``, and ``link`` for a hard link or, where there can be none, a symbolic one;
            ``direct``, to leave it where it is, outside of the store, for ever; `None`, if it is in the store already
            (a relative path is relative to the store); ``split``, `None` for files in the store and ``direct`` for all
            others; ``auto``, `None` for files in the store, else ``link``, or ``copy`` where that cannot be.
            A service takes files from directories that it is configured to; otherwise ``copy``, ``move`` and ``auto``
            upload them.
        run
            The RUN collection to ingest into; that of resolved refs, or the default one, if absent.
        skip_existing
            Whether to leave out files all of whose datasets are in the run already.
        progress
            Called with a phase, what of it is done, and its total.

        Raises
        ------
        ConflictingDefinitionError
            Raised if a dataset type and data ID is given twice for one run, or is in the run already.
        ArtifactNotFoundError
            Raised if a file is not there.
        ArtifactExistsError
            Raised if there is another artifact under the key of one.
        IngestPathError
            Raised if a file is not in the store, with `None`, may not be taken by the datastore, or is no regular file.
        FormatterError
            Raised if a file's name does not end as the formatter wants it.
        UnsupportedOperationError
            Raised if there is no such transfer mode, or the store cannot do it.
        InvalidRequestError
            Raised with ``auto`` for files inside and outside of the store, and for refs that do not go together.
        ReadOnlyError, NoDefaultCollectionError, MissingCollectionError, CollectionTypeError,
        MissingDatasetTypeError, DataIdValueError
            Raised as by `put`.
        """
        check_writeable(self._writeable, "ingest files")
        work = FileIngest(self._connection, self._finder.types, self._defaults, run, progress)
        work.ingest(datasets, transfer, skip_existing=skip_existing)

    @property
    def _put_protocol(self) -> PutProtocol:
        connection = self._connection
        return PutProtocol(connection.registry, connection.datastore, connection.info.limits)

    def _run_for(self, run: str | None) -> str:
        check_writeable(self._writeable, "put datasets")
        return self._defaults.run_for(run)

    def _formatted(
        self,
        obj: object,
        named: DatasetRef | DatasetType | str,
        data_id: DataId | None,
        keywords: Mapping[str, Any],
    ) -> FormattedDataset:
        dataset_type, filled = self._target(named, data_id, keywords)
        return format_dataset(obj, dataset_type, filled, self._connection.info.composites)

    def _target(
        self, named: DatasetRef | DatasetType | str, data_id: Any, keywords: Mapping[str, Any]
    ) -> tuple[DatasetType, dict[str, Any]]:
        """Return the registered type and the data ID, with defaults, of a dataset that is to be put."""
        if isinstance(named, DatasetRef) and named.is_resolved:
            raise InvalidRequestError(
                f"{named} exists already, or is to have an id of its own; put takes a dataset type and a "
                "data ID, or an unresolved ref (ref.unresolved()).",
                dataset_type=named.datasetType.name,
            )
        wanted = self._finder.wanted(named, data_id, keywords)
        if wanted.component is not None:
            raise InvalidRequestError(
                f"{wanted.dataset_type}.{wanted.component} is a component and cannot be put by itself; put "
                f"{wanted.dataset_type!r}.",
                dataset_type=wanted.dataset_type,
            )
        dataset_type = self._finder.types.get(wanted.dataset_type)
        return dataset_type, self._defaults.fill(wanted.data_id, dataset_type.dimensions)

    def _formatted_batches(
        self, items: Iterable[tuple[object, DatasetType | str, DataId]]
    ) -> Iterator[list[FormattedDataset]]:
        batch: list[FormattedDataset] = []
        size = 0
        check_several(items, "items", _TRIPLES)
        try:
            for obj, named, data_id in map(_item, items):
                batch.append(self._formatted(obj, named, data_id, {}))
                size += batch[-1].size
                if len(batch) == _PUT_ITEMS or size >= _PUT_BYTES:
                    yield batch
                    batch, size = [], 0
        except BaseException:
            _close(batch)
            raise
        if batch:
            yield batch

    def _put_batch(self, run: str, batch: Sequence[FormattedDataset]) -> list[DatasetRef]:
        try:
            return self._put_protocol.put(run, [self._as_predicted(run, dataset) for dataset in batch])
        finally:
            _close(batch)

    def _as_predicted(self, run: str, dataset: FormattedDataset) -> FormattedDataset:
        """Give a dataset the id that a prediction of its place used, if there was one."""
        predicted, dataset_type = self._connection.predicted, dataset.dataset_type
        if not predicted.has(run, dataset_type.name):
            return dataset
        intent = checked(self._connection.registry, run, dataset_type, dataset.data_id, dataset.id, ())
        dataset_id = predicted.take(run, dataset_type.name, intent.data_id)
        return dataset if dataset_id is None else replace(dataset, id=dataset_id)


def _item(given: Any) -> tuple[object, DatasetType | str, DataId]:
    if not isinstance(given, tuple | list) or len(given) != 3:
        raise InvalidRequestError(f"items: give several {_TRIPLES}; {given!r:.80} is none.")
    obj, named, data_id = given
    return obj, named, data_id


def _close(batch: Iterable[FormattedDataset]) -> None:
    for dataset in batch:
        dataset.close()
