# SPDX-License-Identifier: BSD-3-Clause
"""What registry and datastore tell each other arrives as it was."""

from __future__ import annotations

from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from butler_api.convert.housekeeping import (
    inspection_from_proto,
    inspection_to_proto,
    purge_from_proto,
    purge_to_proto,
)
from butler_api.convert.ledger import (
    failure_from_proto,
    failure_to_proto,
    known_from_proto,
    known_to_proto,
    places_from_proto,
    places_to_proto,
)
from butler_api.convert.trash import selection_from_proto, selection_to_proto
from butler_model.ports import (
    Finding,
    FindingKind,
    InspectionProgress,
    IntendedPlace,
    KnownArtifact,
    Ownership,
)
from butler_model.trash import PurgeFailure, PurgeProgress, PurgeTask, TrashSelection, TrashState

TEXTS = st.text(st.characters(codec="utf-8"), max_size=20)
SIZES = st.integers(0, 2**63 - 1)
TASKS = st.builds(PurgeTask, st.uuids(), TEXTS, TEXTS, TEXTS, SIZES, st.booleans())
FINDINGS = st.builds(
    Finding,
    st.sampled_from(FindingKind),
    TEXTS,
    TEXTS,
    st.none() | st.uuids(),
    st.none() | SIZES,
    st.none() | SIZES,
    TEXTS,
    st.booleans(),
)


def tuples(elements: st.SearchStrategy[str]) -> st.SearchStrategy[tuple[str, ...]]:
    """Return tuples of up to three."""
    return st.lists(elements, max_size=3).map(tuple)


@given(st.builds(PurgeFailure, TASKS, TEXTS))
def test_failures_and_their_tasks(failure: PurgeFailure) -> None:
    assert failure_from_proto(failure_to_proto(failure)) == failure


@given(st.uuids(), st.lists(st.tuples(TEXTS, TEXTS), max_size=3))
def test_places(dataset_id: UUID, places: list[tuple[str, str]]) -> None:
    intent = IntendedPlace(dataset_id, tuple(places))
    assert places_from_proto(places_to_proto(intent)) == intent


@given(
    st.builds(
        KnownArtifact, TEXTS, st.sampled_from(Ownership), st.uuids(), TEXTS, SIZES, TEXTS, tuples(TEXTS)
    )
)
def test_known_artifacts(artifact: KnownArtifact) -> None:
    assert known_from_proto(known_to_proto(artifact)) == artifact


@given(
    st.builds(
        TrashSelection,
        st.lists(st.uuids(), max_size=3).map(tuple),
        st.lists(st.uuids(), max_size=3).map(tuple),
        tuples(TEXTS),
        st.frozensets(st.sampled_from(TrashState)),
    )
)
def test_selections(selection: TrashSelection) -> None:
    assert selection_from_proto(selection_to_proto(selection)) == selection


@given(
    st.builds(PurgeProgress, SIZES, SIZES, SIZES, SIZES, SIZES, st.none() | TEXTS.filter(bool)),
)
def test_how_far_the_emptying_is(progress: PurgeProgress) -> None:
    assert purge_from_proto(purge_to_proto(progress)) == progress


@given(
    st.builds(InspectionProgress, SIZES, SIZES, st.none() | SIZES, st.lists(FINDINGS, max_size=3).map(tuple))
)
def test_how_far_an_inspection_is(progress: InspectionProgress) -> None:
    assert inspection_from_proto(inspection_to_proto(progress)) == progress
