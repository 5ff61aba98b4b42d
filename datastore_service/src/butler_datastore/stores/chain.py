# SPDX-License-Identifier: BSD-3-Clause
"""A store that consists of others."""

from __future__ import annotations

__all__ = ["ChainStore"]

import heapq
import itertools
import logging
import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from butler_model.config_keys import nearest_known
from butler_model.errors import (
    ArtifactIntegrityError,
    ArtifactNotFoundError,
    ButlerError,
    ConfigurationError,
    ServiceUnavailableError,
)
from butler_model.path_template import check_key

from .outcomes import is_refusal
from .presence import Presence
from .store import Gate, Listed, Store, StoreCapabilities, Stored, end_of_range, no_gate

_LOGGER = logging.getLogger(__name__)
_NOT_HERE = (ArtifactNotFoundError, ArtifactIntegrityError, ServiceUnavailableError, OSError)


class ChainStore:
    """Artifacts in each of several stores; read from the first that has them.

    Parameters
    ----------
    members
        The stores by their names, in order.
    """

    def __init__(self, members: Mapping[str, Store]) -> None:
        self._members = dict(members)
        self._placed = False

    @property
    def capabilities(self) -> StoreCapabilities:
        """In what this store differs from others: it can what any of its members can, but names no places."""
        each = [member.capabilities for member in self._members.values()]
        return StoreCapabilities(
            persistent=any(capabilities.persistent for capabilities in each),
            nested=any(capabilities.nested for capabilities in each),
            concurrency=max(capabilities.concurrency for capabilities in each),
            members=tuple(self._members),
        )

    @property
    def presence(self) -> Presence:
        """Whether the places of all members are there."""
        return _Presences([member.presence for member in self._members.values()])

    def write(
        self,
        key: str,
        chunks: Iterable[bytes],
        size_limit: int,
        members: tuple[str, ...] | None = None,
        gate: Gate = no_gate,
    ) -> Stored:
        """Store an artifact in all members that accept it, or in none; see `Store.write`.

        The first is given the chunks, the others what it then holds. After an error whose outcome is unknown, some of
        them may have it.
        """
        check_key(key)
        accepting = self._accepting(members, f"the artifact {key!r}")
        first = accepting[0]

        def write(member: Store, before: list[Stored] | None) -> list[Stored]:
            if before is None:
                return [member.write(key, chunks, size_limit, gate=gate)]
            (original,) = before
            copied = first.read(key, 0, None, size=original.size)
            copy = member.write(key, copied, original.size, gate=gate)
            if copy.checksum != original.checksum:
                _undo(member, [key], [copy])
                raise ArtifactIntegrityError(
                    f"The artifact {key!r} changed on its way from one member of a chain to the next.",
                    key=key,
                )
            return [copy]

        return self._write_each(accepting, [key], write)[0]

    def write_many(
        self,
        items: Sequence[tuple[str, bytes]],
        members: tuple[str, ...] | None = None,
        gate: Gate = no_gate,
    ) -> list[Stored]:
        """Store artifacts given as (key, content) in all members that accept them, or in none."""
        keys = [check_key(key) for key, _ in items]
        accepting = self._accepting(members, f"{len(items)} artifacts")
        return self._write_each(accepting, keys, lambda member, _: member.write_many(items, gate=gate))

    def read(self, key: str, offset: int, limit: int | None, *, size: int) -> Iterator[bytes]:
        """Yield bytes from the first member that has the artifact with ``size`` bytes; see `Store.read`.

        A member that lacks it, has another size or cannot be reached is passed over; if none gives it, what is
        raised says first that a member could not be reached, then that the sizes are wrong, then that it is not there.
        """
        check_key(key)
        end_of_range(offset, limit, size)
        errors: list[Exception] = []
        for name, member in self._members.items():
            chunks = member.read(key, offset, limit, size=size)
            try:
                # Nothing is given away yet, so another member can still take over.
                first = next(chunks, None)
            except _NOT_HERE as error:
                errors.append(error)
                if not isinstance(error, ArtifactNotFoundError):
                    _LOGGER.warning("member %s of a chain does not give %s: %s", name, key, error)
                continue
            if first is not None:
                yield first
                yield from chunks
            return
        raise min(errors, key=_weight)

    def size(self, key: str, recorded: int | None = None) -> int | None:
        """Return the length of an artifact in the member that gives it to readers, `None` if none has it.

        Without the ``recorded`` length it is that in the first member that has it. With it a member is passed over by
        the same rules as in `read`, and what one raises comes through if no other has it.
        """
        if recorded is None:
            sizes = (member.size(key) for member in self._members.values())
            return next((size for size in sizes if size is not None), None)
        found: list[int] = []
        errors: list[Exception] = []
        for member in self._members.values():
            try:
                size = member.size(key)
            except (ServiceUnavailableError, OSError) as error:
                errors.append(error)
                continue
            if size == recorded:
                return size
            if size is not None:
                found.append(size)
        if errors:
            raise errors[0]
        return found[0] if found else None

    def measure(self, key: str) -> Stored | None:
        """Return size and checksum of an artifact in the first member that has it, `None` if none has."""
        measured = (member.measure(key) for member in self._members.values())
        return next((stored for stored in measured if stored is not None), None)

    def delete(self, key: str) -> bool:
        """Remove an artifact from all members; return whether any had it.

        A member that fails does not keep the others from it; what it raised comes through afterwards.
        """
        check_key(key)
        found, errors = False, []
        for member in self._members.values():
            try:
                found = member.delete(key) or found
            except (ButlerError, OSError) as error:
                errors.append(error)
        if errors:
            raise errors[0]
        return found

    def delete_many(self, keys: Sequence[str]) -> dict[str, Exception]:
        """Remove artifacts from all members; see `Store.delete_many`."""
        failed: dict[str, Exception] = {}
        for member in self._members.values():
            failed = member.delete_many(keys) | failed
        return failed

    def listing(self) -> Iterator[Listed]:
        """Yield the artifacts that any member has, with the length in the first that has them; see `Store.listing`."""
        # Of equal keys the merge gives those of earlier members first.
        merged = heapq.merge(
            *(member.listing() for member in self._members.values()), key=lambda each: each.key
        )
        for _, same in itertools.groupby(merged, key=lambda each: each.key):
            first, *others = same
            youngest = min(first.age_seconds, *(other.age_seconds for other in others), math.inf)
            yield replace(first, age_seconds=youngest)

    def quarantine(self, key: str) -> bool:
        """Put an artifact aside in every member that has it; return whether any had."""
        moved = [member.quarantine(key) for member in self._members.values()]
        return any(moved)

    def sweep(self, age_seconds: float) -> int:
        """Remove what broken uploads left behind in the members; return how many."""
        return sum(member.sweep(age_seconds) for member in self._members.values())

    def _accepting(self, names: tuple[str, ...] | None, what: str) -> list[Store]:
        chosen = tuple(self._members) if names is None else names
        unknown = [name for name in chosen if name not in self._members]
        if unknown:
            raise ConfigurationError(
                f"The chain has no member {unknown[0]!r}; {nearest_known(unknown[0], self._members)}. Give both "
                "services the same stores."
            )
        if not chosen:
            raise ConfigurationError(f"No member of the chain {', '.join(self._members)} accepts {what}.")
        self._make_places(chosen)
        accepting = [member for name, member in self._members.items() if name in chosen]
        if not any(member.capabilities.persistent for member in accepting):
            _LOGGER.warning(
                "%s goes only to %s, which does not outlive this process", what, ", ".join(chosen)
            )
        return accepting

    def _make_places(self, chosen: Collection[str]) -> None:
        """Make the places of all members before the first write to any.

        Later, one that took nothing so far could not be told from one whose disk is not mounted.
        """
        if self._placed:
            return
        for name, member in self._members.items():
            try:
                member.presence.make()
            except (ButlerError, OSError) as error:
                if name in chosen:
                    raise
                _LOGGER.warning("member %s of a chain is not there: %s", name, error)
        self._placed = True

    def _write_each(
        self,
        accepting: Sequence[Store],
        keys: Sequence[str],
        write: Callable[[Store, list[Stored] | None], list[Stored]],
    ) -> list[Stored]:
        done: list[tuple[Store, list[Stored]]] = []
        try:
            for member in accepting:
                done.append((member, write(member, done[0][1] if done else None)))
        except ButlerError as error:
            for member, outcomes in done if is_refusal(error) else ():
                _undo(member, keys, outcomes)
            raise
        # What one of them had before was stored before, and is not to be removed if a batch fails later.
        return [
            replace(each[0], created=all(stored.created for stored in each))
            for each in zip(*(outcomes for _, outcomes in done), strict=True)
        ]


class _Presences:
    def __init__(self, members: Sequence[Presence]) -> None:
        self._members = members

    def check(self) -> None:
        for member in self._members:
            member.check()

    def make(self) -> None:
        for member in self._members:
            member.make()


def _undo(member: Store, keys: Sequence[str], outcomes: Sequence[Stored]) -> None:
    for key, outcome in zip(keys, outcomes, strict=True):
        if outcome.created:
            try:
                member.delete(key)
            except (ButlerError, OSError) as error:
                # The caller learns what began it; this one is found by the check of the store.
                _LOGGER.warning("%s could not be removed from a member of a chain: %s", key, error)


def _weight(error: Exception) -> int:
    if isinstance(error, ArtifactNotFoundError):
        return 2
    return 1 if isinstance(error, ArtifactIntegrityError) else 0
