# SPDX-License-Identifier: BSD-3-Clause
"""What every datastore does with files that are there already: adopt them, take them, remove what was moved."""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from butler_datastore.application import DatastoreApplication
from butler_datastore.config import PosixStoreConfig
from butler_model.artifact import DIRECT_STORE, FileToIngest, Receipt, TransferMode, sha256
from butler_model.errors import (
    ArtifactExistsError,
    ArtifactIntegrityError,
    ArtifactNotFoundError,
    ConfigurationError,
    GrantError,
    IngestPathError,
    InvalidNameError,
    LimitExceededError,
    UnsupportedOperationError,
)
from butler_model.file_uri import file_uri
from butler_model.grants import TokenSigner
from tests.support.datastores import DATASTORES_ON_FILES, LIMITS, DatastoreSetup, datastore_setup

LINKS = (TransferMode.SYMLINK, TransferMode.RELSYMLINK)


@pytest.fixture(params=DATASTORES_ON_FILES)
def setup(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[DatastoreSetup]:
    with datastore_setup(request.param, tmp_path / "artifacts", request) as made:
        yield made


def dropped(setup: DatastoreSetup, name: str, content: bytes = b"content") -> str:
    path = setup.drop / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return str(path)


def ingest(
    setup: DatastoreSetup, key: str, source: str, mode: TransferMode, size: int | None = None
) -> Receipt:
    (signed,) = setup.datastore.ingest([FileToIngest(setup.write_grant(key), source, mode, size)])
    assert setup.signer.open_receipt(signed.token) == signed.receipt
    return signed.receipt


def read(setup: DatastoreSetup, receipt: Receipt) -> bytes:
    (content,) = setup.datastore.read_batch([setup.read_grant(receipt)])
    assert b"".join(setup.datastore.read(setup.read_grant(receipt))) == content
    return content


def secrets_beside(setup: DatastoreSetup) -> Path:
    """Return a file that nobody may have."""
    path = setup.folder.parent / "secret" / "key"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"a secret")
    return path


def hostile(setup: DatastoreSetup) -> dict[str, str]:
    """Return paths of what is no file that may be taken."""
    secret, drop = secrets_beside(setup), setup.drop
    (drop / "link").symlink_to(secret)
    (drop / "relative").symlink_to("../secret/key")
    (drop / "folder").symlink_to(secret.parent)
    (drop / "loop").symlink_to("loop")
    (drop / "inside").mkdir()
    (drop / "device").symlink_to("/dev/zero")
    os.mkfifo(drop / "pipe")
    return {
        "outside": str(secret),
        "traversal": f"{drop}/../secret/key",
        "sibling": f"{drop}-not/key",
        "link": f"{drop}/link",
        "relative link": f"{drop}/relative",
        "linked folder": f"{drop}/folder/key",
        "loop": f"{drop}/loop",
        "directory": f"{drop}/inside",
        "root": str(drop),
        "pipe": f"{drop}/pipe",
        "device": "/dev/zero",
        "link to a device": f"{drop}/device",
        "relative": "drop/key",
        "empty": "",
        "nul": f"{drop}/a\0b",
        "process": "/proc/self/environ",
        "long": f"{drop}/{'x' * 300}",
    }


# ---- taking files


@pytest.mark.parametrize("mode", TransferMode)
@pytest.mark.parametrize("size", [0, LIMITS.inline_bytes + 1, 3_000_000])
def test_a_file_is_taken_and_stays_where_it_is(setup: DatastoreSetup, mode: TransferMode, size: int) -> None:
    source = dropped(setup, "deep/a.bin", bytes(size))
    receipt = ingest(setup, "run/type/a.bin", source, mode, size)
    assert (receipt.store, receipt.key, receipt.size) == ("main", "run/type/a.bin", size)
    assert receipt.checksum == sha256([bytes(size)])
    assert b"".join(setup.datastore.read(setup.read_grant(receipt))) == bytes(size)
    assert setup.datastore.exists([setup.read_grant(receipt)]) == [True]
    assert Path(source).read_bytes() == bytes(size)
    assert setup.file("run/type/a.bin").is_symlink() == (mode in LINKS)
    assert setup.artifacts() == ["main/main/run/type/a.bin"]


