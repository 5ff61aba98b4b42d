# SPDX-License-Identifier: BSD-3-Clause
"""Commands for who may do what, and for tokens."""

from __future__ import annotations

__all__ = ["access", "access_of", "token"]

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from uuid import UUID, uuid4

import click

from butler.connect import RemoteAddress, located
from butler.remote.access import RemoteAccess
from butler_model.access import AccessEntry, Verb
from butler_model.api_token import ApiToken, NewApiToken
from butler_model.errors import UnsupportedOperationError

from .arguments import json_option, repository_argument
from .output import Output

_VERBS = click.Choice([verb.value for verb in Verb])
_DAY_SECONDS = 86_400


@click.group(no_args_is_help=False)
def access() -> None:
    """Say who may do what in a repository."""


@access.command("list")
@repository_argument
@json_option
def list_access(repository: str, output: Output) -> None:
    """List who may do what."""
    with access_of(repository) as remote:
        output.records(map(_shown_entry, remote.entries()), of_what="grants")


@access.command("grant")
@repository_argument
@click.argument("subject")
@click.argument("prefix")
@click.argument("verbs", nargs=-1, required=True, type=_VERBS)
@json_option
def grant_access(repository: str, subject: str, prefix: str, verbs: tuple[str, ...], output: Output) -> None:
    """Let a SUBJECT do what the VERBS say below a PREFIX.

    SUBJECT is user:NAME, group:NAME, authenticated or anonymous. PREFIX is a collection, PREFIX/** for it and all below
    it, or ** for all; {user} and {group} in it stand for the caller's.
    """
    entry = AccessEntry(subject, prefix, frozenset(map(Verb, verbs)))
    with access_of(repository) as remote:
        remote.grant(entry)
    output.record({"granted": True, **_shown_entry(entry)})


@access.command("revoke")
@repository_argument
@click.argument("subject")
@click.argument("prefix")
@click.argument("verbs", nargs=-1, type=_VERBS)
@json_option
def revoke_access(repository: str, subject: str, prefix: str, verbs: tuple[str, ...], output: Output) -> None:
    """Take VERBS below a PREFIX away from a SUBJECT, or all that it has there."""
    entry = AccessEntry(subject, prefix, frozenset(map(Verb, verbs)))
    with access_of(repository) as remote:
        remote.revoke(entry)
    output.record({"revoked": True, **_shown_entry(entry)})


@click.group(no_args_is_help=False)
def token() -> None:
    """Make, list and revoke tokens for programs."""


@token.command("create")
@repository_argument
@click.option("--principal", default="", metavar="NAME", help="Whom it stands for; yourself if absent.")
@click.option("--group", "groups", multiple=True, metavar="NAME", help="In which group; may be repeated.")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    type=_VERBS,
    help="To what it limits its bearer; may be repeated. Without it there is no limit.",
)
@click.option(
    "--days",
    type=click.IntRange(1, 365),
    default=90,
    show_default=True,
    metavar="N",
    help="How long it is good.",
)
@click.option("--note", default="", metavar="TEXT", help="What it is for.")
@json_option
def create_token(
    repository: str,
    principal: str,
    groups: tuple[str, ...],
    scopes: tuple[str, ...],
    days: int,
    note: str,
    output: Output,
) -> None:
    """Make a token and print it; it cannot be shown again."""
    new = NewApiToken(uuid4(), principal, groups, scopes, days * _DAY_SECONDS, note)
    with access_of(repository) as remote:
        secret = remote.create_token(new)
    if output.as_json:
        output.record({"id": new.id, "token": secret})
    else:
        # The token alone, so that it can be written to a file.
        click.echo(secret)


@token.command("list")
@repository_argument
@json_option
def list_tokens(repository: str, output: Output) -> None:
    """List your tokens, or all if you administer the repository."""
    with access_of(repository) as remote:
        output.records(map(_shown_token, remote.tokens()), of_what="tokens")


@token.command("revoke")
@repository_argument
@click.argument("token_id", metavar="ID", type=click.UUID)
@json_option
def revoke_token(repository: str, token_id: UUID, output: Output) -> None:
    """Make the token with this ID worthless."""
    with access_of(repository) as remote:
        remote.revoke_token(token_id)
    output.record({"revoked": True, "id": token_id})


@contextmanager
def access_of(repository: str) -> Iterator[RemoteAccess]:
    """Give what administers a repository; `UnsupportedOperationError` for one in a directory."""
    place = located(repository)
    address = RemoteAddress.parse(place)
    if address is None:
        raise UnsupportedOperationError(
            f"{repository!r:.200} is a directory: who can open its files may do everything with it. Only services have "
            "callers to tell apart, at grpcs://HOST:PORT/REPOSITORY."
        )
    remote = RemoteAccess(address.target, address.repository)
    try:
        yield remote
    finally:
        remote.close()


def _shown_entry(entry: AccessEntry) -> dict[str, object]:
    return {
        "subject": entry.subject,
        "prefix": entry.prefix,
        "verbs": ", ".join(verb.value for verb in Verb if verb in entry.verbs),
    }


def _shown_token(made: ApiToken) -> dict[str, object]:
    return {
        "id": made.id,
        "principal": made.principal,
        "groups": ", ".join(made.groups),
        "scopes": ", ".join(made.scopes),
        "note": made.note,
        "created_by": made.created_by,
        "created": _time(made.created_nsec),
        "expires": _time(made.expires_nsec),
        "revoked": _time(made.revoked_nsec) if made.revoked_nsec else "",
    }


def _time(nsec: int) -> str:
    return datetime.fromtimestamp(nsec / 10**9, UTC).isoformat(timespec="seconds")
