# SPDX-License-Identifier: BSD-3-Clause
"""No key leads out of a store, and no range out of an artifact."""

from __future__ import annotations

import itertools
import string
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from butler_datastore.stores.posix import PosixStore
from butler_datastore.stores.store import Store, end_of_range
from butler_model.errors import ArtifactNotFoundError, InvalidNameError, InvalidRequestError
from tests.support.s3 import S3Server
from tests.support.stores import STORES, StorePlace, objects, read, store_place

PLAIN = string.ascii_letters + string.digits + "_+-@,:="
DOTS = ["", ".", "..", "/", "//", ".tmp", "\uff0e\uff0e", "%2e%2e", "~", "\\"]
NAMES = ["/etc/passwd", "/dev/zero", "C:", "$HOME", "*", "#", "?", ";", " ", "a" * 256, "a/" * 600]
CHARACTERS = ["\0", "%00", "\n", "\u00e9", "\u202e", "\ud800"]
HOSTILE = st.sampled_from([*DOTS, *NAMES, *CHARACTERS])
plain_parts = st.text(PLAIN, min_size=1, max_size=12).flatmap(
    lambda start: st.text(PLAIN + ".", max_size=12).map(start.__add__)
)
plain_keys = st.lists(plain_parts, min_size=1, max_size=6).map("/".join)
hostile_keys = st.tuples(
    st.lists(plain_parts, max_size=3).map("/".join),
    st.sampled_from(["", "/"]),
    HOSTILE,
    st.sampled_from(["", "/"]),
).flatmap(lambda pieces: plain_keys.map(lambda end: "".join(pieces) + end)) | st.text(max_size=40)

# Each of them asks a real server a few times, and undoes what it does.
NUMBERS = itertools.count()
FEW = settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])


@contextmanager
def folder() -> Iterator[Path]:
    """Give a directory of one's own: a fixture would be shared by all examples."""
    with tempfile.TemporaryDirectory(prefix="butler-keys-") as name:
        yield Path(name)


def opened_outside(root: Path, action: Callable[[], object]) -> list[str]:
    """Do something, and return the absolute paths not below ``root`` that were opened, made, linked or removed."""
    paths: list[str] = []
    watching = [True]

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        if watching and event in {"open", "os.mkdir", "os.link", "os.remove", "os.rename", "os.listdir"}:
            paths.extend(argument for argument in arguments if isinstance(argument, str))

    sys.addaudithook(hook)
    try:
        with suppress(InvalidNameError, ArtifactNotFoundError):
            action()
    finally:
        # A hook cannot be taken away again.
        watching.clear()
    return [path for path in paths if "/" in path and not Path(path).is_relative_to(root)]


@pytest.fixture(params=[kind for kind in STORES if kind != "posix"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> StorePlace:
    """Give a place that all examples share; those on directories are slow if they are durable."""
    return store_place(request.param, tmp_path, request)


@pytest.fixture
def store(place: StorePlace) -> Store:
    return place.open()


@given(plain_keys, st.binary(max_size=100))
@FEW
def test_every_plain_key_holds_what_was_written_under_it(
    store: Store, place: StorePlace, key: str, content: bytes
) -> None:
    # Directories stay, and one example must not be in the way of another.
    key = f"{next(NUMBERS)}/{key}"
    store.write(key, [content], 100)
    assert read(store, key, len(content)) == content
    place.check_only([key])
    assert store.delete(key)
    assert store.size(key) is None


@given(hostile_keys)
@FEW
def test_a_hostile_key_is_refused_by_every_method_or_by_none(
    store: Store, place: StorePlace, key: str
) -> None:
    if key[-1:] and key[-1] in PLAIN:
        # As above: where another example has left a directory, S3 takes no object.
        key = f"{key}{next(NUMBERS)}"
    actions: list[Callable[[], object]] = [
        lambda: store.write(key, [b"content"], 100),
        lambda: store.write_many([("plain/one", b"content"), (key, b"content")]),
        lambda: read(store, key, 7),
        lambda: store.size(key),
        lambda: store.delete(key),
    ]
    refused = 0
    for action in actions:
        try:
            action()
        except InvalidNameError:
            refused += 1
    assert refused in (0, len(actions))
    if refused:
        place.check_only([])
    store.delete("plain/one")
    place.check_only([])


@pytest.mark.parametrize("key", ["../main2/a", "..", "a/../../b", "/a", "", ".create-only", "a/.create-only"])
def test_no_key_leads_out_of_the_prefix_of_a_bucket(
    s3_server: S3Server, s3_bucket: str, tmp_path: Path, request: pytest.FixtureRequest, key: str
) -> None:
    store = store_place("s3", tmp_path, request).open()
    neighbour = s3_server.client()
    neighbour.put_object(Bucket=s3_bucket, Key="main2/a", Body=b"secret.")
    for action in (
        lambda: store.write(key, [b"content"], 100),
        lambda: read(store, key, 7),
        lambda: store.size(key),
        lambda: store.delete(key),
    ):
        with pytest.raises(InvalidNameError):
            action()
    assert objects(s3_server, s3_bucket) == ["main2/a"]


@given(hostile_keys)
def test_no_key_leads_out_of_the_root(key: str) -> None:
    with folder() as parent:
        root = parent / "root"
        root.mkdir()
        store = PosixStore(str(root), durable=False)
        actions: list[Callable[[], object]] = [
            lambda: store.write(key, [b"content"], 100),
            lambda: store.write_many([("plain", b"content"), (key, b"content")]),
            lambda: list(store.read(key, 0, None, size=7)),
            lambda: store.size(key),
            lambda: store.delete(key),
        ]
        for action in actions:
            assert opened_outside(root, action) == []
        assert {path.name for path in parent.iterdir()} <= {"root"}


@given(hostile_keys)
def test_a_refused_key_leaves_nothing_of_its_batch(key: str) -> None:
    with folder() as root:
        store = PosixStore(str(root), durable=False)
        try:
            store.write_many([("plain/one", b"content"), (key, b"content")])
        except InvalidNameError:
            assert list(root.iterdir()) == []
        else:
            assert (root / key).read_bytes() == b"content"


@given(
    st.integers(0, 3_000_000),
    st.integers(-(2**63), 2**63 - 1) | st.integers(-5, 3_000_005),
    st.none() | st.integers(-(2**63), 2**63 - 1) | st.integers(-5, 3_000_005),
)
def test_a_range_is_refused_or_lies_in_the_artifact(size: int, offset: int, limit: int | None) -> None:
    try:
        end = end_of_range(offset, limit, size)
    except InvalidRequestError:
        assert offset < 0 or offset > size or (limit is not None and limit < 1)
    else:
        assert 0 <= offset <= end <= size
        assert end == size or end - offset == limit


@given(st.data())
def test_ranges_side_by_side_are_the_whole(data: st.DataObject) -> None:
    size = data.draw(st.integers(1, 200))
    content = bytes(range(256))[:size]
    cuts = sorted({0, size, *data.draw(st.lists(st.integers(0, size), max_size=5))})
    assume(len(cuts) > 1)
    with folder() as root:
        store = PosixStore(str(root), durable=False)
        store.write("key", [content], size)
        pieces = [
            b"".join(store.read("key", start, stop - start, size=size)) for start, stop in pairwise(cuts)
        ]
    assert b"".join(pieces) == content
