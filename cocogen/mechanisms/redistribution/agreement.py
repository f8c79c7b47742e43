"""From a rule in the terms to numbers on the ledger: incentive, score weights and score offsets.

The terms either state the published rule's strength, leave it to the search ("auto"), or ask for the optimal
redistribution. Whichever it is, the numbers are those that the ledger's integers decode to. Left out: where the market
comes from (``cocogen.operations.registration``, ``cocogen.terms.tradefl``), and the designs themselves (``incentive``,
``optimal``).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

import numpy as np

from cocogen.game.arrays import Array
from cocogen.game.redistribution import Redistribution
from cocogen.ledger import DecodedTerms
from cocogen.mechanisms.base import Market
from cocogen.mechanisms.planning import build_game
from cocogen.mechanisms.redistribution.incentive import IncentiveReport, automatic_incentive
from cocogen.mechanisms.redistribution.optimal import OptimalRedistribution, optimal_redistribution

__all__ = ["Agreement", "Encoding", "RuleTerms", "Sharing", "agree", "agree_optimal", "agree_uniform", "design_optimal"]

Sharing: TypeAlias = Literal["local", "equal-surplus", "min-bond"]


@dataclass(frozen=True, slots=True, eq=False)
class Encoding:
    """A market whose redistribution is still open, and the ledger that will hold it.

    Attributes
    ----------
    decode : callable
        (incentive, score weights, score offsets) → what the ledger's integers stand for; arrays of shape (N,).
    market : callable
        The first round's market on decoded terms.
    published_offsets : ndarray
        Offsets of the published rule, shape (N,), score.
    largest_inputs : ndarray
        The largest score input that the ledger accepts from each, shape (N,).
    """

    decode: Callable[[float, Array, Array], DecodedTerms]
    market: Callable[[DecodedTerms], Market]
    published_offsets: Array
    largest_inputs: Array

    def published(self, incentive: float) -> DecodedTerms:
        """The published rule, weight 1 everywhere, at a strength."""
        return self.decode(incentive, np.ones_like(self.published_offsets), self.published_offsets)


@dataclass(frozen=True, slots=True, eq=False)
class Agreement:
    """The rule in numbers: incentive (currency per unit of score difference), and weights and offsets, shape (N,).

    ``report`` tells of the search behind an automatic strength, ``optimal`` of an optimal design; else None.
    """

    incentive: float
    weights: Array
    offsets: Array
    report: IncentiveReport | None = None
    optimal: OptimalRedistribution | None = None


class RuleTerms(Protocol):
    """What the terms say of the redistribution: :class:`cocogen.terms.sections.Incentive`."""

    @property
    def redistribution(self) -> Literal["uniform", "optimal"]: ...

    @property
    def strength(self) -> float | Literal["auto"]: ...

    @property
    def sharing(self) -> Sharing: ...


def agree(encoding: Encoding, rule: RuleTerms) -> Agreement:
    """What the terms' rule comes to in this market; errors as in :func:`agree_optimal` and :func:`agree_uniform`."""
    if rule.redistribution == "optimal":
        return agree_optimal(encoding, rule.sharing)
    return agree_uniform(encoding, rule.strength)


def agree_uniform(encoding: Encoding, strength: float | Literal["auto"]) -> Agreement:
    """The published rule; NoRationalIncentive when "auto" finds no strength that leaves everyone above going alone."""
    weights, offsets = np.ones_like(encoding.published_offsets), encoding.published_offsets
    if strength != "auto":
        return Agreement(strength, weights, offsets)
    report = automatic_incentive(encoding.market(encoding.published(0.0)), encoding.published)
    return Agreement(report.incentive, weights, offsets, report=report)


def design_optimal(encoding: Encoding, sharing: Sharing) -> OptimalRedistribution:
    """The optimal redistribution as this ledger rounds it; errors as in :func:`optimal_redistribution`."""
    return optimal_redistribution(
        build_game(encoding.market(encoding.published(0.0))),
        offsets="min-bond" if sharing == "min-bond" else "equal-surplus",
        decode=lambda incentive, weights, offsets: Redistribution.from_decoded(
            encoding.decode(incentive, weights, offsets)
        ),
        largest_inputs=encoding.largest_inputs,
    )


def agree_optimal(encoding: Encoding, sharing: Sharing) -> Agreement:
    """The optimal redistribution in numbers; errors as in :func:`optimal_redistribution`."""
    design = design_optimal(encoding, sharing)
    rule = design.redistribution
    return Agreement(design.incentive, rule.score_weights, rule.score_offsets, optimal=design)
