from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cocogen.errors import ConfigurationError
from cocogen.solvers import solve


@settings(max_examples=15, derandomize=True, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), private=st.sampled_from([0.0, 0.05]))
def test_property_the_potential_never_falls_on_the_way(make_game, seed, private):
    game = make_game(seed, private_gain=private, weighted=True)
    trace = solve(game, "best-response").trace
    assert (np.diff(trace.potential) >= -1e-13 * np.abs(trace.potential[:-1]).max()).all()
    assert trace.potential[-1] > trace.potential[0]


def test_the_trace_holds_start_and_sweeps(make_game):
    game = make_game(3)
    start = np.full(game.size, 300.0)
    equilibrium = solve(game, "best-response", start=start)
    trace = equilibrium.trace
    assert trace.payoffs.shape == (equilibrium.iterations + 1, game.size)
    np.testing.assert_array_equal(trace.payoffs[0], game.payoffs(start))
    np.testing.assert_array_equal(trace.payoffs[-1], game.payoffs(equilibrium.strategies))
    assert trace.aggregate[-1] == game.effective_samples(equilibrium.strategies).sum()


def test_any_start_leads_to_the_same_equilibrium(make_game):
    game = make_game(3)
    low, high = (solve(game, "best-response", start=np.full(game.size, g)).strategies for g in (0.0, 400.0))
    np.testing.assert_allclose(low, high, atol=1e-7)


def test_an_infeasible_start_is_refused(make_game):
    game = make_game(3)
    with pytest.raises(ConfigurationError, match="strategies"):
        solve(game, "best-response", start=np.full(game.size, -1.0))


def test_dynamics_that_are_cut_short_say_so(make_game):
    equilibrium = solve(make_game(3), "best-response", maximum_sweeps=1)
    assert equilibrium.iterations == 1
    assert not equilibrium.converged


def test_the_start_is_left_untouched(make_game):
    game = make_game(3)
    start = np.full(game.size, 10.0)
    solve(game, "best-response", start=start)
    np.testing.assert_array_equal(start, np.full(game.size, 10.0))
