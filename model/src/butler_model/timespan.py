# SPDX-License-Identifier: BSD-3-Clause
"""Half-open intervals of time, held as integer TAI nanoseconds since 1970-01-01 00:00:00 TAI.

``astropy.time.Time`` appears only where a person meets a time: it is accepted by the constructor, given by ``begin``
and ``end``, and reads times that are written as text. It is imported when first used, so a service loads it with the
first time that an expression spells out.
"""

from __future__ import annotations

__all__ = ["MAX_NSEC", "MIN_NSEC", "Timespan", "nsec_from_text", "nsec_from_time", "time_from_nsec"]

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from astropy.time import Time

_NSEC_PER_DAY = 86_400 * 10**9
_JD_EPOCH = 2_440_587.5  # Julian date of 1970-01-01T00:00:00

MIN_NSEC = 0
"""Earliest time that can be held: 1970-01-01 TAI. As a beginning it means unbounded."""
MAX_NSEC = 47_482 * _NSEC_PER_DAY
"""Latest time that can be held: 2100-01-01 TAI. As an end it means unbounded."""


def nsec_from_time(time: Time) -> int:
    """Convert an astropy time of any scale to TAI nanoseconds, exact to the nanosecond; `TypeError` for others."""
    if not hasattr(time, "tai"):
        raise TypeError(f"A time is a Time of astropy, not {time!r:.80}.")
    tai = time.tai
    whole_days = round(float(tai.jd1) - _JD_EPOCH)
    rest_of_day = (float(tai.jd1) - _JD_EPOCH - whole_days) + float(tai.jd2)
    return whole_days * _NSEC_PER_DAY + round(rest_of_day * _NSEC_PER_DAY)


def time_from_nsec(nsec: int) -> Time:
    """Convert TAI nanoseconds since 1970-01-01 TAI to an astropy time of scale TAI."""
    from astropy.time import Time

    days, rest = divmod(nsec, _NSEC_PER_DAY)
    return Time(_JD_EPOCH + days, rest / _NSEC_PER_DAY, format="jd", scale="tai")


def nsec_from_text(text: str) -> int:
    """Convert a time written as ``[format/]value[/scale]`` to TAI nanoseconds.

    The format is one of astropy's; without it a number with a dot is ``mjd``, ``Y:D[:H:M:S]`` is ``yday``, a year with
    a sign is ``fits``, and everything else ISO. Without a scale, text and ``unix`` are UTC, ``cxcsec`` is TT, other
    numbers are TAI. Raises `ValueError` for what is no time.
    """
    from astropy.time import Time

    parts = [part.strip() for part in text.split("/")]
    scale = parts.pop() if len(parts) > 1 and parts[-1].lower() in _SCALES else None
    format_ = parts.pop(0) if len(parts) > 1 else None
    if len(parts) != 1 or not parts[0]:
        raise ValueError(f"{text!r} is no time: write it as [format/]value[/scale].")
    value: str | float = parts[0]
    if format_ is None:
        format_ = _guessed_format(parts[0])
    if format_ in Time.FORMATS and format_ not in _TEXT_FORMATS:
        value = float(parts[0])
    if scale is None:
        in_utc = format_ in _TEXT_FORMATS or format_ == "unix"
        scale = "utc" if in_utc else "tt" if format_ == "cxcsec" else "tai"
    return nsec_from_time(Time(value, format=format_, scale=scale.lower()))


def _guessed_format(value: str) -> str:
    if _NUMBER.fullmatch(value):
        return "mjd"
    if _YEAR_AND_DAY.match(value):
        return "yday"
    if value[0] in "+-":
        return "fits"
    return "isot" if "T" in value else "iso"


_SCALES = frozenset({"tai", "tcb", "tcg", "tdb", "tt", "ut1", "utc"})
_TEXT_FORMATS = frozenset({"fits", "iso", "isot", "yday"})
_NUMBER = re.compile(r"[+-]?(\d+\.\d*|\.\d+)([eE][+-]?\d+)?")
_YEAR_AND_DAY = re.compile(r"\d{4}:\d{3}(?!\d)")


