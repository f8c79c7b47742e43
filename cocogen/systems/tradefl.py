"""TradeFL (ICDCS 2023) as a system: data fractions and compute levels in a market that states all of its numbers.

Nothing is measured and nothing trained, so there is no consortium to deploy; what the ledger would hold and pay is
computed all the same.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from cocogen.ledger import DecodedTerms, LedgerProvider, SettlementTerms
from cocogen.mechanisms import MECHANISMS
from cocogen.mechanisms.base import Market, Plan
from cocogen.mechanisms.baselines import tradefl as baselines
from cocogen.mechanisms.comparison import Judge, SchemeRow, Schemes
from cocogen.mechanisms.planning import build_game
from cocogen.mechanisms.redistribution.agreement import Agreement, Encoding, agree
from cocogen.systems.base import Column, Coopetition, Decode, System
from cocogen.terms.sections import Incentive
from cocogen.terms.tradefl import DataMarket, load_data_market

__all__ = ["TRADEFL", "StatedMarket"]


@dataclass(frozen=True, slots=True, eq=False)
class StatedMarket:
    """A market with the accounts of one ledger, and the redistribution in numbers once it is agreed."""

    terms: DataMarket
    account: Callable[[str], str]
    agreement: Agreement

    def settlement_terms(self) -> SettlementTerms:
        """What would go on the ledger."""
        agreed = self.agreement
        return self.terms.settlement_terms(self.account, agreed.incentive, agreed.weights, agreed.offsets)


def _state(terms: DataMarket, provider: LedgerProvider) -> StatedMarket:
    zeros = np.zeros(len(terms.names))
    return StatedMarket(terms, provider.account, Agreement(0.0, zeros + 1.0, zeros))


def _agree(stated: StatedMarket, decode: Decode) -> StatedMarket:
    terms = stated.terms
    return replace(stated, agreement=agree(terms.encoding(stated.account, decode), terms.incentive))


def _market(agreed: StatedMarket, decoded: DecodedTerms) -> Market:
    return agreed.terms.market_on(decoded)


def _encoding(agreed: StatedMarket, kind: Literal["uniform", "optimal"], decode: Decode) -> Encoding:
    # each rule in the market that is scored by it: the optimal one pays for data alone
    return agreed.terms.with_incentive(Incentive(redistribution=kind)).encoding(agreed.account, decode)


def _baselines(judge: Judge, encoding: Encoding, tuned: float, rng: np.random.Generator) -> list[SchemeRow]:
    del rng
    game = build_game(encoding.market(encoding.published(tuned)))
    greedy = baselines.proportional_compute(game)
    everything = baselines.full_contribution(game)
    samples = everything.strategies[:, 0] * game.family.segments.samples_slope[:, 0]
    late = int((~everything.in_time).sum())
    return [
        judge.row("gca", "uniform, tuned", tuned, game, greedy.strategies),
        SchemeRow(
            name="tos",
            rule="",
            incentive=None,
            strategies=everything.strategies,
            samples=samples,
            contributed=float(samples.sum()),
            payoffs=everything.payoffs,
            transfers=np.zeros(game.size),
            surplus=everything.payoffs - judge.outside,
            welfare=everything.welfare,
            efficiency=None,
            improvement=None,
            epsilon=None if everything.certificate is None else everything.certificate.epsilon,
            note=f"{late} of {game.size} miss the deadline; payoffs as if there were none" if late else "",
        ),
    ]


TRADEFL: System[DataMarket, StatedMarket, Market, Plan] = System(
    rules={"tradefl": MECHANISMS["tradefl"]},
    load=load_data_market,
    state=_state,
    agree=_agree,
    market=_market,
    game=Coopetition(
        encoding=_encoding,
        incentive=lambda agreed: agreed.terms.incentive,
        columns=(Column("data_fraction", "data", ".4f"), Column("compute", "GHz", "g", 1e9)),
        schemes=Schemes("tradefl", "wpr", "samples", _baselines),
    ),
)
