# SPDX-License-Identifier: BSD-3-Clause
"""Which of the trash is meant, and how far its deletion is."""

from __future__ import annotations

__all__ = ["selection_from_proto", "selection_to_proto", "trash_state_from_proto", "trash_state_to_proto"]

from butler_api.v1 import trash_pb2 as pb
from butler_model.errors import InvalidRequestError
from butler_model.trash import TrashSelection, TrashState

from .values import packed_uuids_from_proto

_STATES = {
    TrashState.TRASHED: pb.TRASH_STATE_TRASHED,
    TrashState.PURGING: pb.TRASH_STATE_PURGING,
    TrashState.FAILED: pb.TRASH_STATE_FAILED,
}
_STATES_BACK = {number: state for state, number in _STATES.items()}


def trash_state_to_proto(state: TrashState) -> pb.TrashState.ValueType:
    """Return the number of a state."""
    return _STATES[state]


def trash_state_from_proto(number: int) -> TrashState:
    """Return a state; `InvalidRequestError` for a number that means none."""
    if number not in _STATES_BACK:
        raise InvalidRequestError(f"{number} is no state of the trash that this version knows; upgrade it.")
    return _STATES_BACK[pb.TrashState.ValueType(number)]


def selection_to_proto(selection: TrashSelection) -> pb.TrashSelection:
    """Return the message of a selection."""
    return pb.TrashSelection(
        trash_ids=b"".join(trash_id.bytes for trash_id in selection.trash_ids),
        dataset_ids=b"".join(dataset_id.bytes for dataset_id in selection.dataset_ids),
        stores=selection.stores,
        states=[_STATES[state] for state in sorted(selection.states, key=lambda state: state.value)],
    )


def selection_from_proto(message: pb.TrashSelection) -> TrashSelection:
    """Return a selection; `InvalidRequestError` for a malformed id or state."""
    return TrashSelection(
        tuple(packed_uuids_from_proto(message.trash_ids, "trash_ids")),
        tuple(packed_uuids_from_proto(message.dataset_ids, "dataset_ids")),
        tuple(message.stores),
        frozenset(map(trash_state_from_proto, message.states)),
    )
