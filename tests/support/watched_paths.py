# SPDX-License-Identifier: BSD-3-Clause
"""A program that gives hostile names and paths to whatever takes one, and reports which files that touched.

An audit hook cannot be taken away again, so this runs by itself: ``python -m tests.support.watched_paths FOLDER``. It
leaves JSON in ``report.json``: how many of the names each entry took, what was touched that is not below the folders of
the repository, and what ended in another way than by an error of the catalogue.
"""

from __future__ import annotations

__all__ = ["ENTRIES", "hostile_names"]

import itertools
import json
import os
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

from butler import Butler, DatasetType
from butler.cli.main import program
from butler_datastore.application import DatastoreApplication
from butler_datastore.config import PosixStoreConfig
from butler_model.artifact import ArtifactLayout, FileToIngest, TransferMode
from butler_model.data_id import DataCoordinate
from butler_model.dataset import DatasetRef, new_dataset_id
from butler_model.errors import ButlerError
from butler_model.grants import TokenSigner
from butler_model.placement import Placement
from butler_model.ports import BeginPut, Placing, PutBatch
from butler_model.repository import Store
from butler_model.universe import DimensionUniverse
from butler_registry.application import RegistryApplication

from .datastores import DatastoreSetup
from .registries import LAYOUT, RegistrySetup, insert_camera
from .survey import insert_survey, register_types

_WAYS = (
    *("../", "../../", "../../../../../../", "/", "//", "./../", "a/../../", "a/./../../", "..\\", "....//"),
    *("%2e%2e/", "..%2f", "..%c0%af", "..;/", "\uff0e\uff0e/", "\u2215", "file:///", "file://localhost/"),
    *("~/", "~root/", "$HOME/", "`id`/", "$(id)/", "\\\\host\\", "//host/", "C:\\", "s3://bucket/"),
    *(
        "\0/",
        "a\0/../",
        "a\n/../",
        "\u202e/",
        "link/",
        "link/../",
        "folder/",
        ".tmp/",
        ".",
        "-",
        "--output=/",
    ),
    *(
        "{run}/../../",
        "{run.__class__}/",
        "{0}/",
        "{datasetType:/}/../",
        "%s/",
        "/proc/1/cwd/",
        "/dev/fd/",
    ),
    *("/dev/", "/proc/self/", "butler.yaml/../../", "main/main/../../../"),
)
_TARGETS = ("etc/passwd", "outside/secret", "outside", "environ", "..", "x" * 300)


def hostile_names(outside: Path) -> list[str]:
    """Return more than three hundred names that want to lead somewhere else."""
    made = [f"{way}{target}" for way, target in itertools.product(_WAYS, _TARGETS)]
    secret = f"{outside}/secret"
    absolute = [secret, f"/{secret}", f"{outside}/../outside/secret", f"file://{secret}"]
    odd = ["", ".", "..", "...", " ", "\t", "\u00e9" * 200, "a" * 5000]
    return list(dict.fromkeys([*made, *absolute, *odd]))


@dataclass(slots=True)
class Report:
    """What happened."""

    taken: dict[str, int] = field(default_factory=dict)
    tried: dict[str, int] = field(default_factory=dict)
    outside: list[tuple[str, str, str, str]] = field(default_factory=list)
    strange: list[tuple[str, str, str]] = field(default_factory=list)


