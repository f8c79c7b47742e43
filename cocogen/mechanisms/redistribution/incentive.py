"""How strong should the incentive be? The search behind ``strength = "auto"``.

Among the incentives under which nobody earns less than alone, take the one with the largest welfare, under the
published uniform redistribution. A larger incentive makes low contributors pay more, a smaller one leaves damage
uncompensated, so the rational incentives need not be an interval: they are reported as a list of intervals [ours].
:func:`scan_incentives` reports all of it, also where no incentive is rational; :func:`automatic_incentive` chooses.
Left out: optimal redistribution, which is not a search.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from cocogen.errors import NoRationalIncentive
from cocogen.game.arrays import Array, frozen
from cocogen.game.coopetition import CoopetitionGame
from cocogen.game.rationality import outside_options
from cocogen.ledger import DecodedTerms
from cocogen.mechanisms.base import Market
from cocogen.mechanisms.planning import TOLERANCE, build_game, equilibrium_method
from cocogen.solvers import METHODS
from cocogen.solvers.certificate import certify

__all__ = ["IncentiveReport", "IncentiveScan", "automatic_incentive", "scan_incentives"]

_DECADES = 6
_POINTS_PER_DECADE = 16
_EDGE_PRECISION = 1e-9
_RETREATS = (0.0, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 0.1, 0.5, 1.0)


@dataclass(frozen=True, slots=True, eq=False)
class IncentiveReport:
    """The chosen incentive and what was found on the way.

    Attributes
    ----------
    incentive : float
        Currency per unit of score difference, before encoding.
    decoded : DecodedTerms
        The terms it becomes on the ledger; welfare and surplus below are those of the decoded game.
    welfare : float
        Σ U_n, currency.
    welfare_without : float
        The same at incentive 0, rational or not.
    least_surplus : float
        min_n (U_n − outside option), currency, at least 0.
    worst : int
        The participant that attains it (its place among the participants).
    epsilon : float
        ε of the equilibrium's certificate.
    scan : IncentiveScan
        Everything that was searched.
    """

    incentive: float
    decoded: DecodedTerms
    welfare: float
    welfare_without: float
    least_surplus: float
    worst: int
    epsilon: float
    scan: IncentiveScan


@dataclass(frozen=True, slots=True, eq=False)
class IncentiveScan:
    """Welfare and rationality over the incentives, played on the floats; arrays have shape (K,).

    Attributes
    ----------
    incentives, welfares, least_surpluses : ndarray
        The grid from 0 upwards (currency per unit of score difference), Σ U_n and min_n (U_n − outside option) there.
    rational : tuple of (float, float)
        Closed intervals of incentives that leave everyone at least its outside option, ascending, edges refined; an
        isolated grid point has equal ends. Empty when there are none.
    tuned : float
        The incentive with the largest welfare, rational or not, refined by a bounded scalar search.
    """

    incentives: Array
    welfares: Array
    least_surpluses: Array
    rational: tuple[tuple[float, float], ...]
    tuned: float


def scan_incentives(market: Market) -> IncentiveScan:
    """Search 0 and six decades up to the incentive at which everyone would contribute all it can for transfers alone.

    Sixteen points a decade; a rational interval narrower than a grid step can be missed.

    Parameters
    ----------
    market : Market
        The first round's state; its rates are not used.
    """
    search = _Search(market)
    return _scan(search, [search.at(float(incentive)) for incentive in search.grid()])


def _scan(search: _Search, points: Sequence[_Point]) -> IncentiveScan:
    rational = np.array([point.rational for point in points])
    top = int(np.argmax([point.welfare for point in points]))
    tuned = points[top].incentive
    if top > 0:
        around = (points[top - 1].incentive, points[min(top + 1, len(points) - 1)].incentive)
        tuned = _refined(search, *around)
    return IncentiveScan(
        incentives=frozen(np.array([point.incentive for point in points])),
        welfares=frozen(np.array([point.welfare for point in points])),
        least_surpluses=frozen(np.array([point.least_surplus for point in points])),
        rational=tuple(_intervals(search, points, rational)),
        tuned=tuned,
    )


def automatic_incentive(market: Market, decode: Callable[[float], DecodedTerms]) -> IncentiveReport:
    """Find the welfare-maximising incentive under which every participant earns at least its outside option.

    The scan (:func:`scan_incentives`) plays the floats: rates incentive · σ with the market's score weights and
    offsets. The choice is then decoded and checked again, and moved into its interval when rounding to the ledger's
    integers has pushed it over an edge.

    Parameters
    ----------
    market : Market
        The first round's state; its rates are not used.
    decode : callable
        What the terms become on the ledger at a given incentive.

    Returns
    -------
    IncentiveReport
        The choice with its evidence.

    Raises
    ------
    NoRationalIncentive
        No searched incentive is rational; the message names who loses most at the least bad one, and how much.
    CertificateError
        The equilibrium at the choice fails its certificate.
    """
    search = _Search(market)
    points = [search.at(float(incentive)) for incentive in search.grid()]
    scan = _scan(search, points)
    if not scan.rational:
        raise _none_rational(search, points)
    chosen, interval = _best(search, points, scan.rational)
    for retreat in _RETREATS:
        incentive = chosen + retreat * (0.5 * sum(interval) - chosen)
        decoded = decode(incentive)
        game = build_game(replace(market, decoded=decoded))
        point = search.measure(incentive, game)
        if point.rational:
            certificate = certify(game, point.strategies)
            certificate.require(TOLERANCE, f"the plan at incentive {incentive:g}")
            return IncentiveReport(
                incentive=incentive,
                decoded=decoded,
                welfare=point.welfare,
                welfare_without=points[0].welfare,
                least_surplus=point.least_surplus,
                worst=point.worst,
                epsilon=certificate.epsilon,
                scan=scan,
            )
    raise NoRationalIncentive(
        f"the rational incentives {list(scan.rational)} are lost when encoded: {search.names[point.worst]} would earn "
        f"{-point.least_surplus:.6g} less than alone",
        hint="raise wei_per_unit, so that the ledger's integers are finer",
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Point:
    incentive: float
    strategies: Array
    welfare: float
    least_surplus: float
    worst: int

    @property
    def rational(self) -> bool:
        return self.least_surplus >= 0.0


class _Search:
    """Welfare and rationality as functions of the incentive; what does not depend on it is computed once."""

    def __init__(self, market: Market) -> None:
        self._market = market
        self._sigma = 0.5 * (market.competition + market.competition.T)
        self._known: dict[float, _Point] = {}
        self._unpaid = self._game(0.0)
        self._outside = outside_options(self._unpaid)
        self.names = [self._unpaid.label(n) for n in range(self._unpaid.size)]

    def grid(self) -> Array:
        """0, then a logarithmic grid up to where transfers alone pay for everyone's last sample."""
        segments = self._unpaid.family.segments
        paid = self._game(1.0).score_rates[:, None] * segments.score_slope
        reached = (paid > 0.0) & segments.feasible
        if not reached.any():
            return np.zeros(1)
        last_sample = segments.cost_slope + segments.cost_curvature * segments.upper
        ceiling = float((last_sample[reached] / paid[reached]).max())
        if ceiling <= 0.0:
            return np.zeros(1)
        count = _DECADES * _POINTS_PER_DECADE + 1
        return np.concatenate([[0.0], np.geomspace(ceiling * 10.0**-_DECADES, ceiling, count)])

    def at(self, incentive: float) -> _Point:
        if incentive not in self._known:
            self._known[incentive] = self.measure(incentive, self._game(incentive))
        return self._known[incentive]

    def measure(self, incentive: float, game: CoopetitionGame) -> _Point:
        strategies = METHODS[equilibrium_method(game)](game).strategies
        payoffs = game.payoffs(strategies)
        surplus = payoffs - self._outside
        worst = int(np.argmin(surplus))
        return _Point(incentive, strategies, float(payoffs.sum()), float(surplus[worst]), worst)

    def _game(self, incentive: float) -> CoopetitionGame:
        decoded = replace(self._market.decoded, rates=incentive * self._sigma)
        return build_game(replace(self._market, decoded=decoded))


