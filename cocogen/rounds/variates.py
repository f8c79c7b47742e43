"""The organizations' control variates, computed from the evidence that the ledger recorded.

They are kept nowhere: each follows from the recorded bundles of its organization, one after the other, and every bundle
is checked against the digest on the ledger. So a killed process, an attester and an auditor that have the files come to
the same bytes, and an organization needs only its own bundles and the models that it was given. A contribution that was
rejected, missed the deadline or was voided changes nothing. Left out: the formula
(:mod:`cocogen.learning.training.scaffold`).
"""

from __future__ import annotations

from collections.abc import Sequence

from cocogen.learning.training.scaffold import Variate
from cocogen.ledger import RoundOutcome
from cocogen.rounds.history import History, contributors

__all__ = ["VariateHistory"]


class VariateHistory:
    """Control variates over the rounds of ``history``; the last ones are remembered, so that a round reads only the
    bundles of the one before it."""

    def __init__(self, history: History) -> None:
        self._history = history
        self._last: dict[int, tuple[tuple[int, ...], Variate]] = {}

    def before(self, number: int, organizations: Sequence[int] | None = None) -> list[Variate]:
        """The variates before round ``number``, one per organization; those not in ``organizations`` are not computed
        and left at nothing.

        Raises
        ------
        WorkspaceError
            When a bundle or a model of an earlier round is missing, or was altered.
        """
        variates = [Variate()] * len(self._history.resolved.names)
        before = [outcome for outcome in self._history.ledger.outcomes() if outcome.round < number]
        for n in range(len(variates)) if organizations is None else organizations:
            variates[n] = self._follow(n, [outcome for outcome in before if contributors(outcome)[n]])
        return variates

    def _follow(self, index: int, outcomes: Sequence[RoundOutcome]) -> Variate:
        """The variate of one organization after its contributions to these rounds."""
        rounds = tuple(outcome.round for outcome in outcomes)
        known, variate = self._last.get(index, ((), Variate()))
        if rounds[: len(known)] != known:
            known, variate = (), Variate()
        for place in range(len(known), len(rounds)):
            variate = self._renewed(variate, index, outcomes[place], rounds[place - 1] if place else 0)
        self._last[index] = (rounds, variate)
        return variate

    def _renewed(self, variate: Variate, index: int, outcome: RoundOutcome, held: int) -> Variate:
        """After one more round; ``held``: the round whose model the organization started from."""
        bundle, contribution = self._history.accepted_bundle(outcome, index), outcome.contributions[index]
        weight = 0 if contribution is None else contribution.data + contribution.generated
        base = self._history.model(held, bundle.manifest.base, self._history.resolved.names[index])
        steps = len(bundle.manifest.training.real)
        rate = self._history.resolved.learning.learning_rate
        return variate.renewed(base, bundle.classifier, steps, rate, weight)
