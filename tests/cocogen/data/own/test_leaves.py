"""Leaves and their tree are what their formulas say, and only a leaf's own opening and path fit its root."""

from __future__ import annotations

import hashlib
import hmac

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cocogen.data.own.leaves import Opening, leaf_digests, opened_leaf, opening, path, root, salt, verify
from cocogen.data.own.rows import Rows, packed
from cocogen.data.own.secret import derived_key, new_secret
from tests.cocogen.data.own.tables import SECRET, images, table


def drawn(count: int) -> np.ndarray:
    return np.random.default_rng(count).integers(0, 256, (count, 32), dtype=np.uint8)


def rfc6962(leaves: list[bytes]) -> bytes:
    """Merkle tree hash of RFC 6962, 2.1: recursive, split at the largest power of two below n. Leaves are hashed."""
    if len(leaves) == 1:
        return leaves[0]
    half = 1 << (len(leaves) - 1).bit_length() - 1
    return hashlib.sha256(b"\x01" + rfc6962(leaves[:half]) + rfc6962(leaves[half:])).digest()


@pytest.mark.parametrize("count", [*range(1, 20), 33, 100, 257])
def test_the_tree_is_that_of_rfc_6962(count: int) -> None:
    leaves = drawn(count)
    assert root(leaves) == rfc6962([leaf.tobytes() for leaf in leaves])


def test_leaves_are_what_their_formula_says() -> None:
    own = table(40)
    rows = Rows.of(own, np.arange(0, 40, 2), np.arange(1, 40, 2))
    leaves = leaf_digests(SECRET, rows)
    assert leaves.shape == (40, 32)
    row = packed(own.schema, rows.cells(0, 40))
    for index in (0, 19, 20, 39):
        number = index.to_bytes(8, "big")
        own_salt = hmac.new(SECRET, number, "sha256").digest()
        label = int(rows.labels[index]).to_bytes(4, "big")
        content = b"\x00" + number + own_salt + row[index].tobytes() + label
        assert leaves[index].tobytes() == hashlib.sha256(content).digest()
        assert salt(SECRET, index) == own_salt


def test_leaves_of_images_cover_pixels_and_label() -> None:
    own = images(5)
    leaves = leaf_digests(SECRET, Rows.of(own))
    own.pixels[2, 7] ^= 1
    own.labels[4] ^= 1
    changed = np.any(leaf_digests(SECRET, Rows.of(own)) != leaves, axis=1)
    assert changed.tolist() == [False, False, True, False, True]


def test_equal_rows_have_different_leaves_and_another_secret_all_others() -> None:
    own = table(2)
    own.numbers[1], own.levels[1], own.labels[1] = own.numbers[0], own.levels[0], own.labels[0]
    first, other = (leaf_digests(key, Rows.of(own)) for key in (SECRET, bytes(32)))
    assert len({leaf.tobytes() for leaf in np.concatenate([first, other])}) == 4


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 70), st.data())
def test_only_a_leafs_own_path_fits(count: int, data: st.DataObject) -> None:
    leaves = drawn(count)
    top = root(leaves)
    index, other = (data.draw(st.integers(0, count - 1)) for _ in range(2))
    leaf, way = leaves[index].tobytes(), path(leaves, index)
    assert verify(top, count, index, leaf, way)
    if other != index:
        assert not verify(top, count, other, leaf, way) or path(leaves, other) == way == ()
    assert not verify(top, count, index, bytes(32), way)
    assert not verify(bytes(32), count, index, leaf, way)
    assert not verify(top, count, index, leaf, (*way, bytes(32)))
    assert not verify(top, count, count, leaf, way)
    assert not verify(top, count, -1, leaf, way)
    if way:
        assert not verify(top, count, index, leaf, way[:-1])
        assert not verify(top, count, index, leaf, (way[0][:31], *way[1:]))


def test_an_opening_fits_its_leaf_and_no_changed_one_does() -> None:
    rows = Rows.of(table(20))
    leaves = leaf_digests(SECRET, rows)
    shown = opening(SECRET, rows, 13)
    assert opened_leaf(shown) == leaves[13].tobytes()
    for changed in (
        Opening(12, shown.row, shown.label, shown.salt),
        Opening(13, shown.row[:-1] + b"x", shown.label, shown.salt),
        Opening(13, shown.row, shown.label ^ 1, shown.salt),
        Opening(13, shown.row, shown.label, bytes(32)),
    ):
        assert opened_leaf(changed) != leaves[13].tobytes()


@pytest.mark.parametrize(
    "shown", [Opening(-1, b"", 0, bytes(32)), Opening(0, b"", 2**32, bytes(32)), Opening(0, b"", 0, bytes(31))]
)
def test_an_opening_that_cannot_be_one_is_refused(shown: Opening) -> None:
    with pytest.raises(ValueError, match="leaf"):
        opened_leaf(shown)


def test_there_is_no_leaf_beyond_the_last_and_no_root_without_any() -> None:
    rows = Rows.of(table(3))
    leaves = leaf_digests(SECRET, rows)
    for index in (-1, 3):
        with pytest.raises(IndexError, match=f"leaf {index} of 3"):
            path(leaves, index)
        with pytest.raises(IndexError, match=f"leaf {index} of 3"):
            opening(SECRET, rows, index)
    with pytest.raises(ValueError, match="no leaves"):
        root(leaves[:0])


def test_a_short_secret_and_rows_without_labels_have_no_leaves() -> None:
    own = table(3)
    with pytest.raises(ValueError, match="secret of 31 bytes"):
        leaf_digests(SECRET[:31], Rows.of(own))
    own.labels[1] = -1
    with pytest.raises(ValueError, match="without a label"):
        leaf_digests(SECRET, Rows.of(own))


def test_keys_of_different_purposes_are_different_and_none_is_a_salt() -> None:
    assert derived_key(SECRET, "purpose one") != derived_key(SECRET, "purpose two")
    with pytest.raises(ValueError, match="purpose of 8 bytes"):
        derived_key(SECRET, "8 letter")
    assert len({new_secret() for _ in range(4)}) == 4
