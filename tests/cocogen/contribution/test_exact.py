"""Exact values against the literature, against the definition, and against the axioms."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cocogen.contribution import Coalitions, exact_shapley, leave_one_out
from cocogen.errors import ConfigurationError

REAL = st.floats(-1e3, 1e3, allow_nan=False)


def tabulated(values: list[float]) -> Coalitions:
    """The game with these values, coalitions counted in binary."""
    players = (len(values) - 1).bit_length()
    return Coalitions(players, lambda s: values[sum(1 << n for n in s)])


def games(players: st.SearchStrategy[int]) -> st.SearchStrategy[list[float]]:
    return players.flatmap(lambda n: st.lists(REAL, min_size=2**n, max_size=2**n))


def test_exact_values_are_those_of_the_literature(oracle) -> None:
    valuation = exact_shapley(oracle.game())
    np.testing.assert_allclose(valuation.values, oracle.values, rtol=0, atol=1e-12)
    assert valuation.exact
    assert valuation.evaluations == 2**oracle.players
    assert valuation.permutations == valuation.truncated == 0
    assert not valuation.standard_errors.any()


def test_exact_values_are_those_of_the_definition(random_game, definition) -> None:
    for seed in range(3):
        oracle = random_game(5, seed)
        np.testing.assert_allclose(exact_shapley(oracle.game()).values, definition(oracle), rtol=0, atol=1e-12)


@given(games(st.integers(1, 5)))
def test_property_efficiency_with_any_value_of_nobody(values) -> None:
    valuation = exact_shapley(tabulated(values))
    assert valuation.total == values[-1] - values[0]
    assert valuation.values.sum() == pytest.approx(valuation.total, abs=1e-9)


@given(games(st.integers(2, 5)), st.data())
def test_property_symmetry_under_renaming(values, data) -> None:
    game = tabulated(values)
    order = data.draw(st.permutations(range(game.players)))
    renamed = Coalitions(game.players, lambda s: game([order[n] for n in s]))
    expected = exact_shapley(game).values[list(order)]
    np.testing.assert_allclose(exact_shapley(renamed).values, expected, rtol=0, atol=1e-9)


@given(games(st.integers(1, 4)), st.data())
def test_property_a_null_player_gets_nothing_and_changes_nothing(values, data) -> None:
    game = tabulated(values)
    null = data.draw(st.integers(0, game.players))
    larger = Coalitions(game.players + 1, lambda s: game([n - (n > null) for n in s if n != null]))
    found = exact_shapley(larger).values
    assert found[null] == 0
    np.testing.assert_allclose(np.delete(found, null), exact_shapley(game).values, rtol=0, atol=1e-9)
    assert leave_one_out(larger).values[null] == 0


@given(st.integers(1, 4).flatmap(lambda n: st.tuples(games(st.just(n)), games(st.just(n)), REAL)))
def test_property_additivity(pair) -> None:
    first, second, factor = pair
    together = exact_shapley(tabulated([a + factor * b for a, b in zip(first, second, strict=True)])).values
    apart = exact_shapley(tabulated(first)).values + factor * exact_shapley(tabulated(second)).values
    np.testing.assert_allclose(together, apart, rtol=1e-9, atol=1e-6)


def test_leave_one_out_is_what_the_whole_loses(oracle) -> None:
    valuation = leave_one_out(oracle.game())
    everyone = tuple(range(oracle.players))
    expected = [oracle.utility(everyone) - oracle.utility(tuple(m for m in everyone if m != n)) for n in everyone]
    assert valuation.values.tolist() == expected
    assert valuation.evaluations == oracle.players + 2
    assert valuation.exact
    assert valuation.total == oracle.utility(everyone) - oracle.utility(())


def test_leave_one_out_gives_nothing_to_two_who_can_stand_in_for_each_other() -> None:
    game = Coalitions(2, lambda s: float(bool(s)))
    assert leave_one_out(game).values.tolist() == [0.0, 0.0]
    assert exact_shapley(game).values.tolist() == [0.5, 0.5]


def test_one_organization_is_worth_what_it_adds_to_nobody() -> None:
    game = Coalitions(1, lambda s: 0.75 if s else 0.25)
    assert exact_shapley(game).values.tolist() == [0.5]
    assert leave_one_out(game).values.tolist() == [0.5]


def test_evaluations_that_another_method_paid_for_are_not_counted_again(random_game) -> None:
    game = random_game(6, 1).game()
    assert leave_one_out(game).evaluations == 8
    assert exact_shapley(game).evaluations == 64 - 8
    assert exact_shapley(game).evaluations == 0


def test_too_many_players_are_told_to_sample() -> None:
    def never(_: object) -> float:
        raise AssertionError

    with pytest.raises(ConfigurationError, match="21 players") as caught:
        exact_shapley(Coalitions(21, never))
    assert "sample" in caught.value.hint


def test_progress_ends_at_the_number_of_coalitions(random_game) -> None:
    calls = []
    exact_shapley(random_game(8, 1).game(), lambda *call: calls.append(call))
    assert calls[0] == ("evaluating coalitions", 0, 256)
    assert calls[-1] == ("evaluating coalitions", 256, 256)
