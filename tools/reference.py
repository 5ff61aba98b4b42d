# SPDX-License-Identifier: BSD-3-Clause
"""Writes the pages of the documentation that follow from the code: errors, messages of the protocol, commands."""

from __future__ import annotations

__all__ = ["commands_page", "errors_page", "protocol_page", "write_reference"]

import inspect
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import click
from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
    FileDescriptorSet,
)

from butler.cli.exit_codes import ExitCode, exit_code_of
from butler.cli.main import program
from butler_model.errors import CATALOGUE, ButlerError

ROOT = Path(__file__).resolve().parents[1]
PROTOS = ROOT / "protos"
_LICENCE = "<!-- SPDX-License-Identifier: BSD-3-Clause -->\n"
_ABOUT_ERRORS = (
    "Everything that can go wrong has a class here, the same embedded and remote. Each is also the built-in exception "
    "that programs of the field expect. The reason and the code are what travels (see "
    "[the protocol](../../protocol.md)), the number is what the command line ends with.\n"
)
_PACKAGE = ".butler_api.v1."

# Numbers of the fields of descriptor.proto, of which paths to comments consist.
_MESSAGE, _ENUM, _SERVICE, _FIELD, _VALUE, _METHOD, _NESTED = 4, 5, 6, 2, 2, 2, 3


def write_reference(folder: Path) -> None:
    """Write all pages into a folder; one that is as it should be is left alone, so that it is not read again."""
    folder.mkdir(parents=True, exist_ok=True)
    pages: dict[str, Callable[[], str]] = {
        "errors.md": errors_page,
        "messages.md": protocol_page,
        "commands.md": commands_page,
    }
    for name, page in pages.items():
        path, text = folder / name, page()
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


def errors_page() -> str:
    """Return the page about everything that can go wrong."""
    lines = [
        _LICENCE,
        "# Errors\n",
        _ABOUT_ERRORS,
    ]
    lines += _exit_codes()
    for reason, error in sorted(CATALOGUE.items(), key=lambda item: item[1].__name__):
        built_in = ", ".join(f"`{each.__name__}`" for each in error.__bases__ if each is not ButlerError)
        also = f"; also a {built_in}" if built_in else ""
        code = int(exit_code_of(error("…")))
        lines += [
            f"## {error.__name__}\n",
            f"{inspect.getdoc(error) or ''}\n",
            f"Reason `{reason}`, code {error.status.name}, exit code {code}{also}.\n",
        ]
    return "\n".join(lines)


def _exit_codes() -> Iterator[str]:
    """Yield a table of what ``butler`` ends with, and because of which errors."""
    yield from ("## Exit codes\n", "| code | what it says | errors |", "|---|---|---|")
    for code in ExitCode:
        errors = (
            f"[{error.__name__}](#{error.__name__.lower()})"
            for error in sorted(CATALOGUE.values(), key=lambda error: error.__name__)
            if exit_code_of(error("…")) is code
        )
        yield f"| {int(code)} | {code.meaning} | {', '.join(errors)} |"
    yield ""


def protocol_page() -> str:
    """Return the page about every RPC and message, from the comments of the protos."""
    lines = [
        _LICENCE,
        "# Messages of the protocol\n",
        "Package `butler_api.v1`. How the calls go together is told in [the protocol](../../protocol.md).\n",
    ]
    for file in _described():
        comments = {tuple(at.path): at.leading_comments.strip() for at in file.source_code_info.location}
        lines.append(f"## {Path(file.name).stem.replace('_', ' ').capitalize()}\n")
        lines += _services(file, comments)
        for i, message in enumerate(file.message_type):
            lines += _message(message, (_MESSAGE, i), comments)
        for i, enum in enumerate(file.enum_type):
            lines += _enum(enum, (_ENUM, i), comments)
    return "\n".join(lines)


