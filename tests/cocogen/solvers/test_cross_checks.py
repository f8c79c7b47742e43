"""Equilibria of small games against pygambit and nashpy, which know payoff tables and nothing of this project.

Everyone's strategies are cut down to a grid that contains our equilibrium; it must be among the pure equilibria that
the other software finds in the table.
"""

from __future__ import annotations

from itertools import product

import nashpy
import numpy as np
import pygambit
import pytest

from cocogen.solvers import solve


def _grids(game, profile, points):
    """For each organization its (position, level) choices: an even grid on each feasible segment, and our own."""
    segments = game.family.segments
    positions, levels = game.family.locate(profile)
    grids = []
    for n in range(game.size):
        choices = {(float(positions[n]), int(levels[n]))}
        for index in np.flatnonzero(segments.feasible[n]):
            grid = np.linspace(segments.lower[n, index], segments.upper[n, index], points)
            choices |= {(float(min(t, segments.upper[n, index])), int(index)) for t in grid}
        grids.append(sorted(choices))
    return grids


def _tables(game, grids):
    """One payoff table for each organization, shape (choices of 0, choices of 1, …)."""
    tables = np.empty((game.size, *map(len, grids)))
    for cell in product(*(range(len(grid)) for grid in grids)):
        chosen = [grid[i] for grid, i in zip(grids, cell, strict=True)]
        position, level = np.array([t for t, _ in chosen]), np.array([index for _, index in chosen])
        tables[(slice(None), *cell)] = game.payoffs(game.family.assemble(position, level))
    return tables


def _ours(game, profile, grids):
    positions, levels = game.family.locate(profile)
    return tuple(grid.index((float(t), int(index))) for grid, t, index in zip(grids, positions, levels, strict=True))


def _pure_by_pygambit(tables):
    table = pygambit.StrategicGame.from_arrays(*tables)
    strategies = {player: list(table.get_strategies(player)) for player in table.players}
    return {
        tuple(next(i for i, s in enumerate(labels) if profile[player][s] == 1) for player, labels in strategies.items())
        for profile in pygambit.nash.enumpure_solve(table).equilibria
    }


def _pure_by_nashpy(tables):
    table, (rows, columns) = nashpy.Game(*tables), tables.shape[1:]
    return {
        (i, j)
        for i, j in product(range(rows), range(columns))
        if all(table.is_best_response(np.eye(rows)[i], np.eye(columns)[j]))
    }


def _generation_game(make_game, seed, size):
    return make_game(seed, size=size, incentive=0.8, private_gain=0.05 * (seed % 2), weighted=True)


@pytest.mark.parametrize(("size", "points"), [(2, 21), (3, 9)])
@pytest.mark.parametrize("seed", range(4))
def test_pygambit_finds_our_equilibrium_of_generation_amounts(make_game, seed, size, points):
    game = _generation_game(make_game, seed, size)
    result = solve(game)
    grids = _grids(game, result.strategies, points)
    found = _pure_by_pygambit(_tables(game, grids))
    assert _ours(game, result.strategies, grids) in found
    # The continuous equilibrium is unique: on the grid there are neighbours at most.
    assert len(found) <= 2**size


@pytest.mark.parametrize(("size", "points"), [(2, 9), (3, 3)])
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("weight", [1e-2, 1e-4])
def test_pygambit_finds_our_equilibrium_of_data_fractions(make_tradefl, seed, size, points, weight):
    incentive = 1e-8 if weight == 1e-2 else 0.0
    game = make_tradefl(
        seed, size=size, deadline=4.0, overhead_weight=weight, incentive=incentive, mean_competition=0.1
    )
    result = solve(game, "best-response")
    grids = _grids(game, result.strategies, points)
    assert _ours(game, result.strategies, grids) in _pure_by_pygambit(_tables(game, grids))


@pytest.mark.parametrize("seed", range(6))
def test_nashpy_agrees_with_pygambit_and_finds_ours(make_game, make_tradefl, seed):
    for game, method in (
        (_generation_game(make_game, seed, 2), "fixed-point"),
        (make_tradefl(seed, size=2, deadline=4.0, mean_competition=0.1), "best-response"),
    ):
        result = solve(game, method)
        grids = _grids(game, result.strategies, 8)
        tables = _tables(game, grids)
        found = _pure_by_nashpy(tables)
        assert _ours(game, result.strategies, grids) in found
        assert found == _pure_by_pygambit(tables)


@pytest.mark.parametrize("seed", range(4))
def test_finite_improvement_ends_in_a_pure_equilibrium_of_its_grid(make_game, seed):
    game = _generation_game(make_game, seed, 3)
    result = solve(game, "improvement", points=8)
    grids = _grids(game, result.strategies, 8)
    assert [len(grid) for grid in grids] == [8, 8, 8]
    found = _pure_by_pygambit(_tables(game, grids))
    assert _ours(game, result.strategies, grids) in found


def test_the_published_incentive_ignored_leads_to_a_profile_that_pygambit_refuses(make_game):
    """The comparison can fail: the equilibrium without redistribution is none with it."""
    game = _generation_game(make_game, 1, 2)
    wrong = solve(make_game(1, size=2, incentive=0.0, private_gain=0.05, weighted=True)).strategies
    grids = _grids(game, wrong, 21)
    assert _ours(game, wrong, grids) not in _pure_by_pygambit(_tables(game, grids))
