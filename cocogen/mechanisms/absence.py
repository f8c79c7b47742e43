"""Stand-ins: what counts against a participant that hands in nothing, agreed before anybody can be absent.

Who is absent pays every contributor what it would have owed with its stand-in, and receives nothing (the ledger's
kernel), which never beats delivering as much as the stand-in or more. ``planned`` stands in with the plan at the κ of
the terms and everybody taking part; where κ has fallen since, or somebody sits a round out, less than that may be left
to deliver. ``least`` stands in with the least that counts as taking part, so that silence saves nothing whatever
becomes of the plan. Left out: what silence costs in a round (:mod:`cocogen.rounds.silence`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias

import numpy as np

from cocogen.game.arrays import Array, BoolArray
from cocogen.game.coopetition import CoopetitionGame
from cocogen.mechanisms.base import Market
from cocogen.mechanisms.planning import build_game, solve_certified
from cocogen.mechanisms.resources import IntegerProfile

__all__ = ["Absence", "StandIn", "least_strategies", "possible_stand_ins", "stand_ins"]

Absence: TypeAlias = Literal["planned", "least", "masked"]
"""How the terms treat a participant without a contribution; "masked": it neither pays nor receives."""

StandIn: TypeAlias = tuple[int, int, int]
"""Data, generated, compute: a contribution that counts where there is none."""

_ROUNDING = 1e-5  # relative; another processor may round the same plan otherwise


def stand_ins(absence: Absence, market: Market) -> tuple[StandIn, ...] | None:
    """Everybody's stand-in in the market of the terms, in which all take part; None where who is absent is masked.

    Raises
    ------
    GameError, SolverError, CertificateError
        There is no certified plan.
    """
    if absence == "masked":
        return None
    return _parts(market.resources.integers(_strategies(absence, market), _all(market)))


def possible_stand_ins(absence: Absence, market: Market) -> tuple[tuple[StandIn, ...], tuple[StandIn, ...]]:
    """The least and the most that each part of :func:`stand_ins` can be on a processor that rounds otherwise."""
    strategies = _strategies(absence, market)
    if absence == "least":
        found = _parts(market.resources.integers(strategies, _all(market)))
        return found, found
    low, high = (market.resources.integers(strategies * (1.0 + sign * _ROUNDING), _all(market)) for sign in (-1, 1))
    return _parts(low), _parts(high)


def least_strategies(game: CoopetitionGame) -> Array:
    """The least that each can contribute: nothing generated (TradeFL: D_min, at the lowest level that meets the
    deadline)."""
    segments = game.family.segments
    first = np.argmax(segments.feasible, axis=1).astype(np.int64)
    return game.family.assemble(segments.pick(segments.lower, first), first)


def _strategies(absence: Absence, market: Market) -> Array:
    game = build_game(market)
    return least_strategies(game) if absence == "least" else solve_certified(game, "the stand-ins").strategies


def _all(market: Market) -> BoolArray:
    return np.ones(market.size, dtype=np.bool_)


def _parts(profile: IntegerProfile) -> tuple[StandIn, ...]:
    columns: Sequence[list[int]] = [part.tolist() for part in (profile.data, profile.generated, profile.compute)]
    return tuple(zip(*columns, strict=True))
