# SPDX-License-Identifier: BSD-3-Clause
"""What a store in a bucket does besides what all stores do: large artifacts, signed URLs, credentials."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from butler_datastore.stores.store import SignedUrl, SigningStore, Stored, signs_urls
from butler_model.artifact import sha256
from butler_model.errors import (
    ArtifactExistsError,
    ConfigurationError,
    InvalidNameError,
    InvalidRequestError,
    LimitExceededError,
)
from tests.support.s3 import S3Server
from tests.support.stores import NO_LIMIT, StorePlace, opening, read, s3_settings, store_place
from tools.servers.process import ROOT

MEBIBYTE = 2**20
LARGE = 75


@pytest.fixture
def place(request: pytest.FixtureRequest, tmp_path: Path) -> StorePlace:
    return store_place("s3", tmp_path, request)


@pytest.fixture
def store(place: StorePlace) -> SigningStore:
    opened = place.open()
    assert signs_urls(opened)
    return opened


def mebibytes(count: int) -> Iterator[bytes]:
    for number in range(count):
        yield bytes([number]) * MEBIBYTE


# --------------------------------------------------------------------------------------------------------- large


def test_an_artifact_in_parts_is_seen_whole_or_not_at_all(store: SigningStore, place: StorePlace) -> None:
    seen = []

    def watched() -> Iterator[bytes]:
        yield from mebibytes(LARGE)
        seen.append(store.size("run/a"))
        assert len(place.all_keys()) == 1
        assert place.all_keys()[0].startswith(".upload/")

    stored = store.write("run/a", watched(), NO_LIMIT)
    assert seen == [None]
    assert stored == Stored(LARGE * MEBIBYTE, sha256(mebibytes(LARGE)), True)
    assert sha256(store.read("run/a", 0, None, size=stored.size)) == stored.checksum
    part = b"".join(store.read("run/a", 8 * MEBIBYTE - 1, 2, size=stored.size))
    assert part == bytes([7, 8])
    assert store.measure("run/a") == Stored(stored.size, stored.checksum, False)
    assert store.write("run/a", mebibytes(LARGE), NO_LIMIT) == Stored(stored.size, stored.checksum, False)
    with pytest.raises(ArtifactExistsError, match="run/a"):
        store.write("run/a", (chunk.replace(b"\7", b"\6") for chunk in mebibytes(LARGE)), NO_LIMIT)
    place.check_only(["run/a"])


def test_a_large_artifact_that_breaks_off_leaves_no_parts(store: SigningStore, place: StorePlace) -> None:
    def broken() -> Iterator[bytes]:
        yield from mebibytes(LARGE)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.write("run/a", broken(), NO_LIMIT)
    place.check_only([])
    with pytest.raises(LimitExceededError):
        store.write("run/a", mebibytes(LARGE), LARGE * MEBIBYTE - 1)
    place.check_only([])


MEASURED = """
import os
def rss():
    # The process that started this one counts in what `getrusage` says.
    return next(int(line.split()[1]) * 1024 for line in open("/proc/self/status") if line.startswith("VmHWM:"))
store.write("run/small", [b"content"], 100)
before = rss()
chunk = os.urandom(2**20)
stored = store.write("run/a", (chunk for _ in range(300)), 2**40)
assert stored.size == 300 * 2**20
for piece in store.read("run/a", 0, None, size=stored.size):
    pass
