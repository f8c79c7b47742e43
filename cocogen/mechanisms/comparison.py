"""All mechanisms and baselines of one market, side by side: who contributes, what it is worth, who gains and loses.

Each scheme is judged by the same yardsticks: welfare against the planner's optimum, the surplus of every organization
over going alone, and how far its profile is from an equilibrium. The published rule is shown at its best rational
strength and at its best strength whatsoever, since the second is what tuned comparisons usually report. Left out:
training; a comparison of accuracies needs runs (``cocogen run``).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from cocogen.errors import GameError, NoRationalIncentive
from cocogen.game.arrays import Array
from cocogen.game.coopetition import CoopetitionGame
from cocogen.game.rationality import outside_options
from cocogen.mechanisms.planning import build_game, solve_certified
from cocogen.mechanisms.redistribution.agreement import Encoding, design_optimal
from cocogen.mechanisms.redistribution.incentive import IncentiveScan, automatic_incentive, scan_incentives
from cocogen.mechanisms.redistribution.optimal import OptimalRedistribution
from cocogen.solvers import solve
from cocogen.solvers.certificate import certify

__all__ = ["Comparison", "Judge", "SchemeRow", "Schemes", "compare_schemes"]

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True, eq=False)
class SchemeRow:
    """One scheme in the market; arrays of shape (N,), currency unless said otherwise.

    Attributes
    ----------
    name : str
        Its name in the terms or the literature.
    rule : str
        How its money is shared: "optimal, equal-surplus", "uniform, rational" and so on; empty without redistribution.
    incentive : float or None
        Currency per unit of score difference; None without redistribution.
    strategies : ndarray
        In the family's format, continuous.
    samples : ndarray
        q, effective samples.
    contributed : float
        Σ of synthetic samples, or of samples trained on.
    payoffs, transfers, surplus : ndarray
        U, R, and U less the outside option.
    welfare : float
        Σ U_n.
    efficiency : float or None
        SW / SW(g°); None where the planner's welfare is not positive.
    improvement : float or None
        (SW − SW without redistribution) / (SW(g°) − SW without); None where nothing can be improved.
    epsilon : float or None
        ε in the market; None where the profile is infeasible in it.
    note : str
        What a reader must know, such as a missed deadline or why the scheme has no numbers.
    """

    name: str
    rule: str
    incentive: float | None
    strategies: Array
    samples: Array
    contributed: float
    payoffs: Array
    transfers: Array
    surplus: Array
    welfare: float
    efficiency: float | None
    improvement: float | None
    epsilon: float | None
    note: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """The schemes, best ones first by design not by rank, and what the rules' designs found.

    ``missing``: schemes that this market does not admit, by name, with the reason. ``price_of_anarchy``: SW(g°) over
    the welfare of the equilibrium without redistribution; None where that is not positive.
    """

    rows: tuple[SchemeRow, ...]
    missing: dict[str, str]
    outside_options: Array
    planner_welfare: float
    price_of_anarchy: float | None
    scan: IncentiveScan
    optimal: OptimalRedistribution | None


class Judge:
    """Payoffs, surplus and ε of a profile in a game of this market."""

    def __init__(self, unpaid: CoopetitionGame) -> None:
        self.outside = outside_options(unpaid)

    def row(self, name: str, rule: str, incentive: float | None, game: CoopetitionGame, strategies: Array) -> SchemeRow:
        certificate = certify(game, strategies)
        samples = game.effective_samples(strategies)
        base = game.family.segments.samples_base[:, 0]
        return SchemeRow(
            name=name,
            rule=rule,
            incentive=incentive,
            strategies=strategies,
            samples=samples,
            contributed=float((samples - base).sum()),
            payoffs=certificate.payoffs,
            transfers=game.transfers(strategies),
            surplus=certificate.payoffs - self.outside,
            welfare=float(certificate.payoffs.sum()),
            efficiency=None,
            improvement=None,
            epsilon=certificate.epsilon,
        )


@dataclass(frozen=True, slots=True)
class Schemes:
    """What a family of markets is compared by.

    Attributes
    ----------
    published, unpaid : str
        Names of the equilibrium with redistribution, and of the one without.
    counted : str
        What :attr:`SchemeRow.contributed` counts, in a word.
    baselines : callable
        (judge, published rule, its best strength for welfare, generator) → what else is played, in the order shown.
    """

    published: str
    unpaid: str
    counted: str
    baselines: Callable[[Judge, Encoding, float, np.random.Generator], list[SchemeRow]]


def compare_schemes(
    encoding: Encoding,
    optimal: Encoding,
    schemes: Schemes,
    rng: np.random.Generator,
    progress: Progress | None = None,
    *,
    stated: float | None = None,
) -> Comparison:
    """Play the equilibria of a market and its baselines on the ledger's decoded terms.

    Parameters
    ----------
    encoding, optimal : Encoding
        The market with its redistribution open, for the published rule and for the optimal one (which may score less).
    schemes : Schemes
        Names and baselines.
    rng : numpy.random.Generator
        For baselines that contribute at random.
    progress : callable, optional
        Told (step, done, total).
    stated : float, optional
        A strength of the published rule that the terms state, to be shown beside the searched ones.
    """
    unpaid_market = encoding.market(encoding.published(0.0))
    unpaid = build_game(unpaid_market, redistributed=False)
    published = schemes.published

    def told(done: int) -> None:
        if progress is not None:
            progress("comparing the schemes", done, 5)

    scored = build_game(optimal.market(optimal.published(0.0)), redistributed=False)
    judge = Judge(unpaid)
    rows, missing = [], {}
    told(0)
    designs = []
    for sharing in ("equal-surplus", "min-bond"):
        try:
            design = design_optimal(optimal, "equal-surplus" if sharing == "equal-surplus" else "min-bond")
        except GameError as error:
            missing[f"{published} (optimal, {sharing})"] = str(error)
            continue
        designs.append(design)
        game = scored.with_redistribution(design.redistribution)
        rows.append(judge.row(published, f"optimal, {sharing}", design.incentive, game, design.strategies))
    told(1)
    strengths: list[tuple[str, float]] = []
    try:
        report = automatic_incentive(unpaid_market, encoding.published)
    except NoRationalIncentive as error:
        scan = scan_incentives(unpaid_market)
        missing[f"{published} (uniform, rational)"] = f"no strength leaves everyone better off than alone: {error}"
    else:
        scan = report.scan
        strengths.append(("uniform, rational", report.incentive))
    if strengths and math.isclose(strengths[0][1], scan.tuned, rel_tol=1e-6):
        strengths = [("uniform, tuned and rational", scan.tuned)]
    else:
        strengths.append(("uniform, tuned", scan.tuned))
    if stated is not None:
        strengths.insert(0, ("uniform, as stated", stated))
    for label, strength in strengths:
        game = build_game(encoding.market(encoding.published(strength)))
        equilibrium = solve_certified(game, label)
        rows.append(judge.row(published, label, strength, game, equilibrium.strategies))
    told(2)
    alone = solve_certified(unpaid, "no redistribution")
    rows.append(judge.row(schemes.unpaid, "", None, unpaid, alone.strategies))
    told(3)
    rows += schemes.baselines(judge, encoding, scan.tuned, rng)
    told(4)
    planner = solve(unpaid, "planner").strategies
    rows.append(judge.row("planner", "", None, unpaid, planner))
    best, without = rows[-1].welfare, next(row.welfare for row in rows if row.name == schemes.unpaid)
    told(5)
    return Comparison(
        rows=tuple(_against(row, best, without) for row in rows),
        missing=missing,
        outside_options=judge.outside,
        planner_welfare=best,
        price_of_anarchy=best / without if without > 0.0 else None,
        scan=scan,
        optimal=designs[0] if designs else None,
    )


def _against(row: SchemeRow, best: float, without: float) -> SchemeRow:
    achievable = best - without
    return replace(
        row,
        efficiency=row.welfare / best if best > 0.0 else None,
        improvement=(row.welfare - without) / achievable if achievable > 1e-12 * max(1.0, abs(best)) else None,
    )
