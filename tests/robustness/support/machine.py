# SPDX-License-Identifier: BSD-3-Clause
"""A repository behind real services, and beside it a model in a few dictionaries; whatever is done, they agree."""

from __future__ import annotations

__all__ = ["RepositoryMachine"]

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, TypeVar
from uuid import UUID

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from butler import Butler, CollectionType, DatasetRef, DatasetType, FileDataset, Timespan
from butler.errors import (
    ArtifactNotFoundError,
    ButlerError,
    ConflictingDefinitionError,
    DatasetNotFoundError,
    OrphanedRecordError,
)
from butler_model.dataset import new_dataset_id

from .deployments import REPOSITORY, Deployment
from .history import History, Outcome, Put
from .invariants import Violation, check, check_settled, settle
from .jobs import STEPS, payload

_T = TypeVar("_T")
_RUNS = 3
_DETECTORS = st.integers(1, 6)
_CHOICE = st.integers(0, 10_000)
_KILLS = (
    ("client", "put.upload_0"),
    ("registry", "put.begin_before_commit"),
    ("registry", "put.before_commit"),
    ("registry", "put.after_commit_before_reply"),
    ("datastore", "put.after_fsync_before_rename"),
    ("datastore", "put.datastore_ack_before_reply"),
)


@dataclass(frozen=True, slots=True)
class Held:
    """A dataset that the model has.

    Attributes
    ----------
    stored
        Whether it has its artifact.
    """

    id: UUID
    run: str
    detector: int
    content: bytes
    stored: bool = True


@dataclass(slots=True)
class Model:
    """What there should be.

    Attributes
    ----------
    trash
        For each dataset whose artifact is in the trash what it was, and whether it was purged.
    valid
        For each detector the ranges of validity, without overlap.
    """

    datasets: dict[UUID, Held] = field(default_factory=dict)
    runs: set[str] = field(default_factory=set)
    tag: set[UUID] = field(default_factory=set)
    chain: list[str] = field(default_factory=list)
    trash: dict[UUID, tuple[Held, bool]] = field(default_factory=dict)
    purged: set[UUID] = field(default_factory=set)
    valid: list[tuple[int, int]] = field(default_factory=list)

    def at(self, run: str, detector: int) -> Held | None:
        """Return the dataset of a data ID in a run."""
        return next((d for d in self.datasets.values() if (d.run, d.detector) == (run, detector)), None)


class _RolledBackError(Exception):
    pass


def _one(items: list[_T], choice: int) -> _T:
    return items[choice % len(items)]


class _State(RuleBasedStateMachine):
    """The repository and its model."""

    deployment: ClassVar[Deployment]

    def __init__(self) -> None:
        super().__init__()
        self.name = f"machine{self.deployment.new_case()}"
        self.model = Model()
        self.tokens = 0
        self.butler = Butler(self.deployment.address, writeable=True)

    @property
    def tag(self) -> str:
        return f"{self.name}-tag"

    @property
    def chain(self) -> str:
        return f"{self.name}-chain"

    @property
    def calibrations(self) -> str:
        return f"{self.name}-calibrations"

    def token(self) -> str:
        """Return what nobody has written yet."""
        self.tokens += 1
        return f"{self.name}-{self.tokens}"

    def run_of(self, choice: int) -> str:
        """Return one of the runs that there are."""
        return _one(sorted(self.model.runs), choice)

    def stored(self) -> list[Held]:
        """Return the datasets that have artifacts."""
        return [held for held in self.model.datasets.values() if held.stored]

    def add(self, ref: DatasetRef, content: bytes) -> None:
        """Let the model have a dataset."""
        held = Held(ref.getCheckedId(), str(ref.run), int(str(ref.dataId["detector"])), content)
        self.model.datasets[held.id] = held

    def ref(self, held: Held) -> DatasetRef:
        """Return the ref of a dataset, as the registry has it."""
        (found,) = self.butler._connection.registry.datasets.get([held.id])
        assert found is not None
        return found.ref

    def refused(self, act: Callable[[], Any], *errors: type[ButlerError]) -> None:
        """Do what must be refused."""
        try:
            act()
        except errors:
            return
        raise AssertionError(f"It was not refused with any of {errors}.")

    def reconnect(self) -> None:
        """Connect anew: how long the old connection waits is not what is tested here."""
        self.butler.close()
        self.butler = Butler(self.deployment.address, writeable=True)

    def discard_what_broke(self) -> None:
        """Let the leases of all puts end, and reap them."""
        self.reconnect()
        self.deployment.rows.execute("UPDATE put_intent SET lease_expires_nsec = 0")
        self.butler._connection.datastore.housekeeping.reap(REPOSITORY)

    def teardown(self) -> None:
        try:
            assert self.wrong() == []
        finally:
            self.butler.close()

    def wrong(self) -> list[Violation]:
        """Return what is wrong in the end."""
        history = History(purged=set(self.model.purged))
        history.trashed |= {held.id for held in self.model.datasets.values() if not held.stored}
        for held in self.model.datasets.values():
            removal = None if held.stored else Outcome.DONE
            contents = {held.detector: held.content}
            history.puts.append(Put(held.run, contents, Outcome.DONE, (held.id,), removal, purge=False))
        found = check(self.deployment, history)
        settle(self.deployment)
        return found + check_settled(self.deployment, history)