@pytest.mark.parametrize("mode", TransferMode)
def test_taking_a_file_again_gives_the_receipt_again_and_another_is_refused(
    setup: DatastoreSetup, mode: TransferMode
) -> None:
    source, other = dropped(setup, "a"), dropped(setup, "b", b"another")
    grant = setup.write_grant("run/a")
    first = setup.datastore.ingest([FileToIngest(grant, source, mode)])
    assert setup.datastore.ingest([FileToIngest(grant, source, mode)]) == first
    with pytest.raises(ArtifactExistsError):
        setup.datastore.ingest([FileToIngest(grant, other, mode)])
    assert read(setup, first[0].receipt) == b"content"


@pytest.mark.parametrize("mode", TransferMode)
def test_one_file_that_cannot_be_taken_undoes_the_batch(setup: DatastoreSetup, mode: TransferMode) -> None:
    old = ingest(setup, "run/old", dropped(setup, "old"), TransferMode.COPY)
    good = [FileToIngest(setup.write_grant(f"run/{n}"), dropped(setup, f"{n}"), mode) for n in range(3)]
    for bad in (
        FileToIngest(setup.write_grant("run/bad"), f"{setup.drop}/none", mode),
        FileToIngest(setup.write_grant("run/bad"), dropped(setup, "bad"), mode, size=3),
        FileToIngest(setup.write_grant("run/old"), dropped(setup, "other", b"other"), mode),
        FileToIngest(setup.write_grant("run/bad", size=3), dropped(setup, "bad"), mode),
        FileToIngest(setup.read_grant(old), dropped(setup, "bad"), mode),
    ):
        with pytest.raises(
            (
                ArtifactNotFoundError,
                ArtifactIntegrityError,
                ArtifactExistsError,
                LimitExceededError,
                GrantError,
            )
        ):
            setup.datastore.ingest([*good, bad])
        assert setup.artifacts() == ["main/main/run/old"]
    assert all((setup.drop / str(n)).exists() for n in range(3))


def test_nothing_that_is_no_file_below_a_root_is_taken(setup: DatastoreSetup) -> None:
    for why, path in hostile(setup).items():
        for mode in TransferMode:
            with pytest.raises(IngestPathError) as caught:
                ingest(setup, "run/a", path, mode)
            assert "a secret" not in str(caught.value), why
    assert setup.artifacts() == []


def test_what_is_missing_below_a_root_is_missing_and_elsewhere_nothing_is_told(setup: DatastoreSetup) -> None:
    for path in (f"{setup.drop}/none", f"{setup.drop}/none/none", dropped(setup, "file") + "/none"):
        with pytest.raises(ArtifactNotFoundError, match="none"):
            ingest(setup, "run/a", path, TransferMode.COPY)
    for path in (str(secrets_beside(setup)), f"{setup.folder.parent}/secret/none"):
        with pytest.raises(IngestPathError, match="ingest_roots"):
            ingest(setup, "run/a", path, TransferMode.COPY)


def test_a_socket_is_no_file(setup: DatastoreSetup) -> None:
    folder = Path(tempfile.mkdtemp())  # the path of a socket is short
    try:
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(str(folder / "s"))
            os.rename(folder / "s", setup.drop / "s")
            with pytest.raises(IngestPathError):
                ingest(setup, "run/a", f"{setup.drop}/s", TransferMode.COPY)
    finally:
        shutil.rmtree(folder)


def test_links_inside_of_a_root_are_followed_to_the_real_file(setup: DatastoreSetup) -> None:
    # D23
    real = dropped(setup, "deep/real")
    (setup.drop / "one").symlink_to("two")
    (setup.drop / "two").symlink_to(real)
    for mode in LINKS:
        receipt = ingest(setup, f"run/{mode.value}", f"{setup.drop}/one", mode)
        made = setup.file(receipt.key)
        assert os.path.isabs(os.readlink(made)) == (mode is TransferMode.SYMLINK)
        assert made.resolve() == Path(real).resolve()
        assert os.readlink(made).endswith("deep/real")
        assert read(setup, receipt) == b"content"


