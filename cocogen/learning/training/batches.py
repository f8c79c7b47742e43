"""The batches of stacked organizations, laid out a block of steps ahead.

What python decides in each step (who is still at work, which rows, how many) costs more than a small model's
arithmetic, so it is decided for many steps at once, as arrays. A block bounds the memory that indices and noise take.
Each organization's draws come from its own stream, one epoch after the other: the order of its samples, then the noise
of all of them. They do not depend on the blocks, nor on who else is at work.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["Block", "Register", "blocks"]

_BLOCK_VALUES = 2**23
"""Indices and noise values of a block, about 64 MB at most."""


@dataclass(frozen=True, slots=True)
class Register:
    """``samples`` of one organization, the last ``synthetic`` of them generated; ``rng`` is consumed."""

    samples: int
    synthetic: int
    rng: np.random.Generator


@dataclass(frozen=True, slots=True)
class Block:
    """K steps of N organizations with batches of at most B samples.

    ``rows`` (K, N, B) int64: places among the samples of all organizations, one after the other. ``weights`` (K, N, B)
    float32: what makes a sum over a batch its mean; 0 where a batch ends early. ``noise`` (K, N, B, w) float32.
    ``sizes``, ``synthetic`` (K, N) int64: samples in each batch, and how many of them are generated. ``extents``: for
    each step the number of organizations still at work, always the first ones, and the largest of their batches;
    whatever lies beyond either means nothing.
    """

    rows: Tensor
    weights: Tensor
    noise: Tensor
    sizes: NDArray[np.int64]
    synthetic: NDArray[np.int64]
    extents: tuple[tuple[int, int], ...]


def blocks(
    registers: Sequence[Register], epochs: int, batch_size: int, noise_width: int, values: int = _BLOCK_VALUES
) -> Iterator[Block]:
    """All steps of ``epochs`` epochs, organizations with most steps first; a block holds about ``values`` numbers."""
    samples = np.array([register.samples for register in registers], dtype=np.int64)
    per_epoch = -(-samples // batch_size)
    steps = epochs * per_epoch
    firsts = samples - np.array([register.synthetic for register in registers], dtype=np.int64)
    offsets = np.cumsum(samples) - samples
    feeds = [_Feed(register, batch_size, noise_width) for register in registers]
    span = max(1, values // (len(registers) * batch_size * max(1, noise_width)))
    for start in range(0, int(steps.max(initial=0)), span):
        numbers = np.arange(start, min(start + span, int(steps.max())))[:, None]
        shape = (len(numbers), len(registers), batch_size)
        rows = np.zeros(shape, dtype=np.int64)
        noise = np.zeros((*shape, noise_width), dtype=np.float32)
        for n, feed in enumerate(feeds):
            taken = int(min(steps[n] - start, len(numbers)))
            if taken > 0:
                rows[:taken, n], noise[:taken, n] = feed.take(taken)
        last = (numbers + 1) % np.maximum(per_epoch, 1) == 0
        sizes = np.where(last, samples - (per_epoch - 1) * batch_size, batch_size) * (numbers < steps)
        inside = np.arange(batch_size) < sizes[:, :, None]
        yield Block(
            rows=torch.from_numpy(np.where(inside, rows + offsets[:, None], 0)),
            weights=torch.from_numpy((inside / np.maximum(sizes, 1)[:, :, None]).astype(np.float32)),
            noise=torch.from_numpy(noise),
            sizes=sizes,
            synthetic=(inside & (rows >= firsts[:, None])).sum(axis=2, dtype=np.int64),
            extents=tuple(zip((numbers < steps).sum(axis=1).tolist(), sizes.max(axis=1).tolist(), strict=True)),
        )


class _Feed:
    """The batches of one organization, drawn epoch by epoch and handed out some steps at a time."""

    def __init__(self, register: Register, batch_size: int, noise_width: int) -> None:
        self._register = register
        self._per_epoch = -(-register.samples // batch_size)
        self._batch = batch_size
        self._width = noise_width
        self._rows = np.zeros((0, batch_size), dtype=np.int64)
        self._noise = np.zeros((0, batch_size, noise_width), dtype=np.float32)

    def take(self, steps: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """The next ``steps`` batches: places (``steps``, B) and noise (``steps``, B, w), 0 where a batch ends early."""
        rows, noise = [self._rows], [self._noise]
        missing = steps - len(self._rows)
        while missing > 0:
            more_rows, more_noise = self._epoch()
            rows.append(more_rows)
            noise.append(more_noise)
            missing -= self._per_epoch
        all_rows, all_noise = np.concatenate(rows), np.concatenate(noise)
        self._rows, self._noise = all_rows[steps:], all_noise[steps:]
        return all_rows[:steps], all_noise[:steps]

    def _epoch(self) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        samples, rng = self._register.samples, self._register.rng
        rows = np.zeros((self._per_epoch, self._batch), dtype=np.int64)
        noise = np.zeros((*rows.shape, self._width), dtype=np.float32)
        rows.reshape(-1)[:samples] = rng.permutation(samples)
        if self._width:
            noise.reshape(rows.size, self._width)[:samples] = rng.standard_normal(
                (samples, self._width), dtype=np.float32
            )
        return rows, noise
