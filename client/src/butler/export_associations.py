# SPDX-License-Identifier: BSD-3-Clause
"""Members of the collections of an export: chains, tags, ranges of validity."""

from __future__ import annotations

__all__ = ["ExportAssociations", "link_chains"]

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from uuid import UUID, uuid4

from butler_model.collection import ChainEdit, Collection
from butler_model.errors import ConflictingDefinitionError
from butler_model.ports import Registry
from butler_model.query.spec import QuerySpec, ResultKind
from butler_model.timespan import Timespan

from .export_blocks import AssociationBlock, ExportFile
from .export_file import malformed


def link_chains(registry: Registry, chains: Sequence[Collection], new: set[str]) -> None:
    """Give chains their members, which are all registered by now. Those that were there before are left as they are."""
    for chain in chains:
        if chain.name in new:
            registry.collections.edit_chain(chain.name, ChainEdit.SET, chain.children, request_id=uuid4())
        elif registry.collections.get(chain.name).children != chain.children:
            warnings.warn(
                f"Chain {chain.name!r} exists with other members than the file gives it; it is left as it is.",
                stacklevel=4,
            )


@dataclass(frozen=True, slots=True)
class ExportAssociations:
    """Associates and certifies what an export lists; what is so already is left alone.

    Attributes
    ----------
    ids
        The id that each dataset of the file has in the repository.
    """

    registry: Registry
    export: ExportFile
    ids: Mapping[UUID | int, UUID]

    @property
    def blocks(self) -> list[AssociationBlock]:
        """The blocks of the file that list members."""
        return [block for block in self.export.blocks if isinstance(block, AssociationBlock)]

    def check(self) -> None:
        """Raise `MalformedExportError` if a member is no dataset of the file, and has no UUID to be found by."""
        for block in self.blocks:
            for given in (block.dataset_ids, *(each.dataset_ids for each in block.validity_ranges)):
                self._ids(block, given)

    def add(self, block: AssociationBlock) -> int:
        """Add the members of a block to its collection; return how many there are in the file."""
        tagged = self._ids(block, block.dataset_ids)
        self._in_batches(
            tagged,
            lambda ids: self.registry.associations.associate(block.collection, ids, request_id=uuid4()),
        )
        certified = 0
        for validity in block.validity_ranges:
            ids = self._ids(block, validity.dataset_ids)
            self._in_batches(ids, partial(self._certify, block.collection, validity.timespan))
            certified += len(ids)
        return len(tagged) + certified

    def _certify(self, collection: str, timespan: Timespan, ids: Sequence[UUID]) -> None:
        associations = self.registry.associations
        try:
            associations.certify(collection, ids, timespan, request_id=uuid4())
        except ConflictingDefinitionError:
            certified = set(self._certified(collection, ids))
            missing = [dataset_id for dataset_id in ids if (dataset_id, timespan) not in certified]
            if len(missing) == len(ids):
                raise
            if missing:
                associations.certify(collection, missing, timespan, request_id=uuid4())

    def _certified(self, collection: str, ids: Sequence[UUID]) -> Iterator[tuple[UUID, Timespan]]:
        """Yield datasets that have the type of some, and stand in the collection, with their ranges of validity."""
        found = self.registry.datasets.get(ids)
        for dataset_type in {each.ref.datasetType.name for each in found if each is not None}:
            spec = QuerySpec(
                ResultKind.DATASETS,
                dataset_type=dataset_type,
                collections=(collection,),
                dataset_fields=("timespan",),
            )
            for page in self.registry.queries.stream(spec):
                yield from zip(page.column("id"), page.column("timespan"), strict=True)

    def _in_batches(self, ids: Sequence[UUID], call: Callable[[Sequence[UUID]], None]) -> None:
        size = self.registry.info.limits.batch_items
        for start in range(0, len(ids), size):
            call(ids[start : start + size])

    def _ids(self, block: AssociationBlock, given: Sequence[UUID | int]) -> list[UUID]:
        ids = []
        for each in given:
            known = self.ids.get(each, each)
            if not isinstance(known, UUID):
                raise malformed(
                    self.export.name,
                    f"dataset_id {each} is that of no dataset of the file.",
                    block=block.number,
                    kind=f"members of the {block.type.name} collection {block.collection}",
                )
            ids.append(known)
        return ids