class _CollectionRules(_State):
    """Collections."""

    @initialize()
    def begin(self) -> None:
        registry = self.butler.registry
        registry.registerCollection(self.tag, CollectionType.TAGGED)
        registry.registerCollection(self.chain, CollectionType.CHAINED)
        registry.registerCollection(self.calibrations, CollectionType.CALIBRATION)
        self.bias = DatasetType(
            f"{self.name}_bias",
            ("instrument", "detector"),
            "Bytes",
            universe=self.butler.dimensions,
            isCalibration=True,
        )
        registry.registerDatasetType(self.bias)
        registry.registerRun(f"{self.name}-bias")
        self.bias_ref = self.butler.put(
            b"bias", self.bias, run=f"{self.name}-bias", instrument="Cam1", detector=1
        )
        self.register_a_run(0)

    @rule(choice=_CHOICE)
    def register_a_run(self, choice: int) -> None:
        run = f"{self.name}-run{choice % _RUNS}"
        assert self.butler.registry.registerRun(run) == (run not in self.model.runs)
        self.model.runs.add(run)

    @precondition(lambda self: self.model.runs)
    @rule(choice=_CHOICE, number=st.integers(0, _RUNS))
    def edit_the_chain(self, choice: int, number: int) -> None:
        runs = sorted(self.model.runs)
        self.model.chain = (runs[choice % len(runs) :] + runs[: choice % len(runs)])[:number]
        self.butler.registry.setCollectionChain(self.chain, self.model.chain)
        assert self.butler.registry.getCollectionChain(self.chain) == tuple(self.model.chain)

    @precondition(lambda self: self.model.runs)
    @rule(choice=_CHOICE)
    def describe_a_run(self, choice: int) -> None:
        run, text = self.run_of(choice), self.token()
        self.butler.registry.setCollectionDocumentation(run, text)
        assert self.butler.registry.getCollectionDocumentation(run) == text


