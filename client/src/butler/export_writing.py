# SPDX-License-Identifier: BSD-3-Clause
"""Writing the YAML files in which repositories are exported, block by block, so that none has to be held as a whole."""

from __future__ import annotations

__all__ = ["ExportWriter", "appearing_when_whole", "time_fields"]

import datetime
import itertools
import os
import secrets
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any
from uuid import UUID

import lsst.sphgeom
import yaml

from butler_model.failpoints import reach
from butler_model.timespan import MAX_NSEC, MIN_NSEC, Timespan
from butler_model.universe import DimensionUniverse

from .export_yaml import Instant

try:
    from yaml import (
        CSafeDumper as _SafeDumper,  # ten times faster; absent if PyYAML was built without libyaml
    )
except ImportError:
    from yaml import SafeDumper as _SafeDumper  # type: ignore[assignment]

_DESCRIPTION = "Butler Data Repository Export"
_VERSION = "1.0.2"
"""The version of the format that the older library has written since exports say which universe they are of."""
_ITEMS = 500
_EPOCH = datetime.datetime(1970, 1, 1)  # noqa: DTZ001 - TAI, which has no leap seconds, and no zone


class _Dumper(_SafeDumper):
    """Represents plain values, and those that have tags in the format."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def _represent_region(dumper: _Dumper, region: lsst.sphgeom.Region) -> yaml.Node:
    return dumper.represent_mapping(
        f"lsst.sphgeom.{type(region).__name__}", {"encoded": region.encode().hex()}
    )


def _represent_instant(dumper: _Dumper, instant: Instant) -> yaml.Node:
    seconds, nsec = divmod(instant.nsec, 10**9)
    text = f"{_EPOCH + datetime.timedelta(seconds=seconds)}.{nsec:09d}"
    return dumper.represent_scalar("!butler_time/tai/iso", text)


def _represent_uuid(dumper: _Dumper, value: UUID) -> yaml.Node:
    return dumper.represent_scalar("!uuid", str(value))


_Dumper.add_multi_representer(lsst.sphgeom.Region, _represent_region)
_Dumper.add_representer(Instant, _represent_instant)
_Dumper.add_representer(UUID, _represent_uuid)


class ExportWriter:
    """Writes an export to an open file of text.

    Parameters
    ----------
    universe
        The one that the dimensions in it are of.
    """

    def __init__(self, sink: IO[str], universe: DimensionUniverse) -> None:
        self._sink = sink
        head = {
            "description": _DESCRIPTION,
            "version": _VERSION,
            "universe_version": universe.version,
            "universe_namespace": universe.namespace,
        }
        sink.write(_text(head) + "data:")
        self._is_empty = True

    def write(self, kind: str, fields: Mapping[str, Any], **listed: Iterable[Any]) -> None:
        """Write a block.

        Parameters
        ----------
        kind
            What its key ``type`` says.
        fields
            Its other keys.
        **listed
            At most one more key, the last, with a list that is gone through once and may be of any length.
        """
        self._sink.write("\n" if self._is_empty else "")
        self._is_empty = False
        self._sink.write(_text([{"type": kind, **fields}]))
        for key, items in listed.items():
            rest = iter(items)
            some = list(itertools.islice(rest, _ITEMS))
            self._sink.write(f"  {key}:\n" if some else f"  {key}: []\n")
            while some:
                # A list in a mapping in a list; every line goes to the right alike, so nothing changes its meaning.
                self._sink.writelines(f"  {line}\n" for line in _text(some).split("\n")[:-1])
                some = list(itertools.islice(rest, _ITEMS))

    def close(self) -> None:
        """Write what ends the export."""
        self._sink.write(" []\n" if self._is_empty else "")


def time_fields(span: Timespan | None, begin: str, end: str) -> dict[str, Instant | None]:
    """Return the two ends of a range of time under the names that a block has for them; `None` for unbounded."""
    if span is None:
        return {begin: None, end: None}
    first, last = span.nsec
    if not span.isEmpty():
        return {
            begin: None if first == MIN_NSEC else Instant(first),
            end: None if last == MAX_NSEC else Instant(last),
        }
    return {begin: Instant(first), end: Instant(last)}


@contextmanager
def appearing_when_whole(path: Path) -> Iterator[IO[str]]:
    """Give a file to write text to, which has its name, and is durable, when the block ends; else it is gone.

    Raises `OSError` if it cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.parent / f".butler-{secrets.token_hex(16)}.part"
    try:
        with draft.open("x", encoding="utf-8") as sink:
            yield sink
            sink.flush()
            os.fsync(sink.fileno())
        reach("export.before_rename")
        os.replace(draft, path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _text(value: object) -> str:
    text: str = yaml.dump(
        value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, default_flow_style=False
    )
    return text
