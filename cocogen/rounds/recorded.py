"""A finished round as a game: the evidence in a workspace, checked against the ledger, as coalitions and their worth.

Left out: playing the round again. The bundles that the attester accepted are aggregated again, which gives exactly the
recorded model for everybody, and the evaluations ask for everybody else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from cocogen.contribution.coalitions import Coalitions
from cocogen.errors import WorkspaceError
from cocogen.files import evidence_hash
from cocogen.ledger import Contribution, RoundOutcome

if TYPE_CHECKING:
    from cocogen.evidence.bundle import Bundle
    from cocogen.rounds.loop import RoundLoop

__all__ = ["RecordedRound", "accepted_bundle", "recorded_round"]


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
    loop: RoundLoop, number: int | None = None, score: Literal["loss", "accuracy"] = "loss"
) -> RecordedRound:
    """Round ``number`` of a workspace, by default the last one that was attested.

    Raises
    ------
    WorkspaceError
        When the round or its evidence is not there, nothing was accepted in it, or a file was altered.
    """
    outcome = _outcome(loop, number)
    number = outcome.round
    attested = loop.attested(number)
    players = tuple(n for n, contribution in enumerate(attested.contributions) if contribution is not None)
    if not players:
        raise WorkspaceError(
            f"no contribution to round {number} was accepted, so there is nothing to divide",
            hint="choose another round with --round",
        )
    contributions = [contribution for contribution in attested.contributions if contribution is not None]
    bundles = [accepted_bundle(loop, outcome, n) for n in players]

    from cocogen.evidence.local import SharedModel
    from cocogen.learning.aggregation.server import newest

    bases = loop.base_models(number)
    game = Coalitions(
        len(players),
        loop.task.coalition_utility(
            [SharedModel(bundle.classifier, bundle.generator) for bundle in bundles],
            [bases[n] for n in players],
            [contribution.data + contribution.generated for contribution in contributions],
            newest(bases),
            score,
        ),
    )
    return RecordedRound(number, players, attested.contributions, game, len(loop.task.attester.holdout.labels), outcome)


def _outcome(loop: RoundLoop, number: int | None) -> RoundOutcome:
    outcomes = {outcome.round: outcome for outcome in loop.ledger.outcomes()}
    attested = [n for n in sorted(outcomes) if loop.workspace.attested(n).exists()]
    if not attested:
        raise WorkspaceError(
            f"no round of {loop.workspace.root} has been attested",
            hint="run `cocogen run` first, on a ledger that stays (not --ledger memory)",
        )
    if number is None:
        return outcomes[attested[-1]]
    if number not in attested:
        raise WorkspaceError(
            f"round {number} of {loop.workspace.root} has not been attested",
            hint=f"choose one of the rounds {', '.join(map(str, attested))} with --round",
        )
    return outcomes[number]


def accepted_bundle(loop: RoundLoop, outcome: RoundOutcome, index: int) -> Bundle:
    """The bundle of organization ``index`` that was accepted in a round, after making sure that it is the one whose
    digest was recorded.

    Raises
    ------
    WorkspaceError
        When it is not there, or was altered.
    """
    from cocogen.evidence.bundle import Bundle

    name, path = loop.resolved.names[index], loop.workspace.bundle(outcome.round, loop.resolved.names[index])
    attested = loop.attested(outcome.round)
    document, recorded = attested.documents[index], outcome.contributions[index] or attested.contributions[index]
    if document is None or recorded is None or evidence_hash(document) != recorded.evidence_hash:
        raise WorkspaceError(
            f"{loop.workspace.attested(outcome.round)} was altered: the evidence of {name} is not what was recorded",
            hint="restore the file from a copy",
        )
    if not path.exists():
        raise WorkspaceError(
            f"{path} is not there: what {name} contributed to round {outcome.round} cannot be looked at again",
            hint="put the organization's bundle in its place",
        )
    bundle = Bundle.load(path)
    measurement = document["measurement"]
    attested_digest = measurement.get("bundle") if isinstance(measurement, dict) else None
    if bundle.digest().hex() != attested_digest or not bundle.is_intact():
        raise WorkspaceError(
            f"{path} was altered: it is not the bundle that was attested", hint="restore it from a copy"
        )
    return bundle
