"""Games of the literature whose Shapley values are known in closed form."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pytest
from scipy.sparse.csgraph import minimum_spanning_tree

from cocogen.contribution import Coalitions


@dataclass(frozen=True)
class Oracle:
    """A game and its Shapley values; ``game`` makes one that remembers nothing."""

    name: str
    players: int
    utility: Callable[[tuple[int, ...]], float]
    values: tuple[float, ...]

    def game(self) -> Coalitions:
        return Coalitions(self.players, self.utility)


def gloves(left: int, right: int) -> Oracle:
    """Shapley and Shubik (1969): pairs of gloves sell for 1. pyDVL calls it the shoes game. Closed forms for one left
    glove, and for as many left as right ones."""

    def value(coalition):
        held = sum(n < left for n in coalition)
        return float(min(held, len(coalition) - held))

    values = (0.5,) * (left + right) if left == right else (right / (right + 1), *[1 / (right * (right + 1))] * right)
    assert left in (1, right)
    return Oracle(f"gloves {left}:{right}", left + right, value, values)


def airport(costs: Sequence[float]) -> Oracle:
    """Littlechild and Owen (1973): a runway as long as the largest aeroplane needs; each part is shared by those who
    need it."""
    steps = np.diff([0.0, *costs]) / np.arange(len(costs), 0, -1)
    return Oracle(
        "airport", len(costs), lambda s: max((costs[n] for n in s), default=0.0), tuple(np.cumsum(steps).tolist())
    )


def voting(name: str, weights: Sequence[int], quota: int, values: Sequence[float]) -> Oracle:
    return Oracle(name, len(weights), lambda s: float(sum(weights[n] for n in s) >= quota), tuple(values))


def spanning_tree(players: int) -> Oracle:
    """Minimum spanning tree to a source, on a cycle of players whose edges cost 1 and whose way to the source costs
    N + 1 (pyDVL's example): everybody pays 2 by symmetry."""
    cost = np.full((players + 1, players + 1), players + 1.0)
    for n in range(players):
        cost[n, (n + 1) % players] = cost[(n + 1) % players, n] = 1.0
    np.fill_diagonal(cost, 0.0)

    def value(coalition):
        nodes = [*coalition, players]
        return float(minimum_spanning_tree(cost[np.ix_(nodes, nodes)]).sum())

    return Oracle("spanning tree", players, value, (2.0,) * players)


def dividends(players: int, seed: int, terms: int = 12) -> Oracle:
    """A random sum of unanimity games: Harsanyi (1963), each coalition's dividend is shared equally among it."""
    rng = np.random.default_rng(seed)
    chosen = [
        (frozenset(rng.choice(players, size=rng.integers(1, players + 1), replace=False).tolist()), rng.normal())
        for _ in range(terms)
    ]
    values = [sum(d / len(t) for t, d in chosen if n in t) for n in range(players)]

    def value(coalition):
        return float(sum(d for t, d in chosen if t <= set(coalition)))

    return Oracle(f"dividends {seed}", players, value, tuple(values))


ADDITIVE = (0.5, -1.25, 3.0, 0.0, 2.0)
ORACLES = (
    gloves(1, 2),
    gloves(1, 6),
    gloves(3, 3),
    airport((1.0, 1.0, 2.0, 4.5, 4.5, 7.0, 12.0)),
    # The council of ministers of 1958, where Luxembourg had a vote and no power (Brams, 1976).
    voting("council of 1958", (4, 4, 4, 2, 2, 1), 12, (14 / 60,) * 3 + (9 / 60,) * 2 + (0.0,)),
    # Five permanent members with a veto and ten others, nine votes needed (Shapley and Shubik, 1954, as enlarged).
    voting("security council", (7,) * 5 + (1,) * 10, 39, (421 / 2145,) * 5 + (4 / 2145,) * 10),
    voting("majority of 9", (1,) * 9, 5, (1 / 9,) * 9),
    # Shareholders with 50, 49 and 1 per cent: the smallest is worth as much as the second.
    voting("shareholders", (50, 49, 1), 51, (2 / 3, 1 / 6, 1 / 6)),
    Oracle("additive", 5, lambda s: float(sum(ADDITIVE[n] for n in s)), ADDITIVE),
    spanning_tree(7),
    dividends(6, 1),
    dividends(9, 2, terms=40),
)


@pytest.fixture(params=ORACLES, ids=lambda oracle: oracle.name)
def oracle(request) -> Oracle:
    return request.param


@pytest.fixture
def random_game() -> Callable[..., Oracle]:
    return dividends


@pytest.fixture
def glove_game() -> Callable[[int, int], Oracle]:
    return gloves


@pytest.fixture
def airport_game() -> Callable[[Sequence[float]], Oracle]:
    return airport


def by_permutations(oracle: Oracle) -> np.ndarray:
    """The definition over all N! orders: an independent way to the same values."""
    total = np.zeros(oracle.players)
    orders = list(itertools.permutations(range(oracle.players)))
    for order in orders:
        for position, player in enumerate(order):
            before = oracle.utility(tuple(sorted(order[:position])))
            total[player] += oracle.utility(tuple(sorted(order[: position + 1]))) - before
    return total / len(orders)


@pytest.fixture
def definition() -> Callable[[Oracle], np.ndarray]:
    return by_permutations
