# SPDX-License-Identifier: BSD-3-Clause
"""The program ``butler`` as a process, on an embedded repository and on one that is served."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest

from butler import Butler
from tests.support.command_line import (
    COMMAND,
    butler,
    environment,
    objects,
    on_terminal,
    served,
    served_address,
    succeeded,
)
from tools.servers.process import free_ports, running, wait_until

ROOT = Path(__file__).resolve().parents[2]
DETECTORS = 2000
CONTENT = bytes(range(256)) * 2000
"""More than travels in a batch."""
DATA_ID = ("instrument=Cam", "detector=7")


def export_text() -> str:
    """Return an export of a camera with many detectors and one dataset with a file."""
    detectors = "\n".join(f"  - {{instrument: Cam, id: {i}, full_name: d{i}}}" for i in range(DETECTORS))
    return f"""
description: Butler Data Repository Export
version: 1.0.1
universe_version: 8
universe_namespace: daf_butler
data:
- {{type: dimension, element: instrument, records: [{{name: Cam, detector_max: {DETECTORS}}}]}}
- type: dimension
  element: detector
  records:
{detectors}
- {{type: collection, collection_type: RUN, name: imported}}
- {{type: dataset_type, name: note, dimensions: [instrument, detector], storage_class: StructuredDataDict,
   is_calibration: false}}
- type: dataset
  dataset_type: note
  run: imported
  records:
  - dataset_id: [!uuid '5f5a2b6c-0d4a-4b2e-9b1f-000000000001']
    data_id: [{{instrument: Cam, detector: 3}}]
    path: note.json
    formatter: lsst.daf.butler.formatters.json.JsonFormatter
"""


@pytest.fixture(scope="module", params=["embedded", "served"])
def empty_repository(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """Give what REPO is on the command line, for a repository that has just been made."""
    folder = tmp_path_factory.mktemp("repository")
    if request.param == "embedded":
        root = str(folder / "repo")
        assert objects("create", root) == [{"repository": root, "universe": "daf_butler 8"}]
        yield root
        return
    with served(folder / "data", folder / "log") as address:
        yield address


@pytest.fixture(scope="module")
def repository(empty_repository: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Give a repository with what the export holds, a dataset type ``blob``, and a run."""
    folder = tmp_path_factory.mktemp("export")
    (folder / "export.yaml").write_text(export_text())
    (folder / "note.json").write_text('{"a": 1}')
    found = objects("import", empty_repository, str(folder / "export.yaml"), "--transfer", "copy")
    assert {"kind": "dimension records", "name": "detector", "found": DETECTORS, "new": DETECTORS} in found
    assert {"kind": "datasets", "name": "note", "found": 1, "new": 1} in found
    succeeded("register-dataset-type", empty_repository, "blob", "Bytes", "instrument", "detector")
    succeeded("collections", "register", empty_repository, "u/someone/run")
    return empty_repository


def test_the_bytes_of_a_file_come_back_unchanged(repository: str, tmp_path: Path) -> None:
    (tmp_path / "in").write_bytes(CONTENT)
    arguments = (repository, str(tmp_path / "in"), "blob", *DATA_ID, "--run", "u/someone/run")
    stored = objects("put-file", *arguments)[0]
    assert stored["data_id"] == {"instrument": "Cam", "detector": 7}
    assert objects("query-datasets", repository, "bl*", "--collections", "u/*") == [stored]
    where = (repository, "blob", *DATA_ID, "--collections", "imported,u/someone/run", "-o")
    got = objects("get-file", *where, str(tmp_path / "out"))[0]
    assert (got["id"], got["size"]) == (stored["id"], len(CONTENT))
    assert (tmp_path / "out").read_bytes() == CONTENT
    printed = subprocess.run([*COMMAND, "get-file", *where, "-"], capture_output=True, check=True)
    assert printed.stdout == CONTENT

    again = butler("put-file", *arguments)
    assert again.returncode == 4
    assert "'blob'" in again.stderr
    assert len(objects("query-datasets", repository, "blob")) == 1


def test_an_import_can_be_repeated_and_reports_nothing_new(repository: str, tmp_path: Path) -> None:
    (tmp_path / "export.yaml").write_text(export_text())
    (tmp_path / "note.json").write_text('{"a": 1}')
    counts = objects("import", repository, str(tmp_path / "export.yaml"))
    assert {count["new"] for count in counts} == {0}


