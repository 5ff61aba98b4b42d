# SPDX-License-Identifier: BSD-3-Clause
"""Log records as values."""

from __future__ import annotations

import datetime
import logging
import pickle
import sys
from typing import Any

import pytest

from butler.log_records import LogRecord, LogRecords

NOON = datetime.datetime(2024, 5, 1, 12, tzinfo=datetime.UTC)
RECORD = LogRecord(NOON, 20, "survey", "done", {"visit": "5"})


def test_a_record_is_made_of_what_python_logs() -> None:
    try:
        raise ValueError("a reason")
    except ValueError:
        logged = logging.getLogger().makeRecord(
            "survey.isr", 40, "x.py", 1, "flat %s", ("r",), sys.exc_info(), extra={"visit": 5}
        )
    record = LogRecord.from_logging(logged)
    assert (record.level, record.level_name, record.logger) == (40, "ERROR", "survey.isr")
    assert (record.message, record.extra) == ("flat r", {"visit": "5"})
    assert record.exception.endswith("ValueError: a reason\n")
    assert abs(record.time.timestamp() - logged.created) < 1e-5


def test_the_time_is_kept_in_utc() -> None:
    east = datetime.timezone(datetime.timedelta(hours=2))
    record = LogRecord(NOON.astimezone(east), 20, "survey", "done", {"visit": "5"})
    assert record == RECORD
    assert record.time.tzinfo is datetime.UTC


@pytest.mark.parametrize(
    "changed",
    [
        {"time": datetime.datetime(2024, 5, 1)},  # noqa: DTZ001
        {"time": "now"},
        {"level": "INFO"},
        {"level": True},
        {"logger": None},
        {"message": b"x"},
        {"extra": {"visit": 5}},
        {"exception": None},
    ],
)
def test_a_record_of_wrong_types_is_refused(changed: dict[str, Any]) -> None:
    values: dict[str, Any] = {"time": NOON, "level": 20, "logger": "a", "message": "b"}
    with pytest.raises(ValueError, match="log record"):
        LogRecord(**{**values, **changed})


def test_a_record_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        RECORD.level = 10  # type: ignore[misc]
    with pytest.raises(TypeError):
        RECORD.extra["visit"] = "6"  # type: ignore[index]


def test_records_are_a_list_whose_slices_are_of_the_same_type() -> None:
    other = LogRecord(NOON, 30, "survey", "careful")
    records = LogRecords([RECORD])
    records.append(other)
    assert list(records) == [RECORD, other]
    assert records[0] == RECORD
    assert records[1:] == LogRecords([other])
    assert records != [RECORD, other]
    records[0] = other
    records[1:] = [RECORD, RECORD]
    del records[0]
    assert records == LogRecords([RECORD, RECORD])
    with pytest.raises(TypeError, match="from_logging"):
        records.append(logging.makeLogRecord({}))  # type: ignore[arg-type]


def test_records_survive_pickling() -> None:
    records = LogRecords([RECORD])
    assert pickle.loads(pickle.dumps(records)) == records