class Watch:
    """Notes what is opened, made, linked, listed or removed while it is on, and is not where it may be."""

    def __init__(self, allowed: list[Path], report: Report) -> None:
        # What Python imports late is no answer to a name.
        places = [*allowed, *filter(None, (Path(p) for p in (sys.prefix, sys.base_prefix))), *_code()]
        self._allowed = tuple(os.path.realpath(place) for place in places)
        self._report = report
        self._now: tuple[str, str] | None = None
        self._looking = False
        self.seen = 0
        sys.addaudithook(self._hook)

    @contextmanager
    def on(self, entry: str, name: str) -> Iterator[None]:
        """Watch meanwhile."""
        self._now = (entry, name)
        try:
            yield
        finally:
            self._now = None

    def _hook(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self._now is None or self._looking:
            return
        if not (
            event == "open" or event == "sqlite3.connect" or event.startswith(("os.", "shutil.", "glob."))
        ):
            return
        self._looking = True
        try:
            self._look(event, arguments)
        finally:
            self._looking = False

    def _look(self, event: str, arguments: tuple[Any, ...]) -> None:
        assert self._now is not None
        for path in self._paths(event, arguments):
            self.seen += 1
            if not self._may(event, path, arguments):
                self._report.outside.append((*self._now, event, path))

    @staticmethod
    def _paths(event: str, arguments: tuple[Any, ...]) -> Iterator[str]:
        number = 2 if event in ("os.rename", "os.link") else 1
        for argument in arguments[:number]:
            if isinstance(argument, bytes | str | os.PathLike):
                yield os.fsdecode(argument)
        if event == "os.symlink":
            # Where it leads matters when it is followed; where it is made, now.
            yield os.fsdecode(arguments[1])

    def _may(self, event: str, path: str, arguments: tuple[Any, ...]) -> bool:
        if event == "os.symlink" and path == os.fsdecode(arguments[0]):
            return True
        if not path.startswith("/"):
            # Relative to a directory that is open: one name, of which no link is followed.
            followed = event == "open" and not int(arguments[2]) & os.O_NOFOLLOW
            return "/" not in path and path not in ("", ".", "..") and "\0" not in path and not followed
        real = os.path.realpath(path)
        return real == os.devnull or any(
            real == root or real.startswith(f"{root}/") for root in self._allowed
        )


def _code() -> list[Path]:
    return [
        Path(module).resolve().parent
        for name in ("butler", "butler_model")
        if (module := sys.modules[name].__file__)
    ]


class Place:
    """A repository, services and a butler in a folder, and everything in it that takes a name or a path."""

    def __init__(self, folder: Path) -> None:
        self.drop, self.out = folder / "drop", folder / "out"
        for each in (self.drop, self.out, folder / "tables", folder / "cwd", folder / "outside"):
            each.mkdir()
        (folder / "outside" / "secret").write_bytes(b"a secret")
        (self.drop / "link").symlink_to(folder / "outside" / "secret")
        (self.drop / "folder").symlink_to(folder / "outside")
        (self.drop / "plain.json").write_text('{"a": 1}')
        os.chdir(folder / "cwd")
        self.root = str(folder / "repo")
        Butler.makeRepo(self.root)
        self.butler = Butler(self.root, run="run1")
        insert_survey(self.butler)
        register_types(self.butler)
        self.ref = self.butler.put({"a": 0}, "note", instrument="Cam1", detector=1)
        signer = TokenSigner([b"k" * 32])
        self.application = RegistryApplication(f"sqlite:///{folder}/tables", signer)
        self.application.create("main", DimensionUniverse(), request_id=uuid.uuid4())
        self.registry = RegistrySetup(self.application.open("main"), "main", signer)
        insert_camera(self.registry)
        self.registry.register_type("note", ("instrument", "detector"))
        self.registry.register_run("run1")
        self.datastore = DatastoreApplication(
            {"main": PosixStoreConfig(f"{folder}/stores/{{repository}}", durable=False)},
            signer,
            ingest_roots=[str(self.drop)],
            ledgers=self.application,
        )
        self.setup = DatastoreSetup(self.datastore, signer, folder / "stores", list, self.drop)
        # A store syncs the directory above it when it is made, which is outside of it.
        self.write_under("first/file")
        self.numbers = itertools.count()
        self.export_text = self._export()

    def _export(self) -> str:
        with self.butler.export(directory=self.out, filename="export.yaml", transfer="copy") as export:
            export.saveDatasets([self.ref])
        return (self.out / "export.yaml").read_text()

    # Each takes a name, and raises an error of the catalogue if it is refused.

    def run(self, name: str) -> None:
        self.butler.registry.registerRun(name)
        ref = self.butler.put({"a": 1}, "note", instrument="Cam1", detector=1, run=name)
        assert self.butler.get(ref) == {"a": 1}
        self.butler.retrieve_artifacts([ref], self.out / f"retrieved{next(self.numbers)}")
        self.butler.retrieve_artifacts([ref], self.out / f"flat{next(self.numbers)}", preserve_path=False)
        number = next(self.numbers)
        with self.butler.export(
            directory=self.out / f"e{number}", filename="e.yaml", transfer="copy"
        ) as export:
            export.saveDatasets([ref])

    def dataset_type(self, name: str) -> None:
        kind = DatasetType(
            name, ("instrument", "detector"), "StructuredDataDict", universe=self.butler.dimensions
        )
        self.butler.registry.registerDatasetType(kind)
        ref = self.butler.put({"a": 1}, kind, instrument="Cam1", detector=1)
        self.butler.retrieve_artifacts([ref], self.out / f"retrieved{next(self.numbers)}")

    def value_of_a_dimension(self, name: str) -> None:
        insert = self.butler.registry.insertDimensionData
        limits = {"visit_max": 100, "exposure_max": 100, "detector_max": 10, "class_name": "tests.Camera"}
        insert("instrument", {"name": name, **limits})
        insert("detector", {"instrument": name, "id": 1, "full_name": name})
        ref = self.butler.put({"a": 1}, "note", instrument=name, detector=1)
        self.butler.retrieve_artifacts([ref], self.out / f"retrieved{next(self.numbers)}")

    def template(self, name: str) -> None:
        placement = Placement(
            (
                Store("main", f"{name}/{{run}}/{{datasetType}}"),
                Store("other", f"{{run}}{{datasetType}}{name}"),
            ),
            self.butler.dimensions,
        )
        self.write_under(placement.place(self.expanded(), LAYOUT).key)

    def expanded(self) -> DatasetRef:
        data_id = self.butler.registry.expandDataId(instrument="Cam1", detector=1)
        assert isinstance(data_id, DataCoordinate)
        return DatasetRef(self.ref.datasetType, data_id, run="run1", id=new_dataset_id())

    def write_under(self, key: str) -> None:
        self.datastore.write_batch([(self.setup.write_grant(key, 100), b"content")])

    def key(self, name: str) -> None:
        """As if a registry had been talked into signing it."""
        failures = []
        for use in (
            self.write_under,
            lambda key: self.datastore.write(self.setup.write_grant(key, 100), [b"content"]),
            lambda key: self.datastore.read_batch([self.setup.grant_of_content(key, b"content")]),
            lambda key: list(self.datastore.read(self.setup.grant_of_content(key, b"content"))),
            lambda key: self.datastore.exists([self.setup.grant_of_content(key, b"content")]),
            lambda key: self.datastore.adopt([self.setup.adopt_grant(key)]),
            lambda key: self.datastore.adopt([self.setup.adopt_grant(key, store="direct")]),
            lambda key: self.datastore.query_write(self.setup.write_grant(key, 100)),
            lambda key: self.datastore.discard([self.setup.discard_grant(key)]),
        ):
            try:
                use(name)
            except ButlerError as error:
                failures.append(error)
        if failures:
            raise failures[0]

    def layout(self, name: str) -> None:
        layouts = (
            ArtifactLayout("json", name, LAYOUT.storage_class),
            ArtifactLayout(name, ".json", LAYOUT.storage_class),
            ArtifactLayout("json", ".json", LAYOUT.storage_class, name),
        )
        failures = []
        for layout in layouts:
            try:
                (intent,) = self.registry.begin(
                    "note", "run1", [{"instrument": "Cam1", "detector": 1}], artifacts=(layout,)
                )
                self.datastore.write_batch([(grant.token, b"content") for grant in intent.grants])
            except ButlerError as error:
                failures.append(error)
        if failures:
            raise failures[0]

    def key_to_adopt(self, name: str) -> None:
        failures = []
        for placing in (Placing.IN_STORE, Placing.DIRECT):
            batch = PutBatch(
                "note",
                LAYOUT.storage_class,
                [{"instrument": "Cam1", "detector": 2}],
                [new_dataset_id()],
                (LAYOUT,),
                placing=placing,
                keys=[name],
            )
            try:
                (intent,) = self.registry.registry.puts.begin(BeginPut(uuid.uuid4(), "run1", (batch,), 600))
                self.datastore.adopt([grant.token for grant in intent.grants])
            except ButlerError as error:
                failures.append(error)
        if len(failures) == 2:
            raise failures[0]

    def file_to_ingest(self, name: str) -> None:
        failures = []
        for source, mode in itertools.product((name, f"{self.drop}/{name}"), TransferMode):
            grant = self.setup.write_grant(f"ingested/{next(self.numbers)}")
            try:
                self.datastore.ingest([FileToIngest(grant, source, mode, None)])
            except ButlerError as error:
                failures.append(error)
        if failures:
            raise failures[0]

    def file_that_was_moved(self, name: str) -> None:
        key = f"moved/{next(self.numbers)}"
        self.write_under(key)
        grant = self.setup.grant_of_content(key, b"content")
        failures = []
        for source in (name, f"{self.drop}/{name}"):
            try:
                self.datastore.finish_moves([(grant, source)])
            except ButlerError as error:
                failures.append(error)
        if failures:
            raise failures[0]

    def repository(self, name: str) -> None:
        failures = []
        for use in (
            lambda: self.application.create(name, DimensionUniverse(), request_id=uuid.uuid4()),
            lambda: self.application.open(name),
            lambda: list(self.datastore.housekeeping.fsck(name)),
            lambda: self.datastore.housekeeping.reap(name),
            lambda: self.datastore.exists([self.setup.grant_of_content("a/b", b"x", repository=name)]),
            lambda: self.datastore.write_batch([(self.setup.write_grant("a/b", 100, repository=name), b"x")]),
        ):
            try:
                use()
            except ButlerError as error:
                failures.append(error)
        if failures:
            raise failures[0]

    def file_of_an_export(self, name: str) -> None:
        number = next(self.numbers)
        run = f"import{number}"
        key = next(
            line.split("path:", 1)[1].strip() for line in self.export_text.splitlines() if "path:" in line
        )
        text = (
            self.export_text.replace(key, json.dumps(name))
            .replace("run1", run)
            .replace(str(self.ref.id), str(new_dataset_id()))
        )
        file = self.out / f"{run}.yaml"
        file.write_text(text)
        self.butler.import_(directory=self.out, filename=str(file), transfer="copy")

    def put_file(self, name: str) -> None:
        """The command, which is given a file of the caller's, and a hostile run or dataset type."""
        kind, run = (name, "run1") if next(self.numbers) % 2 else ("note", name)
        file = str(self.drop / "plain.json")
        arguments = [self.root, file, kind, "instrument=Cam1", "detector=2", "--run", run]
        program.main(["put-file", *arguments], standalone_mode=False)


ENTRIES: dict[str, Callable[[Place, str], None]] = {
    "run": Place.run,
    "dataset type": Place.dataset_type,
    "value of a dimension": Place.value_of_a_dimension,
    "template": Place.template,
    "key": Place.key,
    "layout": Place.layout,
    "key to adopt": Place.key_to_adopt,
    "file to ingest": Place.file_to_ingest,
    "file that was moved": Place.file_that_was_moved,
    "repository": Place.repository,
    "file of an export": Place.file_of_an_export,
    "put-file": Place.put_file,
}


def main(folder: Path) -> None:
    """Try every name with every entry."""
    report = Report()
    place = Place(folder)
    allowed = [folder / name for name in ("repo", "drop", "out", "tables", "stores")]
    watch = Watch(allowed, report)
    names = hostile_names(folder / "outside")
    for entry, use in ENTRIES.items():
        report.taken[entry] = report.tried[entry] = 0
        # Each command opens the repository anew, so of those there are fewer.
        for name in names[:: 3 if entry == "put-file" else 1]:
            report.tried[entry] += 1
            try:
                with watch.on(entry, name):
                    use(place, name)
                report.taken[entry] += 1
            except (ButlerError, click.ClickException, SystemExit):
                pass
            except Exception as error:  # noqa: BLE001 - whatever it is, it is reported
                report.strange.append((entry, ascii(name)[:100], ascii(error)[:300]))
    secret = folder / "outside" / "secret"
    (folder / "report.json").write_text(
        json.dumps(
            {
                "names": len(names),
                "seen": watch.seen,
                "tried": report.tried,
                "taken": report.taken,
                "outside": report.outside,
                "strange": report.strange,
                "untouched": secret.read_bytes() == b"a secret"
                and os.listdir(secret.parent) == ["secret"]
                and not os.listdir(folder / "cwd"),
            }
        )
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
