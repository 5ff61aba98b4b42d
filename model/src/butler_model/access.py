# SPDX-License-Identifier: BSD-3-Clause
"""Who may do what with which collections: a policy, and what of it one caller has."""

from __future__ import annotations

__all__ = [
    "UNRESTRICTED",
    "Access",
    "AccessEntry",
    "Policy",
    "Verb",
    "administrator",
    "check_subject",
    "denied",
    "stands_for",
]

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum

from .errors import AccessDeniedError, InvalidNameError, InvalidRequestError
from .principal import AuthenticationMethod, Principal

_SUBJECT = re.compile(r"authenticated|anonymous|(user|group):[A-Za-z0-9][A-Za-z0-9._@:+\-]{0,199}")
_PREFIX = re.compile(r"[^\x00-\x1f*?\[\]{}]+")
_EVERYTHING = "**"
_BELOW = "/**"
_MOST_REMEMBERED = 10_000


class Verb(Enum):
    """What may be done; the values are what people write."""

    READ_METADATA = "read-metadata"
    READ_DATA = "read-data"
    WRITE = "write"
    DELETE = "delete"
    CERTIFY = "certify"
    ADMINISTER = "administer"

    @classmethod
    def parse(cls, text: str) -> Verb:
        """Return the verb of that name; `InvalidRequestError`."""
        try:
            return cls(text)
        except ValueError:
            raise InvalidRequestError(
                f"{text!r:.80} is no verb; there are {', '.join(verb.value for verb in cls)}."
            ) from None

    @property
    def included(self) -> frozenset[Verb]:
        """All that comes with it, itself too."""
        return _INCLUDED[self]


_INCLUDED = {
    Verb.READ_METADATA: frozenset({Verb.READ_METADATA}),
    Verb.READ_DATA: frozenset({Verb.READ_METADATA, Verb.READ_DATA}),
    Verb.WRITE: frozenset({Verb.READ_METADATA, Verb.READ_DATA, Verb.WRITE}),
    Verb.DELETE: frozenset({Verb.READ_METADATA, Verb.DELETE}),
    Verb.CERTIFY: frozenset({Verb.READ_METADATA, Verb.CERTIFY}),
    Verb.ADMINISTER: frozenset(Verb),
}


def check_subject(subject: str) -> str:
    """Return a subject, or raise `InvalidNameError`."""
    if not _SUBJECT.fullmatch(subject):
        raise InvalidNameError(
            f"{subject!r:.220} is no subject: use user:NAME, group:NAME, authenticated or anonymous.",
            name=subject[:200],
        )
    return subject


@dataclass(frozen=True, slots=True)
class AccessEntry:
    """What a subject may do below a prefix; `InvalidNameError` if one of them is none.

    Attributes
    ----------
    subject
        ``user:NAME``, ``group:NAME``, ``authenticated`` or ``anonymous``.
    prefix
        The name of a collection, ``PREFIX/**`` for the collection PREFIX and all below it, or ``**`` for all;
        ``{user}`` stands for the caller's name, ``{group}`` for each of the caller's groups.
    """

    subject: str
    prefix: str
    verbs: frozenset[Verb]

    def __post_init__(self) -> None:
        check_subject(self.subject)
        name = self.prefix.removesuffix(_BELOW).replace("{user}", "u").replace("{group}", "g")
        if self.prefix != _EVERYTHING and (not _PREFIX.fullmatch(name) or len(self.prefix) > 255):
            raise InvalidNameError(
                f"{self.prefix!r:.260} is no prefix: use the name of a collection, PREFIX/** or **; in it may be "
                "{user} and {group}.",
                name=self.prefix[:200],
            )