def test_an_import_takes_a_directory_as_those_typed_before_did(repository: str, tmp_path: Path) -> None:
    (tmp_path / "export.yaml").write_text(export_text())
    (tmp_path / "other.yaml").write_text(export_text())
    (tmp_path / "note.json").write_text('{"a": 1}')
    of_file = objects("import", repository, str(tmp_path / "export.yaml"))
    assert objects("import", repository, str(tmp_path), "--reuse-ids") == of_file
    assert objects("import", repository, str(tmp_path), "--export-file", "other.yaml") == of_file
    refused = butler("import", repository, str(tmp_path), "--export-file", "third.yaml")
    assert refused.returncode == 2
    assert "third.yaml" in refused.stderr


def test_stored_bytes_are_written_as_they_were_imported(repository: str, tmp_path: Path) -> None:
    arguments = (repository, "note", "instrument=Cam", "detector=3", "--collections", "imported")
    succeeded("get-file", *arguments, "-o", str(tmp_path / "note"))
    assert (tmp_path / "note").read_text() == '{"a": 1}'


def test_queries_print_tables_and_json_with_the_same_content(repository: str) -> None:
    table = succeeded("query-dimension-records", repository, "detector", "instrument=Cam", "detector=12")
    assert re.split(r"\s{2,}", table.splitlines()[0])[:3] == ["instrument", "id", "full_name"]
    assert table.splitlines()[1].split()[:3] == ["Cam", "12", "d12"]
    record = objects("query-dimension-records", repository, "detector", "instrument=Cam", "detector=12")[0]
    assert (record["instrument"], record["id"], record["raft"]) == ("Cam", 12, None)

    assert objects("query-data-ids", repository, "detector", "--data-id", "detector=12") == [
        {"instrument": "Cam", "detector": 12}
    ]
    dataset = objects("query-datasets", repository, "note", "--data-id", "detector=3")[0]
    assert dataset.pop("id") == str(UUID("5f5a2b6c-0d4a-4b2e-9b1f-000000000001"))
    assert dataset == {"type": "note", "run": "imported", "data_id": {"instrument": "Cam", "detector": 3}}
    first = ("query-datasets", repository, "note", "--find-first", "--collections", "imported,u/someone/run")
    assert len(objects(*first)) == 1


def test_collections_are_listed_by_glob(repository: str) -> None:
    names = [each["name"] for each in objects("collections", "list", repository)]
    assert names == ["imported", "u/someone/run"]
    assert succeeded("collections", "list", repository, "imp*").split()[4:] == ["imported", "RUN"]


def test_a_limit_that_cuts_the_answer_is_noted_beside_it(repository: str) -> None:
    done = butler("query-data-ids", repository, "detector", "--limit", "2")
    assert len(done.stdout.splitlines()) == 3
    assert done.stderr == "Only the first 2 data IDs are shown; raise --limit to see more.\n"


def test_ping_measures_both_services(repository: str) -> None:
    answer = objects("ping", repository)[0]
    assert answer["universe"] == "daf_butler 8"
    assert all(float(str(answer[name])) >= 0 for name in ("open_ms", "registry_ms", "datastore_ms"))


# Arguments in which REPO and FILE are replaced, and what the message must name.
MISTAKES = {
    "unknown command": (("frobnicate",), "frobnicate"),
    "misspelt command": (("query-dataset", "REPO"), "the nearest known one is 'query-datasets'"),
    "no seed config": (("create", "REPO", "--seed-config", "/nowhere/it"), "/nowhere/it"),
    "no arguments": (("query-datasets",), "REPO"),
    "command of a group is missing": (("collections",), "butler collections --help"),
    "not key=value": (("put-file", "REPO", "FILE", "blob", "7", "--run", "run"), "'7'"),
    "key given twice": (("get-file", "REPO", "blob", "detector=1", "detector=2", "--collections", "x", "-o", "-"),
                        "detector"),
    "no file": (("put-file", "REPO", "/nowhere/it", "blob", *DATA_ID, "--run", "run"), "/nowhere/it"),
    "find first in any order": (("query-datasets", "REPO", "note", "--find-first"), "--collections"),
    "chain of nothing": (("collection-chain", "REPO", "chain"), "--mode remove"),
    "chain of no names": (("collection-chain", "REPO", "chain", ","), "--type CHAINED"),
    "bytes and JSON to one place": (("get-file", "REPO", "blob", "--collections", "x", "-o", "-", "--json"), "--json"),
}  # fmt: skip

