"""TradeFL's strategies, against independently computed games."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from cocogen.errors import ConfigurationError, EmptyStrategySet, GameError, SolverError
from cocogen.game.accuracy import SquareRootBound
from cocogen.game.competition import DenseCompetition
from cocogen.game.coopetition import CoopetitionGame
from cocogen.game.data_fractions import DataFractions
from cocogen.game.redistribution import Redistribution
from cocogen.solvers import certify, solve
from tests.examples import seeds

GAMES = json.loads((Path(__file__).parents[2] / "golden" / "tradefl.json").read_text())
golden = pytest.mark.parametrize("golden_game", GAMES, ids=lambda game: f"game-{game['id']}")


def _family(terms):
    organizations = terms["organizations"]
    columns = {k: [o[k] for o in organizations] for k in organizations[0] if k != "name"}
    return DataFractions(
        columns["bits"],
        columns["samples"],
        columns["compute_levels"],
        columns["cycles_per_bit"],
        terms["deadline"],
        communication_time=columns["communication_time"],
        communication_energy=columns["communication_energy"],
        overhead_weight=terms["overhead_weight"],
        capacitance=terms["capacitance"],
        minimum_fraction=terms["minimum_fraction"],
        compute_weight=terms["lambda"],
    )


def _game(terms):
    competition = DenseCompetition(terms["competition"])
    return CoopetitionGame(
        [o["profitability"] for o in terms["organizations"]],
        competition,
        SquareRootBound(terms["ceiling"], terms["epochs"]),
        _family(terms),
        Redistribution(competition.scaled(terms["incentive"]), 1.0, 0.0),
    )


def _profile(expected):
    return np.stack([expected["data_fraction"], expected["compute"]], axis=1)


@golden
def test_the_golden_tradefl_game_is_reproduced(golden_game):
    game, expected = _game(golden_game["terms"]), golden_game["expected"]
    profile = _profile(expected)
    np.testing.assert_allclose(game.potential_weights, expected["potential_weights"], rtol=1e-12)
    np.testing.assert_allclose(game.payoffs(profile), expected["payoffs"], rtol=1e-9)
    np.testing.assert_allclose(game.transfers(profile), expected["transfers"], rtol=1e-9, atol=1e-9)
    assert game.potential(profile) == pytest.approx(expected["potential_maximum"], rel=1e-9)
    assert certify(game, profile).epsilon < 1e-9


@golden
def test_best_responses_reach_an_equilibrium_below_the_golden_potential_maximum(golden_game):
    game, expected = _game(golden_game["terms"]), golden_game["expected"]
    equilibrium = solve(game, "best-response")
    assert equilibrium.converged
    assert equilibrium.epsilon < 1e-9
    assert equilibrium.potential <= expected["potential_maximum"] * (1 + 1e-9)
    assert equilibrium.upper_bound >= expected["potential_maximum"] * (1 - 1e-9)


@golden
def test_the_certificate_sees_a_better_compute_level(golden_game):
    game = _game(golden_game["terms"])
    segments = game.family.segments
    position, level = game.family.locate(_profile(golden_game["expected"]))
    playable = np.flatnonzero(segments.feasible[0])
    level[0] = playable[(int(np.flatnonzero(playable == level[0])[0]) + 1) % playable.size]
    position = position.copy()
    position[0] = segments.lower[0, 0]
    profile = game.family.assemble(position, level)
    certificate = certify(game, profile)
    deviations = game.deviations(profile)
    grid = [
        deviations.payoffs(np.full(game.size, d), np.full(game.size, index))[0]
        for index in playable
        for d in np.linspace(segments.lower[0, index], segments.upper[0, index], 2001)
    ]
    assert certificate.gains[0] >= max(grid) - deviations.current[0] - 1e-9
    assert certificate.gains[0] == pytest.approx(max(grid) - deviations.current[0], abs=1e-3)


@pytest.mark.parametrize("method", ["fixed-point", "damped"])
def test_scalar_solvers_say_that_several_segments_are_not_theirs(method):
    with pytest.raises(SolverError, match="one segment"):
        solve(_game(GAMES[0]["terms"]), method)


def _small(**changes):
    given = {
        "bits": [2e10, 1e10],
        "samples": [1500, 1000],
        "compute_levels": [3e9, 4e9, 5e9],
        "cycles_per_bit": 1.0,
        "deadline": 3.0,
        "minimum_fraction": 0.4,
        **changes,
    }
    return DataFractions(**given)


def test_a_level_that_misses_the_deadline_even_with_the_least_data_is_infeasible():
    segments = _small().segments
    np.testing.assert_array_equal(segments.feasible, [[True, True, True], [True, True, True]])
    tight = _small(deadline=2.0).segments
    np.testing.assert_array_equal(tight.feasible, [[False, True, True], [True, True, True]])
    np.testing.assert_allclose(tight.upper, [[0.4, 0.4, 0.5], [0.6, 0.8, 1.0]])


def test_the_deadline_that_the_error_names_is_met():
    with pytest.raises(EmptyStrategySet, match="organization 'slow' misses the deadline") as caught:
        _small(deadline=1.0, names=["slow", "fast"])
    assert "at least 1.6 s" in caught.value.hint
    assert _small(deadline=1.6).segments.feasible[0].tolist() == [False, False, True]


def _named_deadline(**changes) -> tuple[str, dict]:
    with pytest.raises(EmptyStrategySet, match="misses the deadline") as caught:
        _small(deadline=1e-9, **changes)
    return re.search(r"at least (\S+) s,", caught.value.hint)[1], changes


@pytest.mark.parametrize("seed", seeds(12, 40))
def test_whoever_follows_the_named_deadline_has_a_game(seed):
    """The slower the communication beside the training, the more the rounding of seconds weighs."""
    rng = np.random.default_rng(seed)
    text, given = _named_deadline(
        bits=rng.uniform(1e9, 3e10, 2).round(),
        samples=[1500, 1000],
        compute_levels=np.sort(rng.uniform(1e9, 5e9, (2, 3)), axis=1),
        communication_time=rng.choice([0.0, 1.0, 1e6, 1e9]) * rng.uniform(0.5, 1.0, 2),
        minimum_fraction=float(rng.uniform(1e-9, 1e-6) if seed % 2 else rng.uniform(0.1, 1.0)),
    )
    deadlines = [float(text)]
    while True:  # the other organization may be slower still: its deadline is named next
        try:
            family = _small(deadline=deadlines[-1], **given)
            break
        except EmptyStrategySet as error:
            deadlines.append(float(re.search(r"at least (\S+) s,", error.hint)[1]))
            assert len(deadlines) <= 2
    least = family.segments.lower[:, -1]
    profile = family.assemble(least, np.full(2, 2))
    assert family.in_time(profile).all()
    np.testing.assert_array_equal(family.locate(profile)[0], least)


@pytest.mark.parametrize("seed", range(20))
def test_what_meets_the_deadline_to_the_last_bit_is_feasible_in_whatever_order_it_is_computed(seed):
    """A deadline of exactly the time that a fraction takes: communication, then data, at the fastest level."""
    rng = np.random.default_rng(seed)
    bits, level, fraction = rng.uniform(1e9, 3e10), rng.uniform(1e9, 5e9), rng.uniform(0.01, 1.0)
    wait = float(rng.choice([0.0, 1.0, 1e3, 1e6])) * rng.uniform(0.5, 1.0)
    for least in (fraction, fraction / 2):
        family = DataFractions(
            bits, [1000.0], [level], 1.0, wait + fraction * bits / level, communication_time=wait,
            minimum_fraction=least,
        )  # fmt: skip
        located, _ = family.locate([[fraction, level]])
        assert located[0] == pytest.approx(fraction, rel=1e-6)
        assert family.segments.lower[0, 0] <= located[0] <= family.segments.upper[0, 0]


def test_an_infeasible_level_is_neither_located_nor_best():
    family = _small(deadline=2.0)
    with pytest.raises(ConfigurationError, match="past the deadline, at 3e"):
        family.locate([[0.4, 3e9], [0.4, 3e9]])
    game = CoopetitionGame([1000.0, 900.0], 0.0 * np.eye(2), SquareRootBound(1.0, 20.0), family)
    certificate = certify(game, [[0.4, 4e9], [0.4, 3e9]])
    assert (certificate.best_strategies[0, 1]) > 3e9


@pytest.mark.parametrize(
    ("profile", "message"),
    [
        ([0.5, 0.5], "shape"),
        ([[0.5, 3e9], [0.5, 3.5e9]], "no such compute level"),
        ([[0.39, 3e9], [0.5, 3e9]], "not feasible"),
        ([[1.0, 3e9], [0.5, 3e9]], "not feasible"),
        ([[np.nan, 3e9], [0.5, 3e9]], "not feasible"),
    ],
)
def test_a_profile_outside_the_strategy_sets_is_refused(profile, message):
    with pytest.raises(ConfigurationError, match=message):
        _small().locate(profile)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"bits": [2e10, -1.0]}, r"bits\[1\]"),
        ({"samples": [1500, 0]}, r"samples\[1\]"),
        ({"compute_levels": [3e9, 3e9]}, r"compute_levels\[0, 1\]"),
        ({"compute_levels": [[3e9], [np.nan]]}, r"compute_levels\[1, 0\]"),
        ({"compute_levels": []}, "compute_levels"),
        ({"compute_levels": [[3e9, 4e9], [5e9]]}, "compute_levels"),
        ({"deadline": 0.0}, "deadline"),
        ({"deadline": np.inf}, "deadline"),
        ({"minimum_fraction": 0.0}, "minimum_fraction"),
        ({"minimum_fraction": 1.5}, "minimum_fraction"),
        ({"compute_weight": -1.0}, "compute_weight"),
    ],
)
def test_bad_parameters_are_named(changes, field):
    with pytest.raises(ConfigurationError, match=field):
        _small(**changes)


def test_one_organization_is_no_game():
    family = DataFractions([2e10], [1500], [3e9], 1.0, 10.0)
    with pytest.raises(GameError, match="at least 2"):
        CoopetitionGame([1000.0], [[0.0]], SquareRootBound(1.0, 20.0), family)
