"""A bitmap over registered rows says which were used, each once, and none that was not registered."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cocogen.errors import EvidenceRejected
from cocogen.evidence.leaves import bitmap, check_leaves, count, used


@given(
    st.integers(0, 70).flatmap(lambda leaves: st.tuples(st.just(leaves), st.sets(st.integers(0, max(leaves - 1, 0)))))
)
def test_property_a_bitmap_gives_its_rows_back_and_counts_them(drawn) -> None:
    leaves, rows = drawn
    rows = {row for row in rows if row < leaves}
    text = bitmap(np.array(sorted(rows), dtype=np.int64), leaves)
    assert used(text).tolist() == sorted(rows)
    assert count(text) == len(rows)
    check_leaves("north", text, leaves)


def test_the_most_significant_bit_of_the_first_byte_is_leaf_0() -> None:
    assert bitmap(np.array([0, 9]), 10) == "8040"


def test_a_leaf_that_is_said_twice_is_one_bit() -> None:
    assert bitmap(np.array([3, 3, 5]), 8) == bitmap(np.array([3, 5]), 8)


@pytest.mark.parametrize("text", ["", "80", "804000"])
def test_a_bitmap_of_another_length_is_refused(text) -> None:
    with pytest.raises(EvidenceRejected, match=rf"has {len(text) // 2} bytes, but 10 registered training rows make 2"):
        check_leaves("north", text, 10)


def test_a_bit_beyond_the_training_rows_is_refused_by_its_number() -> None:
    with pytest.raises(EvidenceRejected, match=r"claims leaf 10, but .* leaves 0 to 9"):
        check_leaves("north", "0020", 10)
