"""When does a measurement count as reproducing a claim? The written rules behind every verdict.

Each rule looks at one number per seed (paired: both sides of a difference come from the same market) and at the
two-sided 95 % interval of its mean by Student's t. Three verdicts: reproduced, not reproduced (the data do not decide,
or decide against the size), opposite (the data decide for the reverse). No rule knows the paper's figure unless it is
the claim itself. Claims are tested one by one, without a correction for their number.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from functools import partial

import numpy as np
from numpy.typing import ArrayLike

from cocogen.errors import ConfigurationError, FieldProblem
from cocogen.game.arrays import Array

__all__ = [
    "Claim",
    "Finding",
    "Interval",
    "Statement",
    "Verdict",
    "at_most",
    "cocogen_says",
    "contains",
    "interior_peak",
    "kendall_trends",
    "not_below",
    "positive",
    "tradefl_says",
    "up_to",
]

_CONFIDENCE = 0.95


class Verdict(StrEnum):
    """What the data say about a claim."""

    REPRODUCED = "reproduced"
    NOT_REPRODUCED = "not reproduced"
    OPPOSITE = "opposite"


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean over ``count`` seeds with its two-sided 95 % interval by Student's t."""

    mean: float
    low: float
    high: float
    count: int

    @classmethod
    def of(cls, values: ArrayLike) -> Interval:
        """The interval of one number per seed, shape (S,).

        Raises
        ------
        ConfigurationError
            Fewer than two seeds: one number has no spread.
        """
        from scipy.stats import t

        sample = np.asarray(values, dtype=np.float64)
        sample = sample[np.isfinite(sample)]
        if sample.size < 2:
            problem = FieldProblem("seeds", str(sample.size), "at least 2 seeds with a finite measurement")
            raise ConfigurationError("an interval needs several measurements", problems=[problem])
        mean = float(sample.mean())
        half = float(t.ppf(0.5 + 0.5 * _CONFIDENCE, sample.size - 1) * sample.std(ddof=1) / math.sqrt(sample.size))
        return cls(mean, mean - half, mean + half, int(sample.size))


@dataclass(frozen=True, slots=True)
class Finding:
    """A verdict, the interval that it rests on, and the rule in words."""

    verdict: Verdict
    ours: Interval
    rule: str


@dataclass(frozen=True, slots=True)
class Claim:
    """One claim of a paper beside what was measured.

    Attributes
    ----------
    name : str
        Stable identifier.
    statement : str
        What is claimed.
    source : str
        Who claims it.
    paper : str
        The paper's figure, in words; "sign only" where it gives a direction.
    parameters : str
        Under which the claim was measured; the same claim may stand several times.
    unit : str
        Of the interval.
    finding : Finding
        The verdict with its evidence.
    remark : str
        What else the data show.
    """

    name: str
    statement: str
    source: str
    paper: str
    parameters: str
    unit: str
    finding: Finding
    remark: str = ""


@dataclass(frozen=True, slots=True)
class Statement:
    """What is claimed, in which unit it is measured, and by whom; attributes as those of :class:`Claim`."""

    name: str
    statement: str
    unit: str
    source: str = "ours"
    paper: str = "none"

    def judged(self, parameters: str, finding: Finding, remark: str = "") -> Claim:
        """The claim under ``parameters``."""
        return Claim(self.name, self.statement, self.source, self.paper, parameters, self.unit, finding, remark)


cocogen_says = partial(Statement, source="CoCoGen+", paper="sign only")
tradefl_says = partial(Statement, source="TradeFL", paper="sign only")
"""Claims of the two papers that give a direction and no figure."""


def positive(differences: ArrayLike) -> Finding:
    """Reproduced when the interval of the paired difference lies above 0, opposite when it lies below."""
    ours = Interval.of(differences)
    return Finding(_sign(ours), ours, "sign of the mean paired difference: its 95 % interval above 0")


def not_below(differences: ArrayLike, margin: float) -> Finding:
    """Reproduced when the interval lies above −margin (no worse), opposite when it lies wholly below."""
    ours = Interval.of(differences)
    verdict = Verdict.NOT_REPRODUCED
    if ours.low >= -margin:
        verdict = Verdict.REPRODUCED
    elif ours.high < -margin:
        verdict = Verdict.OPPOSITE
    return Finding(verdict, ours, f"no worse: the 95 % interval of the mean paired difference above -{margin:g}")