# ---- links in a store


@pytest.mark.parametrize("relative", [False, True])
def test_a_link_that_was_swapped_leads_nowhere(setup: DatastoreSetup, relative: bool) -> None:
    receipt = ingest(setup, "run/a", dropped(setup, "a", b"a secret"), TransferMode.SYMLINK)
    grant, link, secret = setup.read_grant(receipt), setup.file("run/a"), secrets_beside(setup)
    assert read(setup, receipt) == b"a secret"
    for target in (secret, setup.drop / "pipe", Path("/dev/zero"), setup.drop / "none", setup.drop, link):
        if target.name == "pipe":
            os.mkfifo(target)
        link.unlink()
        link.symlink_to(os.path.relpath(target, link.parent) if relative else target)
        assert setup.datastore.exists([grant]) == [False]
        with pytest.raises(ArtifactNotFoundError):
            setup.datastore.read_batch([grant])


def test_a_folder_of_a_store_that_became_a_link_leads_nowhere(setup: DatastoreSetup) -> None:
    receipt = ingest(setup, "run/a/b", dropped(setup, "b"), TransferMode.SYMLINK)
    folder = setup.file("run/a")
    shutil.move(folder, setup.drop / "moved")
    folder.symlink_to(setup.drop / "moved")
    assert setup.datastore.exists([setup.read_grant(receipt)]) == [False]
    with pytest.raises(ArtifactExistsError):
        ingest(setup, "run/a/c", dropped(setup, "c"), TransferMode.HARDLINK)
    assert not (setup.drop / "moved" / "c").exists()


def test_discarding_a_link_leaves_the_file(setup: DatastoreSetup) -> None:
    for mode in (TransferMode.HARDLINK, *LINKS):
        source = dropped(setup, "a")
        ingest(setup, "run/a", source, mode)
        setup.datastore.discard([setup.discard_grant("run/a")])
        assert setup.artifacts() == []
        assert Path(source).read_bytes() == b"content"


def test_a_linked_file_that_changed_is_not_what_was_stored(setup: DatastoreSetup) -> None:
    source = dropped(setup, "a")
    receipt = ingest(setup, "run/a", source, TransferMode.SYMLINK)
    Path(source).write_bytes(b"CONTENT")
    with pytest.raises(ArtifactIntegrityError):
        setup.datastore.read_batch([setup.read_grant(receipt)])


# ---- adopting


def test_what_is_in_a_store_is_adopted_with_its_size_and_checksum(setup: DatastoreSetup) -> None:
    path = setup.file("older/a.bin")
    path.parent.mkdir(parents=True)
    path.write_bytes(b"some bytes")
    (signed,) = setup.datastore.adopt([setup.adopt_grant("older/a.bin")])
    assert (signed.receipt.size, signed.receipt.checksum) == (10, sha256([b"some bytes"]))
    assert setup.signer.open_receipt(signed.token) == signed.receipt
    assert read(setup, signed.receipt) == b"some bytes"
    with pytest.raises(ArtifactNotFoundError, match="older/b"):
        setup.datastore.adopt([setup.adopt_grant("older/a.bin"), setup.adopt_grant("older/b")])
    for key in ("../main/older/a.bin", "/etc/passwd", "a\0b", ""):
        with pytest.raises(InvalidNameError):
            setup.datastore.adopt([setup.adopt_grant(key)])
    assert setup.artifacts() == ["main/main/older/a.bin"]


