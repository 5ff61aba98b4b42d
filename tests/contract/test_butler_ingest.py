# SPDX-License-Identifier: BSD-3-Clause
"""Files that exist become artifacts of datasets: copied, moved, linked or left where they are."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from butler import Butler, DatasetRef, DatasetType, FileDataset
from butler_model.errors import (
    ArtifactIntegrityError,
    ArtifactNotFoundError,
    ConflictingDefinitionError,
    DataIdValueError,
    FormatterError,
    IngestPathError,
    InvalidNameError,
    InvalidRequestError,
    MissingCollectionError,
    ReadOnlyError,
    ServiceUnavailableError,
    UnsupportedOperationError,
)
from butler_model.ports import Datastore
from tests.support.butlers import Deployment, Repository, on_posix_and_s3
from tests.support.registries import at_once
from tests.support.requirement import unavailable

STORED = ("copy", "move", "hardlink", "link", "symlink", "relsymlink", "auto")
"""The modes after which there is something under the registry's key."""


@pytest.fixture
def butler(repository: Repository) -> Butler:
    """Give a butler that writes to run1 of a surveyed repository."""
    return repository.surveyed()


@pytest.fixture
def embedded(place: Deployment) -> bool:
    return not place.root.startswith("grpc://")


def note_ref(butler: Butler, detector: int, **resolved: Any) -> DatasetRef:
    return DatasetRef(
        butler.registry.getDatasetType("note"), {"instrument": "Cam1", "detector": detector}, **resolved
    )


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Have nothing changed in a directory meanwhile, not by root either."""
    mount = shutil.which("mount") or "mount"
    made = subprocess.run([mount, "--bind", "-o", "ro", folder, folder], capture_output=True, check=False)
    if made.returncode or os.access(folder, os.W_OK):
        unavailable("mount", made.stderr.decode())
    try:
        yield
    finally:
        subprocess.run([shutil.which("umount") or "umount", folder], check=True)


def note_file(folder: Path, detector: int, size: int = 0) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"note{detector}.json"
    path.write_text(json.dumps({"number": detector, "text": "x" * size}))
    return path


def notes(butler: Butler, folder: Path, detectors: Sequence[int] = (1, 2)) -> list[FileDataset]:
    return [FileDataset(note_file(folder, n), note_ref(butler, n)) for n in detectors]


def get_note(butler: Butler, detector: int, **options: Any) -> Any:
    return butler.get("note", instrument="Cam1", detector=detector, **options)


def uri_of(butler: Butler, detector: int) -> str:
    return butler.getURI("note", instrument="Cam1", detector=detector)


# ---- what becomes of a file


def test_an_ingested_file_is_read_as_a_dataset(
    repository: Repository, butler: Butler, place: Deployment
) -> None:
    for transfer in STORED:
        run = f"runs/{transfer}"
        butler.registry.registerRun(run)
        files = notes(butler, place.drop / transfer)
        sources = [Path(file.path) for file in files]
        butler.ingest(*files, transfer=transfer, run=run)
        for number, file, source in zip((1, 2), files, sources, strict=True):
            (ref,) = file.refs
            assert ref.run == run
            assert ref.id is not None
            assert ref.dataId.records["detector"].full_name == ("Aa", "Ab")[number - 1]  # type: ignore[union-attr]
            assert butler.get_dataset(ref.id) == ref
            assert file.formatter == "json"
            assert str(file.path).startswith(f"{run}/note/")
            assert str(file.path).endswith(f"{ref.id.hex[-12:]}.json")
            assert butler.getURI(ref, collections=run).endswith(str(file.path))
            assert butler.getDirect(ref) == {"number": number, "text": ""}
            assert butler.datasetExists(ref, collections=run)
            assert source.exists() == (transfer != "move")
    assert len(repository.files()) == 2 * len(STORED)


def test_a_file_that_the_datastore_does_not_reach_is_uploaded(butler: Butler, tmp_path: Path) -> None:
    for transfer in ("copy", "move", "auto"):
        for number, size in ((1, 10), (2, 3_000_000)):
            run = f"runs/{transfer}"
            butler.registry.registerRun(run)
            source = note_file(tmp_path / transfer, number, size)
            butler.ingest(FileDataset(source, note_ref(butler, number)), transfer=transfer, run=run)
            assert get_note(butler, number, collections=run) == {"number": number, "text": "x" * size}
            assert source.exists() == (transfer != "move")


def test_several_datasets_share_one_file(repository: Repository, butler: Butler, place: Deployment) -> None:
    # D19: one URI for both; each can be read.
    file = FileDataset(note_file(place.drop, 1), [note_ref(butler, n) for n in (1, 2, 3)])
    single = FileDataset(note_file(place.drop, 4), note_ref(butler, 4))
    butler.ingest(file, single, transfer="copy")
    assert len({uri_of(butler, number) for number in (1, 2, 3)}) == 1
    assert [get_note(butler, number)["number"] for number in (1, 2, 3, 4)] == [1, 1, 1, 4]
    assert [ref.dataId["detector"] for ref in file.refs] == [1, 2, 3]
    assert len({ref.id for ref in file.refs}) == 3
    assert len(repository.files()) == 2


def test_a_direct_file_stays_where_it_is(repository: Repository, butler: Butler, place: Deployment) -> None:
    # D20: the URI is the original path.
    for number, name in ((1, "frame one.json"), (2, "größe#1%.json")):
        source = note_file(place.drop, number).rename(place.drop / name)
        file = FileDataset(source, note_ref(butler, number))
        butler.ingest(file, transfer="direct")
        assert file.path == source.as_uri()
        assert uri_of(butler, number) == source.as_uri()
        assert get_note(butler, number) == {"number": number, "text": ""}
        assert source.exists()
    assert repository.files() == {}


def test_a_direct_file_that_changed_or_is_gone_is_named_with_its_dataset(
    butler: Butler, place: Deployment
) -> None:
    file = FileDataset(note_file(place.drop, 1), note_ref(butler, 1))
    source = Path(file.path)
    butler.ingest(file, transfer="direct")
    dataset_id = str(file.refs[0].id)
    content = source.read_text()
    source.write_text(content.replace("1", "7"))
    with pytest.raises(ArtifactIntegrityError, match=dataset_id):
        get_note(butler, 1)
    source.write_text(content + " ")
    with pytest.raises(ArtifactIntegrityError, match=dataset_id):
        get_note(butler, 1)
    source.unlink()
    with pytest.raises(FileNotFoundError, match=dataset_id):
        get_note(butler, 1)
    assert not butler.datasetExists("note", instrument="Cam1", detector=1)


def test_symbolic_links_lead_to_the_real_file(
    repository: Repository, butler: Butler, place: Deployment
) -> None:
    # D23
    real = note_file(place.drop / "deep", 1)
    link = place.drop / "link.json"
    link.symlink_to(real)
    for number, transfer in ((1, "symlink"), (2, "relsymlink")):
        file = FileDataset(link, note_ref(butler, number))
        butler.ingest(file, transfer=transfer)
        made = place.artifacts / str(file.path)
        assert made.is_symlink()
        target = os.readlink(made)
        assert os.path.isabs(target) == (transfer == "symlink")
        assert Path(os.path.normpath(made.parent.resolve() / target)) == real.resolve()
        assert get_note(butler, number)["number"] == 1
    assert len(repository.files()) == 2


def test_hard_links_are_the_same_file_and_copies_are_not(butler: Butler, place: Deployment) -> None:
    for number, transfer in enumerate(("hardlink", "link", "auto", "copy"), start=1):
        source = note_file(place.drop, number)
        file = FileDataset(source, note_ref(butler, number))
        butler.ingest(file, transfer=transfer)
        assert (place.artifacts / str(file.path)).samefile(source) == (transfer != "copy")


# ---- files that are in the store already


def test_a_file_in_the_store_is_taken_as_it_is(
    repository: Repository, butler: Butler, place: Deployment
) -> None:
    # D22: None means inside; its key is its path.
    note_file(place.artifacts / "older", 1)
    file = FileDataset("older/note1.json", note_ref(butler, 1))
    butler.ingest(file, transfer=None)
    assert file.path == "older/note1.json"
    assert uri_of(butler, 1).endswith("/older/note1.json")
    assert get_note(butler, 1)["number"] == 1
    assert list(repository.files()) == ["older/note1.json"]


def test_without_transfer_a_file_outside_of_the_store_is_refused(
    repository: Repository, butler: Butler, place: Deployment
) -> None:
    # D22: None outside of the root.
    before = repository.content()
    with pytest.raises(RuntimeError) as caught:
        butler.ingest(*notes(butler, place.drop), transfer=None)
    assert isinstance(caught.value, IngestPathError)
    for path in ("../drop/note1.json", "a/../../drop/note1.json"):
        with pytest.raises(InvalidNameError):
            butler.ingest(FileDataset(path, note_ref(butler, 1)), transfer=None)
    assert repository.content() == before


def test_auto_leaves_files_in_the_store_and_refuses_a_mix(
    repository: Repository, butler: Butler, place: Deployment, embedded: bool
) -> None:
    # D22: auto.
    inside = FileDataset(note_file(place.artifacts / "older", 1), note_ref(butler, 1))
    outside = FileDataset(note_file(place.drop, 2), note_ref(butler, 2))
    if not embedded:
        # A remote client does not know what is in the store, and uploads it as any other file.
        butler.ingest(inside, outside)
        assert str(inside.path).startswith("run1/note/")
        return
    before = repository.content()
    with pytest.raises(ValueError, match="split") as caught:
        butler.ingest(inside, outside)
    assert isinstance(caught.value, InvalidRequestError)
    assert repository.content() == before
    butler.ingest(inside)
    butler.ingest(outside)
    assert inside.path == "older/note1.json"
    assert str(outside.path).startswith("run1/note/")


def test_split_leaves_every_file_where_it_is(
    repository: Repository, butler: Butler, place: Deployment, embedded: bool
) -> None:
    outside = FileDataset(note_file(place.drop, 2), note_ref(butler, 2))
    files = [outside]
    if embedded:
        files.append(FileDataset(note_file(place.artifacts / "older", 1), note_ref(butler, 1)))
    before = repository.files()
    butler.ingest(*files, transfer="split")
    assert outside.path == (place.drop / "note2.json").as_uri()
    assert [str(file.path) for file in files[1:]] == ["older/note1.json"] * embedded
    assert repository.files() == before
    assert get_note(butler, 2)["number"] == 2


# ---- what a service does not reach


def test_a_service_links_only_files_below_the_directories_of_its_configuration(
    repository: Repository, butler: Butler, tmp_path: Path, embedded: bool
) -> None:
    for transfer in ("hardlink", "link", "symlink", "relsymlink", "direct", "split"):
        butler.registry.registerRun(transfer)
        file = FileDataset(note_file(tmp_path / "elsewhere", 1), note_ref(butler, 1))
        if embedded:
            butler.ingest(file, transfer=transfer, run=transfer)
            assert get_note(butler, 1, collections=transfer)["number"] == 1
            continue
        before = repository.content()
        with pytest.raises(IngestPathError, match="ingest_roots"):
            butler.ingest(file, transfer=transfer, run=transfer)
        assert repository.content() == before


# ---- all or nothing


def failures(butler: Butler, folder: Path) -> dict[str, tuple[FileDataset, type[Exception]]]:
    """Return files that cannot be ingested, and why not."""
    butler.registry.registerDatasetType(
        DatasetType("extra", ("instrument",), "StructuredDataDict", universe=butler.dimensions)
    )
    wrong = note_file(folder, 8).rename(folder / "note8.weird")
    return {
        "missing file": (FileDataset(folder / "none.json", note_ref(butler, 3)), ArtifactNotFoundError),
        "directory": (FileDataset(_directory(folder), note_ref(butler, 3)), IngestPathError),
        "extension": (FileDataset(wrong, note_ref(butler, 3)), FormatterError),
        "formatter": (FileDataset(note_file(folder, 3), note_ref(butler, 3), "nonesuch"), FormatterError),
        "no record": (FileDataset(note_file(folder, 3), note_ref(butler, 99)), DataIdValueError),
        "twice": (FileDataset(note_file(folder, 3), note_ref(butler, 1)), ConflictingDefinitionError),
        "twice in a file": (
            FileDataset(note_file(folder, 3), [note_ref(butler, 3), note_ref(butler, 3)]),
            ConflictingDefinitionError,
        ),
        "exists": (FileDataset(note_file(folder, 4), note_ref(butler, 4)), ConflictingDefinitionError),
        "no refs": (FileDataset(note_file(folder, 3), []), InvalidRequestError),
        "two types": (
            FileDataset(
                note_file(folder, 3),
                [
                    note_ref(butler, 3),
                    DatasetRef(butler.registry.getDatasetType("extra"), {"instrument": "Cam1"}),
                ],
            ),
            InvalidRequestError,
        ),
        "other run": (
            FileDataset(note_file(folder, 3), note_ref(butler, 3, run="none")),
            MissingCollectionError,
        ),
    }


def _directory(folder: Path) -> Path:
    path = folder / "directory.json"
    path.mkdir()
    return path


@pytest.mark.parametrize("transfer", ["move", "direct"])
@on_posix_and_s3
def test_one_file_that_cannot_be_ingested_undoes_the_call(
    repository: Repository, butler: Butler, place: Deployment, transfer: str
) -> None:
    # D21, D24: no row, no file, every source in place; whatever it is that fails.
    butler.put({"number": 4}, "note", instrument="Cam1", detector=4)
    bad = failures(butler, place.drop)
    good = notes(butler, place.drop)
    sources = {path: path.read_bytes() for path in place.drop.iterdir() if path.is_file()}
    before = repository.content()
    for why, (file, error) in bad.items():
        for order in ([*good, file], [file, *good]):
            with pytest.raises(error):
                butler.ingest(*order, transfer=transfer)
            assert repository.content() == before, why
            assert {p: p.read_bytes() for p in place.drop.iterdir() if p.is_file()} == sources, why
    assert not good[0].refs[0].is_resolved
    butler.ingest(*good, transfer=transfer)
    assert get_note(butler, 2)["number"] == 2


def test_a_source_on_a_read_only_disk_stays_and_a_log_says_so(
    butler: Butler, place: Deployment, caplog: pytest.LogCaptureFixture
) -> None:
    source = note_file(place.drop / "disk", 1)
    file = FileDataset(source, note_ref(butler, 1))
    with read_only(source.parent):
        butler.ingest(file, transfer="move")
    assert source.exists()
    assert get_note(butler, 1)["number"] == 1
    assert file.refs[0].is_resolved
    assert "Read-only file system" in caplog.text


def test_the_files_of_the_repository_itself_become_no_artifacts(
    repository: Repository, butler: Butler, place: Deployment, embedded: bool
) -> None:
    if not embedded:
        pytest.skip("the store of a service has no such files")
    before = repository.content()
    own = place.artifacts / "butler.yaml"
    for path, transfer in ((own, "auto"), (own, "split"), (own, None), ("butler.yaml", None)):
        file = FileDataset(path, note_ref(butler, 1), formatter="yaml")
        with pytest.raises(IngestPathError, match="file of the repository itself"):
            butler.ingest(file, transfer=transfer)
    assert own.exists()
    assert repository.content() == before


def test_nothing_is_moved_out_of_the_store_of_another_dataset(
    repository: Repository, butler: Butler, place: Deployment, tmp_path: Path, embedded: bool
) -> None:
    ref = butler.put({"number": 1}, "note", instrument="Cam1", detector=1)
    linked = FileDataset(note_file(tmp_path if embedded else place.drop, 2), note_ref(butler, 2))
    butler.ingest(linked, transfer="symlink")
    before = repository.content()
    (tmp_path / "way").symlink_to(place.artifacts)
    artifacts = [key for key in repository.files() if key != linked.path]
    for key in (*artifacts, linked.path):
        for folder in (place.artifacts, tmp_path / "way"):
            with pytest.raises(IngestPathError, match="in the store"):
                butler.ingest(FileDataset(folder / str(key), note_ref(butler, 3)), transfer="move")
    assert repository.content() == before
    assert butler.get(ref) == {"number": 1}


@pytest.mark.parametrize("transfer", ["symlink", "relsymlink"])
def test_no_link_leads_to_the_artifact_of_another_dataset(
    repository: Repository, butler: Butler, place: Deployment, tmp_path: Path, embedded: bool, transfer: str
) -> None:
    if not embedded:
        pytest.skip("no service reaches its store as a directory to take files from")
    ref = butler.put({"number": 1}, "note", instrument="Cam1", detector=1)
    (key,) = repository.files()
    (tmp_path / "way.json").symlink_to(place.artifacts / str(key))
    before = repository.content()
    for path in (place.artifacts / str(key), tmp_path / "way.json"):
        with pytest.raises(IngestPathError, match="in the store"):
            butler.ingest(FileDataset(path, note_ref(butler, 2)), transfer=transfer)
    assert repository.content() == before
    butler.ingest(FileDataset(tmp_path / "way.json", note_ref(butler, 2)), transfer="hardlink")
    butler.pruneDatasets([ref], purge=True, unstore=True, disassociate=True)
    assert get_note(butler, 2)["number"] == 1


def test_a_directory_that_is_no_store_here_though_a_service_has_one_there_is_moved_from(
    butler: Butler, place: Deployment, embedded: bool
) -> None:
    if embedded:
        pytest.skip("what is in the directory of its store is in its store")
    file = FileDataset(note_file(place.artifacts, 1), note_ref(butler, 1))
    butler.ingest(file, transfer="move")
    assert get_note(butler, 1)["number"] == 1
    assert not (place.artifacts / "note1.json").exists()


@on_posix_and_s3
def test_an_upload_that_fails_undoes_the_call(
    repository: Repository, butler: Butler, tmp_path: Path, place: Deployment
) -> None:
    # D21, D24: of files that the datastore does not reach.
    good = [*notes(butler, tmp_path / "elsewhere"), *notes(butler, place.drop, [4])]
    before = repository.content()
    with pytest.raises(FileNotFoundError):
        butler.ingest(
            *good, FileDataset(tmp_path / "elsewhere" / "no.json", note_ref(butler, 3)), transfer="move"
        )
    assert repository.content() == before
    butler.ingest(*good, transfer="move")
    assert not any(Path(tmp_path / "elsewhere").iterdir())
    assert not any(place.drop.iterdir())


def test_an_unknown_transfer_mode_is_refused(butler: Butler, place: Deployment) -> None:
    for transfer in ("rename", "", "COPY"):
        with pytest.raises(NotImplementedError, match="hardlink") as caught:
            butler.ingest(*notes(butler, place.drop), transfer=transfer)
        assert isinstance(caught.value, UnsupportedOperationError)


def test_a_read_only_butler_ingests_nothing(
    repository: Repository, butler: Butler, place: Deployment
) -> None:
    with pytest.raises(ReadOnlyError):
        repository.butler(collections="run1").ingest(*notes(butler, place.drop))


def test_nothing_is_ingested_by_an_empty_call(repository: Repository, butler: Butler) -> None:
    before = repository.content()
    butler.ingest()
    assert repository.content() == before


# ---- doing it again


@pytest.mark.parametrize("transfer", ["copy", "auto", "direct"])
def test_resolved_refs_keep_their_ids_and_may_be_ingested_again(
    repository: Repository, butler: Butler, place: Deployment, transfer: str
) -> None:
    ids = [uuid.uuid4(), uuid.uuid4()]
    butler.registry.registerRun("run2")

    def given() -> list[FileDataset]:
        return [
            FileDataset(note_file(place.drop, number), note_ref(butler, number, run="run2", id=id_))
            for number, id_ in zip((1, 2), ids, strict=True)
        ]

    files = given()
    butler.ingest(*files, transfer=transfer)
    after = repository.content()
    assert [file.refs[0].id for file in files] == ids
    assert {file.refs[0].run for file in files} == {"run2"}
    again = given()
    butler.ingest(*again, transfer=transfer)
    assert repository.content() == after
    assert [file.path for file in again] == [file.path for file in files]
    with pytest.raises(InvalidRequestError, match="run2"):
        butler.ingest(*given(), transfer=transfer, run="run1")


def test_one_data_id_may_be_ingested_into_several_runs_at_once(butler: Butler, place: Deployment) -> None:
    butler.registry.registerRun("run2")
    files = [
        FileDataset(note_file(place.drop / run, 1), note_ref(butler, 1, run=run, id=uuid.uuid4()))
        for run in ("run1", "run2")
    ]
    with pytest.raises(ConflictingDefinitionError, match="twice"):
        butler.ingest(files[0], files[0], transfer="copy")
    butler.ingest(*files, transfer="copy")
    for file in files:
        assert butler.getDirect(file.refs[0])["number"] == 1


def test_files_that_are_there_already_can_be_left_out(
    repository: Repository, butler: Butler, place: Deployment
) -> None:
    first = notes(butler, place.drop, [1])
    butler.ingest(*first, transfer="move")
    files = [FileDataset(place.drop / "note1.json", note_ref(butler, 1)), *notes(butler, place.drop, [2])]
    with pytest.raises(ConflictingDefinitionError):
        butler.ingest(*files, transfer="move")
    butler.ingest(*files, transfer="move", skip_existing=True)
    assert files[0].refs == first[0].refs
    assert files[0].path == first[0].path
    assert get_note(butler, 2)["number"] == 2
    after = repository.content()
    partly = FileDataset(note_file(place.drop, 3), [note_ref(butler, n) for n in (1, 3)])
    with pytest.raises(ConflictingDefinitionError):
        butler.ingest(partly, skip_existing=True)
    assert repository.content() == after


# ---- what others do meanwhile


@on_posix_and_s3
def test_of_two_ingests_of_one_data_id_one_wins_and_the_file_of_the_other_stays(
    repository: Repository, butler: Butler, place: Deployment
) -> None:
    # D24
    files = [FileDataset(note_file(place.drop / f"{i}", 1, i), note_ref(butler, 1)) for i in range(4)]
    sources = [Path(file.path) for file in files]
    results = at_once(*(lambda file=file: butler.ingest(file, transfer="move") for file in files))
    winners = [i for i, result in enumerate(results) if result is None]
    assert len(winners) == 1
    assert all(isinstance(result, ConflictingDefinitionError) for result in results if result is not None)
    assert [i for i, source in enumerate(sources) if not source.exists()] == winners
    assert get_note(butler, 1)["text"] == "x" * winners[0]
    assert len(repository.files()) == 1
    assert repository.rows()["put_intent"] == 0


class LostAnswer:
    """A datastore whose answer to the first request to store files is lost."""

    def __init__(self, datastore: Datastore) -> None:
        self._datastore = datastore
        self._lost = False

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._datastore, name)
        return self._losing(method) if name in ("adopt", "ingest", "write_batch") else method

    def _losing(self, method: Any) -> Any:
        def call(*arguments: Any) -> Any:
            answer = method(*arguments)
            if not self._lost:
                self._lost = True
                raise ServiceUnavailableError("The answer was lost.")
            return answer

        return call


@pytest.mark.parametrize("transfer", ["move", "symlink", "direct"])
def test_an_ingest_that_was_interrupted_can_be_taken_up_with_the_same_ids(
    repository: Repository, butler: Butler, place: Deployment, tmp_path: Path, transfer: str
) -> None:
    # D21: the outcome is unknown, so nothing is taken back, and the sources stay.
    folders = [place.drop, tmp_path / "elsewhere"] if transfer == "move" else [place.drop]
    ids = [uuid.uuid4() for _ in folders]

    def given() -> list[FileDataset]:
        return [
            FileDataset(folder / f"note{i}.json", note_ref(butler, i, run="run1", id=id_))
            for i, (folder, id_) in enumerate(zip(folders, ids, strict=True), start=1)
        ]

    for i, folder in enumerate(folders, start=1):
        note_file(folder, i)
    butler._connection.datastore = LostAnswer(butler._connection.datastore)
    with pytest.raises(ServiceUnavailableError):
        butler.ingest(*given(), transfer=transfer)
    assert butler.get_dataset(ids[0]) is None
    assert all(Path(file.path).exists() for file in given())
    butler.ingest(*given(), transfer=transfer)
    assert get_note(butler, 1)["number"] == 1
    assert any(Path(file.path).exists() for file in given()) == (transfer != "move")
    assert repository.rows()["put_intent"] == 0


# ---- how the file is read


def test_a_formatter_is_chosen_by_storage_class_or_by_label(butler: Butler, place: Deployment) -> None:
    path = place.drop / "note.YML"
    path.write_text("number: 5\n")
    with pytest.raises(ValueError, match=r"\.json"):
        butler.ingest(FileDataset(path, note_ref(butler, 1)))
    file = FileDataset(path.as_uri(), note_ref(butler, 1), "yaml")
    butler.ingest(file)
    assert str(file.path).endswith(".yml")
    assert get_note(butler, 1) == {"number": 5}


def test_progress_is_told_of_files(butler: Butler, place: Deployment) -> None:
    told: list[tuple[str, int, int]] = []
    butler.ingest(*notes(butler, place.drop), progress=lambda *step: told.append(step))
    assert told[0] == ("files", 0, 2)
    assert told[-1] == ("files", 2, 2)


def test_what_is_no_local_file_is_refused(butler: Butler) -> None:
    with pytest.raises(UnsupportedOperationError, match="download"):
        butler.ingest(FileDataset("https://example.org/note.json", note_ref(butler, 1)))
    for path in (os.fsdecode(b"/drop/\xff.json"), "/drop/a\0.json", "", "file:///drop/a%00.json"):
        with pytest.raises(InvalidNameError):
            butler.ingest(FileDataset(path, note_ref(butler, 1)))