class _PutRules(_CollectionRules):
    """Puts, whole and broken."""

    @precondition(lambda self: self.model.runs)
    @rule(choice=_CHOICE, detector=_DETECTORS)
    def put(self, choice: int, detector: int) -> None:
        run, content = self.run_of(choice), payload(self.token())

        def put() -> DatasetRef:
            return self.butler.put(content, "blob", run=run, instrument="Cam1", detector=detector)

        if self.model.at(run, detector):
            self.refused(put, ConflictingDefinitionError)
        else:
            self.add(put(), content)

    @precondition(lambda self: self.model.runs)
    @rule(choice=_CHOICE, detectors=st.sets(_DETECTORS, min_size=2, max_size=4))
    def put_many(self, choice: int, detectors: set[int]) -> None:
        run = self.run_of(choice)
        contents = {detector: payload(self.token()) for detector in sorted(detectors)}
        items = [(content, "blob", {"instrument": "Cam1", "detector": d}) for d, content in contents.items()]
        if any(self.model.at(run, detector) for detector in detectors):
            self.refused(lambda: self.butler.put_many(items, run=run), ConflictingDefinitionError)
            return
        for ref, content in zip(self.butler.put_many(items, run=run), contents.values(), strict=True):
            self.add(ref, content)

    @precondition(lambda self: self.model.runs)
    @rule(choice=_CHOICE, detectors=st.sets(_DETECTORS, min_size=1, max_size=3))
    def ingest_one_file(self, choice: int, detectors: set[int]) -> None:
        run, token = self.run_of(choice), self.token()
        file = self.deployment.drop / f"{token}.bin"
        file.write_bytes(payload(token))
        blob = self.butler.registry.getDatasetType("blob")
        data_ids = [
            self.butler.registry.expandDataId(instrument="Cam1", detector=d) for d in sorted(detectors)
        ]
        dataset = FileDataset(str(file), [DatasetRef(blob, data_id) for data_id in data_ids])

        def ingest() -> None:
            self.butler.ingest(dataset, transfer="copy", run=run)

        if any(self.model.at(run, detector) for detector in detectors):
            self.refused(ingest, ConflictingDefinitionError)
            return
        ingest()
        for ref in dataset.refs:
            self.add(ref, payload(token))

    @precondition(lambda self: self.model.runs)
    @rule(choice=_CHOICE, detectors=st.sets(_DETECTORS, min_size=1, max_size=3))
    def import_an_export(self, choice: int, detectors: set[int]) -> None:
        run = self.run_of(choice)
        tokens = {str(detector): self.token() for detector in sorted(detectors)}
        ids = {token: str(new_dataset_id()) for token in tokens.values()}

        def import_it() -> None:
            STEPS["import"](self.butler, str(self.deployment.drop), {run: tokens}, ids)

        if any(self.model.at(run, detector) for detector in detectors):
            self.refused(import_it, ConflictingDefinitionError)
            return
        import_it()
        for detector, token in tokens.items():
            held = Held(UUID(ids[token]), run, int(detector), payload(token))
            self.model.datasets[held.id] = held
        import_it()  # changes nothing

    @precondition(lambda self: self.model.runs)
    @rule(choice=_CHOICE, detector=_DETECTORS, kill=st.sampled_from(_KILLS))
    def kill_while_something_is_put(self, choice: int, detector: int, kill: tuple[str, str]) -> None:
        run, token, (owner, point) = self.run_of(choice), self.token(), kill
        detectors = [d for d in (detector, detector % 6 + 1) if not self.model.at(run, d)]
        step = {"do": "put_many", "run": run, "detectors": detectors, "token": token, "size": 64}
        failpoints = f"{point}@1=kill"
        if owner != "client":
            self.deployment.start(owner, failpoints)
        job = self.deployment.job([step], token, failpoints=failpoints if owner == "client" else "")
        while job.process.running and not (
            owner != "client" and not self.deployment.processes[owner].running
        ):
            pass
        self.deployment.restart_dead()
        job.process.wait(60)
        self.deployment.start(owner) if owner != "client" else None
        self.discard_what_broke()
        there = []
        for each in detectors:
            ref = self.butler.registry.findDataset("blob", instrument="Cam1", detector=each, collections=run)
            if ref is not None:
                there.append(each)
                self.add(ref, payload(f"{token}-{each}"))
        assert there in ([], detectors)

    @precondition(lambda self: self.model.runs)
    @rule(choice=_CHOICE, detector=_DETECTORS, commits=st.booleans())
    def put_in_a_transaction(self, choice: int, detector: int, commits: bool) -> None:
        run, content = self.run_of(choice), payload(self.token())
        if self.model.at(run, detector):
            return
        try:
            with self.butler.transaction():
                ref = self.butler.put(content, "blob", run=run, instrument="Cam1", detector=detector)
                assert self.butler.get(ref) == content
                if not commits:
                    raise _RolledBackError
        except _RolledBackError:
            return
        self.add(ref, content)


class _LookRules(_PutRules):
    """Getting and finding."""

    @precondition(lambda self: self.model.runs)
    @rule(choice=_CHOICE, detector=_DETECTORS)
    def get(self, choice: int, detector: int) -> None:
        run = self.run_of(choice)
        held = self.model.at(run, detector)

        def get() -> Any:
            return self.butler.get("blob", instrument="Cam1", detector=detector, collections=run)

        if held is None:
            self.refused(get, DatasetNotFoundError)
        elif not held.stored:
            self.refused(get, ArtifactNotFoundError, DatasetNotFoundError)
        else:
            assert get() == held.content

    @rule(detector=_DETECTORS)
    def find_in_the_chain(self, detector: int) -> None:
        held = (self.model.at(run, detector) for run in self.model.chain)
        expected = next((each.id for each in held if each is not None), None)
        if not self.model.chain:
            return
        ref = self.butler.registry.findDataset(
            "blob", instrument="Cam1", detector=detector, collections=self.chain
        )
        assert (None if ref is None else ref.id) == expected

    @rule()
    def query_the_tag(self) -> None:
        found = self.butler.registry.queryDatasets("blob", collections=self.tag)
        assert {ref.id for ref in found} == self.model.tag


