# SPDX-License-Identifier: BSD-3-Clause
"""What somebody may not see does not exist for that caller: in listings, searches, chains, events and errors."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import ClassVar
from uuid import UUID

import pytest
from sqlalchemy import Engine, event

from butler_model.access import AccessEntry, Verb
from butler_model.artifact import Operation
from butler_model.collection import ChainEdit, CollectionType
from butler_model.errors import (
    AccessDeniedError,
    AuthenticationError,
    ButlerError,
    DatasetNotFoundError,
    GrantError,
    IntentError,
    InvalidRequestError,
    MissingCollectionError,
    OrphanedRecordError,
    RepositoryNotFoundError,
    StaleEditError,
)
from butler_model.grants import TokenSigner
from butler_model.ports import DatasetLookup, PruneDatasets, RemoveRun, StatisticsKey
from butler_model.principal import ANONYMOUS, Principal
from butler_model.query.spec import QuerySpec, ResultKind
from butler_model.trash import TrashSelection
from butler_registry.application import RegistryApplication
from tests.support.registries import RegistrySetup, at_once, new_database, register_types, registry_home

ALICE, BOB = Principal("alice"), Principal("bob")
CAMERA = {"instrument": "Cam1"}
_PLACES = itertools.count()


@dataclass(frozen=True, slots=True)
class Deployment:
    """Repositories, and one of them as its owner has it."""

    application: RegistryApplication
    owner: RegistrySetup

    def as_(self, principal: Principal) -> RegistrySetup:
        """Return the repository as somebody sees it."""
        view = self.application.callers.open_for(self.owner.repository, principal)
        return RegistrySetup(view, self.owner.repository, self.owner.signer)

    def grant(self, subject: str, prefix: str, *verbs: Verb) -> None:
        """Let somebody do something."""
        access = self.application.open(self.owner.repository).access
        access.grant(AccessEntry(subject, prefix, frozenset(verbs)), request_id=uuid.uuid4())


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def deployment(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Deployment]:
    with ExitStack() as stack:
        postgresql = new_database(request, stack)
        home = stack.enter_context(
            registry_home(request.param, tmp_path_factory.mktemp("visibility"), postgresql)
        )
        assert isinstance(home.repositories, RegistryApplication)
        made = Deployment(home.repositories, home.fresh())
        register_types(made.owner)
        made.grant("authenticated", "u/{user}/**", Verb.WRITE, Verb.DELETE)
        made.grant("authenticated", "shared/**", Verb.READ_DATA)
        made.grant("user:bob", "seen/**", Verb.READ_METADATA)
        yield made


def run_of(setup: RegistrySetup, user: str) -> str:
    """Return a new run of somebody."""
    return setup.register_run(f"u/{user}/{next(_PLACES)}")


def note(setup: RegistrySetup, run: str, detector: int = 1) -> UUID:
    return setup.put("note", run, {**CAMERA, "detector": detector})[0]


def same_answer(hidden: Callable[[], object], absent: Callable[[], object], *names: tuple[str, str]) -> None:
    """Check that what is hidden is answered for just as what does not exist, but for its name."""
    answers = []
    for ask in (hidden, absent):
        try:
            answers.append(repr(ask()))
        except ButlerError as error:
            answers.append(f"{type(error).__name__}: {error.message} {sorted(error.metadata.items())}")
    for name, stand_in in names:
        answers[0] = answers[0].replace(name, stand_in)
    assert answers[0] == answers[1]


def test_a_hidden_collection_is_answered_for_as_one_that_is_not_there(deployment: Deployment) -> None:
    alice, bob = deployment.as_(ALICE), deployment.as_(BOB)
    hidden, absent = run_of(alice, "alice"), "u/alice/never"
    dataset_id = note(alice, hidden)
    mine = run_of(bob, "bob")
    chain = bob.chain(f"u/bob/chain{next(_PLACES)}", mine)
    collections = bob.registry.collections

    def asked(name: str) -> list[Callable[[], object]]:
        lookup = DatasetLookup("note", [{**CAMERA, "detector": 1}], (name,))
        spec = QuerySpec(ResultKind.DATASETS, dataset_type="note", collections=(name,))
        removal = RemoveRun(uuid.UUID(int=next(_PLACES)), name)
        return [
            lambda: collections.get(name),
            lambda: collections.find([name]),
            lambda: collections.parents(name),
            lambda: collections.summaries([name]),
            lambda: collections.set_doc(name, "mine", request_id=uuid.uuid4()),
            lambda: collections.remove(name, request_id=uuid.uuid4()),
            lambda: collections.edit_chain(chain, ChainEdit.PREPEND, [name], request_id=uuid.uuid4()),
            lambda: bob.registry.datasets.find(lookup),
            lambda: bob.rows(spec),
            lambda: bob.registry.queries.count(spec),
            lambda: list(bob.registry.queries.stream(spec)),
            lambda: bob.registry.queries.explain_no_results(spec),
            lambda: bob.begin("note", name, [{**CAMERA, "detector": 2}]),
            lambda: bob.associate(name, dataset_id),
            lambda: bob.registry.removals.remove_run(removal).datasets,
            lambda: bob.registry.statistics.datasets([[StatisticsKey.RUN]], runs=(name,)),
        ]

    for of_hidden, of_absent in zip(asked(hidden), asked(absent), strict=True):
        same_answer(of_hidden, of_absent, (hidden, absent))
    assert alice.registry.datasets.get([dataset_id])[0] is not None


def test_who_misspells_a_name_is_told_the_nearest_of_those_that_one_sees(deployment: Deployment) -> None:
    owner, alice, bob = deployment.owner, deployment.as_(ALICE), deployment.as_(BOB)
    hidden = alice.register_run("u/alice/misspelt")
    for asker, said in ((alice, f"the nearest known one is '{hidden}'"), (owner, hidden), (bob, "")):
        with pytest.raises(MissingCollectionError) as caught:
            asker.registry.collections.get("u/alice/mispelt")
        assert said in caught.value.message
        assert asker is not bob or hidden not in caught.value.message
    seen = owner.register_run("shared/misspelt")
    with pytest.raises(MissingCollectionError, match=f"the nearest known one is '{seen}'"):
        bob.registry.collections.get("shared/mispelt")


def test_a_hidden_dataset_is_not_found_by_its_id(deployment: Deployment) -> None:
    alice, bob = deployment.as_(ALICE), deployment.as_(BOB)
    hidden = note(alice, run_of(alice, "alice"))
    tagged = bob.register(f"u/bob/tagged{next(_PLACES)}", CollectionType.TAGGED)
    assert bob.registry.datasets.get([hidden, uuid.uuid4()]) == [None, None]
    assert bob.registry.datasets.get([hidden], want_artifacts=True) == [None]
    with pytest.raises(DatasetNotFoundError):
        bob.associate(tagged, hidden)
    pruned = bob.registry.removals.prune(PruneDatasets(uuid.uuid4(), (hidden,), unstore=True, purge=True))
    assert pruned.datasets == {}
    assert alice.registry.datasets.get([hidden])[0] is not None


def test_listings_and_counts_name_only_what_one_sees(deployment: Deployment) -> None:
    alice, bob = deployment.as_(ALICE), deployment.as_(BOB)
    theirs, mine = run_of(alice, "alice"), run_of(bob, "bob")
    note(alice, theirs)
    note(bob, mine)
    listed = [c.name for c in bob.registry.collections.find(["*"])]
    assert mine in listed
    assert theirs not in listed
    counted = {row.run for row in bob.registry.statistics.datasets([[StatisticsKey.RUN]])}
    assert mine in counted
    assert theirs not in counted
    assert theirs in [c.name for c in deployment.owner.registry.collections.find(["*"])]


def test_a_chain_is_without_the_members_that_one_does_not_see_and_keeps_them(deployment: Deployment) -> None:
    owner, alice, bob = deployment.owner, deployment.as_(ALICE), deployment.as_(BOB)
    theirs, mine, other = run_of(alice, "alice"), run_of(bob, "bob"), run_of(bob, "bob")
    hidden, seen = note(alice, theirs), note(bob, mine, detector=2)
    chain = owner.chain(f"u/bob/chain{next(_PLACES)}", theirs, mine)
    shown = bob.registry.collections.get(chain)
    assert shown.children == (mine,)
    spec = QuerySpec(ResultKind.DATASETS, dataset_type="note", collections=(chain,))
    assert len(bob.rows(spec)) == 1
    assert bob.find("note", {**CAMERA, "detector": 1}, chain) is None
    found = bob.find("note", {**CAMERA, "detector": 2}, chain)
    assert found is not None
    assert found.ref.id == seen
    assert bob.registry.collections.summaries([chain]) == bob.registry.collections.summaries([mine])
    assert chain not in [c.name for c in alice.registry.collections.find(["*"])]
    assert alice.registry.collections.parents(theirs) == []
    # The etag is that of what was shown, and what one does not see stays.
    edit = bob.registry.collections.edit_chain
    edited = edit(chain, ChainEdit.SET, [other], request_id=uuid.uuid4(), etag=shown.etag)
    assert edited.children == (other,)
    with pytest.raises(StaleEditError) as caught:
        edit(chain, ChainEdit.SET, [mine], request_id=uuid.uuid4(), etag=shown.etag)
    assert theirs not in caught.value.message
    assert owner.registry.collections.get(chain).children == (other, theirs)
    assert owner.registry.datasets.get([hidden])[0] is not None
    with pytest.raises(OrphanedRecordError, match="of somebody else"):
        alice.registry.collections.remove(theirs, request_id=uuid.uuid4())
    with pytest.raises(AccessDeniedError) as refused:
        alice.registry.collections.remove(theirs, request_id=uuid.uuid4(), unlink_all=True)
    assert chain not in refused.value.message


def test_what_stands_in_a_collection_that_one_reads_is_readable(deployment: Deployment) -> None:
    owner, alice, bob = deployment.owner, deployment.as_(ALICE), deployment.as_(BOB)
    dataset_id = note(alice, run_of(alice, "alice"), detector=3)
    shared = owner.register(f"shared/{next(_PLACES)}", CollectionType.TAGGED)
    owner.associate(shared, dataset_id)
    found = bob.find("note", {**CAMERA, "detector": 3}, shared, want_artifacts=True)
    assert found is not None
    assert found.artifacts
    (same,) = bob.registry.datasets.get([dataset_id], want_artifacts=True)
    assert same is not None
    assert same.artifacts
    assert len(bob.rows(QuerySpec(ResultKind.DATASETS, dataset_type="note", collections=(shared,)))) == 1


def test_to_see_a_dataset_is_not_to_read_it(deployment: Deployment) -> None:
    owner, bob = deployment.owner, deployment.as_(BOB)
    run = owner.register_run(f"seen/{next(_PLACES)}")
    dataset_id = note(owner, run)
    assert bob.find("note", {**CAMERA, "detector": 1}, run) is not None
    with pytest.raises(AccessDeniedError, match=f"read-data of collection '{run}'"):
        bob.find("note", {**CAMERA, "detector": 1}, run, want_artifacts=True)
    assert bob.registry.datasets.get([dataset_id])[0] is not None
    with pytest.raises(AccessDeniedError, match="read-data"):
        bob.registry.datasets.get([dataset_id], want_artifacts=True)
    tagged = bob.register(f"u/bob/tagged{next(_PLACES)}", CollectionType.TAGGED)
    with pytest.raises(AccessDeniedError, match="read-data"):
        bob.associate(tagged, dataset_id)
    with pytest.raises(AccessDeniedError, match="delete"):
        bob.registry.removals.prune(PruneDatasets(uuid.uuid4(), (dataset_id,), unstore=True, purge=True))


def test_a_put_belongs_to_whom_it_was_begun_by(deployment: Deployment) -> None:
    alice, bob = deployment.as_(ALICE), deployment.as_(BOB)
    intents = alice.begin("note", run_of(alice, "alice"), [{**CAMERA, "detector": 1}])
    ids = [intent.dataset_id for intent in intents]
    with pytest.raises(IntentError, match="No put of dataset"):
        bob.commit(intents)
    with pytest.raises(IntentError, match="No put of dataset"):
        bob.registry.puts.abort(ids, request_id=uuid.uuid4())
    alice.commit(intents)
    begun = alice.begin("note", run_of(alice, "alice"), [{**CAMERA, "detector": 1}])
    alice.registry.puts.abort([begun[0].dataset_id], request_id=uuid.uuid4())
    with pytest.raises(IntentError, match="No put of dataset"):
        bob.registry.puts.finish_abort([begun[0].dataset_id], request_id=uuid.uuid4())


def test_a_grant_is_of_use_to_whom_it_was_made_for(deployment: Deployment) -> None:
    alice = deployment.as_(ALICE)
    run = run_of(alice, "alice")
    ((grant,),) = (i.grants for i in alice.begin("note", run, [{**CAMERA, "detector": 1}]))
    signing = [b"a key for the tests of registries"]
    assert (
        TokenSigner(signing, bearer=lambda: "alice").open_grant(grant.token, Operation.WRITE).key == grant.key
    )
    with pytest.raises(GrantError, match="somebody else"):
        TokenSigner(signing, bearer=lambda: "bob").open_grant(grant.token, Operation.WRITE)
    with pytest.raises(GrantError, match="not read"):
        TokenSigner(signing, bearer=lambda: "alice").open_grant(grant.token, Operation.READ)
    transaction = alice.registry.transactions.begin(uuid.uuid4())
    within = RegistrySetup(transaction, alice.repository, alice.signer)
    ((second,),) = (i.grants for i in within.begin("note", run, [{**CAMERA, "detector": 2}]))
    transaction.rollback()
    assert TokenSigner(signing).open_grant(second.token, Operation.WRITE).principal == "alice"


def test_a_transaction_sees_no_more_than_its_caller(deployment: Deployment) -> None:
    alice, bob = deployment.as_(ALICE), deployment.as_(BOB)
    theirs = run_of(alice, "alice")
    transaction = bob.registry.transactions.begin(uuid.uuid4())
    try:
        assert theirs not in [c.name for c in transaction.collections.find(["*"])]
        with pytest.raises(MissingCollectionError):
            transaction.collections.get(theirs)
    finally:
        transaction.rollback()


def test_the_trash_shows_and_gives_back_what_one_may_delete(deployment: Deployment) -> None:
    alice, bob = deployment.as_(ALICE), deployment.as_(BOB)
    removed = {}
    for who, setup in (("alice", alice), ("bob", bob)):
        dataset_id = note(setup, run_of(setup, who))
        request = PruneDatasets(uuid.uuid4(), (dataset_id,), unstore=True, purge=True)
        removed[who] = dataset_id
        setup.registry.removals.prune(request)
    both = TrashSelection(dataset_ids=tuple(removed.values()))
    shown = bob.registry.trash.entries(both).artifacts
    assert [each.record.dataset_id for each in shown] == [removed["bob"]]
    assert sum(bob.registry.trash.count(both).values()) == 1
    assert sum(deployment.owner.registry.trash.count(both).values()) == 2
    assert bob.registry.trash.undelete(both, request_id=uuid.uuid4()) == 1
    assert deployment.owner.registry.datasets.get([removed["alice"]]) == [None]
    assert bob.registry.datasets.get([removed["bob"]])[0] is not None


def test_the_trash_says_who_removed_something(deployment: Deployment) -> None:
    alice = deployment.as_(ALICE)
    dataset_id = note(alice, run_of(alice, "alice"))
    alice.registry.removals.prune(PruneDatasets(uuid.uuid4(), (dataset_id,), unstore=True, purge=True))
    selection = TrashSelection(dataset_ids=(dataset_id,))
    (shown,) = deployment.owner.registry.trash.entries(selection).artifacts
    assert shown.trashed_by == "alice"


def test_an_answer_is_kept_for_who_asked(deployment: Deployment) -> None:
    alice, bob = deployment.as_(ALICE), deployment.as_(BOB)
    dataset_id = note(alice, run_of(alice, "alice"))
    request = PruneDatasets(uuid.uuid4(), (dataset_id,), unstore=True, purge=True)
    assert alice.registry.removals.prune(request) == alice.registry.removals.prune(request)
    with pytest.raises(InvalidRequestError, match="another request"):
        bob.registry.removals.prune(request)


def test_events_tell_of_runs_that_one_sees(deployment: Deployment) -> None:
    alice, bob = deployment.as_(ALICE), deployment.as_(BOB)
    position = bob.registry.events.position()
    theirs, mine = run_of(alice, "alice"), run_of(bob, "bob")
    note(alice, theirs)
    note(bob, mine)
    events = (event for event in bob.registry.events.watch(position) if event is not None)
    assert next(events).run == mine


def test_a_repository_in_which_one_may_do_nothing_is_not_there(deployment: Deployment) -> None:
    callers, name = deployment.application.callers, f"empty{next(_PLACES)}"
    universe = deployment.owner.universe
    deployment.application.create(name, universe, request_id=uuid.uuid4())
    same_answer(lambda: callers.open_for(name, BOB), lambda: callers.open_for("never", BOB), (name, "never"))
    assert name not in callers.names_for(BOB)
    assert deployment.owner.repository in callers.names_for(BOB)
    callers.give_to(name, BOB)
    assert callers.open_for(name, BOB).collections.find(["*"]) == []
    with pytest.raises(RepositoryNotFoundError):
        callers.open_for(name, ALICE)


def test_somebody_unknown_may_do_what_is_granted_to_everybody(deployment: Deployment) -> None:
    callers, name = deployment.application.callers, f"open{next(_PLACES)}"
    deployment.application.create(name, deployment.owner.universe, request_id=uuid.uuid4())
    for repository in (name, "never"):
        with pytest.raises(AuthenticationError, match="BUTLER_TOKEN_FILE"):
            callers.open_for(repository, ANONYMOUS)
    run = RegistrySetup(deployment.application.open(name), name, deployment.owner.signer).register_run("DR1")
    entry = AccessEntry("anonymous", "DR1/**", frozenset({Verb.READ_DATA}))
    deployment.application.open(name).access.grant(entry, request_id=uuid.uuid4())
    assert callers.open_for(name, ANONYMOUS).collections.get(run).name == run
    assert callers.open_for(name, ALICE).collections.get(run).name == run, "known ones may do what all may"


def test_to_be_somebody_costs_no_statement(deployment: Deployment) -> None:
    alice = deployment.as_(ALICE)
    run = run_of(alice, "alice")
    lookup = DatasetLookup("note", [{**CAMERA, "detector": 1}], (run,), want_artifacts=True)

    def work(principal: Principal | None) -> int:
        statements: list[str] = []

        def count(_connection: object, _cursor: object, statement: str, *_: object) -> None:
            statements.append(statement)

        event.listen(Engine, "before_cursor_execute", count)
        try:
            setup = deployment.owner if principal is None else deployment.as_(principal)
            dataset_id = note(setup, run)
            assert setup.registry.datasets.find(lookup)[0] is not None
            number = len(statements)
        finally:
            event.remove(Engine, "before_cursor_execute", count)
        setup.registry.removals.prune(PruneDatasets(uuid.uuid4(), (dataset_id,), unstore=True, purge=True))
        return number

    work(None)
    work(ALICE)
    as_owner = work(None)
    # The policy is read once a second; this is likely to be between.
    assert min(work(ALICE) for _ in range(3)) == as_owner


def test_what_is_granted_and_revoked_counts_at_once_here_and_soon_elsewhere(deployment: Deployment) -> None:
    carol = Principal("carol", frozenset({"night-shift"}))
    run = deployment.owner.register_run(f"logs/{next(_PLACES)}")
    deployment.grant("group:night-shift", "logs/**", Verb.READ_METADATA)
    view = deployment.as_(carol)
    assert view.registry.collections.get(run).name == run
    entry = AccessEntry("group:night-shift", "logs/**", frozenset())
    deployment.application.open(deployment.owner.repository).access.revoke(entry, request_id=uuid.uuid4())
    with pytest.raises(MissingCollectionError):
        deployment.as_(carol).registry.collections.get(run)


def test_what_is_granted_and_revoked_at_the_same_time_is_added_up(deployment: Deployment) -> None:
    access = deployment.application.open(deployment.owner.repository).access
    for turn in range(5):
        subject, prefix = f"user:dave{turn}", "many/**"
        at_once(*(partial(deployment.grant, subject, prefix, verb) for verb in Verb))
        (entry,) = (each for each in access.entries() if each.subject == subject)
        assert entry.verbs == frozenset(Verb)
        revoked = [AccessEntry(subject, prefix, frozenset({verb})) for verb in Verb]
        at_once(*(partial(access.revoke, each, request_id=uuid.uuid4()) for each in revoked))
        assert not [each for each in access.entries() if each.subject == subject]


class _AskedGroups(frozenset[str]):
    """Groups of a caller during whose first decision something else happens."""

    meanwhile: ClassVar[list[Callable[[], object]]] = []

    def __iter__(self) -> Iterator[str]:
        while self.meanwhile:
            self.meanwhile.pop()()
        return super().__iter__()


def test_what_is_revoked_while_a_caller_is_looked_up_is_not_remembered(deployment: Deployment) -> None:
    erin = Principal("erin", _AskedGroups({"day-shift"}))
    access = deployment.application.open(deployment.owner.repository).access
    deployment.grant("group:day-shift", "days/**", Verb.WRITE)
    access.access_of(ALICE)

    def revoke() -> None:
        access.revoke(AccessEntry("group:day-shift", "days/**", frozenset()), request_id=uuid.uuid4())
        access.access_of(BOB)

    _AskedGroups.meanwhile.append(revoke)
    access.access_of(erin)
    assert not _AskedGroups.meanwhile
    assert not access.access_of(erin).may(Verb.WRITE, "days/1")
