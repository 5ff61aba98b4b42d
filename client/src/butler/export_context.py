# SPDX-License-Identifier: BSD-3-Clause
"""What is to be exported, told bit by bit, and then written."""

from __future__ import annotations

__all__ = ["RepositoryExport"]

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import IO, Any, TypeVar

from butler_model.collection import Collection
from butler_model.data_id import DataCoordinate, DataId
from butler_model.dataset import DatasetRef, DatasetType
from butler_model.dimensions import DimensionElement
from butler_model.records import DimensionRecord
from butler_model.universe import DimensionGroup

from .connect import Connection
from .export_artifacts import ExportArtifacts
from .export_contents import ExportContents, ExportedDatasets, Rewrite
from .export_records import ExportRecords
from .export_writing import ExportWriter
from .ingest_files import Progress
from .lookup import DatasetFinder, registered

_Item = TypeVar("_Item")


class RepositoryExport:
    """Is told, inside of ``with butler.export(...) as export``, what to export.

    What is told twice is exported once. Of datasets only ids are kept; all about them, and their files, is fetched when
    the block ends.
    """

    def __init__(self, connection: Connection, finder: DatasetFinder) -> None:
        self._connection = connection
        self._registry = connection.registry
        self._universe = connection.info.universe
        self._batch = connection.info.limits.batch_items
        self._finder = finder
        self._records = ExportRecords(connection)
        self._collections: dict[str, Collection] = {}
        self._types: dict[str, DatasetType] = {}
        self._datasets: ExportedDatasets = {}

    def saveCollection(self, name: str) -> None:
        """Export a collection: its type, its description and, of a chain, the names of its members.

        Of the members of a TAGGED or CALIBRATION collection, those are exported that `saveDatasets` is told. The runs
        of datasets need not be told.

        Raises `MissingCollectionError` if there is none of that name.
        """
        self._collections[name] = self._registry.collections.get(name)

    def saveDimensionData(
        self, element: str | DimensionElement, records: Iterable[DimensionRecord | Mapping[str, Any]]
    ) -> None:
        """Export records of an element.

        Raises
        ------
        DimensionNameError, DimensionValueError
            Raised if there is no such element, or a record is not one of it.
        NotInsertableError
            Raised if the element has no records of its own.
        """
        definition = self._universe[str(element)]
        self._records.add(
            definition,
            (
                record if isinstance(record, DimensionRecord) else DimensionRecord(definition, record)
                for record in records
            ),
        )

    def saveDataIds(
        self,
        dataIds: Iterable[DataId],
        *,
        elements: Iterable[str | DimensionElement] | None = None,
    ) -> None:
        """Export the dimension records of data IDs.

        Parameters
        ----------
        elements
            Only records of these elements; none if there are none. If absent, those of all elements that the data IDs
            identify, and with a visit also of the exposures that it consists of.

        Raises
        ------
        DimensionNameError, DataIdValueError, InconsistentDataIdError
            Raised if there is no such element, or a data ID has no records.
        """
        names = self._names(elements)
        for some in _in_parts(dataIds, self._batch):
            self._save_data_ids(
                [DataCoordinate.standardize(each, universe=self._universe) for each in some], names
            )

    def saveDatasets(
        self,
        refs: Iterable[DatasetRef],
        *,
        elements: Iterable[str | DimensionElement] | None = None,
        rewrite: Rewrite | None = None,
    ) -> None:
        """Export datasets, with their types, runs and dimension records.

        Parameters
        ----------
        refs
            Resolved refs; that of a component stands for the whole.
        elements
            As of `saveDataIds`.
        rewrite
            Is given the path of each file, relative to the directory, with its refs and the label of its formatter, and
            returns what the export is to say of it instead. The file is where it would be without.

        Raises
        ------
        AmbiguousDatasetError, DatasetNotFoundError
            Raised if a ref is not resolved, or there is no dataset with its id.
        """
        names = self._names(elements)
        for some in _in_parts(refs, self._batch):
            ids = [ref.getCheckedId() for ref in some]
            found = [
                registered(each, id_).ref for each, id_ in zip(self._finder.by_id(ids), ids, strict=True)
            ]
            for ref in found:
                runs = self._datasets.setdefault(ref.datasetType.name, {})
                runs.setdefault(str(ref.run), {})[ref.getCheckedId()] = rewrite
                self._types.setdefault(ref.datasetType.name, ref.datasetType)
            self._save_data_ids([ref.dataId for ref in found], names)

    def write(self, sink: IO[str], artifacts: ExportArtifacts, progress: Progress | None) -> None:
        """Write all that was told; `Butler.export` has the errors."""
        self._records.complete()
        for runs in self._datasets.values():
            for run in runs.keys() - self._collections.keys():
                self.saveCollection(run)
        contents = ExportContents(self._connection, ExportWriter(sink, self._universe), artifacts, progress)
        contents.write(self._records, self._collections, self._types, self._datasets)

    def _names(self, elements: Iterable[str | DimensionElement] | None) -> frozenset[str] | None:
        return None if elements is None else frozenset(self._universe[str(each)].name for each in elements)

    def _save_data_ids(self, data_ids: Iterable[DataCoordinate], elements: frozenset[str] | None) -> None:
        groups: dict[DimensionGroup, list[DataCoordinate]] = {}
        for data_id in data_ids:
            groups.setdefault(data_id.dimensions, []).append(data_id)
        for of_group in groups.values():
            self._records.add_data_ids(of_group, elements)


def _in_parts(items: Iterable[_Item], size: int) -> Iterator[list[_Item]]:
    rest = iter(items)
    while part := list(islice(rest, size)):
        yield part