class _AssociationRules(_LookRules):
    """Tags and ranges of validity."""

    @precondition(lambda self: self.model.datasets)
    @rule(choice=_CHOICE)
    def associate(self, choice: int) -> None:
        held = _one(list(self.model.datasets.values()), choice)
        others = [
            d for d in self.model.datasets.values() if d.id in self.model.tag and d.detector == held.detector
        ]

        def associate() -> None:
            self.butler.registry.associate(self.tag, [self.ref(held)])

        if others and others[0].id != held.id:
            self.refused(associate, ConflictingDefinitionError)
        else:
            associate()
            self.model.tag.add(held.id)

    @precondition(lambda self: self.model.tag)
    @rule(choice=_CHOICE)
    def disassociate(self, choice: int) -> None:
        dataset_id = _one(sorted(self.model.tag), choice)
        self.butler.registry.disassociate(self.tag, [self.ref(self.model.datasets[dataset_id])])
        self.model.tag.discard(dataset_id)

    @rule(begin=st.integers(0, 90), length=st.integers(1, 20))
    def certify(self, begin: int, length: int) -> None:
        end = begin + length

        def certify() -> None:
            self.butler.registry.certify(
                self.calibrations, [self.bias_ref], Timespan.from_simple([begin, end])
            )

        if any(begin < e and b < end for b, e in self.model.valid):
            self.refused(certify, ConflictingDefinitionError)
        else:
            certify()
            self.model.valid.append((begin, end))

    @rule(begin=st.integers(0, 90), length=st.integers(1, 20))
    def decertify(self, begin: int, length: int) -> None:
        end = begin + length
        self.butler.registry.decertify(self.calibrations, self.bias, Timespan.from_simple([begin, end]))
        parts = [part for b, e in self.model.valid for part in ((b, min(e, begin)), (max(b, end), e))]
        self.model.valid = [(b, e) for b, e in parts if b < e]

    @rule()
    def look_at_the_validity(self) -> None:
        found = self.butler.registry.queryDatasetAssociations(self.bias, self.calibrations)
        spans = sorted(each.timespan.nsec for each in found if each.timespan is not None)
        assert spans == sorted(self.model.valid)


class _RemovalRules(_AssociationRules):
    """Removal, and the trash."""

    @precondition(lambda self: self.stored())
    @rule(choice=_CHOICE, purge=st.booleans(), later=st.booleans(), number=st.integers(1, 3))
    def remove(self, choice: int, purge: bool, later: bool, number: int) -> None:
        stored = self.stored()
        some = [stored[(choice + i) % len(stored)] for i in range(min(number, len(stored)))]
        self.butler.pruneDatasets(
            [self.ref(held) for held in some],
            disassociate=purge,
            unstore=True,
            purge=purge,
            purge_after=3_600 if later else 0,
        )
        for held in some:
            self._gone(held, purge=purge, later=later)

    def _gone(self, held: Held, *, purge: bool, later: bool) -> None:
        if purge:
            del self.model.datasets[held.id]
            self.model.tag.discard(held.id)
        else:
            self.model.datasets[held.id] = replace(held, stored=False)
        if later:
            self.model.trash[held.id] = (held, purge)
        elif purge:
            self.model.purged.add(held.id)

    @precondition(lambda self: self.model.trash)
    @rule(choice=_CHOICE)
    def undelete(self, choice: int) -> None:
        held, purged = _one(list(self.model.trash.values()), choice)

        def undelete() -> int:
            return self.butler.trash.undelete(datasets=[held.id])

        if purged and self.model.at(held.run, held.detector):
            self.refused(undelete, ConflictingDefinitionError)
            return
        assert undelete() == 1
        del self.model.trash[held.id]
        self.model.datasets[held.id] = held
        self.model.runs.add(held.run)
        assert self.butler.get(self.ref(held)) == held.content

    @rule()
    def empty_the_trash(self) -> None:
        self.deployment.rows.execute("UPDATE artifact_trash SET due_nsec = 0")
        progress = self.butler.trash.empty()
        assert progress.failed == 0
        assert progress.deleted + progress.kept == len(self.model.trash)
        self.model.purged |= {held.id for held, purged in self.model.trash.values() if purged}
        self.model.trash.clear()

    @precondition(lambda self: self.model.runs and all(held.stored for held in self.model.datasets.values()))
    @rule(choice=_CHOICE, unlink=st.booleans())
    def remove_a_run(self, choice: int, unlink: bool) -> None:
        run = self.run_of(choice)

        def remove() -> None:
            self.butler.removeRuns(run, unlink_from_chains=unlink, purge_after=3_600)

        if run in self.model.chain and not unlink:
            self.refused(remove, OrphanedRecordError)
            return
        remove()
        for held in [held for held in self.model.datasets.values() if held.run == run]:
            self._gone(held, purge=True, later=True)
        self.model.runs.discard(run)
        self.model.chain = [each for each in self.model.chain if each != run]


class RepositoryMachine(_RemovalRules):
    """All that one can do, crashes included."""

    @rule()
    def restart_the_registry(self) -> None:
        self.deployment.start("registry")
        self.reconnect()

    @rule()
    def restart_the_datastore(self) -> None:
        self.deployment.start("datastore")
        self.reconnect()

    @rule()
    def reap(self) -> None:
        self.discard_what_broke()
