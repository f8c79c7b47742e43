"""CoCoGen+: everyone generates its equilibrium amount, and the redistribution pays for it.

The mechanism of arXiv 2604.14886, played on the ledger's decoded terms: with uniform weights it is the published one,
with optimal weights and offsets the same code reaches the planner's optimum.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cocogen.mechanisms.base import Market, Plan
from cocogen.mechanisms.planning import build_game, evaluate, solve_certified

__all__ = ["CoCoGenPlus", "build_game"]


@dataclass(frozen=True, slots=True)
class CoCoGenPlus:
    """Plan the equilibrium of the participants' game, certified."""

    name: str = "cocogen+"

    def plan(self, market: Market, rng: np.random.Generator) -> Plan:  # noqa: ARG002 - the equilibrium is unique
        """See :class:`cocogen.mechanisms.base.Mechanism`."""
        game = build_game(market)
        equilibrium = solve_certified(game, self.name)
        return evaluate(self.name, market, game, equilibrium.strategies, equilibrium)
