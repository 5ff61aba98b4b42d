# SPDX-License-Identifier: BSD-3-Clause
"""Files come out of a butler as they are stored; embedded and through services."""

from __future__ import annotations

import os
import time
import tracemalloc
import uuid
from pathlib import Path

import pytest

from butler import Butler, DatasetRef, FileDataset
from butler_model.data_id import DataCoordinate
from butler_model.dataset import new_dataset_id
from butler_model.errors import (
    AmbiguousDatasetError,
    ArtifactExistsError,
    ArtifactIntegrityError,
    ArtifactNotFoundError,
    DatasetNotFoundError,
    InvalidNameError,
    InvalidRequestError,
)
from butler_model.ports import BeginPut, PutBatch
from tests.support.butlers import Repository
from tests.support.reads import count_reads

LARGE = bytes(range(256)) * 6000
"""More than a message of a stream."""


@pytest.fixture
def butler(repository: Repository) -> Butler:
    """Give a butler that writes to run1 of a surveyed repository."""
    return repository.surveyed()


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give an empty directory that the repository is not in."""
    return tmp_path_factory.mktemp("retrieved")


def put_blobs(butler: Butler, *contents: bytes, run: str = "run1") -> list[DatasetRef]:
    """Put a dataset of bytes for each of the first detectors."""
    return [
        butler.put(content, "blob", instrument="Cam1", detector=number, run=run)
        for number, content in enumerate(contents, 1)
    ]


def files_below(folder: Path) -> dict[str, bytes]:
    """Return every file of a directory, by its path in it."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_files_come_out_as_they_are_stored_at_the_paths_that_they_have_in_the_store(
    repository: Repository, butler: Butler, folder: Path
) -> None:
    contents = [b"small", b"", LARGE, b"also small"]
    refs = put_blobs(butler, *contents)
    before = repository.content()
    paths = butler.retrieve_artifacts(refs[::-1], folder / "out" / "deep")
    assert [Path(path).read_bytes() for path in paths] == contents[::-1]
    assert files_below(folder / "out" / "deep") == repository.files()
    assert repository.content() == before


def test_a_large_file_takes_little_memory(butler: Butler, folder: Path) -> None:
    refs = put_blobs(butler, bytes(48 * 2**20))
    tracemalloc.start()
    try:
        (path,) = butler.retrieve_artifacts(refs, folder)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert os.stat(path).st_size == 48 * 2**20
    assert peak < 24 * 2**20


def test_the_name_that_the_field_types_is_the_same_method(butler: Butler, folder: Path) -> None:
    (path,) = butler.retrieveArtifacts(put_blobs(butler, b"a"), str(folder), transfer="copy")
    assert Path(path).read_bytes() == b"a"


def test_without_their_paths_files_lie_beside_each_other(butler: Butler, folder: Path) -> None:
    paths = butler.retrieve_artifacts(put_blobs(butler, b"a", b"b"), folder, preserve_path=False)
    assert [Path(path).parent for path in paths] == [folder, folder]
    assert [Path(path).read_bytes() for path in paths] == [b"a", b"b"]


