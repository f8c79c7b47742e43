"""The strategy protocol carries TradeFL's data fraction with discrete compute levels, which no production family does.

A family with several segments is written here and played on the golden TradeFL games whose levels are all feasible.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from cocogen.errors import SolverError
from cocogen.game.accuracy import SquareRootBound
from cocogen.game.competition import DenseCompetition
from cocogen.game.coopetition import CoopetitionGame
from cocogen.game.redistribution import Redistribution
from cocogen.game.strategies import Segments
from cocogen.solvers import certify, solve

GAMES = json.loads((Path(__file__).parents[2] / "golden" / "tradefl.json").read_text())


class DataFraction:
    """d ∈ [minimum, deadline's limit] at each compute level; a profile is an array of (d, level), shape (N, 2)."""

    def __init__(self, terms):
        organizations = terms["organizations"]
        self.size = len(organizations)
        f = np.array([o["compute_levels"] for o in organizations])
        column = {k: np.array([[float(o[k])] for o in organizations]) for k in organizations[0] if k not in _WORDS}
        cycles = column["cycles_per_bit"] * column["bits"]
        weight = terms["overhead_weight"]
        flat = np.ones_like(f)
        self.segments = Segments(
            lower=terms["minimum_fraction"] * flat,
            upper=np.minimum(1.0, (terms["deadline"] - column["communication_time"]) * f / cycles),
            samples_base=0.0 * flat,
            samples_slope=column["samples"] * flat,
            score_base=terms["lambda"] * f,
            score_slope=column["bits"] * flat,
            cost_base=weight * column["communication_energy"] * flat,
            cost_slope=weight * terms["capacitance"] * f**2 * cycles,
            cost_curvature=0.0 * flat,
        )
        self.levels = f

    def locate(self, strategies):
        return strategies[:, 0], strategies[:, 1].astype(np.int64)

    def assemble(self, position, level):
        return np.stack([position, level.astype(float)], axis=1)


_WORDS = ("name", "compute_levels")


def _regular(game):
    counts = {len(o["compute_levels"]) for o in game["terms"]["organizations"]}
    if len(counts) > 1:
        return False
    segments = DataFraction(game["terms"]).segments
    return bool((segments.lower < segments.upper).all())


PLAYABLE = [game for game in GAMES if _regular(game)]


def _build(terms):
    family = DataFraction(terms)
    competition = DenseCompetition(terms["competition"])
    return CoopetitionGame(
        [o["profitability"] for o in terms["organizations"]],
        competition,
        SquareRootBound(terms["ceiling"], terms["epochs"]),
        family,
        Redistribution(competition.scaled(terms["incentive"]), 1.0, 0.0),
    )


def _profile(game, family):
    expected = game["expected"]
    level = [int(np.argmin(np.abs(row - f))) for row, f in zip(family.levels, expected["compute"], strict=True)]
    return np.stack([expected["data_fraction"], np.array(level, dtype=float)], axis=1)


def test_enough_golden_games_are_playable():
    assert len(PLAYABLE) >= 4


@pytest.mark.parametrize("golden_game", PLAYABLE, ids=lambda game: f"game-{game['id']}")
def test_the_golden_tradefl_game_is_reproduced(golden_game):
    game, expected = _build(golden_game["terms"]), golden_game["expected"]
    profile = _profile(golden_game, game.family)
    np.testing.assert_allclose(game.potential_weights, expected["potential_weights"], rtol=1e-12)
    np.testing.assert_allclose(game.payoffs(profile), expected["payoffs"], rtol=1e-9)
    np.testing.assert_allclose(game.transfers(profile), expected["transfers"], rtol=1e-9, atol=1e-9)
    assert game.potential(profile) == pytest.approx(expected["potential_maximum"], rel=1e-9)
    assert certify(game, profile).epsilon < 1e-9


@pytest.mark.parametrize("golden_game", PLAYABLE, ids=lambda game: f"game-{game['id']}")
def test_best_responses_reach_an_equilibrium_below_the_golden_potential_maximum(golden_game):
    game, expected = _build(golden_game["terms"]), golden_game["expected"]
    equilibrium = solve(game, "best-response")
    assert equilibrium.converged
    assert equilibrium.epsilon < 1e-9
    assert equilibrium.potential <= expected["potential_maximum"] * (1 + 1e-9)
    assert equilibrium.upper_bound >= expected["potential_maximum"] * (1 - 1e-9)


@pytest.mark.parametrize("golden_game", PLAYABLE, ids=lambda game: f"game-{game['id']}")
def test_the_certificate_sees_a_better_compute_level(golden_game):
    game = _build(golden_game["terms"])
    profile = _profile(golden_game, game.family)
    profile[0, 1] = (profile[0, 1] + 1) % game.family.segments.count
    profile[0, 0] = game.family.segments.lower[0, 0]
    certificate = certify(game, profile)
    deviations = game.deviations(profile)
    grid = [
        deviations.payoffs(np.full(game.size, d), np.full(game.size, level))[0]
        for level in range(game.family.segments.count)
        for d in np.linspace(game.family.segments.lower[0, level], game.family.segments.upper[0, level], 2001)
    ]
    assert certificate.gains[0] >= max(grid) - deviations.current[0] - 1e-9
    assert certificate.gains[0] == pytest.approx(max(grid) - deviations.current[0], abs=1e-3)


@pytest.mark.parametrize("method", ["fixed-point", "damped", "planner"])
def test_scalar_solvers_say_that_several_segments_are_not_theirs(method):
    with pytest.raises(SolverError, match="one segment"):
        solve(_build(PLAYABLE[0]["terms"]), method)