def test_a_direct_file_is_adopted_read_and_never_changed(setup: DatastoreSetup) -> None:
    # D20: it is never deleted.
    uri = file_uri(dropped(setup, "a b.bin", bytes(range(256)) * 8_000))
    (signed,) = setup.datastore.adopt([setup.adopt_grant(uri, DIRECT_STORE)])
    grant = setup.read_grant(signed.receipt)
    assert (signed.receipt.store, signed.receipt.key, signed.receipt.size) == (DIRECT_STORE, uri, 2_048_000)
    assert b"".join(setup.datastore.read(grant)) == bytes(range(256)) * 8_000
    assert b"".join(setup.datastore.read(grant, 255, 3)) == b"\xff\0\1"
    for attempt in (
        lambda: setup.datastore.write(setup.write_grant(uri, store=DIRECT_STORE), [b"x"]),
        lambda: setup.datastore.write_batch([(setup.write_grant(uri, store=DIRECT_STORE), b"x")]),
        lambda: setup.datastore.discard([setup.discard_grant(uri, store=DIRECT_STORE)]),
        lambda: setup.datastore.ingest(
            [FileToIngest(setup.write_grant(uri, store=DIRECT_STORE), dropped(setup, "c"), TransferMode.LINK)]
        ),
    ):
        with pytest.raises(UnsupportedOperationError, match=r"a%20b|links"):
            attempt()
    path = setup.drop / "a b.bin"
    assert path.stat().st_size == 2_048_000
    path.write_bytes(b"shorter")
    assert setup.datastore.exists([grant]) == [False]
    with pytest.raises(ArtifactIntegrityError, match=str(signed.receipt.dataset_id)):
        next(setup.datastore.read(grant))
    path.unlink()
    with pytest.raises(ArtifactNotFoundError, match=str(signed.receipt.dataset_id)):
        next(setup.datastore.read(grant))


def test_a_directory_that_leads_elsewhere_by_the_next_call_gives_other_files(setup: DatastoreSetup) -> None:
    # Scripts point a link to the newest night and ingest below it.
    latest = setup.drop / "latest"
    for night in ("first", "second"):
        dropped(setup, f"{night}/a", night.encode())
        latest.unlink(missing_ok=True)
        latest.symlink_to(setup.drop / night)
        (signed,) = setup.datastore.adopt([setup.adopt_grant(file_uri(f"{latest}/a"), DIRECT_STORE)])
        assert signed.receipt.checksum == sha256([night.encode()])
        assert read(setup, ingest(setup, f"run/{night}", f"{latest}/a", TransferMode.COPY)) == night.encode()


def test_nothing_that_is_no_file_below_a_root_is_adopted_or_read(setup: DatastoreSetup) -> None:
    for path in hostile(setup).values():
        if not path.startswith("/") or "\0" in path or ".." in path:
            with pytest.raises(InvalidNameError):
                setup.datastore.adopt([setup.adopt_grant(f"file://{path}", DIRECT_STORE)])
            continue
        uri = file_uri(path)
        with pytest.raises(IngestPathError):
            setup.datastore.adopt([setup.adopt_grant(uri, DIRECT_STORE)])
        grant = setup.read_grant(
            Receipt("main", DIRECT_STORE, uri, uuid.uuid4(), "", 8, sha256([b"a secret"]))
        )
        for attempt in (
            lambda grant=grant: setup.datastore.read_batch([grant]),
            lambda grant=grant: setup.datastore.exists([grant]),
        ):
            with pytest.raises(IngestPathError):
                attempt()


def test_each_call_wants_its_own_kind_of_grant_and_a_batch_of_bounded_length(setup: DatastoreSetup) -> None:
    source = dropped(setup, "a")
    receipt = ingest(setup, "run/a", source, TransferMode.COPY)
    adopt, write, read_ = setup.adopt_grant("run/a"), setup.write_grant("run/b"), setup.read_grant(receipt)
    for grant in (write, read_, setup.discard_grant("run/a"), b""):
        with pytest.raises(GrantError):
            setup.datastore.adopt([adopt, grant])
    for grant in (adopt, read_, b""):
        with pytest.raises(GrantError):
            setup.datastore.ingest([FileToIngest(grant, source, TransferMode.COPY)])
    for grant in (adopt, write, b""):
        with pytest.raises(GrantError):
            setup.datastore.finish_moves([(grant, source)])
    n = LIMITS.batch_items + 1
    calls: list[Callable[[], object]] = [
        lambda: setup.datastore.adopt([adopt] * n),
        lambda: setup.datastore.ingest([FileToIngest(write, source, TransferMode.COPY)] * n),
        lambda: setup.datastore.finish_moves([(read_, source)] * n),
    ]
    for call in calls:
        with pytest.raises(LimitExceededError, match="batch_items"):
            call()
    assert setup.datastore.adopt([]) == []
    assert setup.datastore.ingest([]) == []
    setup.datastore.finish_moves([])
    assert Path(source).exists()


