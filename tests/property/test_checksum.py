# SPDX-License-Identifier: BSD-3-Clause
"""The checksum that is computed beside other work is the checksum."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from butler_model.artifact import sha256
from butler_model.checksum import Checksum


@given(st.lists(st.tuples(st.binary(max_size=5), st.sampled_from([0, 1, 300_000])), max_size=12))
def test_pieces_of_any_length_have_the_checksum_of_their_sum(parts: list[tuple[bytes, int]]) -> None:
    checksum = Checksum()
    pieces = [piece + bytes(padding) for piece, padding in parts]
    for number, piece in enumerate(pieces):
        checksum.add(piece)
        if number % 3 == 0:
            assert checksum.text == sha256(pieces[: number + 1])
    assert checksum.text == sha256(pieces)
