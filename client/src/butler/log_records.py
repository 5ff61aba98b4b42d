# SPDX-License-Identifier: BSD-3-Clause
"""Log records as values that can be kept, compared and searched."""

from __future__ import annotations

__all__ = ["LogRecord", "LogRecords"]

import datetime
import logging
import traceback
from collections.abc import Iterable, Iterator, Mapping, MutableSequence
from dataclasses import dataclass, field, fields
from types import MappingProxyType
from typing import Any, overload

_OF_LOGGING = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


@dataclass(frozen=True, slots=True)
class LogRecord:
    """One message of a log; immutable.

    Parameters
    ----------
    time
        With a time zone; kept in UTC, to the microsecond.
    level
        Number of the level, such as 20 for ``INFO``.
    logger
        Dotted name of the logger.
    message
        With its arguments filled in.
    extra
        What else was known where it was logged, such as the data ID that was worked on; all text.
    exception
        Text of the traceback, empty if there was none.

    Raises
    ------
    ValueError
        Raised if something is of the wrong type, or the time has no zone.
    """

    time: datetime.datetime
    level: int
    logger: str
    message: str
    extra: Mapping[str, str] = field(default_factory=dict, hash=False)
    exception: str = ""

    def __post_init__(self) -> None:
        if not isinstance(self.time, datetime.datetime) or self.time.tzinfo is None:
            raise ValueError(
                f"The time of a log record is a datetime with a time zone, not {self.time!r:.80}."
            )
        if type(self.level) is not int:
            raise ValueError(f"The level of a log record is an int, not {self.level!r:.80}.")
        extra = dict(self.extra)
        for text in (self.logger, self.message, self.exception, *extra.keys(), *extra.values()):
            if type(text) is not str:
                raise ValueError(f"{text!r:.80} in a log record is no str.")
        object.__setattr__(self, "time", self.time.astimezone(datetime.UTC))
        object.__setattr__(self, "extra", MappingProxyType(extra))

    @classmethod
    def from_logging(cls, record: logging.LogRecord) -> LogRecord:
        """Make one of what Python's logging passes to a handler."""
        extra = {str(name): str(value) for name, value in vars(record).items() if name not in _OF_LOGGING}
        exception = record.exc_text or ""
        if record.exc_info and not exception:
            exception = "".join(traceback.format_exception(*record.exc_info))
        time = datetime.datetime.fromtimestamp(record.created, datetime.UTC)
        return cls(time, int(record.levelno), record.name, record.getMessage(), extra, exception)

    @property
    def level_name(self) -> str:
        """Name of the level, such as ``INFO``."""
        return logging.getLevelName(self.level)

    def __reduce__(self) -> tuple[Any, ...]:
        # Read-only mappings cannot be pickled.
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return LogRecord, tuple({**values, "extra": dict(self.extra)}.values())

    def to_simple(self) -> dict[str, Any]:
        """Return it as plain values that JSON can hold."""
        simple = {
            "time": self.time.isoformat(timespec="microseconds"),
            "level": self.level,
            "logger": self.logger,
            "message": self.message,
        }
        if self.extra:
            simple["extra"] = dict(self.extra)
        if self.exception:
            simple["exception"] = self.exception
        return simple

    @classmethod
    def from_simple(cls, simple: Mapping[str, Any]) -> LogRecord:
        """Make one of such values."""
        values = dict(simple)
        return cls(**{**values, "time": datetime.datetime.fromisoformat(values["time"])})


class LogRecords(MutableSequence[LogRecord]):
    """Log records in a list; slices of it are of the same type, and equal records make it equal."""

    def __init__(self, records: Iterable[LogRecord] = ()) -> None:
        self._records = [_checked(record) for record in records]

    @classmethod
    def from_logging(cls, records: Iterable[logging.LogRecord]) -> LogRecords:
        """Make them of what Python's logging passes to handlers."""
        return cls(LogRecord.from_logging(record) for record in records)

    @overload
    def __getitem__(self, index: int) -> LogRecord: ...
    @overload
    def __getitem__(self, index: slice) -> LogRecords: ...
    def __getitem__(self, index: int | slice) -> LogRecord | LogRecords:
        if isinstance(index, slice):
            return LogRecords(self._records[index])
        return self._records[index]

    @overload
    def __setitem__(self, index: int, value: LogRecord) -> None: ...
    @overload
    def __setitem__(self, index: slice, value: Iterable[LogRecord]) -> None: ...
    def __setitem__(self, index: int | slice, value: LogRecord | Iterable[LogRecord]) -> None:
        if isinstance(index, slice):
            assert isinstance(value, Iterable)
            self._records[index] = [_checked(record) for record in value]
        else:
            self._records[index] = _checked(value)

    def __delitem__(self, index: int | slice) -> None:
        del self._records[index]

    def __len__(self) -> int:
        return len(self._records)

    def __iter__(self) -> Iterator[LogRecord]:
        return iter(self._records)

    def insert(self, index: int, value: LogRecord) -> None:
        """Insert a record before an index."""
        self._records.insert(index, _checked(value))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, LogRecords) and self._records == other._records

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"LogRecords({self._records!r})"


def _checked(record: object) -> LogRecord:
    if not isinstance(record, LogRecord):
        raise TypeError(
            f"LogRecords hold LogRecord, not {type(record).__qualname__}; LogRecord.from_logging makes one of "
            "Python's own."
        )
    return record
