"""Salted leaves of a site's rows, and the tree over them whose root is registered.

::

    salt_i = HMAC-SHA256(secret, i)                                     i: 8 bytes, as all integers big-endian
    leaf_i = SHA-256(0x00 ‖ i ‖ salt_i ‖ canonical row ‖ label)         label: 4 bytes
    node   = SHA-256(0x01 ‖ left ‖ right)

Leaves are numbered from 0, training rows first. A node without a neighbour goes up as it is, and the root of one leaf
is the leaf: the tree of RFC 6962, section 2.1. A leaf tells nothing of its row without the salt, and no salt tells
another: an opening reveals one.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cocogen.data.own.rows import Rows, packed
from cocogen.data.own.secret import SECRET_BYTES

__all__ = ["DIGEST_BYTES", "Opening", "leaf_digests", "opened_leaf", "opening", "path", "root", "salt", "verify"]

DIGEST_BYTES = 32
_BLOCK = 64
_INDEX, _LABEL = 8, 4
_OF_LEAF, _OF_NODE = hashlib.sha256(b"\x00"), hashlib.sha256(b"\x01")


@dataclass(frozen=True, slots=True)
class Opening:
    """What a site shows of one leaf: its ``index``, canonical ``row``, ``label`` (class index) and ``salt``."""

    index: int
    row: bytes
    label: int
    salt: bytes


def salt(secret: bytes, index: int) -> bytes:
    """The salt of a leaf, 32 bytes."""
    return hmac.digest(secret, index.to_bytes(_INDEX, "big"), "sha256")


def leaf_digests(secret: bytes, rows: Rows, advance: Callable[[int], None] | None = None) -> NDArray[np.uint8]:
    """All leaves, (n, 32) uint8; ``advance`` hears how many there are so far.

    ValueError where the secret has not 32 bytes, or a row no label.
    """
    if len(secret) != SECRET_BYTES or (len(rows) and int(rows.labels.min()) < 0):
        raise ValueError(f"a secret of {len(secret)} bytes, not {SECRET_BYTES}, or a row without a label")
    # HMAC by hand, from two states that are copied: four times as fast as calling it for each of two million indices.
    key = secret.ljust(_BLOCK, b"\x00")
    inner, outer = (hashlib.sha256(bytes(byte ^ pad for byte in key)) for pad in (0x36, 0x5C))
    leaves = np.empty((len(rows), DIGEST_BYTES), dtype=np.uint8)
    for start, stop in rows.pieces():
        cells = rows.cells(start, stop)
        row = packed(rows.schema, cells)
        count = stop - start
        indices = np.arange(start, stop, dtype=">u8").view(np.uint8).reshape(count, _INDEX)
        inside = _digests(inner, indices)
        salts = _digests(outer, inside)
        labels = cells.labels.astype(">u4").view(np.uint8).reshape(count, _LABEL)
        leaves[start:stop] = _digests(_OF_LEAF, np.concatenate([indices, salts, row, labels], axis=1))
        if advance is not None:
            advance(stop)
    return leaves


def opening(secret: bytes, rows: Rows, index: int) -> Opening:
    """What opens leaf ``index``; IndexError where there is none."""
    if not 0 <= index < len(rows):
        raise IndexError(f"leaf {index} of {len(rows)}")
    cells = rows.cells(index, index + 1)
    return Opening(index, packed(rows.schema, cells).tobytes(), int(cells.labels[0]), salt(secret, index))


def opened_leaf(shown: Opening) -> bytes:
    """The leaf that an opening is of, 32 bytes; ValueError where index, label or salt do not fit their bytes."""
    if not (0 <= shown.index < 2**64 and 0 <= shown.label < 2**32 and len(shown.salt) == DIGEST_BYTES):
        raise ValueError(f"leaf {shown.index}, label {shown.label} or a salt of {len(shown.salt)} bytes")
    index, label = shown.index.to_bytes(_INDEX, "big"), shown.label.to_bytes(_LABEL, "big")
    return hashlib.sha256(b"\x00" + index + shown.salt + shown.row + label).digest()


def root(leaves: NDArray[np.uint8]) -> bytes:
    """The root over (n, 32) uint8, 32 bytes; ValueError without leaves."""
    return _levels(leaves)[-1].tobytes()


def path(leaves: NDArray[np.uint8], index: int) -> tuple[bytes, ...]:
    """The neighbours from leaf ``index`` up to the root, at most 64; IndexError where there is no such leaf."""
    if not 0 <= index < len(leaves):
        raise IndexError(f"leaf {index} of {len(leaves)}")
    found = []
    for level in _levels(leaves)[:-1]:
        if (index ^ 1) < len(level):
            found.append(level[index ^ 1].tobytes())
        index //= 2
    return tuple(found)


def verify(top: bytes, count: int, index: int, leaf: bytes, neighbours: tuple[bytes, ...]) -> bool:
    """Whether ``leaf`` is number ``index`` of the ``count`` under the root ``top``, by its :func:`path`."""
    if not 0 <= index < count or len(leaf) != DIGEST_BYTES or any(len(node) != DIGEST_BYTES for node in neighbours):
        return False
    node, rest = leaf, list(neighbours)
    while count > 1:
        if (index ^ 1) < count:
            if not rest:
                return False
            neighbour = rest.pop(0)
            left, right = (neighbour, node) if index & 1 else (node, neighbour)
            node = hashlib.sha256(b"\x01" + left + right).digest()
        index, count = index // 2, (count + 1) // 2
    return not rest and hmac.compare_digest(node, top)


def _levels(leaves: NDArray[np.uint8]) -> list[NDArray[np.uint8]]:
    """From the leaves, (n, 32), to the root, (1, 32)."""
    if not len(leaves):
        raise ValueError("no leaves")
    levels = [leaves]
    while len(level := levels[-1]) > 1:
        pairs = len(level) // 2
        above = _digests(_OF_NODE, np.ascontiguousarray(level[: 2 * pairs]).reshape(pairs, 2 * DIGEST_BYTES))
        levels.append(above if len(level) % 2 == 0 else np.concatenate([above, level[-1:]]))
    return levels


def _digests(state: hashlib._Hash, messages: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """SHA-256 of what ``state`` has taken and each of (m, w) messages, (m, 32) uint8."""
    count, width = messages.shape
    content = np.ascontiguousarray(messages).data.cast("B")
    digests = bytearray(count * DIGEST_BYTES)
    copy = state.copy
    for at, start in zip(range(0, len(digests), DIGEST_BYTES), range(0, count * width, width), strict=True):
        one = copy()
        one.update(content[start : start + width])
        digests[at : at + DIGEST_BYTES] = one.digest()
    return np.frombuffer(digests, dtype=np.uint8).reshape(count, DIGEST_BYTES)