# The same, with the exit code.
NOTE = ("get-file", "REPO", "note", "instrument=Cam")
IMPORTED = ("--run", "imported")
REFUSALS = {
    "unknown collection": (("query-datasets", "REPO", "note", "--collections", "nothere"), 3, "nothere"),
    "unknown dataset type": (("put-file", "REPO", "FILE", "blub", *DATA_ID, *IMPORTED), 3, "blub"),
    "unknown dataset type to list": (("query-datasets", "REPO", "blub"), 3, "the nearest known one is 'blob'"),
    "unknown dataset type to export": (("export", "REPO", "--directory", "out", "-d", "nite"), 3, "'note'"),
    "unknown collection to remove": (("remove-collections", "REPO", "nothere"), 3, "butler query-collections"),
    "misspelt collection": (("remove-collections", "REPO", "importd"), 3, "the nearest known one is 'imported'"),
    "misspelt type to put": (("put-file", "REPO", "FILE", "bob", *DATA_ID, *IMPORTED), 3, "one is 'blob'"),
    "misspelt key": ((*NOTE, "detectr=3", "--collections", "imported", "-o", "-"), 5, "one is 'detector'"),
    "unknown run": (("put-file", "REPO", "FILE", "blob", *DATA_ID, "--run", "nothere"), 3, "nothere"),
    "unknown value": (("put-file", "REPO", "FILE", "blob", "instrument=Cam", "detector=99999", *IMPORTED), 3, "99999"),
    "no dataset": ((*NOTE, "detector=4", "--collections", "imported", "-o", "-"), 3, "detector: 4"),
    "no directory": ((*NOTE, "detector=3", "--collections", "imported", "-o", "/nowhere/it"), 3, "/nowhere/it"),
    "other definition": (("register-dataset-type", "REPO", "blob", "Text", "instrument"), 4, "blob"),
    "word for a number": (("query-data-ids", "REPO", "detector", "--data-id", "detector=x"), 5, "detector=x"),
    "unknown dimension": (("query-data-ids", "REPO", "detektor"), 5, "detektor"),
    "unknown storage class": (("register-dataset-type", "REPO", "new", "Bytez", "instrument"), 5, "'Bytes'"),
    "name with dots": (("collections", "register", "REPO", "../up"), 5, "../up"),
    "data ID lacks a key": (("put-file", "REPO", "FILE", "blob", "instrument=Cam", *IMPORTED), 5, "detector"),
    "unknown key": (("config-dump", "REPO", "-s", ".registri"), 3, "registri"),
    "unknown type to validate": (("config-validate", "REPO", "-d", "nothere"), 3, "nothere"),
    "table without files": (("ingest-files", "REPO", "note", "new", "FILE", "-t", "copy"), 5, "names no files"),
    "other format": (("put-file", "REPO", "FILE", "note", "instrument=Cam", "detector=5", *IMPORTED), 5, "json"),
}  # fmt: skip


def check_one_line(done: subprocess.CompletedProcess[str], code: int, offender: str) -> None:
    """Check that a run failed with that exit code and one line that names the offender."""
    assert (done.returncode, done.stdout) == (code, ""), done.stderr
    assert done.stderr.startswith("Error: ")
    assert done.stderr.count("\n") == 1
    assert offender in done.stderr


def in_place(arguments: tuple[str, ...], repository: str, folder: Path) -> list[str]:
    """Return the arguments with a repository and a file in their places."""
    (folder / "file").write_bytes(b"\x00 not json")
    places = {"REPO": repository, "FILE": str(folder / "file")}
    return [places.get(argument, argument) for argument in arguments]


@pytest.mark.parametrize(("arguments", "offender"), MISTAKES.values(), ids=MISTAKES)
def test_a_command_line_that_is_malformed_is_refused_before_anything_is_opened(
    tmp_path: Path, arguments: tuple[str, ...], offender: str
) -> None:
    check_one_line(butler(*in_place(arguments, "nowhere", tmp_path)), 2, offender)


@pytest.mark.parametrize(("arguments", "code", "offender"), REFUSALS.values(), ids=REFUSALS)
def test_what_is_refused_is_named_in_one_line_and_by_the_exit_code(
    repository: str, tmp_path: Path, arguments: tuple[str, ...], code: int, offender: str
) -> None:
    check_one_line(butler(*in_place(arguments, repository, tmp_path)), code, offender)


