"""CoCoGen+ (arXiv 2604.14886), its conference version and the rules it is compared with, as one system.

Organizations choose how many synthetic samples to generate, one model is trained and shared, and the contributions
determine who pays whom. What the terms leave open is measured before the rest is agreed
(``cocogen.operations.registration``).
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from cocogen.ledger import DecodedTerms
from cocogen.mechanisms import BASELINES, MECHANISMS, UNPAID
from cocogen.mechanisms.absence import stand_ins
from cocogen.mechanisms.base import Market, Plan
from cocogen.mechanisms.comparison import Judge, SchemeRow, Schemes
from cocogen.mechanisms.planning import build_game
from cocogen.mechanisms.redistribution.agreement import Agreement, Encoding, agree, agree_uniform
from cocogen.systems.base import Column, Coopetition, Decode, System
from cocogen.terms.consortium import Consortium, load_consortium
from cocogen.terms.market import encoding_of, market
from cocogen.terms.resolved import ResolvedTerms

__all__ = ["COCOGEN", "agreed", "agreed_market"]


def agreed(draft: ResolvedTerms, decode: Decode) -> tuple[ResolvedTerms, Agreement]:
    """What the terms' rules compute from the measurements: incentive, score weights and offsets, stand-ins.

    Raises
    ------
    GameError
        The rule has no answer for these measurements.
    """
    draft = draft.with_stand_ins(None)  # the rule does not depend on them
    encoding = encoding_of(draft, decode)
    unpaid = draft.consortium.mechanism in UNPAID
    agreement = agree_uniform(encoding, 0.0) if unpaid else agree(encoding, draft.incentive_rule)
    follows = draft.with_rule(agreement.incentive, agreement.weights.tolist(), agreement.offsets.tolist())
    absence = follows.settlement.absence
    if absence is None or follows.masks:
        return follows, agreement
    return follows.with_stand_ins(stand_ins(absence, agreed_market(follows, decode))), agreement


def agreed_market(resolved: ResolvedTerms, decode: Decode) -> Market:
    """The market at the κ of the terms, with everybody taking part."""
    return _market(resolved, decode(resolved.settlement_terms()))


def _agree(draft: ResolvedTerms, decode: Decode) -> ResolvedTerms:
    return agreed(draft, decode)[0]


def _market(resolved: ResolvedTerms, decoded: DecodedTerms) -> Market:
    return market(resolved, decoded, resolved.quality)


def _encoding(resolved: ResolvedTerms, kind: Literal["uniform", "optimal"], decode: Decode) -> Encoding:
    del kind  # both rules score the same contributions
    return encoding_of(resolved, decode)


def _baselines(judge: Judge, encoding: Encoding, tuned: float, rng: np.random.Generator) -> list[SchemeRow]:
    del tuned
    state = encoding.market(encoding.published(0.0))
    game = build_game(state, redistributed=False)
    return [judge.row(name, "", None, game, MECHANISMS[name].plan(state, rng).strategies) for name in BASELINES]


COCOGEN: System[Consortium, ResolvedTerms, Market, Plan] = System(
    rules={name: MECHANISMS[name] for name in ("cocogen+", *UNPAID)},
    load=load_consortium,
    agree=_agree,
    market=_market,
    baselines=BASELINES,
    game=Coopetition(
        encoding=_encoding,
        incentive=lambda resolved: resolved.incentive_rule,
        columns=(Column("generated", "generates", ",.2f"),),
        schemes=Schemes("cocogen+", "cocogen", "synthetic", _baselines),
    ),
)
