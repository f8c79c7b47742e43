"""Which registered rows a bundle says it used: a bitmap over the training leaves of its member.

A bit is a leaf, so that no row can be said twice, and none that was not registered. Left out: what a leaf is
(:mod:`cocogen.data.own`), and whether a row stands behind it (:mod:`cocogen.evidence.challenge`).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cocogen.errors import EvidenceRejected

__all__ = ["bitmap", "check_leaves", "count", "used"]


def bitmap(rows: NDArray[np.int64], leaves: int) -> str:
    """The different ``rows``, numbers below ``leaves``, as hexadecimal text of ⌈leaves / 8⌉ bytes.

    The most significant bit of the first byte is leaf 0; bits beyond the last leaf are zero.
    """
    bits = np.zeros(leaves, dtype=np.bool_)
    bits[rows] = True
    return np.packbits(bits).tobytes().hex()


def used(text: str) -> NDArray[np.int64]:
    """The leaves of a bitmap, ascending."""
    return np.flatnonzero(np.unpackbits(np.frombuffer(bytes.fromhex(text), dtype=np.uint8))).astype(np.int64)


def count(text: str) -> int:
    """How many leaves a bitmap names."""
    return int.from_bytes(bytes.fromhex(text), "big").bit_count()


def check_leaves(organization: str, text: str, leaves: int) -> None:
    """EvidenceRejected unless the bitmap is one over ``leaves`` leaves."""
    if len(text) != 2 * (wanted := -(-leaves // 8)):
        raise EvidenceRejected(
            organization,
            f"its bitmap has {len(text) // 2} bytes, but {leaves} registered training rows make {wanted}",
            hint="train on the rows that were registered",
        )
    beyond = used(text)
    if len(beyond) and (last := int(beyond[-1])) >= leaves:
        raise EvidenceRejected(
            organization,
            f"it claims leaf {last}, but the training rows that it registered are leaves 0 to {leaves - 1}",
            hint="train on the rows that were registered",
        )