# ---- finishing moves


def test_the_source_of_a_move_goes_when_it_is_finished(setup: DatastoreSetup) -> None:
    # D21
    sources = [dropped(setup, f"{n}", b"%d" % n) for n in range(3)]
    receipts = [ingest(setup, f"run/{n}", source, TransferMode.MOVE) for n, source in enumerate(sources)]
    assert all(map(os.path.exists, sources))
    moved = [(setup.read_grant(receipt), source) for receipt, source in zip(receipts, sources, strict=True)]
    setup.datastore.finish_moves(moved)
    setup.datastore.finish_moves(moved)
    assert not any(map(os.path.exists, sources))
    assert [read(setup, receipt) for receipt in receipts] == [b"0", b"1", b"2"]


def test_a_source_that_is_not_what_was_stored_stays(setup: DatastoreSetup) -> None:
    source, other = dropped(setup, "a"), dropped(setup, "b", b"CONTENT")
    receipt = ingest(setup, "run/a", source, TransferMode.MOVE)
    grant = setup.read_grant(receipt)
    with pytest.raises(ArtifactIntegrityError):
        setup.datastore.finish_moves([(grant, other)])
    for path in hostile(setup).values():
        with pytest.raises(IngestPathError):
            setup.datastore.finish_moves([(grant, path)])
    assert secrets_beside(setup).exists()
    setup.file("run/a").unlink()
    with pytest.raises(ArtifactNotFoundError, match="stays"):
        setup.datastore.finish_moves([(grant, source)])
    assert Path(source).exists()
    assert Path(other).exists()


def test_an_artifact_is_no_source(setup: DatastoreSetup) -> None:
    receipt = ingest(setup, "run/a", dropped(setup, "a"), TransferMode.MOVE)
    with pytest.raises(IngestPathError):
        setup.datastore.finish_moves([(setup.read_grant(receipt), str(setup.file("run/a")))])
    assert read(setup, receipt) == b"content"


# ---- configuration


def test_the_directories_to_take_from_are_told(setup: DatastoreSetup) -> None:
    assert setup.datastore.ingest_roots() == [str(setup.drop)]


def test_roots_are_plain_absolute_paths_apart_from_the_stores(tmp_path: Path) -> None:
    signer = TokenSigner([b"a key for the tests of datastores"])
    stores = {"main": PosixStoreConfig(f"{tmp_path}/stores/{{repository}}")}
    bad = (
        "drop",
        "",
        "/a/../b",
        "/a/",
        "/a\0",
        f"{tmp_path}",
        f"{tmp_path}/stores",
        f"{tmp_path}/stores/main",
    )
    for root in bad:
        with pytest.raises(ConfigurationError, match="ingest_roots"):
            DatastoreApplication(stores, signer, ingest_roots=[root])
    with pytest.raises(ConfigurationError, match="direct"):
        DatastoreApplication({"direct": PosixStoreConfig(str(tmp_path))}, signer)
    DatastoreApplication(stores, signer, ingest_roots=[f"{tmp_path}/drop", f"{tmp_path}/stores-of-others"])


def test_without_roots_no_file_is_taken(tmp_path: Path) -> None:
    signer = TokenSigner([b"a key for the tests of datastores"])
    stores = {"main": PosixStoreConfig(f"{tmp_path}/stores/{{repository}}")}
    datastore = DatastoreApplication(stores, signer)
    setup = DatastoreSetup(datastore, signer, tmp_path / "stores", list, tmp_path)
    source = dropped(setup, "a")
    assert datastore.ingest_roots() == []
    with pytest.raises(IngestPathError, match="there is none"):
        ingest(setup, "run/a", source, TransferMode.COPY)
    with pytest.raises(IngestPathError, match="there is none"):
        datastore.adopt([setup.adopt_grant(file_uri(source), DIRECT_STORE)])
