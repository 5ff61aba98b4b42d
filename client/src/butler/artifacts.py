# SPDX-License-Identifier: BSD-3-Clause
"""From stored bytes to Python objects."""

from __future__ import annotations

__all__ = ["ArtifactReader"]

import io
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, BinaryIO

from butler_model.artifact import Artifact
from butler_model.errors import ArtifactNotFoundError, StorageClassError, UnsupportedOperationError
from butler_model.ports import Datastore, FoundDataset
from butler_model.storage_class import StorageClass

from .artifact_source import ArtifactSource, in_batches
from .connect import Connection
from .formatters import default_formatters
from .storage_classes import default_storage_classes, resolve_pytype

_RANGE_BUFFER = 64 * 1024
_BATCHES_AHEAD = 2


@dataclass(frozen=True, slots=True)
class _Part:
    """What is to be read of one dataset."""

    artifact: Artifact
    storage_class: StorageClass
    component: str | None
    parameters: Mapping[str, Any]

    def decode(self, source: BinaryIO) -> object:
        formatter = default_formatters().by_label(self.artifact.record.layout.formatter)
        component = self.component
        if component is None or self.artifact.record.layout.component == component:
            held = self.storage_class if component is None else self._component_class(component)
            return formatter.read(source, resolve_pytype(held), None, self.parameters)
        if component in formatter.components:
            pytype = resolve_pytype(self._component_class(component))
            return formatter.read(source, pytype, component, self.parameters)
        whole = formatter.read(source, resolve_pytype(self.storage_class))
        return component_of(whole, component, self.parameters)

    def _component_class(self, component: str) -> StorageClass:
        return default_storage_classes().getStorageClass(self.storage_class.allComponents()[component])


class ArtifactReader:
    """Reads datasets that were found together with their artifacts; safe to share between threads."""

    def __init__(self, connection: Connection) -> None:
        self._datastore = connection.datastore
        self._source = ArtifactSource(connection)
        self._limits = connection.info.limits

    def read(
        self, found: FoundDataset, component: str | None, parameters: Mapping[str, Any] | None
    ) -> object:
        """Return the object of a dataset, or of a component of it.

        Raises
        ------
        ArtifactNotFoundError, ArtifactIntegrityError
            Raised if nothing is stored, the artifact is gone, or it is not what was stored.
        StorageClassError
            Raised if the component or a parameter is unknown.
        FormatterError
            Raised if the bytes cannot be read.
        """
        part = _part(found, component, parameters)
        record = part.artifact.record
        if record.size > self._limits.inline_bytes and (part.component or part.parameters):
            cached = self._source.cached(part.artifact)
            if cached is not None:
                with cached:
                    return part.decode(cached)
            ranges = _RangeFile(self._datastore, part.artifact)
            return part.decode(io.BufferedReader(ranges, _RANGE_BUFFER))
        if record.size > self._limits.inline_bytes:
            return part.decode(io.BytesIO(self._source.content(part.artifact)))
        return part.decode(io.BytesIO(self._datastore.read_batch([part.artifact.grant])[0]))

    def read_many(self, wanted: Iterable[tuple[FoundDataset, str | None]]) -> list[object]:
        """Return the objects of datasets, or of components, in order; the next are fetched meanwhile."""
        parts = [_part(found, component, None) for found, component in wanted]
        batches = list(in_batches(parts, lambda part: part.artifact.record.size, self._limits))
        contents = _ahead(self._fetch, batches)
        return [
            part.decode(io.BytesIO(content))
            for batch, fetched in zip(batches, contents, strict=True)
            for part, content in zip(batch, fetched, strict=True)
        ]

    def _fetch(self, batch: Sequence[_Part]) -> list[bytes]:
        if batch[0].artifact.record.size > self._limits.inline_bytes:
            return [self._source.content(batch[0].artifact)]
        return self._datastore.read_batch([part.artifact.grant for part in batch])


class _RangeFile(io.RawIOBase):
    """An artifact as a seekable file that fetches what is read of it."""

    def __init__(self, datastore: Datastore, artifact: Artifact) -> None:
        self._datastore = datastore
        self._artifact = artifact
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        size = self._artifact.record.size
        origin = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: size}[whence]
        self._position = max(0, origin + offset)
        return self._position

    def readinto(self, buffer: Any) -> int:
        wanted = min(len(buffer), self._artifact.record.size - self._position)
        if wanted <= 0:
            return 0
        content = b"".join(self._datastore.read(self._artifact.grant, self._position, wanted))
        buffer[: len(content)] = content
        self._position += len(content)
        return len(content)


def component_of(whole: Any, component: str, parameters: Mapping[str, Any]) -> object:
    """Take a component out of a composite that was read whole: an item of a mapping, else an attribute.

    Raises
    ------
    StorageClassError
        Raised if the composite has none of that name, or parameters were given, which only formatters apply.
    """
    if parameters:
        raise StorageClassError(
            f"Component {component!r} is taken from a whole {type(whole).__qualname__} and has no parameters "
            f"{', '.join(map(repr, sorted(parameters)))}.",
            component=component,
        )
    try:
        return whole[component] if isinstance(whole, Mapping) else getattr(whole, component)
    except (KeyError, AttributeError):
        raise StorageClassError(
            f"This {type(whole).__qualname__} has no component {component!r}.", component=component
        ) from None


def _part(found: FoundDataset, component: str | None, parameters: Mapping[str, Any] | None) -> _Part:
    dataset_type = found.ref.datasetType
    storage_class = default_storage_classes().getStorageClass(dataset_type.storageClass_name)
    if component is not None and component not in storage_class.allComponents():
        raise StorageClassError(
            f"Storage class {storage_class.name!r} of dataset type {dataset_type.name!r} has no component "
            f"{component!r}; it has {', '.join(storage_class.allComponents()) or 'none'}.",
            dataset_type=dataset_type.name,
        )
    storage_class.validateParameters(parameters)
    artifacts = {artifact.record.layout.component: artifact for artifact in found.artifacts}
    if not artifacts:
        raise not_stored(found)
    artifact = artifacts.get(component or "") or artifacts.get("")
    if artifact is None:
        raise UnsupportedOperationError(
            f"{found.ref} is stored as separate components; get one of {', '.join(sorted(artifacts))}."
        )
    return _Part(artifact, storage_class, component, parameters or {})


def not_stored(found: FoundDataset) -> ArtifactNotFoundError:
    """Return the error for a dataset without artifacts."""
    return ArtifactNotFoundError(
        f"{found.ref} is registered, but nothing is stored of it.", dataset_id=str(found.ref.getCheckedId())
    )


def _ahead(
    fetch: Callable[[Sequence[_Part]], list[bytes]], batches: Sequence[list[_Part]]
) -> Iterator[list[bytes]]:
    if len(batches) < 2:
        yield from map(fetch, batches)
        return
    with ThreadPoolExecutor(_BATCHES_AHEAD, "butler-get") as pool:
        under_way: deque[Future[list[bytes]]] = deque()
        try:
            for batch in batches:
                under_way.append(pool.submit(fetch, batch))
                if len(under_way) > _BATCHES_AHEAD:
                    yield under_way.popleft().result()
            while under_way:
                yield under_way.popleft().result()
        finally:
            for future in under_way:
                future.cancel()