@pytest.mark.parametrize("place", ["grpc://127.0.0.1", "grpc://127.0.0.1:1", "http://127.0.0.1:1/demo"])
def test_what_is_no_address_is_refused_with_the_form_of_one(place: str) -> None:
    check_one_line(butler("ping", place), 5, "grpc://HOST:PORT/REPOSITORY")


def test_refused_puts_leave_nothing_behind(repository: str, tmp_path: Path) -> None:
    (tmp_path / "in").write_bytes(CONTENT)
    for data_id in (
        ["instrument=Cam"],
        ["instrument=Cam", "detector=99999"],
        ["instrument=Cam", "detector=x"],
    ):
        assert butler(
            "put-file", repository, str(tmp_path / "in"), "blob", *data_id, "--run", "new/run"
        ).returncode
    assert not objects("collections", "list", repository, "new/*")


def test_an_existing_file_stays_as_it_is_if_the_dataset_cannot_be_got(
    repository: str, tmp_path: Path
) -> None:
    (tmp_path / "kept").write_text("kept")
    done = butler(
        "get-file", repository, "note", *DATA_ID, "--collections", "imported", "-o", str(tmp_path / "kept")
    )
    assert done.returncode == 3
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]
    assert (tmp_path / "kept").read_text() == "kept"


def test_a_reader_that_leaves_ends_the_program_in_silence(repository: str) -> None:
    with subprocess.Popen(
        [*COMMAND, "query-dimension-records", repository, "detector", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(),
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert json.loads(process.stdout.readline())["id"] == 0
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 141


def test_ctrl_c_ends_a_query_with_one_line(repository: str) -> None:
    # More than a pipe holds, so that the program still writes when it is interrupted.
    with subprocess.Popen(
        [*COMMAND, "query-dimension-records", repository, "detector", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(),
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
    assert (process.returncode, errors) == (130, b"Interrupted.\n")


def test_a_traceback_is_printed_only_where_it_is_asked_for(repository: str) -> None:
    arguments = ("query-datasets", repository, "note", "--collections", "nothere")
    assert "Traceback" not in butler(*arguments).stderr
    for done in (butler("--debug", *arguments), butler(*arguments, BUTLER_DEBUG="1")):
        assert done.returncode == 3
        assert "Traceback" in done.stderr
        assert done.stderr.splitlines()[-1].startswith("Error: ")


def test_a_pipe_gets_no_colours_and_a_terminal_gets_a_table_that_fits(repository: str) -> None:
    arguments = ("query-dimension-records", repository, "detector", "--limit", "2")
    assert "\x1b" not in butler(*arguments, FORCE_COLOR="1").stdout
    wide, narrow = on_terminal(100, *COMMAND, *arguments), on_terminal(40, *COMMAND, *arguments)
    assert "───" in wide
    assert "instrument    Cam\r\nid            0\r\nfull_name     d0" in narrow


def test_a_terminal_shows_how_far_an_import_is(repository: str, tmp_path: Path) -> None:
    (tmp_path / "export.yaml").write_text(export_text())
    (tmp_path / "note.json").write_text('{"a": 1}')
    arguments = ("import", repository, str(tmp_path / "export.yaml"))
    shown = on_terminal(100, *COMMAND, "--progress", *arguments)
    assert f"{DETECTORS + 1}/{DETECTORS + 1}" in shown
    assert "bytes) were taken." in shown


def test_a_damaged_artifact_is_noticed(tmp_path: Path) -> None:
    root, file = str(tmp_path / "repo"), tmp_path / "in"
    file.write_bytes(CONTENT)
    succeeded("create", root)
    succeeded("register-dataset-type", root, "blob", "Bytes")
    succeeded("collections", "register", root, "run")
    succeeded("put-file", root, str(file), "blob", "--run", "run")
    artifact = next(path for path in (tmp_path / "repo" / "run").rglob("*") if path.is_file())
    artifact.chmod(0o644)
    artifact.write_bytes(CONTENT[:-1] + b"!")
    done = butler("get-file", root, "blob", "--collections", "run", "-o", str(tmp_path / "out"))
    assert done.returncode == 7
    assert artifact.name in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_repository_that_was_created_can_be_served_as_it_is(tmp_path: Path) -> None:
    root, log = tmp_path / "repo", tmp_path / "log"
    succeeded("create", str(root))
    succeeded("collections", "register", str(root), "run")
    with running(
        [*COMMAND, "serve", "--data-root", str(root), "--address", "127.0.0.1:0"], log=log
    ) as server:
        wait_until(lambda: served_address(log) is not None, server, seconds=30)
        address = served_address(log) or ""
        assert address.endswith("/main")
        assert [each["name"] for each in objects("collections", "list", address)] == ["run"]
        # Another port is said to be in use, and another repository not to be there.
        port = address.removesuffix("/main").removeprefix("grpc://")
        taken = butler("serve", "--data-root", str(root), "--address", port)
        assert (taken.returncode, port in taken.stderr) == (5, True)
        other = butler("ping", address.removesuffix("main") + "other")
        assert (other.returncode, "'other'" in other.stderr) == (3, True)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_serving_ends_in_order_when_it_is_asked_to(tmp_path: Path, number: signal.Signals) -> None:
    command = [*COMMAND, "serve", "--data-root", str(tmp_path), "--create", "--address", "127.0.0.1:0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert "grpc://127.0.0.1:" in process.stdout.readline()
        process.send_signal(number)
        _, log = process.communicate(timeout=30)
    assert process.returncode == 0
    assert "Traceback" not in log


def test_serving_a_repository_that_is_not_there_names_the_remedy(tmp_path: Path) -> None:
    done = butler("serve", "--data-root", str(tmp_path), "--repository", "demo", "--address", "127.0.0.1:0")
    check_one_line(done, 3, "--create")


def test_creating_a_repository_twice_is_refused(tmp_path: Path) -> None:
    succeeded("create", str(tmp_path / "repo"))
    check_one_line(butler("create", str(tmp_path / "repo")), 4, str(tmp_path / "repo"))


def test_creating_takes_a_seed_and_leaves_the_configuration_where_it_is_told(tmp_path: Path) -> None:
    seed = tmp_path / "seed.yaml"
    seed.write_text(f"datastore: {{stores: {{files: {{root: {tmp_path}/files}}}}}}\n")
    options = ["--seed-config", str(seed), "--standalone", "-f", str(tmp_path / "my.yaml")]
    check_one_line(butler("create", str(tmp_path / "repo"), *options), 5, "forceConfigRoot=False")
    assert not (tmp_path / "repo").exists()
    succeeded("create", str(tmp_path / "repo"), *options, "--override")
    (dumped,) = objects("config-dump", str(tmp_path / "my.yaml"))
    assert dumped["root"] == str(tmp_path / "repo")
    assert dumped["datastore"] == {"stores": {"files": {"root": f"{tmp_path}/files"}}}
    check_one_line(butler("create", str(tmp_path / "other"), "-f", str(tmp_path / "my.yaml")), 4, "my.yaml")
    succeeded("create", str(tmp_path / "other"), "-f", str(tmp_path / "my.yaml"), "--overwrite")
    assert objects("config-dump", str(tmp_path / "my.yaml"))[0]["root"] == str(tmp_path / "other")


def test_creating_takes_stores_and_composites(tmp_path: Path) -> None:
    (tmp_path / "stores.yaml").write_text("data: {root: <butlerRoot>/data}\n")
    (tmp_path / "composites.yaml").write_text("disassembled: {Exposure: true}\n")
    options = ("--stores", str(tmp_path / "stores.yaml"), "--composites", str(tmp_path / "composites.yaml"))
    succeeded("create", str(tmp_path / "repo"), *options)
    assert objects("config-dump", str(tmp_path / "repo"))[0]["datastore"] == {
        "stores": {"data": {"root": "<butlerRoot>/data"}}
    }
    with Butler(tmp_path / "repo") as made:
        assert '"Exposure":true' in made._connection.info.composites.config_json


def test_a_file_that_is_put_is_not_held_in_memory(repository: str, tmp_path: Path) -> None:
    size = 300_000_000
    with (tmp_path / "in").open("wb") as sparse:
        sparse.truncate(size)
    program = (
        "import re, sys\n"
        "from butler.cli.main import main\n"
        "try:\n    main(sys.argv[1:])\n"
        # What getrusage tells begins with the memory of whoever started the process.
        "finally:\n    print(int(re.search(r'VmHWM:\\s+(\\d+)', open('/proc/self/status').read())[1]) * 1024)\n"
    )
    arguments = ["put-file", repository, str(tmp_path / "in"), "blob", "instrument=Cam", "detector=99"]
    command = [sys.executable, "-c", program, *arguments, "--run", "u/someone/run"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment(), check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.splitlines()[-1]) < size


def test_a_file_of_another_format_is_stored_only_if_it_is_not_to_be_checked(
    repository: str, tmp_path: Path
) -> None:
    (tmp_path / "in").write_text('{"n":   1}')
    arguments = (repository, str(tmp_path / "in"), "note", "instrument=Cam", "--run", "u/someone/run")
    succeeded("put-file", *arguments, "detector=8")
    where = ("note", "instrument=Cam", "detector=8", "--collections", "u/someone/run")
    assert succeeded("get-file", repository, *where, "-o", "-") == '{"n":   1}'
    (tmp_path / "in").write_text("{")
    check_one_line(butler("put-file", *arguments, "detector=9"), 5, "json")
    succeeded("put-file", *arguments, "detector=9", "--no-check")


def test_the_configuration_is_shown_without_passwords(tmp_path: Path) -> None:
    file = tmp_path / "butler.yaml"
    file.touch(mode=0o600)
    file.write_text("registry: {database: 'postgresql://me:tOpSeCrEt@h/x'}\nrepository: mine\n")
    shown = succeeded("config-dump", str(tmp_path))
    assert "me:***@h/x" in shown
    assert "root: <butlerRoot>" in shown
    succeeded("config-dump", str(tmp_path), "-s", ".registry.database", "--file", str(tmp_path / "part.yaml"))
    assert (tmp_path / "part.yaml").read_text() == ".registry.database: postgresql://me:***@h/x\n"
    assert objects("config-dump", str(tmp_path), "--subset", "registry") == [
        {"database": "postgresql://me:***@h/x"}
    ]


def test_what_is_configured_is_checked(repository: str) -> None:
    done = butler("config-validate", repository)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    succeeded("register-dataset-type", repository, "figure", "Plot", "instrument")
    assert butler("config-validate", repository, "-d", "note,figure").returncode == 0


def test_problems_of_a_configuration_are_lines_and_an_exit_code(tmp_path: Path) -> None:
    seed = tmp_path / "seed.yaml"
    seed.write_text(
        "datastore: {stores: {main: {root: <butlerRoot>, template: '{run}/{datasetType}/{visit}', "
        "templates: {notes: '{run}/{datasetType}'}}}}\n"
    )
    root = str(tmp_path / "repo")
    succeeded("create", root, "--seed-config", str(seed))
    succeeded("register-dataset-type", root, "note", "StructuredDataDict", "instrument")
    done = butler("config-validate", root, "--json")
    problems = [json.loads(line)["problem"] for line in done.stdout.splitlines()]
    assert done.returncode == 1
    assert len(problems) == 2
    assert "'visit'" in problems[0]
    assert "'notes'" in problems[1]
    quiet = butler("config-validate", root, "-q", "-i", "notes")
    assert (quiet.returncode, quiet.stdout, quiet.stderr) == (1, "", "")
    assert butler("config-validate", root, "-i", "notes,note").returncode == 0


def test_a_service_that_does_not_answer_is_named() -> None:
    port = free_ports(1)[0]
    check_one_line(butler("ping", f"grpc://127.0.0.1:{port}/demo"), 6, f"127.0.0.1:{port}")


def test_a_plug_in_adds_a_command_and_cannot_replace_one(tmp_path: Path) -> None:
    package = tmp_path / "sky_tools-1.0.dist-info"
    package.mkdir()
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: sky-tools\nVersion: 1.0\n")
    (package / "entry_points.txt").write_text(
        "[butler.commands]\nstars = sky_tools:stars\nversion = sky_tools:stars\nbroken = sky_tools:nothing\n"
    )
    (tmp_path / "sky_tools.py").write_text(
        "import click\n@click.command()\ndef stars():\n    'Count stars.'\n    click.echo('6000')\n"
    )
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    assert butler("stars", PYTHONPATH=path).stdout == "6000\n"
    assert "python" in butler("version", PYTHONPATH=path).stdout
    assert "stars                    From sky-tools." in butler("--help", PYTHONPATH=path).stdout
    broken = butler("broken", PYTHONPATH=path)
    assert broken.returncode
    assert "sky-tools" in broken.stderr
