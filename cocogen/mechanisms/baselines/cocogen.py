"""What organizations would do without CoCoGen+: three rules that CoCoGen's papers compare with [definitions ours].

None of them redistributes anything. Each is evaluated in the true market, so its ε says how far it is from stable
there: a rule that ignores competition is not an equilibrium of a market that has some.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cocogen.game.competition import UniformCompetition
from cocogen.game.coopetition import CoopetitionGame
from cocogen.mechanisms.base import Market, Plan
from cocogen.mechanisms.planning import build_game, evaluate, solve_certified

__all__ = ["NoGeneration", "RandomGeneration", "WithoutCompetition"]


@dataclass(frozen=True, slots=True)
class NoGeneration:
    """VCFL, vanilla collaborative learning: g = 0."""

    name: str = "vcfl"

    def plan(self, market: Market, rng: np.random.Generator) -> Plan:  # noqa: ARG002 - nothing random
        """See :class:`cocogen.mechanisms.base.Mechanism`."""
        game = build_game(market, redistributed=False)
        return evaluate(self.name, market, game, np.zeros(game.size))


@dataclass(frozen=True, slots=True)
class WithoutCompetition:
    """WCO: everyone decides as if competition were zero, with nothing redistributed."""

    name: str = "wco"

    def plan(self, market: Market, rng: np.random.Generator) -> Plan:  # noqa: ARG002 - the equilibrium is unique
        """See :class:`cocogen.mechanisms.base.Mechanism`."""
        game = build_game(market, redistributed=False)
        imagined = CoopetitionGame(
            game.profitability,
            UniformCompetition(0.0, game.size),
            game.accuracy,
            game.family,
            damage=game.damage,
            private_gain=game.private_gain,
            private_base=game.private_base,
            names=game.names,
        )
        return evaluate(self.name, market, game, solve_certified(imagined, self.name).strategies)


@dataclass(frozen=True, slots=True)
class RandomGeneration:
    """RaDG: each amount uniform on [0, g_max], from the passed generator, in the order of the participants."""

    name: str = "radg"

    def plan(self, market: Market, rng: np.random.Generator) -> Plan:
        """See :class:`cocogen.mechanisms.base.Mechanism`."""
        game = build_game(market, redistributed=False)
        return evaluate(self.name, market, game, rng.uniform(0.0, game.family.segments.upper[:, 0]))
