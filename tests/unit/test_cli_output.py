# SPDX-License-Identifier: BSD-3-Clause
"""What the command line prints, and with which codes it ends."""

from __future__ import annotations

import importlib
import json
import math
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.metadata import version
from typing import Any
from uuid import UUID

import click
import pytest
from astropy.time import Time
from hypothesis import given
from hypothesis import strategies as st
from lsst.sphgeom import Angle, Circle, LonLat, Region, UnitVector3d

from butler.cli.arguments import typed_data_id
from butler.cli.exit_codes import ExitCode, exit_code_of
from butler.cli.main import COMMANDS, main, program
from butler.cli.output import Output
from butler.cli.preferences import Preferences
from butler.cli.rendering import json_value, text_value
from butler_model.collection import CollectionType
from butler_model.errors import CATALOGUE, ButlerError, DimensionValueError
from butler_model.timespan import MAX_NSEC, MIN_NSEC, Timespan, nsec_from_time
from butler_model.universe import DimensionUniverse

TEXTS = st.text(max_size=20)
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    TEXTS,
    st.binary(max_size=8),
    st.uuids(),
    st.sampled_from(CollectionType),
    st.builds(Timespan.from_nsec, st.integers(MIN_NSEC, MAX_NSEC), st.integers(MIN_NSEC, MAX_NSEC)),
    st.lists(TEXTS, max_size=3).map(tuple),
)
RECORDS = st.lists(st.dictionaries(TEXTS, VALUES, min_size=1, max_size=4), max_size=20)
UNIVERSE = DimensionUniverse()

EXPECTED_CODES = {
    "ARTIFACT_INTEGRITY": ExitCode.DATA_LOSS,
    "CHECKSUM_MISMATCH": ExitCode.DATA_LOSS,
    "CONFLICTING_DEFINITION": ExitCode.CONFLICT,
    "DATASET_NOT_FOUND": ExitCode.NOT_FOUND,
    "DEADLINE_EXCEEDED": ExitCode.UNAVAILABLE,
    "DIMENSION_VALUE": ExitCode.INVALID_INPUT,
    "GRANT": ExitCode.FORBIDDEN,
    "INTERNAL": ExitCode.INTERNAL,
    "MISSING_PARENT": ExitCode.NOT_FOUND,
    "READ_ONLY": ExitCode.FORBIDDEN,
    "REPOSITORY_EXISTS": ExitCode.CONFLICT,
    "REPOSITORY_NOT_FOUND": ExitCode.NOT_FOUND,
    "SERVICE_UNAVAILABLE": ExitCode.UNAVAILABLE,
    "STORE_FULL": ExitCode.UNAVAILABLE,
    "TRUNCATED_UPLOAD": ExitCode.DATA_LOSS,
    "UNSUPPORTED_OPERATION": ExitCode.INVALID_INPUT,
}


@pytest.mark.parametrize("error", CATALOGUE.values(), ids=CATALOGUE)
def test_every_error_of_the_catalogue_has_an_exit_code_that_is_no_success(error: type[ButlerError]) -> None:
    code = exit_code_of(error("Something is wrong."))
    assert code is EXPECTED_CODES.get(error.reason, code)
    assert code not in (ExitCode.SUCCESS, ExitCode.USAGE, ExitCode.INTERRUPTED, ExitCode.BROKEN_PIPE)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (FileNotFoundError(2, "No such file or directory"), ExitCode.NOT_FOUND),
        (PermissionError(13, "Permission denied"), ExitCode.FORBIDDEN),
        (OSError(28, "No space left on device"), ExitCode.UNAVAILABLE),
        (ZeroDivisionError(), ExitCode.INTERNAL),
    ],
)
def test_errors_of_files_and_of_the_program_have_exit_codes(error: Exception, code: ExitCode) -> None:
    assert exit_code_of(error) is code


@pytest.mark.parametrize("name", COMMANDS)
def test_the_list_of_commands_says_what_each_says_of_itself(name: str) -> None:
    module, _, attribute = COMMANDS[name].target.partition(":")
    command = getattr(importlib.import_module(f"butler.cli.{module}"), attribute)
    assert isinstance(command, click.Command)
    assert (command.help or "").split("\n\n")[0] == COMMANDS[name].summary
    commands = command.commands.values() if isinstance(command, click.Group) else [command]
    for each in commands:
        assert each.help
        # What completion prints is for a shell, which wants it as it is.
        has_json = "output" in {parameter.name for parameter in each.params}
        assert has_json is (name != "completion"), f"{each.name} has no --json"


