"""What each sampler promises about its blocks."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from cocogen.contribution import Antithetic, Guided, Uniform
from cocogen.errors import ConfigurationError

SAMPLERS = (Uniform(), Antithetic(), Guided(), Guided(3), Guided(9))


@pytest.mark.parametrize("sampler", SAMPLERS, ids=repr)
@pytest.mark.parametrize("players", [1, 2, 5])
def test_a_block_holds_permutations(sampler, players: int) -> None:
    block = sampler.block(players, np.random.default_rng(0))
    assert block.shape[1] == players
    assert (np.sort(block, axis=1) == np.arange(players)).all()


@pytest.mark.parametrize("sampler", SAMPLERS, ids=repr)
def test_equal_seeds_give_equal_blocks_and_others_do_not(sampler) -> None:
    first, same, other = (sampler.block(8, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert (first == same).all()
    assert not (first == other).all()


def test_antithetic_orders_come_with_their_reverse() -> None:
    forth, back = Antithetic().block(7, np.random.default_rng(3))
    assert forth.tolist() == back[::-1].tolist()


@pytest.mark.parametrize("leading", [1, 3, 7])
def test_guided_blocks_balance_the_leading_places(leading: int) -> None:
    block = Guided(leading).block(7, np.random.default_rng(4))
    assert len(block) == 7
    for place in range(leading):
        assert sorted(block[:, place]) == list(range(7))


def test_guided_orders_go_on_at_random_behind_the_leading_places() -> None:
    rng = np.random.default_rng(5)
    blocks = [Guided(1).block(4, rng) for _ in range(50)]
    assert any(sorted(block[:, 1]) != [0, 1, 2, 3] for block in blocks)


@pytest.mark.parametrize("sampler", SAMPLERS, ids=repr)
def test_every_order_is_equally_likely(sampler) -> None:
    rng = np.random.default_rng(6)
    orders = Counter(tuple(row) for _ in range(2400) for row in sampler.block(3, rng))
    expected = orders.total() / 6
    assert len(orders) == 6
    # Five degrees of freedom; 25.7 is the 99.99 % point. Dependence within blocks makes the counts closer still.
    assert sum((count - expected) ** 2 / expected for count in orders.values()) < 25.7


def test_no_place_can_rotate() -> None:
    with pytest.raises(ConfigurationError, match="0 leading places"):
        Guided(0)
