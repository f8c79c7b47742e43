from __future__ import annotations

import itertools

import numpy as np
import pytest
import scipy.optimize

from cocogen.errors import SolverError
from cocogen.solvers import enumeration as module
from cocogen.solvers import solve
from cocogen.solvers.enumeration import exhaustive_search


def _by_optimiser(game):
    """The largest potential over all feasible level vectors, each left to a general optimiser."""
    segments, best = game.family.segments, -np.inf
    for chosen in itertools.product(*(np.flatnonzero(row) for row in segments.feasible)):
        level = np.array(chosen)
        low, high = (segments.pick(table, level) for table in (segments.lower, segments.upper))
        result = scipy.optimize.minimize(
            lambda share, low=low, high=high, level=level: (
                -game.potential(game.family.assemble(low + share * (high - low), level))
            ),
            np.full(game.size, 0.5),
            bounds=[(0.0, 1.0)] * game.size,
            method="L-BFGS-B",
            options={"ftol": 1e-15, "gtol": 1e-10},
        )
        best = max(best, -float(result.fun))
    return best


@pytest.mark.parametrize("seed", range(6))
def test_a_general_optimiser_on_every_level_vector_finds_the_same_maximum(make_segments, seed):
    game = make_segments(seed, size=3, levels=2, private_gain=0.02 * (seed % 2))
    found, oracle = solve(game, "enumeration"), _by_optimiser(game)
    assert found.potential >= oracle - 1e-13
    assert found.potential == pytest.approx(oracle, abs=1e-7)
    assert found.epsilon <= 1e-9


def test_every_feasible_level_vector_is_looked_at_and_no_other(make_segments):
    game = make_segments(1, size=5, levels=4)
    feasible = game.family.segments.feasible
    assert not feasible.all()
    found = solve(game, "enumeration")
    assert found.iterations == np.prod(feasible.sum(axis=1))
    assert feasible[np.arange(5), game.family.locate(found.strategies)[1]].all()


def test_looking_in_blocks_changes_nothing(make_deadline, monkeypatch):
    game = make_deadline(5, size=4, levels=3)
    whole = solve(game, "enumeration")
    monkeypatch.setattr(module, "_BLOCK", 4 * 7)
    parts = solve(game, "enumeration")
    np.testing.assert_array_equal(parts.strategies, whole.strategies)
    assert parts.iterations == whole.iterations


def test_too_many_level_vectors_are_refused_with_their_number(make_deadline):
    game = make_deadline(5, size=12, levels=5, binding=False)
    with pytest.raises(SolverError, match=r"244140625 level vectors are too many .* at most 1000000") as caught:
        exhaustive_search(game)
    assert "benders" in caught.value.hint


def test_one_segment_is_one_level_vector(make_game):
    game = make_game(3)
    found = solve(game, "enumeration")
    assert found.iterations == 1
    np.testing.assert_allclose(found.strategies, solve(game).strategies, rtol=0, atol=1e-8)
