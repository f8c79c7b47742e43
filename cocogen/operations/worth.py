"""What each organization was worth in a finished round, by several measures at once.

The resources are those that the ledger recorded, and the transfers rest on them alone. Leave-one-out and Shapley values
measure the round's updates, aggregated again without some of them, on the attester's own data.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from cocogen.contribution import (
    EXACT_UP_TO,
    Budget,
    Either,
    StandardError,
    StoppingRule,
    Valuation,
    exact_shapley,
    guided_truncated,
    leave_one_out,
    resources,
    truncated_monte_carlo,
)
from cocogen.contribution.coalitions import Coalitions
from cocogen.evidence.attester import Score
from cocogen.operations.registration import Progress
from cocogen.operations.session import Session
from cocogen.rounds.recorded import RecordedRound, recorded_round
from cocogen.terms.resolved import ResolvedTerms

__all__ = ["Worth", "worth"]

_PAID = ("calculated", "settled")


@dataclass(frozen=True, slots=True)
class Worth:
    """A finished round and three measures of what its contributors were worth, in the order of ``played.players``.

    ``score``: what a coalition's model is judged by, a metric or "loss" (its negative, in nats). ``rejected``: why
    evidence was refused, by name.
    """

    resolved: ResolvedTerms
    played: RecordedRound
    score: str
    resources: Valuation
    leave_one_out: Valuation
    shapley: Valuation
    rejected: dict[str, str]

    def plain(self) -> dict[str, Any]:
        """As plain JSON values, wei as strings."""
        played, shared = self.played, self.shapley
        return {
            "consortium": self.resolved.consortium.name,
            "round": played.number,
            "status": played.outcome.status,
            "score": self.score,
            "samples": played.samples,
            "value_of_none": played.game(()),
            "value_of_all": played.game(range(played.game.players)),
            "method": shared.method,
            "exact": shared.exact,
            "evaluations": played.game.evaluations,
            "permutations": shared.permutations,
            "truncated": shared.truncated,
            "wei_per_unit": str(self.resolved.settlement.wei_per_unit),
            "organizations": {name: self._organization(n, name) for n, name in enumerate(self.resolved.names)},
        }

    def _organization(self, n: int, name: str) -> dict[str, Any]:
        played, outcome = self.played, self.played.outcome
        paid = str(outcome.transfers[n]) if outcome.status in _PAID else None
        if n not in played.players:
            return {"contributed": False, "reason": self.rejected.get(name), "transfer": paid}
        player, given = played.players.index(n), played.contributions[n]
        return {
            "contributed": True,
            "data": given.data if given else 0,
            "generated": given.generated if given else 0,
            "compute": given.compute if given else 0,
            "resources": float(self.resources.values[player]),
            "resource_share": _share(self.resources, player),
            "leave_one_out": float(self.leave_one_out.values[player]),
            "shapley": float(self.shapley.values[player]),
            "standard_error": float(self.shapley.standard_errors[player]),
            "shapley_share": _share(self.shapley, player),
            "transfer": paid,
        }


def worth(
    session: Session,
    number: int | None = None,
    *,
    score: Score = "loss",
    method: str = "auto",
    evaluations: int = 2000,
    standard_error: float | None = None,
    tolerance: float = 0.01,
    seed: int | None = None,
    progress: Progress,
) -> Worth:
    """Value the contributions to a finished round, by default the last that was attested.

    ``method``: "exact", "monte-carlo", "guided", or "auto", which is exact for few organizations; sampling stops after
    so many ``evaluations`` of coalitions or at ``standard_error``, and leaves an order within ``tolerance`` (a share of
    the round's gain) of the value of all. ``seed`` of the sampling: by default that of the terms.

    Raises
    ------
    WorkspaceError
        No round was attested, or a file of it was altered.
    LearningError
        The attester's data are not there, or are of one class where the score is the area under the ROC curve.
    ConfigurationError
        There are not two classes where it is.
    """
    progress("reading evidence", 0, 1)
    played = recorded_round(session.loop.history, session.loop.attester, number, score)
    progress("reading evidence", 1, 1)
    decoded = session.ledger.decoded
    counted = resources(
        [played.contributions[n] for n in played.players],
        generated_weight=decoded.generated_weight,
        compute_weight=decoded.compute_weight,
    )
    alone = leave_one_out(played.game)
    shared = _shapley(
        played.game,
        method,
        evaluations,
        standard_error,
        tolerance,
        [session.resolved.consortium.seed if seed is None else seed, played.number],
        progress,
    )
    rejected = session.loop.history.attested(played.number).rejected
    return Worth(session.resolved, played, score, counted, alone, shared, rejected)


def _shapley(
    game: Coalitions,
    method: str,
    evaluations: int,
    standard_error: float | None,
    tolerance: float,
    seed: list[int],
    progress: Progress,
) -> Valuation:
    if method == "exact" or (method == "auto" and game.players <= EXACT_UP_TO):
        return exact_shapley(game, progress)
    stop: StoppingRule = Budget(evaluations)
    if standard_error is not None:
        stop = Either(stop, StandardError(standard_error))
    sample = truncated_monte_carlo if method == "monte-carlo" else guided_truncated
    return sample(game, stop, np.random.default_rng(seed), tolerance=tolerance * abs(game.total), progress=progress)


def _share(valuation: Valuation, player: int) -> float | None:
    return None if valuation.shares is None else float(valuation.shares[player])
