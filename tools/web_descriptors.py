# SPDX-License-Identifier: BSD-3-Clause
"""The messages of the wire contract as Envoy wants them to speak JSON: a set of descriptors, beside the chart."""

from __future__ import annotations

__all__ = ["TARGET", "descriptors"]

import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from importlib.metadata import files
from pathlib import Path
from typing import Any

from google.protobuf import descriptor_pb2
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "deploy/helm/butler/files/web.binpb"
_BUF = Path(sys.executable).parent / "buf"
_DETAILS = "google/rpc/error_details.proto"
"""What errors bring along; no request or response names it."""
_PACKAGE = ".butler_api.v1."


def descriptors() -> bytes:
    """Return a serialized ``FileDescriptorSet`` of all services, and of all that errors bring along.

    It has no comments and none of the rules beside the fields: Envoy has no use for these, and they are three quarters
    of what would be in the ConfigMap.

    Raises
    ------
    subprocess.CalledProcessError
        If the protos do not compile.
    """
    with tempfile.TemporaryDirectory(prefix="butler-web-") as folder:
        details = Path(folder) / "google-rpc"
        (details / _DETAILS).parent.mkdir(parents=True)
        (details / _DETAILS).write_bytes(_packaged(_DETAILS))
        found = [file for source in (ROOT / "protos", details) for file in _built(source, Path(folder))]
    known = {file.name: file for file in found}
    wanted = [file.name for file in found if file.service] + [_DETAILS]
    names = dict.fromkeys(name for each in wanted for name in _with_what_it_uses(each, known))
    return bytes(_set_of([known[name] for name in names]).SerializeToString(deterministic=True))


def _packaged(name: str) -> bytes:
    """Return a proto that a locked package brings along."""
    (file,) = (each for each in files("googleapis-common-protos") or () if each.as_posix() == name)
    return Path(str(file.locate())).read_bytes()


def _built(source: Path, folder: Path) -> list[Any]:
    """Return the descriptors of the protos in a folder and of what they import, without comments and options."""
    output = folder / "built.binpb"
    options = ["--exclude-source-info", "--as-file-descriptor-set", "-o", str(output)]
    subprocess.run([str(_BUF), "build", str(source), *options], cwd=ROOT, check=True)
    built = _set_of([])
    built.ParseFromString(output.read_bytes())
    built.DiscardUnknownFields()
    for file in built.file:
        file.ClearField("extension")
    return list(built.file)


def _set_of(found: list[Any]) -> Any:
    # A pool of its own knows none of our options, whatever was imported: they are what is to be left out.
    pool = DescriptorPool()
    pool.Add(descriptor_pb2.FileDescriptorProto.FromString(descriptor_pb2.DESCRIPTOR.serialized_pb))
    kind = GetMessageClass(pool.FindMessageTypeByName("google.protobuf.FileDescriptorSet"))
    made: Any = kind()
    for file in found:
        made.file.add().MergeFromString(file.SerializeToString(deterministic=True))
    return made


def _with_what_it_uses(name: str, known: Mapping[str, Any]) -> Iterator[str]:
    """Yield the files whose messages those of a file are made of, and the file after them; drop other imports."""
    file = known[name]
    used = set(_types(file))
    needed = [each for each in file.dependency if used & set(_defined(known[each]))]
    del file.dependency[:]
    file.dependency.extend(needed)
    for each in needed:
        yield from _with_what_it_uses(each, known)
    yield name


def _types(message: Any) -> Iterator[str]:
    """Yield the names of all types that fields and methods below a descriptor have."""
    for field, value in message.ListFields():
        if field.name in ("type_name", "input_type", "output_type"):
            yield value
        elif field.type == field.TYPE_MESSAGE:
            for each in value if field.is_repeated else [value]:
                yield from _types(each)


def _defined(file: Any) -> Iterator[str]:
    for kind in (*file.message_type, *file.enum_type):
        yield f".{file.package}.{kind.name}"
        yield from (f".{file.package}.{kind.name}.{each.name}" for each in getattr(kind, "nested_type", ()))
