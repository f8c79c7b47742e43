from __future__ import annotations

import numpy as np
import pytest
import torch

from cocogen.learning.training.batches import Register, blocks

SAMPLES = (11, 7, 4, 0)
SYNTHETIC = (3, 0, 4, 0)
EPOCHS, BATCH, WIDTH = 3, 4, 2


def registers() -> list[Register]:
    return [Register(s, g, np.random.default_rng(n)) for n, (s, g) in enumerate(zip(SAMPLES, SYNTHETIC, strict=True))]


def drawn(n: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """The batches of organization n as its stream gives them: order, then noise, epoch by epoch."""
    rng, samples = np.random.default_rng(n), SAMPLES[n]
    found = []
    for _ in range(EPOCHS):
        order = rng.permutation(samples)
        noise = rng.standard_normal((samples, WIDTH), dtype=np.float32)
        found += [(order[at : at + BATCH], noise[at : at + BATCH]) for at in range(0, samples, BATCH)]
    return found


@pytest.mark.parametrize("values", [1, 4 * BATCH * WIDTH * 2, 2**20])
def test_blocks_of_any_size_hold_every_batch_of_every_stream(values: int) -> None:
    made = list(blocks(registers(), EPOCHS, BATCH, WIDTH, values))
    rows, noise, weights = (torch.cat([getattr(b, part) for b in made]) for part in ("rows", "noise", "weights"))
    sizes, synthetic = (np.concatenate([getattr(b, part) for b in made]) for part in ("sizes", "synthetic"))
    assert len(rows) == EPOCHS * 3
    for n, offset in enumerate((0, 11, 18, 22)):
        expected = drawn(n)
        assert (sizes[len(expected) :, n] == 0).all()
        for step, (places, draws) in enumerate(expected):
            size = len(places)
            assert sizes[step, n] == size
            assert rows[step, n, :size].tolist() == (places + offset).tolist()
            assert np.array_equal(noise[step, n, :size].numpy(), draws)
            assert weights[step, n].tolist() == pytest.approx([1 / size] * size + [0] * (BATCH - size))
            assert synthetic[step, n] == (places >= SAMPLES[n] - SYNTHETIC[n]).sum()


def test_blocks_are_as_large_as_asked() -> None:
    assert [len(block.rows) for block in blocks(registers(), EPOCHS, BATCH, WIDTH, 4 * 4 * BATCH * WIDTH)] == [4, 4, 1]


def test_extents_name_those_at_work_and_their_largest_batch() -> None:
    (block,) = blocks(registers(), EPOCHS, BATCH, WIDTH)
    assert block.extents == ((3, 4), (3, 4), (3, 4), (2, 4), (2, 4), (2, 3), (1, 4), (1, 4), (1, 3))


def test_nothing_beyond_a_batch_points_outside_the_samples() -> None:
    (block,) = blocks(registers(), EPOCHS, BATCH, WIDTH)
    assert int(block.rows.max()) < sum(SAMPLES)


def test_without_samples_there_is_no_step() -> None:
    assert list(blocks([Register(0, 0, np.random.default_rng(0))], EPOCHS, BATCH, 0)) == []
