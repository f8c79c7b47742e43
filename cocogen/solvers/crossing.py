"""One scalar search that maximises every concave objective whose organizations are coupled by Ω alone.

With everyone on one segment, P(Ω) + Σ (own part) is maximal where the samples that are supplied at the price P'(Ω)
add up to Ω. Supply does not rise with Ω, so the crossing is unique. Where linear costs make it jump, those who are
indifferent at that price take the mixture of the responses just below and just above that meets Ω: the own parts are
affine between the two, so the mixture loses nothing [ours].
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from cocogen.game.accuracy import AccuracyFunction
from cocogen.game.arrays import Array
from cocogen.game.strategies import Segments
from cocogen.solvers.price_response import PriceResponse

__all__ = ["Crossing", "best_positions", "crossing", "reachable"]

_EPS = float(np.finfo(np.float64).eps)
_TINY = float(np.finfo(np.float64).tiny)


@dataclass(frozen=True, slots=True, eq=False)
class Crossing:
    """Where supply meets Ω.

    Attributes
    ----------
    prices : tuple of float
        P' on the side that supplies at least Ω, and on the side that supplies at most Ω; equal up to rounding.
    share : float
        Weight of the first side's responses in the mixture that adds up to Ω, in [0, 1].
    omega : float
        Ω, samples.
    visited : list of (float, float)
        Each Ω that was tried with its excess supply, samples.
    """

    prices: tuple[float, float]
    share: float
    omega: float
    visited: list[tuple[float, float]]

    def mix(self, respond: Callable[[float], Array]) -> Array:
        """The mixture of the two sides' responses."""
        first = respond(self.prices[0])
        if self.share == 1.0:
            return first
        return self.share * first + (1.0 - self.share) * respond(self.prices[1])


def crossing(accuracy: AccuracyFunction, supply: Callable[[float], float], low: float, high: float) -> Crossing:
    """Solve supply(P'(Ω)) = Ω by Brent's method.

    Parameters
    ----------
    accuracy : AccuracyFunction
        P.
    supply : callable
        Samples supplied at a price, non-decreasing, between ``low`` and ``high``.
    low, high : float
        The least and the most that can be supplied, samples.
    """
    from scipy.optimize import brentq

    visited: list[tuple[float, float]] = []

    def excess(omega: float) -> float:
        value = supply(float(accuracy.derivative(omega))) - omega
        visited.append((omega, value))
        return value

    # Equality at an end happens when every cap or floor binds.
    if excess(low) > 0.0 and excess(high) < 0.0:
        # Somebody may supply nothing, so that Ω = 0 is reachable; SciPy wants a positive tolerance all the same.
        brentq(excess, low, high, xtol=max(4.0 * _EPS * low, _EPS**2 * high, _TINY), rtol=4.0 * _EPS)
    enough = [entry for entry in visited if entry[1] >= 0.0]
    short = [entry for entry in visited if entry[1] <= 0.0]
    first = max(enough) if enough else min(short)
    second = min(short) if short else first
    supplied = [omega + value for omega, value in (first, second)]
    spread = supplied[0] - supplied[1]
    share = min(max((first[0] - supplied[1]) / spread, 0.0), 1.0) if spread > 0.0 else 1.0
    prices = float(accuracy.derivative(first[0])), float(accuracy.derivative(second[0]))
    return Crossing(prices, share, first[0], visited)


def best_positions(accuracy: AccuracyFunction, respond: PriceResponse) -> tuple[Array, Crossing]:
    """Maximise P(Ω) + Σ (own part), where each organization has one segment.

    Returns
    -------
    position : ndarray
        Shape (N,).
    crossing : Crossing
        How it was found.
    """
    found = crossing(accuracy, lambda price: float(respond.samples(respond(price)).sum()), *reachable(respond.segments))
    position = found.mix(lambda price: respond(price)[:, 0])
    return np.clip(position, respond.segments.lower[:, 0], respond.segments.upper[:, 0]), found


def reachable(segments: Segments) -> tuple[float, float]:
    """The least and the most that all organizations together can contribute on feasible segments, samples."""
    least = segments.samples_base + segments.samples_slope * segments.lower
    most = segments.samples_base + segments.samples_slope * segments.upper
    if segments.count == 1:
        return float(least.sum()), float(most.sum())
    lowest = np.where(segments.feasible, least, np.inf).min(axis=1)
    return float(lowest.sum()), float(np.where(segments.feasible, most, -np.inf).max(axis=1).sum())
