# SPDX-License-Identifier: BSD-3-Clause
"""Commands that move datasets between files and a repository."""

from __future__ import annotations

__all__ = ["get_file", "put_file"]

import os
import stat
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import BinaryIO

import click

from butler import DatasetType
from butler.artifact_source import ArtifactSource
from butler.connect import Connection, connect
from butler.formatters import default_formatters
from butler.lookup import KnownDatasetTypes, Wanted, not_found
from butler.putting import FormattedArtifact, FormattedDataset, PutProtocol, planned_layouts
from butler.readings import not_stored
from butler.storage_classes import default_storage_classes, resolve_pytype
from butler_model.artifact import Artifact
from butler_model.composites import NOTHING_DISASSEMBLED
from butler_model.dataset import new_dataset_id
from butler_model.errors import UnsupportedOperationError
from butler_model.ports import DatasetLookup, FoundDataset

from .arguments import data_id_argument, json_option, names, repository_argument, typed_data_id
from .output import Output

_STANDARD_OUTPUT = "-"
_ANY_BYTES = "bytes"
"""Label of the formatter that takes any file."""


@click.command()
@repository_argument
@click.argument("file", type=click.Path(exists=True, dir_okay=False))
@click.argument("dataset_type")
@data_id_argument
@click.option(
    "--run",
    required=True,
    metavar="RUN",
    help="The RUN collection to put it into; see 'butler collections register'.",
)
@click.option(
    "--check/--no-check",
    default=True,
    help="Whether to read the whole file first to see that it is of that format, which is the default; bytes without a "
    "format are never read twice.",
)
@json_option
def put_file(
    repository: str,
    file: str,
    dataset_type: str,
    data_id: tuple[tuple[str, str], ...],
    run: str,
    check: bool,
    output: Output,
) -> None:
    """Store what a file holds as a dataset.

    FILE must be of the format in which datasets of the storage class of DATASET_TYPE are stored; its bytes are stored
    as they are.
    """
    with closing(connect(repository)) as connection, Path(file).open("rb") as source:
        kind = KnownDatasetTypes(connection.registry).get(dataset_type)
        instrument = dict(data_id).get("instrument")
        (layout,) = planned_layouts(kind, instrument, NOTHING_DISASSEMBLED)
        if check and layout.formatter != _ANY_BYTES:
            storage_class = default_storage_classes().getStorageClass(kind.storageClass_name)
            default_formatters().by_label(layout.formatter).read(source, resolve_pytype(storage_class))
        content = FormattedArtifact(layout, source, os.fstat(source.fileno()).st_size)
        values = typed_data_id(connection.info.universe, data_id)
        protocol = PutProtocol(connection.registry, connection.datastore, connection.info.limits)
        (ref,) = protocol.put(run, [FormattedDataset(kind, values, new_dataset_id(), (content,))])
    output.record({"type": kind.name, "run": ref.run, "id": ref.id, "data_id": ref.dataId.mapping})


@click.command()
@repository_argument
@click.argument("dataset_type")
@data_id_argument
@click.option(
    "--collections",
    required=True,
    multiple=True,
    metavar="NAMES",
    help="Where to look, in order; with commas between, or repeated.",
)
@click.option(
    "-o",
    "--output-file",
    "target",
    required=True,
    metavar="FILE",
    help="Where to write; - is standard output. A file is replaced once all bytes are there.",
)
@json_option
def get_file(
    repository: str,
    dataset_type: str,
    data_id: tuple[tuple[str, str], ...],
    collections: tuple[str, ...],
    target: str,
    output: Output,
) -> None:
    """Write the stored bytes of a dataset to a file.

    DATASET_TYPE may be TYPE.COMPONENT, where components are stored apart.
    """
    if target == _STANDARD_OUTPUT and output.as_json:
        raise click.UsageError("--json and the dataset cannot both go to standard output; give -o a file.")
    with closing(connect(repository)) as connection:
        found, artifact = _find(connection, dataset_type, data_id, tuple(names(collections)))
        with _opened(target) as sink:
            for piece in ArtifactSource(connection).pieces(artifact):
                sink.write(piece)
    if target != _STANDARD_OUTPUT:
        record = artifact.record
        output.record({"file": target, "id": found.ref.id, "size": record.size, "checksum": record.checksum})


def _find(
    connection: Connection, named: str, pairs: tuple[tuple[str, str], ...], collections: tuple[str, ...]
) -> tuple[FoundDataset, Artifact]:
    name, component = DatasetType.splitDatasetTypeName(named)
    data_id = typed_data_id(connection.info.universe, pairs)
    lookup = DatasetLookup(name, [data_id], collections, want_artifacts=True)
    found = connection.registry.datasets.find(lookup)[0]
    if found is None:
        raise not_found(Wanted(name, component, data_id), collections)
    if not found.artifacts:
        raise not_stored(found)
    artifacts = {artifact.record.layout.component: artifact for artifact in found.artifacts}
    artifact = artifacts.get(component or "")
    if artifact is None:
        stored = ", ".join(f"{name}.{each}" if each else name for each in sorted(artifacts))
        raise UnsupportedOperationError(
            f"{found.ref} has no file for {named!r}; it has {stored}.", dataset_type=named
        )
    return found, artifact


@contextmanager
def _opened(target: str) -> Iterator[BinaryIO]:
    """Give where to write to; a file that exists stays as it is unless everything is written."""
    if target == _STANDARD_OUTPUT:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    path = Path(target).resolve()
    if path.exists() and not stat.S_ISREG(path.stat().st_mode):
        with path.open("wb") as sink:  # a device or a pipe; a directory raises
            yield sink
        return
    try:
        draft = NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False)  # noqa: SIM115
    except OSError as error:
        error.filename = target  # not a name that nobody knows
        raise
    try:
        with draft:
            # As the file would have been made or kept by writing to it.
            os.fchmod(draft.fileno(), path.stat().st_mode & 0o777 if path.exists() else 0o666 & ~_umask())
            yield draft  # type: ignore[misc]
        os.replace(draft.name, path)
    except BaseException:
        os.unlink(draft.name)
        raise


def _umask() -> int:
    umask = os.umask(0o077)
    os.umask(umask)
    return umask
