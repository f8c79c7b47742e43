"""A coalition is evaluated once, whatever order it is named in, and only finite values are let in."""

from __future__ import annotations

import math

import pytest

from cocogen.contribution import Coalitions
from cocogen.errors import ConfigurationError, LearningError


def test_a_coalition_is_evaluated_once_in_whatever_order_it_is_named() -> None:
    seen = []

    def utility(coalition):
        seen.append(coalition)
        return float(len(coalition))

    game = Coalitions(4, utility)
    assert game([2, 0]) == game((0, 2)) == game.masked(0b101) == 2.0
    assert seen == [(0, 2)]
    assert game.evaluations == 1
    assert game(()) == 0.0
    assert game.total == 4.0
    assert game.evaluations == 3


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_utility_that_is_not_finite_is_an_error_that_names_the_coalition(value: float) -> None:
    game = Coalitions(3, lambda _: value)
    with pytest.raises(LearningError, match=r"coalition \(1, 2\)"):
        game([2, 1])


@pytest.mark.parametrize("player", [-1, 3])
def test_a_player_outside_the_game_is_an_error(player: int) -> None:
    with pytest.raises(ConfigurationError, match=f"player {player}"):
        Coalitions(3, len)([player])


def test_a_game_has_players() -> None:
    with pytest.raises(ConfigurationError, match="0 players"):
        Coalitions(0, len)
