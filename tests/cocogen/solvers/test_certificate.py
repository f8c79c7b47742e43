from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cocogen.errors import CertificateError, ConfigurationError
from cocogen.solvers import certificate as module
from cocogen.solvers import certify, solve

SEEDS = st.integers(0, 2**32 - 1)
KINDS = st.sampled_from(["square-root", "power-law", "saturating"])


@settings(max_examples=40, derandomize=True, deadline=None)
@given(seed=SEEDS, kind=KINDS, damage=st.sampled_from([0.0, 0.5, 1.0]), private=st.sampled_from([0.0, 0.05]))
def test_property_gains_are_those_of_the_best_deviation_on_a_fine_grid(make_game, seed, kind, damage, private):
    game = make_game(seed, accuracy=kind, damage=damage, private_gain=private, weighted=True)
    g = np.random.default_rng(seed).uniform(0.0, 400.0, game.size)
    certificate = certify(game, g)
    deviations = game.deviations(g)
    grid = np.linspace(0.0, 400.0, 1001)
    best = np.max([deviations.payoffs(np.full(game.size, x), deviations.level) for x in grid], axis=0)
    gains = np.maximum(best - deviations.current, 0.0)
    assert (certificate.gains >= gains - 1e-9).all()
    np.testing.assert_allclose(certificate.gains, gains, atol=1e-3)
    relative = certificate.gains / np.maximum(1.0, np.abs(game.payoffs(g)))
    assert certificate.epsilon == relative.max()
    assert certificate.worst == np.argmax(relative)
    achieved = deviations.payoffs(certificate.best_strategies, deviations.level) - deviations.current
    np.testing.assert_allclose(achieved, certificate.gains, atol=1e-9)


@settings(max_examples=30, derandomize=True, deadline=None)
@given(seed=SEEDS, kind=KINDS)
def test_property_the_certificate_accepts_an_equilibrium_and_rejects_its_neighbours(make_game, seed, kind):
    game = make_game(seed, accuracy=kind)
    equilibrium = solve(game).strategies
    assert certify(game, equilibrium).epsilon < 1e-12
    rng = np.random.default_rng(seed)
    n = int(rng.integers(game.size))
    moved = equilibrium.copy()
    moved[n] += 40.0 if moved[n] < 200.0 else -40.0
    certificate = certify(game, moved)
    # Moving by 40 samples costs n at least the quadratic ½ c2 · 40².
    assert certificate.gains[n] >= 0.5 * game.family.cost_quadratic[n] * 40.0**2 * (1 - 1e-6)
    assert certificate.epsilon > 1e-5
    with pytest.raises(CertificateError, match=r"the tested profile is not an equilibrium: organization \d"):
        certificate.require(1e-6, "the tested profile")


def test_a_small_error_is_seen_to_second_order(make_game):
    game = make_game(1)
    equilibrium = solve(game).strategies
    n = int(np.argmin(np.abs(equilibrium - 100.0)))
    assert 1.0 < equilibrium[n] < 399.0
    moved = equilibrium.copy()
    moved[n] += 0.1
    gain = certify(game, moved).gains[n]
    assert 0.5 * game.family.cost_quadratic[n] * 0.01 * (1 - 1e-6) <= gain <= 1e-4


def test_require_passes_at_the_tolerance_and_refuses_nan(make_game):
    game = make_game(1)
    certificate = certify(game, np.full(game.size, 50.0))
    certificate.require(certificate.epsilon, "a profile")
    with pytest.raises(CertificateError):
        certificate.require(float("nan"), "a profile")


def test_an_infeasible_profile_is_refused(make_game):
    game = make_game(1)
    with pytest.raises(ConfigurationError, match=r"strategies\[0\]"):
        certify(game, np.full(game.size, 401.0))


def test_searching_in_blocks_changes_nothing(make_game, monkeypatch):
    game = make_game(4, size=11)
    g = np.random.default_rng(4).uniform(0.0, 400.0, 11)
    whole = certify(game, g)
    monkeypatch.setattr(module, "_BLOCK", 3)
    parts = certify(game, g)
    np.testing.assert_array_equal(parts.gains, whole.gains)
    np.testing.assert_array_equal(parts.best_strategies, whole.best_strategies)
    assert parts.worst == whole.worst


def test_a_forced_strategy_leaves_nothing_to_gain(make_game):
    game = make_game(2, maximum=0.0)
    assert certify(game, np.zeros(game.size)).epsilon == 0.0


def test_the_certificate_imports_no_solver():
    text = Path(module.__file__).read_text()
    for name in ("price_response", "fixed_point", "best_response", "planner", "potential("):
        assert name not in text
