"""A finished round as a game: the evidence in a workspace, checked against the ledger, as coalitions and their worth.

Left out: playing the round again. The bundles that the attester accepted are aggregated again, which gives exactly the
recorded model for everybody, and the evaluations ask for everybody else.
"""

from __future__ import annotations

from dataclasses import dataclass

from cocogen.contribution.coalitions import Coalitions
from cocogen.errors import WorkspaceError
from cocogen.evidence.attester import Attester, Score
from cocogen.learning.aggregation.server import newest
from cocogen.learning.models.states import SharedModel
from cocogen.ledger import Contribution, RoundOutcome
from cocogen.rounds.history import History

__all__ = ["RecordedRound", "recorded_round"]


@dataclass(frozen=True, slots=True)
class RecordedRound:
    """What the evaluations need of one round.

    ``players``: indices of the accepted organizations in the terms; player i of ``game`` is ``players[i]``.
    ``contributions``: as attested, in the order of the terms, None for the others. ``samples``: the attester's, on
    which the utility is measured. ``outcome``: what the ledger says of the round.
    """

    number: int
    players: tuple[int, ...]
    contributions: tuple[Contribution | None, ...]
    game: Coalitions
    samples: int
    outcome: RoundOutcome


def recorded_round(
    history: History, attester: Attester, number: int | None = None, score: Score = "loss"
) -> RecordedRound:
    """Round ``number`` of a workspace, by default the last one that was attested, worth what the ``attester`` measures.

    Raises
    ------
    WorkspaceError
        When the round or its evidence is not there, nothing was accepted in it, or a file was altered.
    """
    outcome = _outcome(history, number)
    number = outcome.round
    attested = history.attested(number)
    # Whoever the ledger recorded is a player too: without its evidence in the file no worth is measured.
    both = zip(attested.contributions, outcome.contributions, strict=True)
    players = tuple(n for n, (written, recorded) in enumerate(both) if written is not None or recorded is not None)
    if not players:
        raise WorkspaceError(
            f"no contribution to round {number} was accepted, so there is nothing to divide",
            hint="choose another round with --round",
        )
    bundles = [history.accepted_bundle(outcome, n) for n in players]
    contributions = [contribution for contribution in attested.contributions if contribution is not None]
    bases = history.base_models(number)
    game = Coalitions(
        len(players),
        attester.coalition_utility(
            [SharedModel(bundle.classifier, bundle.generator) for bundle in bundles],
            [bases[n] for n in players],
            [contribution.data + contribution.generated for contribution in contributions],
            newest(bases),
            score,
        ),
    )
    return RecordedRound(number, players, attested.contributions, game, len(attester.holdout.labels), outcome)


def _outcome(history: History, number: int | None) -> RoundOutcome:
    outcomes = {outcome.round: outcome for outcome in history.ledger.outcomes()}
    attested = [n for n in sorted(outcomes) if history.workspace.attested(n).exists()]
    if not attested:
        raise WorkspaceError(
            f"no round of {history.workspace.root} has been attested",
            hint="run `cocogen run` first, on a ledger that stays (not --ledger memory)",
        )
    if number is None:
        return outcomes[attested[-1]]
    if number not in attested:
        raise WorkspaceError(
            f"round {number} of {history.workspace.root} has not been attested",
            hint=f"choose one of the rounds {', '.join(map(str, attested))} with --round",
        )
    return outcomes[number]