class Timespan:
    """A half-open interval of time ``[begin, end)``; immutable.

    Parameters
    ----------
    begin, end
        ``astropy.time.Time`` of any scale, or `None` for unbounded.
    padInstantaneous
        When begin and end are equal: a span of one nanosecond if true, the empty span otherwise.

    Notes
    -----
    ``begin > end`` gives the empty timespan. Times outside 1970..2100 are clamped to these limits, which count
    as unbounded.
    """

    __slots__ = ("_begin", "_end")

    EMPTY: ClassVar[Timespan]
    _begin: int
    _end: int

    def __init__(self, begin: Time | None, end: Time | None, padInstantaneous: bool = True) -> None:
        begin_nsec = MIN_NSEC if begin is None else nsec_from_time(begin)
        end_nsec = MAX_NSEC if end is None else nsec_from_time(end)
        if begin_nsec == end_nsec and padInstantaneous:
            end_nsec += 1
        self._set(begin_nsec, end_nsec)

    def _set(self, begin: int, end: int) -> None:
        if (begin > MAX_NSEC and end > MAX_NSEC) or (begin < MIN_NSEC and end < MIN_NSEC):
            raise ValueError("A timespan must overlap the years 1970 to 2100 (TAI).")
        begin, end = max(begin, MIN_NSEC), min(end, MAX_NSEC)
        if begin >= end:
            begin, end = MAX_NSEC, MIN_NSEC
        object.__setattr__(self, "_begin", begin)
        object.__setattr__(self, "_end", end)

    @classmethod
    def from_nsec(cls, begin: int | None, end: int | None) -> Timespan:
        """Make a timespan from TAI nanoseconds; `None` means unbounded, ``begin >= end`` means empty."""
        self = object.__new__(cls)
        self._set(MIN_NSEC if begin is None else begin, MAX_NSEC if end is None else end)
        return self

    @classmethod
    def makeEmpty(cls) -> Timespan:
        """Return the timespan that contains no time."""
        return cls.EMPTY

    @classmethod
    def fromInstant(cls, time: Time) -> Timespan:
        """Return the span of one nanosecond that begins at ``time``."""
        nsec = nsec_from_time(time)
        return cls.from_nsec(nsec, nsec + 1)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError("A Timespan cannot be changed.")

    @property
    def nsec(self) -> tuple[int, int]:
        """Begin and end as TAI nanoseconds; `MIN_NSEC` and `MAX_NSEC` stand for unbounded."""
        return (self._begin, self._end)

    @property
    def begin(self) -> Time | None:
        """First instant inside, `None` if unbounded; the empty span has none and raises `ValueError`."""
        return self._bound(self._begin, MIN_NSEC)

    @property
    def end(self) -> Time | None:
        """First instant after, `None` if unbounded; the empty span has none and raises `ValueError`."""
        return self._bound(self._end, MAX_NSEC)

    def _bound(self, nsec: int, unbounded: int) -> Time | None:
        if self.isEmpty():
            raise ValueError("The empty timespan has neither begin nor end.")
        return None if nsec == unbounded else time_from_nsec(nsec)

    def isEmpty(self) -> bool:
        """Return whether no instant is inside."""
        return self._begin >= self._end

    def overlaps(self, other: Timespan | Time) -> bool:
        """Return whether any instant is inside both; the empty span overlaps nothing."""
        begin, end = _bounds(other)
        return self._begin < end and begin < self._end

    def contains(self, other: Timespan | Time) -> bool:
        """Return whether all of ``other`` is inside; the empty span is inside everything."""
        begin, end = _bounds(other)
        if begin >= end:
            return True
        return self._begin <= begin and end <= self._end

    def intersection(self, *others: Timespan) -> Timespan:
        """Return the time inside this and every other span."""
        begin, end = self._begin, self._end
        for other in others:
            begin, end = max(begin, other._begin), min(end, other._end)
        return Timespan.from_nsec(begin, end) if begin < end else Timespan.EMPTY

    def difference(self, other: Timespan) -> Iterator[Timespan]:
        """Yield the zero, one or two non-empty spans inside this one and outside the other."""
        common = self.intersection(other)
        if common.isEmpty():
            if not self.isEmpty():
                yield self
            return
        if self._begin < common._begin:
            yield Timespan.from_nsec(self._begin, common._begin)
        if common._end < self._end:
            yield Timespan.from_nsec(common._end, self._end)

    def __lt__(self, other: Timespan | Time) -> bool:
        begin, end = _bounds(other)
        return not self.isEmpty() and begin < end and self._end <= begin

    def __gt__(self, other: Timespan | Time) -> bool:
        begin, end = _bounds(other)
        return not self.isEmpty() and begin < end and self._begin >= end

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Timespan) and self.nsec == other.nsec

    def __hash__(self) -> int:
        return hash((self._begin, self._end))

    def __reduce__(self) -> tuple[Any, ...]:
        return (_restore, self.nsec)

    def to_simple(self) -> list[int]:
        """Return ``[begin, end]`` in TAI nanoseconds."""
        return [self._begin, self._end]

    @classmethod
    def from_simple(cls, simple: list[int]) -> Timespan:
        """Make a timespan from what `to_simple` gave; `ValueError` if it is something else."""
        begin, end = simple
        if type(begin) is not int or type(end) is not int:
            raise ValueError(f"{simple!r:.80} are not the two ends of a timespan in TAI nanoseconds.")
        return _restore(begin, end)

    def __str__(self) -> str:
        if self.isEmpty():
            return "(empty)"
        begin = "(-∞" if self._begin == MIN_NSEC else f"[{_iso(self._begin)}"
        end = "∞)" if self._end == MAX_NSEC else f"{_iso(self._end)})"
        return f"{begin}, {end}"

    def __repr__(self) -> str:
        return f"Timespan.from_nsec({self._begin}, {self._end})"


def _bounds(other: Timespan | Time) -> tuple[int, int]:
    if isinstance(other, Timespan):
        return other.nsec
    nsec = nsec_from_time(other)
    return nsec, nsec + 1


def _iso(nsec: int) -> str:
    return str(time_from_nsec(nsec).isot)


def _restore(begin: int, end: int) -> Timespan:
    return Timespan.EMPTY if begin >= end else Timespan.from_nsec(begin, end)


Timespan.EMPTY = Timespan.from_nsec(MAX_NSEC, MIN_NSEC)