def at_most(values: ArrayLike, bound: float) -> Finding:
    """Reproduced when the interval lies at or below the bound, opposite when it lies wholly above."""
    ours = Interval.of(values)
    verdict = Verdict.NOT_REPRODUCED
    if ours.high <= bound:
        verdict = Verdict.REPRODUCED
    elif ours.low > bound:
        verdict = Verdict.OPPOSITE
    return Finding(verdict, ours, f"the 95 % interval of the mean at or below {bound:g}")


def contains(values: ArrayLike, figure: float, *, logarithmic: bool = False) -> Finding:
    """Reproduced when the paper's figure lies in the interval of ours; a figure has no opposite.

    ``logarithmic``: the interval of the geometric mean, for positive quantities that spread over decades.
    """
    sample = np.asarray(values, dtype=np.float64)
    ours = Interval.of(np.log(sample) if logarithmic else sample)
    if logarithmic:
        ours = Interval(math.exp(ours.mean), math.exp(ours.low), math.exp(ours.high), ours.count)
    inside = ours.low <= figure <= ours.high
    kind = "geometric mean" if logarithmic else "mean"
    rule = f"the paper's {figure:g} inside the 95 % interval of our {kind}"
    return Finding(Verdict.REPRODUCED if inside else Verdict.NOT_REPRODUCED, ours, rule)


def up_to(gains: ArrayLike, figure: float) -> Finding:
    """For "up to X": reproduced when the mean gain is above 0 and some gain reaches X; opposite when it is below 0.

    Parameters
    ----------
    gains : array_like
        One gain per seed, shape (S,), in the unit of ``figure``.
    figure : float
        The paper's largest gain.
    """
    ours = Interval.of(gains)
    verdict = _sign(ours)
    if verdict is Verdict.REPRODUCED and float(np.nanmax(np.asarray(gains))) < figure:
        verdict = Verdict.NOT_REPRODUCED
    return Finding(verdict, ours, f"mean gain above 0 (95 % interval) and the largest gain at least {figure:g}")


def interior_peak(curves: ArrayLike) -> Finding:
    """For "rises, then falls": curves of shape (S, K) over a common grid.

    For each seed the peak's place is taken from the mean of the *other* seeds, so that looking for the largest point
    does not bias the test. With rise = peak − first and fall = peak − last, reproduced when both intervals lie above 0;
    opposite when the same holds for the trough of the mirrored curves. The interval reported is that of the smaller
    of the two means.
    """
    values = np.asarray(curves, dtype=np.float64)
    weaker, verdict = _peak(values)
    if verdict is not Verdict.REPRODUCED and _peak(-values)[1] is Verdict.REPRODUCED:
        verdict = Verdict.OPPOSITE
    rule = "inner peak (placed by the other seeds) above both ends of the range, both 95 % intervals above 0"
    return Finding(verdict, weaker, rule)


def kendall_trends(x: ArrayLike, curves: ArrayLike) -> Array:
    """Kendall's τ between x (K,) and each seed's curve (S, K), shape (S,), in [−1, 1]; 0 for a constant curve."""
    from scipy.stats import kendalltau

    grid = np.asarray(x, dtype=np.float64)
    rows = np.asarray(curves, dtype=np.float64)
    return np.array([float(kendalltau(grid, row).statistic) if np.ptp(row) > 0.0 else 0.0 for row in rows])


def _peak(curves: Array) -> tuple[Interval, Verdict]:
    total = curves.sum(axis=0)
    places = np.argmax(total - curves, axis=1)
    peaks = curves[np.arange(curves.shape[0]), places]
    rise, fall = Interval.of(peaks - curves[:, 0]), Interval.of(peaks - curves[:, -1])
    weaker = min(rise, fall, key=lambda interval: interval.mean)
    both = rise.low > 0.0 and fall.low > 0.0
    return weaker, Verdict.REPRODUCED if both else Verdict.NOT_REPRODUCED


def _sign(ours: Interval) -> Verdict:
    if ours.low > 0.0:
        return Verdict.REPRODUCED
    return Verdict.OPPOSITE if ours.high < 0.0 else Verdict.NOT_REPRODUCED
