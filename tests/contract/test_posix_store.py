# SPDX-License-Identifier: BSD-3-Clause
"""What a store in a directory does when its disk is full, or its directories are tampered with."""

from __future__ import annotations

import errno
import json
import os
import resource
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest

from butler_datastore.stores.store import Store, has_paths, resumes
from butler_model.errors import (
    ArtifactExistsError,
    ArtifactNotFoundError,
    GrantError,
    ServiceUnavailableError,
    StoreFullError,
)
from tests.support.requirement import unavailable
from tests.support.stores import NO_LIMIT, WRITE, files, killed_in_the_middle, opening, posix_place, read
from tools.servers.process import ROOT

MEBIBYTE = 2**20


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "root"


@pytest.fixture
def posix(place: Path) -> Store:
    return posix_place(place).open()


def test_what_killed_writers_left_behind_goes_after_a_day(posix: Store, place: Path) -> None:
    killed_in_the_middle(posix_place(place), WRITE)
    (left,) = files(place)
    assert left.startswith(".tmp/")
    posix.write("run/a", [b"content"], NO_LIMIT)
    assert files(place) == [left, "run/a"]
    day_ago = time.time() - 86_500
    os.utime(place / left, (day_ago, day_ago))
    posix_place(place).open().write("run/b", [b"content"], NO_LIMIT)
    assert files(place) == ["run/a", "run/b"]


FILL = """
import errno
from butler_model.errors import StoreFullError
store.write("run/first", [b"content"], 100)
for write in (lambda: store.write("run/a", (bytes(100_000) for _ in range(100)), 2**40),
              lambda: store.write_many([(f"run/{number}", bytes(30_000)) for number in range(400)])):
    try:
        write()
    except StoreFullError as error:
        print(error.__cause__.errno)
    print(sorted(p.name for p in pathlib.Path(sys.argv[2]).rglob("*") if p.is_file()))
store.write("run/last", [bytes(1000)], 1000)
"""


def test_a_full_store_says_so_and_keeps_nothing(tmp_path: Path) -> None:
    # A mount namespace of its own: the file system goes away with the process.
    script = 'mount -t tmpfs -o size=4m tmpfs "$2" && exec "$0" -c "$3" "$1" "$2"'
    namespace = ["unshare", "--map-root-user", "--mount", "sh", "-c"]
    try:
        probe = subprocess.run([*namespace, "mount -t tmpfs tmpfs /mnt"], capture_output=True, check=False)
    except FileNotFoundError:
        unavailable("mount", "there is no program unshare")
    if probe.returncode:
        unavailable("mount", probe.stderr.decode())
    settings = json.dumps(posix_place(tmp_path).settings)
    command = [*namespace, script, sys.executable, settings, str(tmp_path), opening(FILL)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [str(errno.ENOSPC), "['first']"] * 2


def test_a_file_over_the_limit_of_the_system_keeps_nothing(posix: Store, place: Path) -> None:
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (MEBIBYTE, old[1]))
    try:
        with pytest.raises(StoreFullError):
            posix.write("run/a", [bytes(MEBIBYTE), b"1"], NO_LIMIT)
        with pytest.raises(StoreFullError):
            posix.write_many([("run/a", b"fits"), ("run/b", bytes(MEBIBYTE + 1))])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
    assert files(place) == []


def test_an_upload_beside_another_of_its_grant_leaves_nothing_when_it_breaks(
    posix: Store, place: Path
) -> None:
    assert resumes(posix)
    upload = partial(posix.write_upload, "run/a", "upload", 0)

    def broken() -> Iterator[bytes]:
        yield b"con"
        raise ServiceUnavailableError("The connection broke.")

    def whole() -> Iterator[bytes]:
        yield b"con"
        with pytest.raises(ServiceUnavailableError):
            upload(broken(), NO_LIMIT)
        assert len(files(place)) == 1
        yield b"tent"

    upload(whole(), NO_LIMIT)
    assert files(place) == ["run/a"]


