# SPDX-License-Identifier: BSD-3-Clause
"""Reading the YAML files in which repositories are exported.

Nothing is taken on trust: every block becomes a typed value, and what is wrong is reported with its line, or
its block and record.
"""

from __future__ import annotations

__all__ = ["malformed", "read_export"]

import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any, TypeVar
from uuid import UUID

from butler_model.collection import Collection, CollectionType
from butler_model.errors import (
    IncompatibleVersionError,
    InvalidNameError,
    InvalidRequestError,
    MalformedExportError,
)
from butler_model.timespan import Timespan

from .export_blocks import (
    AssociationBlock,
    CollectionBlock,
    DatasetBlock,
    DatasetEntry,
    DatasetTypeBlock,
    DimensionBlock,
    ExportBlock,
    ExportFile,
    FileEntry,
    ValidityRange,
)
from .export_yaml import ExportYaml, parse_export_yaml

T = TypeVar("T")

_FORMAT_VERSION = (1, 0)
"""Major and minor version of the files that can be read, whatever the third number is."""

_PLAIN_NAMES: dict[type, str] = {str: "string", dict: "mapping", bool: "true or false", int: "integer"}


def malformed(
    file: str, what: str, *, block: int, kind: str = "", record: int | None = None
) -> MalformedExportError:
    """Return the error that says what is wrong with a block or record of a file; ``record`` counts from 0."""
    place = f"block {block}" + (f" ({kind})" if kind else "")
    metadata = {"file": file, "block": str(block)}
    if record is not None:
        place += f", record {record + 1}"
        metadata["record"] = str(record + 1)
    return MalformedExportError(f"{file}: {place}: {what}", **metadata)


def read_export(source: str | os.PathLike[str] | IO[bytes] | IO[str]) -> ExportFile:
    """Read and check an export.

    Parameters
    ----------
    source
        Path of the file, or an open stream.

    Raises
    ------
    MalformedExportError
        Raised if it is not YAML, has a tag that is not of the format, or lacks the documented shape.
    IncompatibleVersionError
        Raised if it is of a version of the format that is not known here.
    OSError
        Raised if the file cannot be read.
    """
    if isinstance(source, str | os.PathLike):
        path = Path(source)
        name, text = path.name, path.read_bytes()
    elif not hasattr(source, "read"):
        raise InvalidRequestError(f"An export is a file or an open stream, not {source!r:.80}.")
    else:
        name, text = str(getattr(source, "name", "the export")), source.read()  # type: ignore[assignment]
    parsed = parse_export_yaml(name, text)
    content = parsed.content
    if not isinstance(content, dict):
        raise MalformedExportError(
            f"{name} is no export: it must be a mapping with version and data.", file=name
        )
    _check_version(name, content)
    blocks = content.get("data")
    if not isinstance(blocks, list):
        raise MalformedExportError(f"{name} has no list of blocks under 'data'.", file=name)
    version, namespace = content.get("universe_version", 0), content.get("universe_namespace", "daf_butler")
    if type(version) is not int or not isinstance(namespace, str):
        raise MalformedExportError(
            f"{name}: universe_version {version!r:.80} must be an integer and universe_namespace "
            f"{namespace!r:.80} a string.",
            file=name,
        )
    return ExportFile(
        name, version, namespace, tuple(_block(name, i, b, parsed) for i, b in enumerate(blocks, 1))
    )


def _check_version(name: str, content: Mapping[Any, Any]) -> None:
    version = content.get("version")
    text = "1.0.0" if version == 0 and type(version) is int else str(version)
    if not re.fullmatch(r"\d{1,9}(\.\d{1,9}){0,3}", text):
        raise MalformedExportError(
            f"{name} is no export: its version is {version!r:.80}, not of the form 1.0.2.", file=name
        )
    major, minor = ([int(part) for part in text.split(".")] + [0])[:2]
    if major != _FORMAT_VERSION[0] or minor > _FORMAT_VERSION[1]:
        raise IncompatibleVersionError(
            f"{name} has version {text} of the export format; this software reads 0 and 1.0.x.",
            file=name,
            version=text,
            supported="0, 1.0.x",
        )


