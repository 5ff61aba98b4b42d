# SPDX-License-Identifier: BSD-3-Clause
"""The cache of artifacts: what it keeps, what it lets go, and how it is set up."""

from __future__ import annotations

import logging
import multiprocessing
import os
import random
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from butler.cache import ArtifactCache, CacheUse, cache_use, clear_cache
from butler.cache_settings import CacheBound, CacheExpiration, CacheSettings
from butler_model.artifact import ArtifactLayout, ArtifactRecord, sha256
from butler_model.errors import ConfigurationError

LARGEST = 10_000
PLENTY = CacheExpiration(CacheBound.FILES, 1000)


def record_of(content: bytes, component: str = "", dataset_id: uuid.UUID | None = None) -> ArtifactRecord:
    """Return the record of an artifact, of a new dataset if no id is given."""
    layout = ArtifactLayout("bytes", ".bin", "Bytes", component)
    return ArtifactRecord(dataset_id or uuid.uuid4(), "main", "key", layout, len(content), sha256([content]))


def kept(cache: ArtifactCache, record: ArtifactRecord) -> bytes | None:
    """Return what the cache has for a record."""
    file = cache.open(record)
    if file is None:
        return None
    with file:
        return file.read()


def only_file(directory: Path) -> Path:
    (path,) = directory.iterdir()
    return path