def _intervals(search: _Search, points: Sequence[_Point], rational: np.ndarray) -> list[tuple[float, float]]:
    """Maximal runs of rational grid points, their edges refined towards the irrational neighbours."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], rational, [False]])))
    intervals = []
    for first, after in zip(edges[::2], edges[1::2], strict=True):
        low, high = points[first].incentive, points[after - 1].incentive
        if first > 0:
            low = _edge(search, inside=low, outside=points[first - 1].incentive)
        if after < len(points):
            high = _edge(search, inside=high, outside=points[after].incentive)
        intervals.append((low, high))
    return intervals


def _edge(search: _Search, inside: float, outside: float) -> float:
    """Bisect to the last rational incentive between a rational and an irrational one."""
    while abs(outside - inside) > _EDGE_PRECISION * max(inside, outside):
        middle = 0.5 * (inside + outside)
        if search.at(middle).rational:
            inside = middle
        else:
            outside = middle
    return inside


def _best(
    search: _Search, points: Sequence[_Point], intervals: Sequence[tuple[float, float]]
) -> tuple[float, tuple[float, float]]:
    """The best rational incentive, with the interval that holds it; ties go to the weakest incentive."""
    scored: list[tuple[float, float, tuple[float, float]]] = []
    for low, high in intervals:
        inner = [point.incentive for point in points if low < point.incentive < high]
        candidates = sorted({low, *inner, high})
        welfares = [search.at(incentive).welfare for incentive in candidates]
        top = int(np.argmax(welfares))
        left, right = candidates[max(top - 1, 0)], candidates[min(top + 1, len(candidates) - 1)]
        if left < right:
            candidates.append(_refined(search, left, right))
            welfares.append(search.at(candidates[-1]).welfare)
        scored += [
            (welfare, -incentive, (low, high))
            for incentive, welfare in zip(candidates, welfares, strict=True)
            if search.at(incentive).rational
        ]
    _, negated, interval = max(scored)
    return -negated, interval


def _refined(search: _Search, low: float, high: float) -> float:
    """The incentive with the largest welfare between two others."""
    from scipy.optimize import minimize_scalar

    found = minimize_scalar(
        lambda incentive: -search.at(float(incentive)).welfare,
        bounds=(low, high),
        method="bounded",
        options={"xatol": 1e-8 * high},
    )
    return float(found.x)


def _none_rational(search: _Search, points: Sequence[_Point]) -> NoRationalIncentive:
    least_bad = max(points, key=lambda point: point.least_surplus)
    return NoRationalIncentive(
        f"no incentive from 0 to {points[-1].incentive:.6g} leaves every organization at least its outside option; at "
        f"the least bad one, {least_bad.incentive:.6g}, {search.names[least_bad.worst]} loses most: "
        f"{-least_bad.least_surplus:.6g} below what it earns alone",
        hint="lower the competition it feels or its costs, or leave it out of the consortium",
    )