print(rss() - before)
"""


def test_memory_does_not_grow_with_the_artifact(place: StorePlace) -> None:
    command = [sys.executable, "-c", opening(MEASURED), json.dumps(place.settings)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert int(done.stdout) < 100e6


# --------------------------------------------------------------------------------------------------- signed URLs


def requested(method: str, signed: SignedUrl, content: bytes | None = None) -> tuple[int, bytes]:
    request = urllib.request.Request(signed.url, data=content, method=method, headers=dict(signed.headers))
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, b""


def test_whoever_has_a_signed_url_writes_once_and_reads(store: SigningStore) -> None:
    assert store.measure("run/a") is None
    signed = store.sign_write("run/a", 60, 7)
    assert requested("PUT", signed, b"content")[0] == 200
    assert store.measure("run/a") == Stored(7, sha256([b"content"]), False)
    assert requested("PUT", signed, b"CONTENT")[0] == 412
    assert requested("GET", store.sign_read("run/a", 60)) == (200, b"content")
    assert read(store, "run/a", 7) == b"content"


def test_a_signed_url_allows_nothing_else(store: SigningStore) -> None:
    signed = store.sign_write("run/a", 60, 7)
    unconditional = SignedUrl(signed.url, {"Content-Length": "7"})
    longer = SignedUrl(signed.url, {**signed.headers, "Content-Length": "8"})
    elsewhere = SignedUrl(signed.url.replace("/run/a?", "/run/b?"), signed.headers)
    for wrong, content in [(unconditional, b"content"), (longer, b"contents"), (elsewhere, b"content")]:
        assert requested("PUT", wrong, content)[0] == 403
    assert requested("DELETE", SignedUrl(signed.url, {}))[0] == 403
    assert store.size("run/a") is None
    assert store.size("run/b") is None
    for seconds in (0, -1, 604_801):
        with pytest.raises(InvalidRequestError):
            store.sign_read("run/a", seconds)
    with pytest.raises(InvalidNameError):
        store.sign_write("../a", 60, 7)


# ------------------------------------------------------------------------------------------------- configuration


def test_a_bucket_that_does_not_exist_is_named(place: StorePlace) -> None:
    store = StorePlace({**place.settings, "bucket": "no-such-bucket"}, ()).open()
    for action in (
        lambda: store.write("run/a", [b"content"], NO_LIMIT),
        lambda: read(store, "run/a", 7),
        lambda: store.size("run/a"),
        lambda: store.delete("run/a"),
    ):
        with pytest.raises(ConfigurationError, match=r"no-such-bucket.*run/a"):
            action()


def test_wrong_credentials_are_said_to_be_wrong(s3_server: S3Server, s3_bucket: str, tmp_path: Path) -> None:
    stranger = S3Server(s3_server.endpoint, s3_server.access_key, "not-the-secret", s3_server.region)
    store = StorePlace(s3_settings(stranger, s3_bucket, tmp_path), ()).open()
    for action in (lambda: store.write("run/a", [b"content"], NO_LIMIT), lambda: read(store, "run/a", 7)):
        with pytest.raises(ConfigurationError, match=f"run/a.*{s3_bucket}") as caught:
            action()
        assert "not-the-secret" not in str(caught.value)


def test_credentials_come_from_the_environment_if_no_file_is_named(
    place: StorePlace, s3_server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", s3_server.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", s3_server.secret_key)
    store = StorePlace({**place.settings, "credentials": ""}, ()).open()
    assert store.write("run/a", [b"content"], NO_LIMIT).created


@pytest.mark.parametrize(
    ("content", "mode", "text"),
    [
        ("[default]\naws_access_key_id = a\naws_secret_access_key = secret\n", 0o640, "chmod 600"),
        ("[default]\naws_access_key_id = a\n", 0o600, "aws_secret_access_key"),
        ("[other]\naws_secret_access_key = secret\n", 0o600, "default"),
        ("secret", 0o600, "form"),
        (None, 0, "No such file"),
    ],
)
def test_a_file_of_credentials_that_is_no_good_is_refused(
    tmp_path: Path, content: str | None, mode: int, text: str
) -> None:
    file = tmp_path / "keys"
    if content is not None:
        file.write_text(content)
        os.chmod(file, mode)
    place = StorePlace({"kind": "s3", "bucket": "bucket", "credentials": str(file)}, ())
    with pytest.raises(ConfigurationError, match=text) as caught:
        place.open()
    assert "= secret" not in str(caught.value)
    assert str(file) in str(caught.value)


def test_a_service_without_buckets_does_not_load_what_they_need(tmp_path: Path) -> None:
    code = opening("store.write('run/a', [b''], 1)\nassert not {'boto3', 'botocore'} & set(sys.modules)")
    command = [sys.executable, "-c", code, json.dumps({"root": str(tmp_path / "root")})]
    subprocess.run(command, cwd=ROOT, check=True)
