from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cocogen.errors import CertificateError, ConfigurationError
from cocogen.game.accuracy import SquareRootBound
from cocogen.game.coopetition import CoopetitionGame
from cocogen.game.strategies import GenerationAmounts
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


@settings(max_examples=60, derandomize=True, deadline=None)
@given(
    seed=SEEDS,
    kind=KINDS,
    private=st.sampled_from([0.0, 5.0]),
    maximum=st.sampled_from([1e-6, 1.0, 1e5]),
    incentive=st.sampled_from([0.0, 0.4, 50.0]),
)
def test_property_nothing_beyond_the_stated_resolution_is_left_unfound(
    make_game, seed, kind, private, maximum, incentive
):
    game = make_game(seed, accuracy=kind, private_gain=private, maximum=maximum, incentive=incentive, weighted=True)
    rng = np.random.default_rng(seed)
    g = rng.choice([0.0, 0.3, 1.0], game.size) * maximum
    certificate = certify(game, g)
    assert 0.0 <= certificate.resolution <= module.RESOLUTION
    deviations = game.deviations(g)
    best = deviations.payoffs(certificate.best_strategies, deviations.level)
    scale = np.maximum(1.0, np.abs(deviations.current))
    # Around the position found, at every distance, and all over the segment.
    steps = maximum * np.concatenate([[0.0], np.geomspace(1e-12, 1.0, 60)])
    for step in [*steps, *-steps]:
        tried = deviations.payoffs(np.clip(certificate.best_strategies + step, 0.0, maximum), deviations.level)
        assert ((tried - best) / scale <= module.RESOLUTION + 1e-14).all()


@settings(max_examples=40, derandomize=True, deadline=None)
@given(seed=SEEDS, weight=st.sampled_from([1e-6, 1e-4, 1e-2, 1.0]), deadline=st.sampled_from([0.0501, 2.0, 1e9]))
def test_property_gains_hold_over_all_feasible_levels(make_tradefl, seed, weight, deadline):
    game = make_tradefl(seed, size=4, deadline=deadline, overhead_weight=weight, incentive=weight * 1e-8)
    rng = np.random.default_rng(seed)
    segments = game.family.segments
    level = np.array([rng.choice(np.flatnonzero(row)) for row in segments.feasible])
    low, high = segments.pick(segments.lower, level), segments.pick(segments.upper, level)
    profile = game.family.assemble(low + rng.choice([0.0, 0.5, 1.0], game.size) * (high - low), level)
    certificate, deviations = certify(game, profile), game.deviations(profile)
    best = np.full(game.size, -np.inf)
    for index in range(segments.count):
        for fraction in np.linspace(0.0, 1.0, 301):
            t = segments.lower[:, index] + fraction * (segments.upper[:, index] - segments.lower[:, index])
            tried = deviations.payoffs(t, np.full(game.size, index))
            best = np.where(segments.feasible[:, index], np.maximum(best, tried), best)
    scale = np.maximum(1.0, np.abs(deviations.current))
    assert (certificate.gains >= best - deviations.current - 1e-10 * scale).all()
    achieved = deviations.payoffs(*game.family.locate(certificate.best_strategies)) - deviations.current
    np.testing.assert_allclose(achieved, certificate.gains, atol=1e-11 * scale.max())
    assert certificate.resolution <= module.RESOLUTION


@pytest.mark.parametrize("rounds", [1, 2])
@pytest.mark.parametrize("seed", range(5))
def test_a_search_that_is_cut_short_says_how_much_it_may_have_missed(
    make_game, make_tradefl, monkeypatch, rounds, seed
):
    for game in (make_game(seed), make_tradefl(seed, size=4, deadline=4.0, overhead_weight=1e-4, incentive=0.0)):
        segments = game.family.segments
        level = np.zeros(game.size, dtype=np.int64)
        profile = game.family.assemble(segments.lower[:, 0], level)
        exact = certify(game, profile)
        monkeypatch.setattr(module, "_ROUNDS", rounds)
        short = certify(game, profile)
        monkeypatch.undo()
        scale = np.maximum(1.0, np.abs(short.payoffs))
        assert (short.gains <= exact.gains + 1e-10 * scale).all()
        assert (exact.gains <= short.gains + (short.resolution + 1e-12) * scale).all()
        assert rounds == 2 or short.resolution > 1e-3


@pytest.mark.parametrize("loose", [0, 1, 2])
def test_the_loosest_level_sets_the_resolution(make_tradefl, monkeypatch, loose):
    game = make_tradefl(1, size=4)
    profile = solve(game, "best-response").strategies
    original = module._search

    def search(deviations, index, floor):
        found = original(deviations, index, floor)
        return found._replace(ceiling=found.ceiling + (1e9 if index == loose else 0.0))

    monkeypatch.setattr(module, "_search", search)
    assert certify(game, profile).resolution > 1e5