class Access:
    """What one caller may do in one repository. Safe to use from many threads; equal if the same may be done."""

    def __init__(self, grants: Iterable[tuple[str, Verb]], *, is_unrestricted: bool = False) -> None:
        self._grants = frozenset(grants)
        self.is_unrestricted = is_unrestricted
        self._exact = {
            (name, each) for name, verb in self._grants if not name.endswith("**") for each in verb.included
        }
        self._below: dict[Verb, tuple[str, ...]] = {}
        for verb in Verb:
            starts = {
                name.removesuffix("**")
                for name, v in self._grants
                if name.endswith("**") and verb in v.included
            }
            self._below[verb] = tuple(sorted(starts))
        self._anywhere = {verb for _, given in self._grants for verb in given.included}
        self._remembered: dict[tuple[Verb, str], bool] = {}

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Access):
            return NotImplemented
        return (self._grants, self.is_unrestricted) == (other._grants, other.is_unrestricted)

    def __hash__(self) -> int:
        return hash((self._grants, self.is_unrestricted))

    def may(self, verb: Verb, collection: str) -> bool:
        """Return whether a verb is allowed with a collection, be there one of that name or not."""
        if self.is_unrestricted:
            return True
        asked = (verb, collection)
        answer = self._remembered.get(asked)
        if answer is None:
            # PREFIX/** is for PREFIX itself, too.
            answer = (collection, verb) in self._exact or f"{collection}/".startswith(self._below[verb])
            if len(self._remembered) < _MOST_REMEMBERED:
                self._remembered[asked] = answer
        return answer

    def sees(self, collection: str) -> bool:
        """Return whether a collection exists for the caller, if there is one."""
        return self.may(Verb.READ_METADATA, collection)

    def may_anywhere(self, verb: Verb) -> bool:
        """Return whether a verb is allowed with some collection."""
        return self.is_unrestricted or verb in self._anywhere

    def may_everywhere(self, verb: Verb) -> bool:
        """Return whether a verb is allowed with all collections."""
        return self.is_unrestricted or "" in self._below[verb]

    def require(self, verb: Verb, collection: str) -> None:
        """Raise `AccessDeniedError` unless a verb is allowed with a collection that the caller sees."""
        if not self.may(verb, collection):
            raise denied(verb, f"collection {collection!r}")


UNRESTRICTED = Access((), is_unrestricted=True)
"""What everybody may where nobody is asked."""


def denied(verb: Verb, what: str) -> AccessDeniedError:
    """Return the error for who is known and may not do something."""
    return AccessDeniedError(
        f"You may not do this: it needs {verb.value} of {what}; ask who administers the repository to grant it with "
        "'butler access grant'.",
        verb=verb.value,
    )


class Policy:
    """All that is granted in a repository. What is not granted is denied."""

    def __init__(self, entries: Sequence[AccessEntry]) -> None:
        self.entries = tuple(entries)
        self._by_subject: dict[str, list[AccessEntry]] = {}
        for entry in entries:
            self._by_subject.setdefault(entry.subject, []).append(entry)

    def access_of(self, principal: Principal) -> Access:
        """Return what somebody may do; whether the token is for this repository has to be asked before."""
        subjects = ["anonymous"]
        if not principal.is_anonymous:
            subjects += ["authenticated", f"user:{principal.name}", *(f"group:{g}" for g in principal.groups)]
        granted = {
            (prefix, verb)
            for subject in subjects
            for entry in self._by_subject.get(subject, ())
            for prefix in _filled(entry.prefix, principal)
            for verb in entry.verbs
        }
        return Access(_limited(granted, principal.scopes))


def administrator(principal: Principal) -> Access:
    """Return what an administrator of the deployment may do, within the limits of the token."""
    return Access(_limited({(_EVERYTHING, Verb.ADMINISTER)}, principal.scopes))


def stands_for(subject: str, principal: Principal) -> bool:
    """Return whether a principal is the subject, or one of it."""
    kind, _, name = subject.partition(":")
    if kind == "user":
        return name == principal.name
    if kind == "group":
        return name in principal.groups
    return kind == "anonymous" or not principal.is_anonymous


def _filled(prefix: str, principal: Principal) -> list[str]:
    """Return the prefixes that one stands for; names have no slash, so none reaches into another's."""
    if "{user}" in prefix:
        is_person = principal.method is not AuthenticationMethod.NONE
        return _filled(prefix.replace("{user}", principal.name), principal) if is_person else []
    if "{group}" in prefix:
        return [prefix.replace("{group}", group) for group in principal.groups]
    return [prefix]


def _limited(granted: set[tuple[str, Verb]], scopes: frozenset[str] | None) -> set[tuple[str, Verb]]:
    """Return what is left of grants within the scopes of a token."""
    if scopes is None:
        return granted
    allowed = {verb for scope in scopes for verb in Verb.parse(scope).included}
    return {(prefix, each) for prefix, verb in granted for each in verb.included if each in allowed}