def test_the_help_loads_neither_services_nor_libraries_that_only_commands_need() -> None:
    program = (
        "import sys\n"
        "from butler.cli.main import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: print(*sys.modules, file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    heavy = {"astropy", "grpc", "numpy", "pandas", "pyarrow", "rich", "sqlalchemy", "butler_registry"}
    assert "query-datasets" in done.stdout
    assert not heavy & set(done.stderr.split())


@given(RECORDS)
def test_any_record_is_one_line_of_valid_json(records: list[dict[str, Any]]) -> None:
    for record in records:
        line = json.dumps(json_value(record), allow_nan=False)
        assert "\n" not in line
        assert list(json.loads(line)) == list(record)


@given(VALUES)
def test_any_value_is_text_on_one_line_that_cannot_steer_a_terminal(value: Any) -> None:
    assert text_value(value).isprintable()


def test_text_keeps_letters_of_every_script() -> None:
    assert text_value("über\tall\x1b[31m") == r"über\tall\x1b[31m"


@given(st.integers(MIN_NSEC + 1, MAX_NSEC - 1), st.integers(MIN_NSEC + 1, MAX_NSEC - 1))
def test_times_are_tai_and_exact_to_the_nanosecond(one: int, other: int) -> None:
    begin, end = min(one, other), max(one, other) + 1
    value = json_value(Timespan.from_nsec(begin, end))
    read = [nsec_from_time(Time(value[name], scale="tai")) for name in ("begin", "end") if value[name]]
    assert read == [begin, end][: len(read)]


def test_unbounded_and_empty_times_can_be_told_apart() -> None:
    assert json_value(Timespan.from_nsec(None, None)) == {"begin": None, "end": None}
    assert json_value(Timespan.EMPTY) == {}
    assert text_value(Timespan.from_nsec(None, 10**9)) == "/1970-01-01T00:00:01.000"
    assert text_value(Timespan.EMPTY) == "empty"


def test_a_region_is_exact_in_json_and_a_circle_as_text() -> None:
    center = UnitVector3d(LonLat.fromDegrees(150.0, 2.25))
    circle = Circle(center, Angle.fromDegrees(0.5))
    assert Region.decode(bytes.fromhex(json_value(circle))) == circle
    assert text_value(circle) == "150.0000 +2.2500 r=0.5000"


def test_numbers_that_json_does_not_know_are_text() -> None:
    assert json_value([math.nan, math.inf, -math.inf, 1.5]) == ["nan", "inf", "-inf", 1.5]


def test_a_table_in_a_pipe_has_one_header_and_one_line_for_each_record(
    capsys: pytest.CaptureFixture[str],
) -> None:
    records = [{"name": f"star {i}", "magnitude": i / 2, "note": None} for i in range(2500)]
    Output(as_json=False).records(records, of_what="stars")
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert lines[0] == "name      magnitude  note"
    assert lines[1] == "star 0          0.0"
    assert len(lines) == 2501
    assert not err


def test_a_new_table_begins_where_the_fields_change(capsys: pytest.CaptureFixture[str]) -> None:
    uuid = UUID(int=1)
    records = [
        {"type": "bias", "id": uuid, "data_id": {"detector": 7}},
        {"type": "flat", "id": uuid, "data_id": {"detector": 7, "band": "g"}},
    ]
    Output(as_json=False).records(records, of_what="datasets")
    assert capsys.readouterr().out == (
        f"type  {'id':36}  detector\nbias  {uuid}         7\n\n"
        f"type  {'id':36}  detector  band\nflat  {uuid}         7  g\n"
    )


@pytest.mark.parametrize("as_json", [False, True])
def test_a_notice_says_that_a_limit_cut_the_answer_and_only_then(
    as_json: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    output = Output(as_json=as_json)
    output.records(({"n": n} for n in range(3)), of_what="numbers", limit=3)
    out, err = capsys.readouterr()
    assert "2" in out
    assert not err
    output.records(({"n": n} for n in range(4)), of_what="numbers", limit=3)
    out, err = capsys.readouterr()
    assert "3" not in out
    assert err == "Only the first 3 numbers are shown; raise --limit to see more.\n"


def test_an_empty_answer_prints_a_notice_and_no_result(capsys: pytest.CaptureFixture[str]) -> None:
    Output(as_json=True).records([], of_what="datasets")
    out, err = capsys.readouterr()
    assert (out, err) == ("", "There are no such datasets.\n")


def test_json_is_printed_while_records_arrive(capsys: pytest.CaptureFixture[str]) -> None:
    printed: list[str] = []

    def records() -> Iterator[dict[str, int]]:
        for n in range(3):
            yield {"n": n}
            printed.append(capsys.readouterr().out)

    Output(as_json=True).records(records(), of_what="numbers")
    assert printed == ['{"n": 0}\n', '{"n": 1}\n', '{"n": 2}\n']


def test_one_record_is_a_line_for_each_field(capsys: pytest.CaptureFixture[str]) -> None:
    Output(as_json=False).record({"run": "a/b", "data_id": {"detector": 7}, "is_new": True})
    assert capsys.readouterr().out == "run       a/b\ndetector  7\nis_new    true\n"


def test_values_of_a_data_id_have_the_types_that_the_universe_gives_their_keys() -> None:
    pairs = [("instrument", "5"), ("detector", "5"), ("visit", "-1"), ("exposure.exposure_time", "1.5")]
    pairs += [("full_name", "7"), ("day_obs", "20200101"), ("what", "5")]
    assert typed_data_id(UNIVERSE, pairs) == {
        "instrument": "5",
        "detector": 5,
        "visit": -1,
        "exposure.exposure_time": 1.5,
        "full_name": "7",
        "day_obs": 20200101,
        "what": "5",
    }


@pytest.mark.parametrize("text", ["x", "5.0", "", " 5", "1_000", "\u0665", "0x10", "--5"])
def test_what_is_no_integer_is_refused_where_the_key_takes_one(text: str) -> None:
    with pytest.raises(DimensionValueError, match="detector takes values of type int"):
        typed_data_id(UNIVERSE, [("detector", text)])


def test_progress_is_told_with_how_many_there_are_in_all_and_how_fast_it_is(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with (
        click.Context(program, obj=Preferences(progress=True)),
        Output(as_json=False).progress() as report,
    ):
        for done in (0, 40, 80):
            report("Copying", done, 80)
            time.sleep(0.01)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert re.search(r"Copying .*80/80 .*\d/s .*0:00:00", shown.err)


def test_the_version_is_told_by_the_option_that_programs_have_for_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"butler {version('butler-grpc-client')}\n"
