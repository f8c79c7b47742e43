"""What an organization, or two together, save by handing in nothing, under each rule for absent members [ours].

All others keep the plan. Amounts are transfers, not payoffs: whoever is silent also goes without the model of the
round. Four questions about the silent: one alone, a pair by its joint transfers, one whose fellow is silent anyway
("second"), and one that could not have contributed more than the least ("fallen": its κ is nothing by now). Each is
asked with a quorum that is exceeded without the silent, just met, or missed; then the round is void.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

import numpy as np

from cocogen.experiments.claims import Claim, Finding, Statement, at_most, not_below, positive
from cocogen.experiments.deviation import MECHANISM_LABELS, planned_games
from cocogen.experiments.figures import Figure, bars
from cocogen.experiments.study import Experiment
from cocogen.experiments.sweep import largest
from cocogen.experiments.table import Row, Table
from cocogen.game.arrays import Array, BoolArray
from cocogen.game.coopetition import CoopetitionGame
from cocogen.mechanisms.absence import least_strategies
from cocogen.report.style import new_figure
from cocogen.rounds.silence import settles

__all__ = ["QUORUMS", "RULES", "SILENCE", "transfers_without"]

RULES = ("planned", "least", "masked")
QUORUMS = ("above", "at", "below")
"""The round needs one contribution less than there are without the silent, as many, or one more."""

_PAID = ("uniform", "optimal", "tradefl")
_FULL = 10_000
_FEWEST = 2  # markets that admit a mechanism, below which there is no interval
_ROUNDING = 1e-6  # per cent


def transfers_without(rates: Array, scores: Array, silent: BoolArray, stand_ins: Array | None = None) -> Array:
    """R, shape (N,), currency, when those ``silent`` (bool, shape (N,)) hand in nothing.

    ``rates``: σ times the incentive, shape (N, N), symmetric. ``scores``: of what is contributed. ``stand_ins``: the
    scores by which the silent pay each contributor what they would have owed; None: they are masked. In floats what
    ``chain.encoding.kernel`` computes in integers.
    """
    here = ~silent
    moved = rates * (scores[:, None] - scores[None, :]) * (here[:, None] & here[None, :])
    if stand_ins is not None:
        owed = rates * np.maximum(scores[None, :] - stand_ins[:, None], 0.0) * (silent[:, None] & here[None, :])
        moved = moved - owed + owed.T
    return np.asarray(moved.sum(axis=1))


def _measure(rng: np.random.Generator, points: int) -> list[Row]:
    games = planned_games(rng, points)
    return [row for mechanism in _PAID if mechanism in games for row in _rows(mechanism, *games[mechanism])]


def _rows(mechanism: str, game: CoopetitionGame, strategies: Array) -> Iterator[Row]:
    rule = game.redistribution
    rates = rule.rates.symmetric()
    scores, least = (rule.scores(_score_input(game, profile)) for profile in (strategies, least_strategies(game)))
    payoffs = np.maximum(1.0, np.abs(game.payoffs(strategies)))
    nobody = np.zeros(game.size, dtype=np.bool_)
    for absence in RULES:
        stand_ins = {"planned": scores, "least": least, "masked": None}[absence]
        for kind, members, silent_before, delivered in _cases(game.size, scores, least):
            before = transfers_without(rates, delivered, silent_before, stand_ins)
            silent = nobody.copy()
            silent[list(members)] = True
            choosing = silent & ~silent_before
            for quorum in QUORUMS:
                needed = game.size - int(silent.sum()) + QUORUMS.index(quorum) - 1
                counts = settles(game.size - int(silent.sum()), game.size, math.floor(needed * _FULL / game.size))
                after = transfers_without(rates, scores, silent, stand_ins) if counts else np.zeros(game.size)
                saved = float((after - before)[choosing].sum())
                others = (after - before)[~silent] / payoffs[~silent]
                gaining = float((others > 1e-12).mean()) if others.size else 0.0
                moved, models = float(np.maximum(after, 0.0).sum()), int((~silent).sum()) if counts else 0
                relative, most = saved / float(payoffs[choosing].sum()), float(others.max(initial=0.0))
                who = "+".join(map(str, members))
                yield mechanism, absence, quorum, kind, who, saved, relative, most, gaining, moved, models


def _cases(size: int, scores: Array, least: Array) -> Iterator[tuple[str, tuple[int, ...], BoolArray, Array]]:
    """(kind, the silent, who is silent in any case, the scores of the alternative)."""
    nobody = np.zeros(size, dtype=np.bool_)
    for n in range(size):
        yield "one", (n,), nobody, scores
        yield "fallen", (n,), nobody, np.where(np.arange(size) == n, least, scores)
    for pair in itertools.combinations(range(size), 2):
        if size > 2:
            yield "pair", pair, nobody, scores
            for n in pair:
                other = nobody.copy()
                other[pair[0] + pair[1] - n] = True
                yield "second", pair, other, scores


def _score_input(game: CoopetitionGame, strategies: Array) -> Array:
    return game.family.segments.effect(*game.family.locate(strategies)).score_input


def _holding(table: Table) -> Table:
    """The rows in which the round is settled without the silent."""
    place = table.columns.index("quorum")
    return Table(table.columns, tuple(row for row in table.rows if row[place] != "below"))


def _judge(table: Table) -> list[Claim]:
    claims = []
    for mechanism in table.distinct("mechanism"):
        one = table.where(mechanism=mechanism)
        if len(one.distinct("seed")) >= _FEWEST:
            claims += _claims_of(one, MECHANISM_LABELS[str(mechanism)])
    return claims


_SAVES_NOTHING = Statement(
    "silence-saves-no-transfer",
    "no transfer is saved by silence where the quorum holds without the silent",
    "% of payoff lost by the best silence",
)
_PAYS = Statement("masked-silence-pays", "a net payer that hands in nothing saves its transfer", "% of payoff")
_VOIDS = Statement(
    "pivotal-silence-voids",
    "where the quorum fails without the silent nobody pays and nobody receives the model",
    "currency moved, and models received",
)
_FALLEN_PAYS = Statement(
    "a-fallen-kappa-makes-silence-pay",
    "whoever can contribute no more than the least by now saves by silence",
    "% of payoff",
)
_LEAST_SAVES_NOTHING = Statement(
    "least-leaves-nothing-to-save",
    "whoever can contribute no more than the least saves nothing by silence",
    "% of payoff lost by silence",
)
_OTHERS_GAIN = Statement(
    "others-gain-by-silence", "some other member gains when one hands in nothing", "% of its payoff"
)


def _claims_of(table: Table, label: str) -> list[Claim]:
    claims = []
    choices = [table.where(kind=kind) for kind in ("one", "pair", "second")]
    willing = Table(table.columns, tuple(row for part in choices for row in part.rows))
    void, masked = willing.where(quorum="below"), _holding(willing.where(rule="masked"))
    alone, pair = masked.where(kind="one"), masked.where(kind="pair")
    planned, least = (_holding(table.where(rule=rule, kind="fallen")) for rule in ("planned", "least"))
    best = f'{label}, absence = "{{}}", the best of each market'
    for rule in ("planned", "least"):
        settled = _holding(willing.where(rule=rule))
        parameters = f'{label}, absence = "{rule}", alone, as a pair, or beside one who is silent anyway'
        claims.append(_SAVES_NOTHING.judged(parameters, _loses(settled), f"largest saving {_largest(settled)}"))
    claims += [
        _PAYS.judged(
            best.format("masked"), _gains(alone), f"largest gain alone {_largest(alone)}, of a pair {_largest(pair)}"
        ),
        _VOIDS.judged(
            f"{label}, all three rules",
            at_most(largest(void, "moved") + largest(void, "models"), 0.0),
            f"the best pivotal payer of a market saves its transfer, at most {_largest(void.where(kind='one'))}",
        ),
        _FALLEN_PAYS.judged(best.format("planned"), _gains(planned), f"largest {_largest(planned)}"),
        _LEAST_SAVES_NOTHING.judged(best.format("least"), _loses(least), f"largest saving {_largest(least)}"),
    ]
    for rule in RULES:
        one = _holding(willing.where(rule=rule, kind="one"))
        gaining, most = 100.0 * one.numbers("gaining").mean(), 100.0 * one.numbers("others").max()
        remark = f"{gaining:.0f} % of the others gain; largest {most:.3g} %"
        claims.append(_OTHERS_GAIN.judged(best.format(rule), _gains(one, "others"), remark))
    return claims


def _gains(table: Table, column: str = "relative") -> Finding:
    return positive(100.0 * largest(table, column))


def _loses(table: Table) -> Finding:
    return not_below(-100.0 * largest(table, "relative"), _ROUNDING)


def _largest(table: Table) -> str:
    """Relative, and in currency."""
    return f"{100.0 * table.numbers('relative').max():.3g} % ({table.numbers('saved').max():.3g} in currency)"


def _draw(table: Table) -> Figure:
    figure, axes = new_figure(1, len(_PAID), size=(12.0, 3.6), sharey=True)
    kinds = {"one": "alone", "pair": "two together", "fallen": "with κ fallen"}
    cells = [(rule, kind) for rule in RULES for kind in kinds]
    for panel, mechanism in zip(axes, _PAID, strict=True):
        market, _, rule_words = MECHANISM_LABELS[mechanism].partition(", ")
        panel.set(title=f"{market}:\n{rule_words}", xlabel="largest saving (% of payoff)")
        one = _holding(table.where(mechanism=mechanism))
        if len(one.distinct("seed")) < _FEWEST:
            continue
        columns = [100.0 * largest(one.where(rule=rule, kind=kind), "relative") for rule, kind in cells]
        bars(panel, [f"{rule}, {kinds[kind]}" for rule, kind in cells], np.stack(columns, axis=1))
    return figure


SILENCE = Experiment(
    "silence",
    "What handing in nothing saves",
    (
        "mechanism",
        "rule",
        "quorum",
        "kind",
        "organizations",
        "saved",
        "relative",
        "others",
        "gaining",
        "moved",
        "models",
    ),
    _measure,
    _judge,
    _draw,
)