def test_a_relative_destination_gives_absolute_paths(
    butler: Butler, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    (path,) = butler.retrieve_artifacts(put_blobs(butler, b"a"), "out", preserve_path=False)
    assert Path(path).parent == folder / "out"


def test_progress_is_told_what_was_written(butler: Butler, folder: Path) -> None:
    told: list[tuple[str, int, int]] = []
    refs = put_blobs(butler, b"a", LARGE, b"c")
    butler.retrieve_artifacts(refs, folder, progress=lambda *step: told.append(step))
    assert told[-1] == ("files written", 3, 3)
    assert ("files compared", 3, 3) in told


def test_nothing_to_retrieve_is_an_empty_list(butler: Butler, folder: Path) -> None:
    assert butler.retrieve_artifacts([], folder) == []


def test_a_dataset_that_is_asked_for_twice_is_written_once(butler: Butler, folder: Path) -> None:
    (ref,) = put_blobs(butler, b"a")
    assert len(butler.retrieve_artifacts([ref, ref], folder)) == 1


def test_the_ref_of_a_component_stands_for_the_file_that_it_is_part_of(butler: Butler, folder: Path) -> None:
    import pandas as pd

    ref = butler.put(pd.DataFrame({"a": [1, 2]}), "frame", instrument="Cam1", detector=1)
    component = butler.find_dataset("frame.columns", instrument="Cam1", detector=1)
    assert component is not None
    whole = butler.retrieve_artifacts([ref], folder / "a", preserve_path=False)
    part = butler.retrieve_artifacts([component], folder / "b", preserve_path=False)
    assert Path(part[0]).read_bytes() == Path(whole[0]).read_bytes()


def test_more_small_files_than_a_batch_takes_all_come_out(
    repository: Repository, butler: Butler, folder: Path
) -> None:
    content = bytes(200 * 1024)
    butler.registry.insertDimensionData(
        "detector",
        *[
            {"instrument": "Cam1", "id": number, "full_name": f"d{number}", "purpose": "SCIENCE"}
            for number in range(10, 60)
        ],
    )
    refs = [butler.put(content, "blob", instrument="Cam1", detector=number) for number in range(10, 60)]
    assert len(butler.retrieve_artifacts(refs, folder)) == 50
    assert files_below(folder) == repository.files()


def test_a_repeated_call_reads_only_what_is_not_there(butler: Butler, folder: Path) -> None:
    refs = put_blobs(butler, b"a", LARGE, b"c")
    paths = butler.retrieve_artifacts(refs, folder)
    Path(paths[1]).unlink()
    times = [os.stat(paths[i]).st_mtime_ns for i in (0, 2)]
    counted = count_reads(butler)
    assert butler.retrieve_artifacts(refs, folder) == paths
    assert counted.artifacts == 1
    assert Path(paths[1]).read_bytes() == LARGE
    assert [os.stat(paths[i]).st_mtime_ns for i in (0, 2)] == times


@pytest.mark.parametrize("other", [b"other", b"A", b""])
def test_a_file_with_other_bytes_is_replaced_only_if_that_is_asked_for(
    butler: Butler, folder: Path, other: bytes
) -> None:
    refs = put_blobs(butler, b"x", b"a")
    target = Path(butler.plan_retrieval(refs, folder).targets[1].path)
    target.parent.mkdir(parents=True)
    target.write_bytes(other)
    with pytest.raises(ArtifactExistsError, match="overwrite") as caught:
        butler.retrieve_artifacts(refs, folder)
    assert str(target) in str(caught.value)
    assert files_below(folder) == {str(target.relative_to(folder)): other}
    assert butler.retrieve_artifacts(refs, folder, overwrite=True)[1] == str(target)
    assert target.read_bytes() == b"a"


def test_a_file_that_comes_while_others_are_fetched_is_not_replaced(butler: Butler, folder: Path) -> None:
    plan = butler.plan_retrieval(put_blobs(butler, b"a"), folder)
    target = plan.targets[0].path
    target.parent.mkdir(parents=True)
    target.write_bytes(b"somebody else's")
    with pytest.raises(ArtifactExistsError):
        plan.write()
    assert files_below(folder) == {str(target.relative_to(folder)): b"somebody else's"}


def test_two_files_of_one_name_are_refused_before_anything_is_written(
    repository: Repository, butler: Butler, folder: Path
) -> None:
    blob = butler.get_dataset_type("blob")
    refs = []
    for detector in (1, 2):
        # What is stored by a butler has a part of its id in its name; what was taken as it is has its own.
        source = repository.deployment.drop / f"night{detector}" / "frame.bin"
        source.parent.mkdir()
        source.write_bytes(b"%d" % detector)
        data_id = DataCoordinate.standardize(instrument="Cam1", detector=detector, dimensions=blob.dimensions)
        refs.append(DatasetRef(blob, data_id, "run1"))
        butler.ingest(FileDataset(source, refs[-1]), transfer="direct")
    with pytest.raises(InvalidRequestError) as caught:
        butler.retrieve_artifacts(refs, folder / "out", preserve_path=False)
    assert all(str(ref.id) in str(caught.value) for ref in refs)
    assert not (folder / "out").exists()


def test_what_is_not_stored_is_refused_with_its_id_before_anything_is_written(
    butler: Butler, folder: Path
) -> None:
    (stored,) = put_blobs(butler, b"a")
    batch = PutBatch("blob", "Bytes", [{"instrument": "Cam1", "detector": 2}], [new_dataset_id()], ())
    puts = butler._connection.registry.puts
    puts.begin(BeginPut(uuid.uuid4(), "run1", (batch,)))
    puts.commit(batch.dataset_ids, [], request_id=uuid.uuid4())
    bare = butler.get_dataset(batch.dataset_ids[0])
    assert bare is not None
    with pytest.raises(ArtifactNotFoundError, match=str(bare.id)):
        butler.retrieve_artifacts([stored, bare], folder / "out")
    assert not (folder / "out").exists()


def test_refs_that_name_no_dataset_are_refused(butler: Butler, folder: Path) -> None:
    (ref,) = put_blobs(butler, b"a")
    with pytest.raises(AmbiguousDatasetError):
        butler.retrieve_artifacts([ref.unresolved()], folder)
    unknown = uuid.uuid4()
    with pytest.raises(DatasetNotFoundError, match=str(unknown)):
        butler.retrieve_artifacts([DatasetRef(ref.datasetType, ref.dataId, ref.run, id=unknown)], folder)


@pytest.mark.parametrize("transfer", ["move", "symlink", "direct", "hardlink", "nonsense"])
def test_files_are_only_ever_copied(butler: Butler, folder: Path, transfer: str) -> None:
    with pytest.raises(InvalidRequestError, match=transfer):
        butler.retrieve_artifacts(put_blobs(butler, b"a"), folder, transfer=transfer)
    assert not list(folder.glob("out*"))


@pytest.mark.parametrize("content", [b"a" * 1000, LARGE])
def test_damaged_and_lost_artifacts_are_errors_and_leave_no_file(
    repository: Repository, butler: Butler, folder: Path, content: bytes
) -> None:
    refs = put_blobs(butler, content)
    (name,) = repository.files()
    stored = repository.deployment.artifacts / name
    stored.chmod(0o644)
    stored.write_bytes(content[:-1] + b"!")
    with pytest.raises(ArtifactIntegrityError):
        butler.retrieve_artifacts(refs, folder / "out")
    assert files_below(folder / "out") == {}
    stored.unlink()
    with pytest.raises(ArtifactNotFoundError, match=str(refs[0].id)):
        butler.retrieve_artifacts(refs, folder / "out")
    assert files_below(folder / "out") == {}


def test_the_other_files_stay_when_one_fails_and_to_repeat_the_call_finishes_it(
    repository: Repository, butler: Butler, folder: Path
) -> None:
    refs = put_blobs(butler, b"a", LARGE)
    plan = butler.plan_retrieval(refs, folder / "out")
    name = plan.targets[1].artifact.record.key
    stored = repository.deployment.artifacts / name
    away = folder / "away"
    stored.rename(away)
    with pytest.raises(ArtifactNotFoundError):
        plan.write()
    away.rename(stored)
    assert len(butler.retrieve_artifacts(refs, folder / "out")) == 2
    assert files_below(folder / "out") == repository.files()


def test_a_symbolic_link_does_not_lead_out_of_the_destination(butler: Butler, folder: Path) -> None:
    refs = put_blobs(butler, b"a")
    (folder / "out").mkdir()
    (folder / "elsewhere").mkdir()
    (folder / "out" / "run1").symlink_to(folder / "elsewhere")
    with pytest.raises(InvalidNameError, match="elsewhere"):
        butler.retrieve_artifacts(refs, folder / "out", overwrite=True)
    assert not list((folder / "elsewhere").iterdir())


def test_a_symbolic_link_in_the_place_of_a_file_is_not_followed(butler: Butler, folder: Path) -> None:
    refs = put_blobs(butler, b"a")
    (folder / "precious").write_bytes(b"precious")
    target = butler.plan_retrieval(refs, folder / "out").targets[0].path
    target.parent.mkdir(parents=True)
    target.symlink_to(folder / "precious")
    with pytest.raises(ArtifactExistsError):
        butler.retrieve_artifacts(refs, folder / "out")
    butler.retrieve_artifacts(refs, folder / "out", overwrite=True)
    assert (folder / "precious").read_bytes() == b"precious"
    assert (target.read_bytes(), target.is_symlink()) == (b"a", False)


def test_the_destination_itself_may_be_a_symbolic_link(butler: Butler, folder: Path) -> None:
    (folder / "real").mkdir()
    (folder / "link").symlink_to(folder / "real")
    (path,) = butler.retrieve_artifacts(put_blobs(butler, b"a"), folder / "link")
    assert Path(path).read_bytes() == b"a"
    assert Path(path).is_relative_to(folder / "link")


def test_grants_that_expire_on_the_way_are_asked_for_anew(
    butler: Butler, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = butler.plan_retrieval(put_blobs(butler, b"a", LARGE), folder)
    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() + 3600)
    assert [Path(path).read_bytes() for path in plan.write()] == [b"a", LARGE]


def test_an_interrupt_leaves_whole_files_only(butler: Butler, folder: Path) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    refs = put_blobs(butler, b"a", LARGE, LARGE)
    count_reads(butler, interrupt)
    with pytest.raises(KeyboardInterrupt):
        butler.retrieve_artifacts(refs, folder)
    assert files_below(folder) == {}