def test_an_upload_that_was_discarded_meanwhile_is_refused(posix: Store, place: Path) -> None:
    assert resumes(posix)

    def content() -> Iterator[bytes]:
        yield b"content"
        posix.discard_uploads("run/a")

    with pytest.raises(GrantError, match="given up"):
        posix.write_upload("run/a", "upload", 0, content(), NO_LIMIT)
    assert files(place) == []


def test_links_are_never_followed(posix: Store, place: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_bytes(b"content")
    posix.write("run/a", [b"content"], NO_LIMIT)
    (place / "link").symlink_to(outside)
    (place / "run" / "link").symlink_to(outside / "secret")
    for key in ("link/secret", "run/link"):
        assert posix.size(key) is None
        with pytest.raises(ArtifactNotFoundError):
            read(posix, key, 7)
        with pytest.raises(ArtifactExistsError):
            posix.write(key, [b"content"], NO_LIMIT)
    for key in ("link/new", "link/directory/new"):
        with pytest.raises(ArtifactExistsError):
            posix.write(key, [b"content"], NO_LIMIT)
        with pytest.raises(ArtifactExistsError):
            posix.write_many([("run/b", b"content"), (key, b"content")])
    assert not posix.delete("link/secret")
    assert files(outside) == ["secret"]
    assert files(place / "run") == ["a", "link"]


def test_what_is_no_file_is_no_artifact(posix: Store, place: Path) -> None:
    posix.write("run/a", [b"content"], NO_LIMIT)
    os.mkfifo(place / "run" / "pipe")
    assert posix.size("run/pipe") is None
    with pytest.raises(ArtifactNotFoundError):
        read(posix, "run/pipe", 0)
    with pytest.raises(ArtifactExistsError):
        posix.write("run/pipe", [b""], NO_LIMIT)


def test_a_directory_that_turns_into_a_link_leads_nowhere(posix: Store, place: Path, tmp_path: Path) -> None:
    outside, aside, run = tmp_path / "outside", tmp_path / "aside", place / "run"
    outside.mkdir()
    (outside / "a").write_bytes(b"OUTSIDE")
    posix.write("run/a", [b"content"], NO_LIMIT)
    stop = threading.Event()

    def swap() -> None:
        while not stop.is_set():
            run.rename(aside)
            with suppress(FileExistsError):
                run.symlink_to(outside)
                run.unlink()
            while aside.exists():
                # A writer may have made the directory that it missed.
                shutil.rmtree(run, ignore_errors=True)
                with suppress(OSError):
                    aside.rename(run)

    actions: list[Callable[[int], object]] = [
        lambda number: contents.add(read(posix, "run/a", 7)),
        lambda number: posix.write(f"run/new{number}", [b"content"], NO_LIMIT),
        lambda number: posix.write_many([(f"run/many{number}", b"content")]),
        lambda number: posix.delete(f"run/new{number - 2}"),
    ]
    contents: set[bytes] = set()
    swapper = threading.Thread(target=swap)
    swapper.start()
    try:
        for number in range(2_000):
            with suppress(ArtifactNotFoundError, ArtifactExistsError, FileNotFoundError, NotADirectoryError):
                actions[number % 4](number)
    finally:
        stop.set()
        swapper.join()
    assert contents == {b"content"}
    assert files(outside) == ["a"]
    assert (outside / "a").read_bytes() == b"OUTSIDE"


def test_a_root_that_was_removed_is_made_again(posix: Store, place: Path) -> None:
    posix.write("run/a", [b"content"], NO_LIMIT)
    shutil.rmtree(place)
    assert posix.size("run/a") is None
    assert posix.write("run/a", [b"content"], NO_LIMIT).created
    assert files(place) == ["run/a"]


def test_clients_are_told_paths_only_if_they_share_them(place: Path) -> None:
    private, shared = posix_place(place).open(), posix_place(place, shared_path=True).open()
    assert not has_paths(private)
    assert has_paths(shared)
    shared.write("run/a", [b"content"], NO_LIMIT)
    assert Path(shared.root, "run/a").read_bytes() == b"content"
    assert Path(shared.root).is_absolute()
