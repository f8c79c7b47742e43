from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cocogen.errors import ConfigurationError
from cocogen.solvers import METHODS, solve
from cocogen.solvers.equilibrium import potential_bound


@pytest.mark.parametrize("method", METHODS)
def test_every_method_returns_a_certified_result_under_its_name(make_game, method):
    game = make_game(9)
    result = solve(game, method)
    assert result.method == method
    assert result.converged
    assert result.strategies.shape == (game.size,)
    assert result.potential == game.potential(result.strategies)
    assert result.epsilon == result.certificate.epsilon
    assert result.seconds > 0.0
    with pytest.raises(ValueError, match="read-only"):
        result.strategies[0] = 1.0


def test_an_unknown_method_is_refused_with_the_known_ones(make_game):
    with pytest.raises(ConfigurationError, match="fixed-point, damped, best-response, benders"):
        solve(make_game(9), "simplex")


@settings(max_examples=40, derandomize=True, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), private=st.sampled_from([0.0, 0.1]))
def test_property_the_bound_from_any_profile_exceeds_every_potential(make_game, seed, private):
    game = make_game(seed, private_gain=private, weighted=True)
    rng = np.random.default_rng(seed)
    bound = potential_bound(game, rng.uniform(0.0, 400.0, game.size))
    profiles = [solve(game).strategies, *rng.uniform(0.0, 400.0, (10, game.size))]
    assert bound >= max(game.potential(profile) for profile in profiles) - 1e-12