def age(directory: Path, seconds: float) -> None:
    """Make it so that all files were used that long ago."""
    for path in directory.iterdir():
        status = path.stat()
        os.utime(path, ns=(status.st_atime_ns - int(seconds * 1e9), status.st_mtime_ns))


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Give the place of a cache that was not made yet."""
    return tmp_path / "deep" / "cache"


def test_what_is_kept_comes_back_from_a_cache_of_the_same_directory(directory: Path) -> None:
    content = b"some bytes"
    record = record_of(content)
    cache = ArtifactCache(directory, PLENTY, LARGEST)
    assert kept(cache, record) is None
    cache.keep(record, content)
    assert kept(cache, record) == content
    assert kept(ArtifactCache(directory, PLENTY, LARGEST), record) == content
    assert cache_use(directory) == CacheUse(1, len(content))


def test_datasets_components_and_contents_are_kept_apart(directory: Path) -> None:
    dataset_id = uuid.uuid4()
    contents = {
        record_of(b"whole", "", dataset_id): b"whole",
        record_of(b"part", "part", dataset_id): b"part",
        record_of(b"again", "", dataset_id): b"again",
        record_of(b"whole"): b"whole",
    }
    cache = ArtifactCache(directory, PLENTY, LARGEST)
    for record, content in contents.items():
        cache.keep(record, content)
    assert {record: kept(cache, record) for record in contents} == contents


@pytest.mark.parametrize("damage", [b"short", b"other bytes of this length", b"", b"x" * 100])
def test_a_damaged_file_is_removed(directory: Path, damage: bytes) -> None:
    content = b"right bytes of this length"
    record = record_of(content)
    cache = ArtifactCache(directory, PLENTY, LARGEST)
    cache.keep(record, content)
    assert kept(cache, record) == content
    only_file(directory).write_bytes(damage)
    assert kept(cache, record) is None
    assert list(directory.iterdir()) == []
    cache.keep(record, content)
    assert kept(cache, record) == content


def test_bytes_that_are_not_those_of_the_record_are_never_given(directory: Path) -> None:
    cache = ArtifactCache(directory, PLENTY, LARGEST)
    record = record_of(b"right")
    cache.keep(record, b"wrong")
    cache.keep(record, b"not even the length")
    assert kept(cache, record) is None


def test_what_is_too_large_is_not_kept(directory: Path) -> None:
    bounded = CacheExpiration(CacheBound.SIZE, 100)
    cache, content = ArtifactCache(directory, PLENTY, 5), b"123456"
    cache.keep(record_of(content), content)
    small = ArtifactCache(directory, bounded, LARGEST)
    small.keep(record_of(bytes(101)), bytes(101))
    assert cache_use(directory) == CacheUse(0, 0)


def test_the_least_recently_used_go_first(directory: Path) -> None:
    contents = [b"a", b"b", b"c"]
    records = [record_of(content) for content in contents]
    cache = ArtifactCache(directory, CacheExpiration(CacheBound.FILES, 3), LARGEST)
    for record, content in zip(records, contents, strict=True):
        cache.keep(record, content)
        age(directory, 10)
    assert kept(cache, records[0]) == b"a"
    cache.keep(record_of(b"d"), b"d")
    assert [kept(cache, record) for record in records] == [b"a", None, b"c"]


def test_files_that_nobody_used_for_long_go(directory: Path) -> None:
    cache = ArtifactCache(directory, CacheExpiration(CacheBound.AGE, 60), LARGEST)
    old, used = record_of(b"old"), record_of(b"used")
    cache.keep(old, b"old")
    cache.keep(used, b"used")
    age(directory, 61)
    assert kept(cache, used) == b"used"
    cache.keep(record_of(b"new"), b"new")
    assert kept(cache, old) is None
    assert kept(cache, used) == b"used"


def test_a_file_that_expires_while_it_is_read_is_read_to_its_end(directory: Path) -> None:
    cache = ArtifactCache(directory, CacheExpiration(CacheBound.FILES, 1), LARGEST)
    record = record_of(b"read slowly")
    cache.keep(record, b"read slowly")
    file = cache.open(record)
    assert file is not None
    with file:
        cache.keep(record_of(b"other"), b"other")
        assert kept(cache, record) is None
        assert file.read() == b"read slowly"


def test_other_files_in_the_directory_are_left_alone(directory: Path) -> None:
    directory.mkdir(parents=True)
    mine = directory / "thesis.tex"
    mine.write_text("precious")
    cache = ArtifactCache(directory, CacheExpiration(CacheBound.FILES, 1), LARGEST)
    for content in (b"a", b"b", b"c"):
        cache.keep(record_of(content), content)
    assert cache_use(directory) == CacheUse(1, 1)
    assert clear_cache(directory) == CacheUse(1, 1)
    assert clear_cache(directory) == CacheUse(0, 0)
    assert only_file(directory) == mine


def test_the_draft_of_a_process_that_was_killed_goes_after_an_hour(directory: Path) -> None:
    directory.mkdir(parents=True)
    old, fresh = (directory / f".{digit * 32}.part" for digit in "ab")
    for draft in (old, fresh):
        draft.write_bytes(b"half")
    os.utime(old, (time.time() - 3700,) * 2)
    ArtifactCache(directory, PLENTY, LARGEST).keep(record_of(b"a"), b"a")
    assert not old.exists()
    assert fresh.exists()


def test_nobody_else_may_read_what_is_kept(directory: Path) -> None:
    ArtifactCache(directory, PLENTY, LARGEST).keep(record_of(b"a"), b"a")
    assert directory.stat().st_mode & 0o777 == 0o700
    assert only_file(directory).stat().st_mode & 0o777 == 0o600


def test_a_directory_that_cannot_be_used_is_one_warning_and_no_error(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("not a directory")
    cache = ArtifactCache(tmp_path / "file" / "cache", PLENTY, LARGEST)
    for content in (b"a", b"b"):
        record = record_of(content)
        cache.keep(record, content)
        assert kept(cache, record) is None
    assert [entry.levelno for entry in caplog.records] == [logging.WARNING]
    assert str(tmp_path / "file" / "cache") in caplog.text


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no device that is always full")
def test_a_full_disk_is_one_warning_and_leaves_nothing(
    directory: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.open

    def full(path: str, flags: int, mode: int = 0o777) -> int:
        os.close(real(path, flags, mode))
        return real("/dev/full", os.O_WRONLY)

    cache = ArtifactCache(directory, PLENTY, LARGEST)
    with monkeypatch.context() as patched:
        patched.setattr(os, "open", full)
        cache.keep(record_of(bytes(5000)), bytes(5000))
        cache.keep(record_of(bytes(5000)), bytes(5000))
    assert len(caplog.records) == 1
    assert list(directory.iterdir()) == []
    cache.keep(record_of(b"a"), b"a")
    assert cache_use(directory) == CacheUse(1, 1)


@settings(max_examples=60)
@given(
    expiration=st.one_of(
        st.builds(CacheExpiration, st.just(CacheBound.FILES), st.integers(1, 6)),
        st.builds(CacheExpiration, st.just(CacheBound.SIZE), st.integers(1, 60)),
    ),
    steps=st.lists(st.tuples(st.binary(max_size=20), st.integers(0, 10), st.booleans()), max_size=25),
)
def test_the_bound_holds_after_every_call_and_the_newest_stays(
    expiration: CacheExpiration, steps: list[tuple[bytes, int, bool]]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder)
        cache = ArtifactCache(directory, expiration, LARGEST)
        records: list[ArtifactRecord] = []
        for content, chosen, reads in steps:
            if reads and records:
                kept(cache, records[chosen % len(records)])
                continue
            records.append(record_of(content))
            cache.keep(records[-1], content)
            use = cache_use(directory)
            if expiration.bound is CacheBound.FILES:
                assert use.files <= expiration.limit
            else:
                assert use.size <= expiration.limit
            if expiration.bound is CacheBound.FILES or len(content) <= expiration.limit:
                assert kept(cache, records[-1]) == content


def contents_of_processes() -> Iterator[tuple[ArtifactRecord, bytes]]:
    """Yield the artifacts that all processes use, the same in each."""
    for number in range(40):
        content = bytes([number]) * (500 + 37 * number)
        yield record_of(content, dataset_id=uuid.UUID(int=number)), content


SHARED_LIMIT = 8_000


def use_for_a_while(folder: str, seed: int, outcome: multiprocessing.Queue[str]) -> None:
    """Read and keep at random, as a process of its own; report what was wrong, and nothing if nothing was."""
    chooser = random.Random(seed)
    artifacts = list(contents_of_processes())
    expiration = CacheExpiration(CacheBound.SIZE, SHARED_LIMIT)
    cache = ArtifactCache(Path(folder), expiration, LARGEST)
    end = time.monotonic() + 1.5
    try:
        while time.monotonic() < end:
            record, content = chooser.choice(artifacts)
            found = kept(cache, record)
            if found is None:
                cache.keep(record, content)
            elif found != content:
                outcome.put(f"{record.dataset_id} has other bytes")
                return
        outcome.put("warned" if cache._warned.is_set() else "")
    except BaseException as error:  # noqa: BLE001 - it is reported to the parent
        outcome.put(repr(error))


def test_processes_share_a_cache_that_expires_all_the_time(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    outcome = context.Queue()
    workers = [
        context.Process(target=use_for_a_while, args=(str(tmp_path), seed, outcome)) for seed in range(4)
    ]
    for worker in workers:
        worker.start()
    assert [outcome.get(timeout=60) for _ in workers] == [""] * 4
    for worker in workers:
        worker.join(60)
    assert 0 < cache_use(tmp_path).size <= SHARED_LIMIT
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("files=10", CacheExpiration(CacheBound.FILES, 10)),
        ("size=1000", CacheExpiration(CacheBound.SIZE, 1000)),
        ("size=10GB", CacheExpiration(CacheBound.SIZE, 10**10)),
        (" size = 2 KiB ", CacheExpiration(CacheBound.SIZE, 2048)),
        ("size=3k", CacheExpiration(CacheBound.SIZE, 3000)),
        ("age=3600", CacheExpiration(CacheBound.AGE, 3600)),
        ("disabled", None),
        ("Disabled", None),
    ],
)
def test_expirations_are_written_as_a_bound_and_a_number(text: str, expected: CacheExpiration | None) -> None:
    assert CacheExpiration.parse(text) == expected
    if expected is not None:
        assert CacheExpiration.parse(str(expected)) == expected


@pytest.mark.parametrize(
    "text",
    [
        "10GB",
        "size",
        "size=",
        "size=-1",
        "size=1.5GB",
        "size=10XB",
        "files=3k",
        "age=1h",
        "datasets=3",
        "files=٣",
    ],
)
def test_other_texts_are_refused_with_the_accepted_form(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"files=N, size=BYTES .*, age=SECONDS or disabled"):
        CacheExpiration.parse(text)


@pytest.mark.parametrize("text", ["files=0", "size=0GB"])
def test_a_bound_of_nothing_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="or more"):
        CacheExpiration.parse(text)


def test_the_environment_says_where_and_how_long(tmp_path: Path) -> None:
    home = {"XDG_CACHE_HOME": str(tmp_path)}
    default = CacheSettings.from_environment(home)
    assert default.directory == tmp_path / "butler" / "artifacts"
    assert str(default.expiration) == "size=10000000000"
    established = {
        **home,
        "DAF_BUTLER_CACHE_DIRECTORY": "/old",
        "DAF_BUTLER_CACHE_EXPIRATION_MODE": "files=3",
    }
    assert CacheSettings.from_environment(established) == CacheSettings(
        Path("/old"), CacheExpiration(CacheBound.FILES, 3)
    )
    both = {**established, "BUTLER_CACHE_DIR": "/new", "BUTLER_CACHE_EXPIRATION": "disabled"}
    assert CacheSettings.from_environment(both) == CacheSettings(Path("/new"), None)
    blank = {**home, "BUTLER_CACHE_DIR": "", "BUTLER_CACHE_EXPIRATION": ""}
    assert CacheSettings.from_environment(blank) == default


@pytest.mark.parametrize("variable", ["BUTLER_CACHE_EXPIRATION", "DAF_BUTLER_CACHE_EXPIRATION_MODE"])
def test_a_malformed_variable_is_named(variable: str) -> None:
    with pytest.raises(ConfigurationError, match=f"{variable}: 'much'"):
        CacheSettings.from_environment({variable: "much", "XDG_CACHE_HOME": "/c"})
