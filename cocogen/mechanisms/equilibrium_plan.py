"""Everyone plays the certified equilibrium of its game, with or without redistribution.

With redistribution this is CoCoGen+ (arXiv 2604.14886) on generation amounts and TradeFL (ICDCS 2023) on data
fractions, played on the ledger's decoded terms: with uniform weights as published, with optimal weights at the
planner's optimum. Without it, it is the conference version of CoCoGen (arXiv 2509.18120, in a market with χ = 0 and
ψ > 0) and TradeFL's WPR.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cocogen.mechanisms.base import Market, Plan
from cocogen.mechanisms.planning import build_game, evaluate, solve_certified

__all__ = ["EquilibriumPlan"]


@dataclass(frozen=True, slots=True)
class EquilibriumPlan:
    """Plan the equilibrium of the participants' game; ``redistributed`` says whether the transfers are in it."""

    name: str
    redistributed: bool = True

    def plan(self, market: Market, rng: np.random.Generator) -> Plan:  # noqa: ARG002 - nothing random
        """See :class:`cocogen.mechanisms.base.Mechanism`."""
        game = build_game(market, redistributed=self.redistributed)
        equilibrium = solve_certified(game, self.name)
        return evaluate(self.name, market, game, equilibrium.strategies, equilibrium)
