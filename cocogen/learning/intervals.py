"""How sure a measured share is: intervals at 95 % that stay within [0, 1] and have a length even at its ends.

All three are score intervals: they hold the values that the measured one would not contradict. That of a mean of
shares, and that of an area under the ROC curve, become Wilson's [1]_ in form; none is a normal approximation around the
estimate, which is of length 0 where all was predicted right.

.. [1] E. B. Wilson, "Probable Inference, the Law of Succession, and Statistical Inference", 1927.
.. [2] R. G. Newcombe, "Interval Estimation for the Difference between Independent Proportions: Comparison of Eleven
   Methods", 1998, method 10; for any sum with weights: G. Y. Zou, A. Donner, "Construction of Confidence Limits about
   Effect Measures: A General Approach", 2008.
.. [3] R. G. Newcombe, "Confidence Intervals for an Effect Size Measure Based on the Mann-Whitney Statistic. Part 2:
   Asymptotic Methods and Evaluation", 2006, method 5.
.. [4] J. A. Hanley, B. J. McNeil, "The Meaning and Use of the Area under a Receiver Operating Characteristic (ROC)
   Curve", 1982.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from statistics import NormalDist
from typing import NamedTuple

__all__ = ["CONFIDENCE", "Interval", "area_interval", "mean_of_shares", "wilson"]

CONFIDENCE = 0.95
_NEAR = 1e-12
_Z = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)


class Interval(NamedTuple):
    """Its ends, 0 <= ``low`` <= ``high`` <= 1."""

    low: float
    high: float


def wilson(right: int, count: int) -> Interval:
    """Of the share ``right`` / ``count``, Wilson's [1]_; ``count`` at least 1."""
    share, weight = right / count, _Z**2 / count
    middle = (share + weight / 2) / (1 + weight)
    half = math.sqrt(weight * (share * (1 - share) + weight / 4)) / (1 + weight)
    return Interval(max(0.0, middle - half) if right else 0.0, min(1.0, middle + half) if right < count else 1.0)


def mean_of_shares(right: Sequence[int], counts: Sequence[int]) -> Interval:
    """Of the mean of several independent shares, ``right`` of ``counts`` each: that of a balanced accuracy.

    The limits of the parts are those of Wilson, and their distances from the estimates add up in squares [2]_; of one
    share it is Wilson's.
    """
    shares = [part / count for part, count in zip(right, counts, strict=True)]
    parts = [wilson(part, count) for part, count in zip(right, counts, strict=True)]
    mean = math.fsum(shares) / len(shares)
    below = math.hypot(*(share - part.low for share, part in zip(shares, parts, strict=True))) / len(shares)
    above = math.hypot(*(part.high - share for share, part in zip(shares, parts, strict=True))) / len(shares)
    return Interval(max(0.0, mean - below), min(1.0, mean + above))


def area_interval(area: float, positives: int, negatives: int) -> Interval:
    """Of an ``area`` under the ROC curve over so many samples of the two classes, at least 1 each.

    The areas from which the measured one is at most 1.96 standard errors away, by Hanley and McNeil's variance [4]_ in
    the form that takes both classes alike [3]_.
    """

    def excess(other: float) -> float:
        return (other - area) ** 2 - _Z**2 * _area_variance(other, positives, negatives)

    return Interval(_end(excess, 0.0, area), _end(excess, 1.0, area))


def _end(excess: Callable[[float], float], end: float, inside: float) -> float:
    from scipy.optimize import brentq  # whoever tells shares needs no SciPy

    if end == inside:
        return end
    # An area of 0 or 1 has no variance, but those beside it have: what lies between them and the end is sought.
    within = min(max(inside, _NEAR), 1 - _NEAR)
    return float(brentq(excess, end, within)) if excess(within) < 0 else inside


def _area_variance(area: float, positives: int, negatives: int) -> float:
    more = (positives + negatives) / 2 - 1
    spread = 1 + more * ((1 - area) / (2 - area) + area / (1 + area))
    return area * (1 - area) * spread / (positives * negatives)