@dataclass(frozen=True, slots=True)
class _Reader:
    """Turns one block into its type; knows what to say of one that is wrong."""

    file: str
    number: int
    kind: str
    parsed: ExportYaml

    def refuse(self, what: str, record: int | None = None) -> MalformedExportError:
        return malformed(self.file, what, block=self.number, kind=self.kind, record=record)

    def field(self, fields: Mapping[Any, Any], name: str, wanted: type[T], record: int | None = None) -> T:
        value = fields.get(name)
        if type(value) is not wanted:
            what = "has no" if value is None else f"has {value!r:.80} as"
            raise self.refuse(
                f"{what} {name}, which must be a {_PLAIN_NAMES.get(wanted, wanted.__name__)}.", record
            )
        return value

    def optional_text(self, fields: Mapping[Any, Any], name: str, record: int | None = None) -> str | None:
        return None if fields.get(name) is None else self.field(fields, name, str, record)

    def texts(self, fields: Mapping[Any, Any], name: str) -> tuple[str, ...]:
        values = self.field(fields, name, list)
        if not all(type(value) is str for value in values):
            raise self.refuse(f"has {values!r:.80} as {name}, which must be a list of strings.")
        return tuple(values)

    def mappings(self, fields: Mapping[Any, Any], name: str) -> list[dict[str, Any]]:
        records = self.field(fields, name, list)
        for i, record in enumerate(records):
            if type(record) is not dict or not all(type(key) is str for key in record):
                raise self.refuse(f"is {record!r:.80}, not a mapping from names to values.", i)
        return records

    def dataset_ids(self, fields: Mapping[Any, Any], name: str, record: int | None) -> tuple[UUID | int, ...]:
        ids = _listed(fields.get(name))
        if not ids or not all(type(each) in (UUID, int) for each in ids):
            raise self.refuse(
                f"has {fields.get(name)!r:.80} as {name}, which must be one or more integers or !uuid.",
                record,
            )
        return tuple(ids)

    def timespan(self, begin: Any, end: Any, record: int) -> Timespan:
        try:
            first, last = self.parsed.nsec(begin), self.parsed.nsec(end)
            if first is not None and first == last:
                last = first + 1  # an instant, as `Timespan` itself takes it
            return Timespan.from_nsec(first, last)
        except ValueError as error:
            raise self.refuse(f"has a time that cannot be held: {error}", record) from error


def _listed(value: Any) -> list[Any]:
    return value if type(value) is list else [] if value is None else [value]


def _block(file: str, number: int, block: Any, parsed: ExportYaml) -> ExportBlock:
    kind = block.get("type") if type(block) is dict else None
    if type(kind) is not str or kind not in _BLOCKS:
        raise malformed(
            file,
            f"{kind!r:.80} is no type of block; known are {', '.join(_BLOCKS)}.",
            block=number,
            kind="unknown",
        )
    return _BLOCKS[kind](_Reader(file, number, kind, parsed), block)


def _dimension_block(reader: _Reader, block: Mapping[Any, Any]) -> DimensionBlock:
    element = reader.field(block, "element", str)
    reader = replace(reader, kind=f"dimension {element}")
    records = reader.mappings(block, "records")
    return DimensionBlock(
        reader.number, element, tuple(_with_timespan(reader, i, record) for i, record in enumerate(records))
    )


def _with_timespan(reader: _Reader, i: int, record: Mapping[str, Any]) -> Mapping[str, Any]:
    if not record.keys() & {"datetime_begin", "datetime_end", "timespan"}:
        return record
    fields = dict(record)
    begin, end, span = (fields.pop(name, None) for name in ("datetime_begin", "datetime_end", "timespan"))
    if span is not None:
        if type(span) is not dict or not span.keys() <= {"begin", "end"}:
            raise reader.refuse(f"has {span!r:.80} as timespan, which must be a mapping of begin and end.", i)
        if begin is not None or end is not None:
            raise reader.refuse("has both a timespan and datetime_begin or datetime_end.", i)
        begin, end = span.get("begin"), span.get("end")
    return {**fields, "timespan": reader.timespan(begin, end, i)}


def _collection_block(reader: _Reader, block: Mapping[Any, Any]) -> CollectionBlock:
    name = reader.field(block, "name", str)
    type_name = "RUN" if reader.kind == "run" else reader.field(block, "collection_type", str)
    try:
        type_ = CollectionType.from_name(type_name)
        children = reader.texts(block, "children") if type_ is CollectionType.CHAINED else ()
        collection = Collection(name, type_, reader.optional_text(block, "doc") or "", children)
    except InvalidNameError as error:
        raise reader.refuse(error.message) from error
    return CollectionBlock(reader.number, collection)