def commands_page() -> str:
    """Return the page about every command, from its help."""
    lines = [_LICENCE, "# Commands\n", "```text", _help(program, "butler"), "```\n"]
    context = click.Context(program, info_name="butler")
    for name in program.list_commands(context):
        command = program.get_command(context, name)
        if command is not None:
            lines += _command(command, f"butler {name}")
    return "\n".join(lines)


def _command(command: click.Command, path: str) -> Iterator[str]:
    yield from (f"## {path}\n", "```text", _help(command, path), "```\n")
    if isinstance(command, click.Group):
        for name, member in command.commands.items():
            yield from _command(member, f"{path} {name}")


def _help(command: click.Command, path: str) -> str:
    return command.get_help(
        click.Context(command, info_name=path, max_content_width=100, terminal_width=100)
    ).rstrip()


def _described() -> Sequence[FileDescriptorProto]:
    names = sorted(str(path.relative_to(PROTOS)) for path in (PROTOS / "butler_api").rglob("*.proto"))
    with tempfile.TemporaryDirectory() as folder:
        described = Path(folder) / "described"
        options = (f"-I{PROTOS}", "--include_source_info", f"--descriptor_set_out={described}")
        subprocess.run([sys.executable, "-m", "grpc_tools.protoc", *options, *names], check=True)
        return FileDescriptorSet.FromString(described.read_bytes()).file


_Comments = dict[tuple[int, ...], str]


def _services(file: FileDescriptorProto, comments: _Comments) -> Iterator[str]:
    for i, service in enumerate(file.service):
        yield f"### {service.name}\n"
        yield f"{comments.get((_SERVICE, i), '')}\n"
        for j, method in enumerate(service.method):
            sent = f"{'stream ' * method.client_streaming}{_link(method.input_type)}"
            answered = f"{'stream ' * method.server_streaming}{_link(method.output_type)}"
            yield f"**{method.name}** ({sent}) → {answered}\n"
            yield f"{comments.get((_SERVICE, i, _METHOD, j), '')}\n"


def _message(
    message: DescriptorProto, path: tuple[int, ...], comments: _Comments, outer: str = ""
) -> Iterator[str]:
    if message.options.map_entry:
        return
    name = f"{outer}{message.name}"
    yield f"({_anchor(name)})=\n### {name}\n"
    yield f"{comments.get(path, '')}\n"
    for i, field in enumerate(message.field):
        comment = " ".join(comments.get((*path, _FIELD, i), "").split())
        yield f"- `{field.name}` ({_type(field, message)}): {comment}"
    yield ""
    for i, nested in enumerate(message.nested_type):
        yield from _message(nested, (*path, _NESTED, i), comments, f"{name}.")


def _enum(enum: EnumDescriptorProto, path: tuple[int, ...], comments: _Comments) -> Iterator[str]:
    yield f"({_anchor(enum.name)})=\n### {enum.name}\n"
    yield f"{comments.get(path, '')}\n"
    for i, value in enumerate(enum.value):
        comment = " ".join(comments.get((*path, _VALUE, i), "").split())
        yield f"- `{value.name}` = {value.number}: {comment}"
    yield ""


def _type(field: FieldDescriptorProto, message: DescriptorProto) -> str:
    entries = {f"{nested.name}": nested for nested in message.nested_type if nested.options.map_entry}
    entry = entries.get(field.type_name.rpartition(".")[2])
    if entry is not None:
        key, value = entry.field
        return f"map of {_type(key, message)} to {_type(value, message)}"
    repeated = "repeated " if field.label == FieldDescriptorProto.LABEL_REPEATED else ""
    optional = "optional " if field.proto3_optional else ""
    one = (
        _link(field.type_name) if field.type_name else FieldDescriptorProto.Type.Name(field.type)[5:].lower()
    )
    return f"{repeated}{optional}{one}"


def _link(type_name: str) -> str:
    name = type_name.removeprefix(_PACKAGE)
    return f"[{name}](#{_anchor(name)})"


def _anchor(name: str) -> str:
    return f"message-{name.replace('.', '-').lower()}"