class _Kinked:
    """Concave and increasing with a kink, so that nothing about it is smooth."""

    minimum = 1.0

    def __init__(self, kink):
        self.kink = kink

    def value(self, omega):
        return np.minimum(1e-3 * np.asarray(omega), 0.9e-3 * self.kink + 1e-4 * np.asarray(omega))

    def derivative(self, omega):
        return np.where(np.asarray(omega) < self.kink, 1e-3, 1e-4)

    def second_derivative(self, omega):
        return np.zeros(np.shape(omega))

    def with_heterogeneity(self, heterogeneity):
        return self


@pytest.mark.parametrize("kink", [320.1, 333.0, 471.7, 502.3])
@pytest.mark.parametrize("start", [0.0, 10.0, 100.0])
def test_a_kink_is_found_to_the_stated_resolution(kink, start):
    family = GenerationAmounts([200.0, 120.0], [0.8, 0.5], 0.3, 1e-7, 400.0)
    game = CoopetitionGame([800.0, 1500.0], 0.0 * np.eye(2), _Kinked(kink), family)
    certificate = certify(game, [start, start])
    # A sample is worth 0.64 or 0.75 before the kink and a tenth after it, against a cost of 0.3; so is the best amount.
    others = np.array([120.0 + 0.5 * start, 200.0 + 0.8 * start])
    expected = np.clip((kink - others - family.local) / family.quality, 0.0, 400.0)
    np.testing.assert_allclose(certificate.best_strategies, expected, atol=1e-6)
    deviations = game.deviations(np.array([start, start]))
    gains = deviations.payoffs(expected, deviations.level) - deviations.current
    np.testing.assert_allclose(certificate.gains, np.maximum(gains, 0.0), atol=1e-10 * 1e3)
    assert certificate.resolution <= module.RESOLUTION


def test_an_end_of_a_segment_is_hit_exactly(make_game):
    cheap = certify(make_game(1, incentive=50.0), np.full(5, 200.0))
    np.testing.assert_array_equal(cheap.best_strategies, np.full(5, 400.0))
    game = make_game(1, incentive=0.0, intensity=0.0)
    poor = CoopetitionGame(
        np.full(5, 1e-3), 0.0 * np.eye(5), game.accuracy, game.family, heterogeneity=game.accuracy.heterogeneity
    )
    np.testing.assert_array_equal(certify(poor, np.full(5, 200.0)).best_strategies, np.zeros(5))


def test_an_equilibrium_takes_two_looks_at_each_organization(make_game, monkeypatch):
    game = make_game(4, size=50)
    equilibrium = solve(game).strategies
    looked = []
    original = module.UnilateralDeviations.payoffs

    def counted(self, position, level):
        looked.append(position.size)
        return original(self, position, level)

    monkeypatch.setattr(module.UnilateralDeviations, "payoffs", counted)
    certify(game, equilibrium)
    # The profile itself, and three payoffs twice; a few organizations may need another look.
    assert sum(looked) <= 9 * game.size


def test_a_forced_strategy_leaves_nothing_to_gain(make_game):
    game = make_game(2, maximum=0.0)
    assert certify(game, np.zeros(game.size)).epsilon == 0.0


def test_the_certificate_imports_no_solver():
    text = Path(module.__file__).read_text()
    for name in ("price_response", "fixed_point", "best_response", "planner", "potential("):
        assert name not in text


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("maximum", [1e160, 1e170, 1e300])
@pytest.mark.parametrize("profile", [[0.0, 0.0], "optimum", [1.0, 0.0]])
def test_costs_that_overflow_settle_nothing(maximum, profile):
    """What is no number bounds nothing: ε may be 0, but the certificate does not hold."""
    game, bounded = (
        CoopetitionGame(
            [1000.0, 900.0],
            np.array([[0.0, 0.1], [0.1, 0.0]]),
            SquareRootBound(1.0, 20.0),
            GenerationAmounts(np.array([100, 100]), 0.9, 1.0, 0.1, most),
        )
        for most in (maximum, 400.0)
    )
    strategies = solve(bounded).strategies if profile == "optimum" else profile
    certificate = certify(game, strategies)
    assert not certificate.holds(1e-6)
    assert not np.isnan(certificate.resolution)
    with pytest.raises(CertificateError):
        certificate.require(1e-6, "a profile")
    assert certify(bounded, strategies).holds(1e-6) == (profile != [1.0, 0.0])


def test_what_a_search_left_unfound_counts_against_the_tolerance(make_game):
    game = make_game(1)
    sound = certify(game, solve(game).strategies)
    assert sound.holds(0.0) == (sound.epsilon == 0.0)
    loose = replace(sound, epsilon=4e-7, resolution=5e-7)
    loose.require(1e-6, "a profile")
    for unfound in (7e-7, np.inf, np.nan):
        with pytest.raises(CertificateError, match="not settled"):
            replace(loose, resolution=unfound).require(1e-6, "a profile")