def _dataset_type_block(reader: _Reader, block: Mapping[Any, Any]) -> DatasetTypeBlock:
    name, storage_class = (reader.field(block, key, str) for key in ("name", "storage_class"))
    is_calibration = "is_calibration" in block and reader.field(block, "is_calibration", bool)
    return DatasetTypeBlock(
        reader.number, name, reader.texts(block, "dimensions"), storage_class, is_calibration
    )


def _dataset_block(reader: _Reader, block: Mapping[Any, Any]) -> DatasetBlock:
    name, run = (reader.field(block, key, str) for key in ("dataset_type", "run"))
    reader = replace(reader, kind=f"dataset {name}")
    entries = enumerate(reader.mappings(block, "records"))
    return DatasetBlock(
        reader.number, name, run, tuple(_dataset_entry(reader, i, entry) for i, entry in entries)
    )


def _dataset_entry(reader: _Reader, i: int, entry: Mapping[str, Any]) -> DatasetEntry:
    ids = reader.dataset_ids(entry, "dataset_id", i)
    data_ids = _listed(entry.get("data_id"))
    for data_id in data_ids:
        if type(data_id) is not dict or not all(
            type(name) is str and type(value) in (int, str) for name, value in data_id.items()
        ):
            raise reader.refuse(
                f"has {data_id!r:.80} as data_id, which must map dimensions to integers or strings.", i
            )
    if len(ids) != len(data_ids):
        raise reader.refuse(f"has {len(ids)} dataset_id but {len(data_ids)} data_id.", i)
    return DatasetEntry(ids, tuple(data_ids), tuple(_files(reader, i, entry)))


def _files(reader: _Reader, i: int, entry: Mapping[str, Any]) -> Iterator[FileEntry]:
    if entry.get("path") is not None:
        yield _file(reader, i, entry)
    components: set[str] = set()
    for part in reader.field(entry, "components", list, i) if "components" in entry else ():
        if type(part) is not dict or entry.get("path") is not None:
            raise reader.refuse(
                "has a file of its own, or something else than a mapping, among components.", i
            )
        file = _file(reader, i, part)
        name, storage_class = (reader.field(part, key, str, i) for key in ("component", "storage_class"))
        if name in components:
            raise reader.refuse(f"has {name!r:.80} twice among its components.", i)
        components.add(name)
        yield replace(file, component=name, storage_class=storage_class)


def _file(reader: _Reader, i: int, fields: Mapping[str, Any]) -> FileEntry:
    formatter, label = (reader.optional_text(fields, key, i) for key in ("formatter", "butler_formatter"))
    return FileEntry(reader.field(fields, "path", str, i), formatter, label)


def _association_block(reader: _Reader, block: Mapping[Any, Any]) -> AssociationBlock:
    collection, type_name = (reader.field(block, key, str) for key in ("collection", "collection_type"))
    if type_name == "TAGGED":
        ids = (
            reader.dataset_ids(block, "dataset_ids", None) if reader.field(block, "dataset_ids", list) else ()
        )
        return AssociationBlock(reader.number, collection, CollectionType.TAGGED, dataset_ids=ids)
    if type_name != "CALIBRATION":
        raise reader.refuse(
            f"has {type_name!r:.80} as collection_type; only TAGGED and CALIBRATION have members."
        )
    entries = enumerate(reader.mappings(block, "validity_ranges"))
    ranges = tuple(_validity_range(reader, i, entry) for i, entry in entries)
    return AssociationBlock(reader.number, collection, CollectionType.CALIBRATION, validity_ranges=ranges)


def _validity_range(reader: _Reader, i: int, entry: Mapping[str, Any]) -> ValidityRange:
    span = entry.get("timespan", entry)  # newer exports have one, older ones its ends
    if type(span) is not dict:
        raise reader.refuse(f"has {span!r:.80} as timespan, which must be a mapping of begin and end.", i)
    timespan = reader.timespan(span.get("begin"), span.get("end"), i)
    return ValidityRange(timespan, reader.dataset_ids(entry, "dataset_ids", i))


_BLOCKS: dict[str, Callable[[_Reader, Mapping[Any, Any]], ExportBlock]] = {
    "dimension": _dimension_block,
    "collection": _collection_block,
    "run": _collection_block,
    "dataset_type": _dataset_type_block,
    "dataset": _dataset_block,
    "associations": _association_block,
}
