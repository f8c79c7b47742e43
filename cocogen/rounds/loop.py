"""The loop: plan → generate → train → measure → attest → submit → record → settle → report.

Every step is a method of :class:`RoundLoop` that can be run in a process of its own: it reads the ledger and the
workspace, does what is still missing, and leaves a result that appears whole or not at all. ``play`` runs them all
and goes on where a killed process stopped, because the ledger, not a variable, says where the round stands. Which
ledger it is, twin or contract, is the :class:`cocogen.ledger.Ledger` that is passed in. Whoever trains elsewhere
(:mod:`cocogen.flower`) takes :meth:`RoundLoop.pending`, hands the evidence to :meth:`RoundLoop.keep` and
ends the round with :meth:`RoundLoop.finish`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cocogen.errors import WorkspaceError
from cocogen.files import measured_quality
from cocogen.ledger import Ledger, LedgerState, Receipt, Relayer, RoundOutcome
from cocogen.mechanisms import mechanism
from cocogen.mechanisms.base import Market, Plan, Rule
from cocogen.rounds.attested import Attested
from cocogen.rounds.delivery import deliver
from cocogen.rounds.handed_in import handed_in, keep
from cocogen.rounds.history import History
from cocogen.rounds.patients import measure_patients, read_patients
from cocogen.rounds.report import RoundReport, plan_to_dict
from cocogen.rounds.wallets import or_unsigned
from cocogen.rounds.work import Work
from cocogen.rounds.workspace import Workspace
from cocogen.terms.market import market
from cocogen.terms.resolved import ResolvedTerms

if TYPE_CHECKING:
    from cocogen.data.sources.base import Source
    from cocogen.evidence.agreed import Agreed
    from cocogen.evidence.attester import Attester
    from cocogen.evidence.challenge import Challenge
    from cocogen.evidence.here import MembersHere
    from cocogen.evidence.local import Assignment, Local
    from cocogen.learning.training.scaffold import Variate
    from cocogen.rounds.challenges import Challenges
    from cocogen.rounds.variates import VariateHistory

__all__ = ["RoundLoop", "Work"]

Progress = Callable[[str, int, int], None]


class RoundLoop:
    """All steps of all rounds of one consortium over one ledger and one workspace.

    ``split`` selects the stratified test fold; ``rule`` plans the rounds, by default the one that the terms name;
    ``source`` is where samples come from, by default the data set that the terms name; ``everybody``: whether it has
    all samples, so that one process can play all.
    """

    def __init__(
        self,
        resolved: ResolvedTerms,
        ledger: Ledger,
        workspace: Workspace,
        *,
        split: int = 0,
        rule: Rule[Market, Plan] | None = None,
        progress: Progress | None = None,
        task: Local | None = None,
        source: Callable[[Agreed], Source] = lambda agreed: agreed.source(),
        everybody: bool = True,
    ) -> None:
        self.resolved = resolved
        self.ledger = ledger
        self.workspace = workspace
        self.history = History(resolved, ledger, workspace)
        self.split = split
        self.progress = progress
        self._source_of = source
        self.everybody = everybody
        self._rule = rule or mechanism(resolved.consortium.mechanism)
        self._plans: dict[tuple[int, tuple[bool, ...]], Plan] = {}
        if task is not None:
            self.__dict__["task"] = task

    @cached_property
    def task(self) -> Local:
        """Everybody's side of the learning, built on first use because it loads torch."""
        from cocogen.evidence.local import Agreed, Local

        agreed = Agreed.of(self.resolved, self.split)
        return Local(agreed, self._source_of(agreed))

    @cached_property
    def attester(self) -> Attester:
        """The attester's side alone, which holds no member's samples: all that a round needs when others train."""
        if "task" in self.__dict__:
            return self.task.attester
        from cocogen.evidence.attester import Agreed, Attester

        agreed = Agreed.of(self.resolved, self.split)
        return Attester(agreed, self._source_of(agreed))

    @cached_property
    def members(self) -> Local | MembersHere:
        """The members' side: of all of them, or of those whose data are here."""
        if self.everybody or "task" in self.__dict__:
            return self.task
        from cocogen.evidence.here import Agreed, MembersHere

        agreed = Agreed.of(self.resolved, self.split)
        return MembersHere(agreed, self._source_of(agreed))

    @cached_property
    def challenges(self) -> Challenges | None:
        """The files of the rows that members open; None where the terms say that none are."""
        if not self.resolved.attestation.openings:
            return None
        from cocogen.rounds.challenges import Challenges

        return Challenges(self.workspace, self.resolved)

    @cached_property
    def _variates(self) -> VariateHistory:
        from cocogen.rounds.variates import VariateHistory

        return VariateHistory(self.history)

    # What the round is about -----------------------------------------------------------------------------------

    def market(self, number: int, participants: Sequence[bool] | None = None) -> Market:
        """The market of a round: κ measured at the end of the last recorded round before it."""
        return market(self.resolved, self.ledger.decoded, self.history.quality(number), participants)

    def plan(self, number: int, participants: Sequence[bool]) -> Plan:
        """What everyone should contribute this round; the same call gives the same plan."""
        key = (number, tuple(participants))
        if key not in self._plans:
            rng = np.random.default_rng([self.resolved.consortium.seed, self.split, number])
            self._plans[key] = self._rule.plan(self.market(number, participants), rng)
        return self._plans[key]

    def deliver(self) -> dict[int, list[Path]]:
        """Write the models that recorded contributors are to be given, where this is the attester's workspace; the new
        files, by round. No model but the one whose digest was signed is handed out
        (:func:`cocogen.rounds.delivery.deliver`).
        """
        return deliver(self.history)

    def variates(self, number: int, organizations: Sequence[int] | None = None) -> list[Variate] | None:
        """What SCAFFOLD keeps of the organizations named (all by default) before a round; None without SCAFFOLD."""
        return self._variates.before(number, organizations) if self.resolved.learning.scaffold else None

    # Steps -----------------------------------------------------------------------------------------------------

    def bond(self) -> tuple[int, ...]:
        """Bring every organization below its bond to twice the bond; the wei added per organization."""
        state = self.ledger.state()
        added = []
        for n, (balance, liability) in enumerate(zip(state.balances, state.liabilities, strict=True)):
            missing = 0 if balance >= liability else 2 * liability - balance
            if missing or not state.accepted[n]:
                self.ledger.deposit(n, missing)
            added.append(missing)
        return tuple(added)

    def open(self) -> Receipt:
        """Open the next round as soon as the agreed gap has passed (local clocks jump)."""
        state = self.ledger.state()
        self.deliver()  # whoever was killed, or is elsewhere, left it undone
        if self.challenges is not None and state.phase == "idle":
            self.challenges.commit(state.round + 1)
        if state.phase == "idle" and state.now < state.next_round_from:
            self.ledger.wait_until(state.next_round_from)
        return self.ledger.open_round()

    def pending(self, organizations: Sequence[int] | None = None) -> Work:
        """Write the plan of the running round; what is left to train of it, for all participants or those named."""
        from cocogen.evidence.local import Assignment

        state = self._require_open("train")
        number, names = state.round, self.resolved.names
        plan = self.plan(number, state.participants)
        self.workspace.write_json(self.workspace.plan(number), plan_to_dict(plan, names))
        assignments: list[Assignment | None] = [None] * len(names)
        for n in range(len(names)) if organizations is None else organizations:
            if state.participants[n] and not self.workspace.bundle(number, names[n]).exists():
                assignments[n] = Assignment(data=int(plan.profile.data[n]), raw=int(plan.profile.raw[n]))
        at_work = [n for n, assignment in enumerate(assignments) if assignment is not None]
        bases, variates = self.history.base_models(number, at_work), self.variates(number, at_work)
        commitment = None if self.challenges is None else self.challenges.committed(number)
        return Work(number, bases, assignments, variates, commitment)

    def train(self, organizations: Sequence[int] | None = None) -> list[Path]:
        """Generate, train and write signed evidence of the running round, for all participants or those named.

        An organization whose bundle is already there is left alone: evidence is written once.
        """
        work, names = self.pending(organizations), self.resolved.names
        if any(assignment is not None for assignment in work.assignments):
            bundles = self.members.train(
                work.round,
                work.bases,
                work.assignments,
                self.ledger.decoded.terms_hash,
                lambda name, digest: or_unsigned(partial(self.ledger.sign, name, digest)),
                progress=self.progress,
                variates=work.variates,
                challenge=work.commitment,
            )
            for n, bundle in enumerate(bundles):
                if bundle is not None:
                    bundle.save(self.workspace.bundle(work.round, names[n]))
        wanted = range(len(names)) if organizations is None else organizations
        paths = [self.workspace.bundle(work.round, names[n]) for n in wanted]
        return [path for path in paths if path.exists()]

    def keep(self, number: int, evidence: Mapping[int, bytes], absent: Mapping[int, str]) -> None:
        """Store what came of training elsewhere: the bytes of bundles, unread, and why the others have sent none."""
        keep(self.workspace, self.resolved.names, number, evidence, absent)

    def challenge(self, bundles: Sequence[Path] | None = None) -> Challenge | None:
        """Draw the rows that are opened of the evidence that is in, once; None where the terms say that none are."""
        if self.challenges is None:
            return None
        state = self._require_open("draw rows")
        if not self.workspace.challenge(state.round).exists():
            found, _ = handed_in(self.resolved, self.workspace, state, self.ledger.verify, bundles)
            self.challenges.draw(state.round, found)
        return self.challenges.drawn(state.round)

    def answer(self, organizations: Sequence[int] | None = None) -> list[Path]:
        """Write the rows that members open of the evidence that was asked about, or those named, as the members."""
        number = self._require_open("open rows").round
        if self.challenges is None:
            return []
        here = [member.rows for member in self.task.members].__getitem__ if "task" in self.__dict__ else None
        return self.challenges.answer(number, here or self.challenges.rows(self._source_of), organizations)

    def attest(self, bundles: Sequence[Path] | None = None) -> Attested:
        """Verify evidence, aggregate, measure κ and sign; once per round, so that no two signatures can differ.

        Where the attester is a contract wallet the contributions stay unsigned (:mod:`cocogen.rounds.wallets`).
        Where rows are opened they have been drawn (:meth:`challenge`), and those that came are deleted in the end.
        """
        state = self._require_open("attest")
        number = state.round
        if self.workspace.attested(number).exists():
            return self.history.attested(number)
        found, rejected = handed_in(self.resolved, self.workspace, state, self.ledger.verify, bundles)
        opened = None
        if self.challenges is not None:
            opened, found, rejected = self.challenges.opened(number, found, rejected)
        evidence = self.attester.attest(
            number,
            self.history.base_models(number),
            found,
            [organization.address for organization in self.resolved.organization],
            self.ledger.verify,
            self.history.quality(number),
            self.resolved.settlement_terms().members,
            self.ledger.decoded.terms_hash,
            progress=self.progress,
            planned=self.plan(number, state.participants).profile.generated.tolist(),
            variates=self.variates(number),
            refused=rejected,
            opened=opened,
        )
        contributions = evidence.contributions
        attested = Attested(
            round=number,
            contributions=tuple(contributions),
            signatures=tuple(
                None if c is None else or_unsigned(partial(self.ledger.attest, n, c)) or None
                for n, c in enumerate(contributions)
            ),
            rejected=evidence.rejected,
            quality=measured_quality(evidence.quality_next),
            evaluation=evidence.evaluation.to_dict(),
            documents=tuple(evidence.documents),
        )
        if self.resolved.learning.scaffold and bundles is not None:
            for bundle, contribution in zip(found, contributions, strict=True):
                # What came from elsewhere gets its place here: later rounds compute control variates from it.
                if bundle is not None and contribution is not None:
                    bundle.save(self.workspace.bundle(number, bundle.organization))
        evidence.aggregated.save(self.workspace.model(number))
        self.workspace.write_json(self.workspace.attested(number), attested.to_dict())
        if self.challenges is not None:
            self.challenges.forget(number)
        return attested

    def submit(self, index: int, *, sender: Relayer | None = None) -> Receipt:
        """Hand in the attested contribution of one organization, or relay it for a silent one."""
        return self._submit(self.history.attested(self._require_open("submit").round), index, sender)

    def _submit(self, attested: Attested, index: int, sender: Relayer | None) -> Receipt:
        name = self.resolved.names[index]
        contribution, signature = attested.signed(index, name, masks=self.resolved.masks)
        if not self.ledger.is_attested(index, contribution, signature):
            raise WorkspaceError(
                f"{self.workspace.attested(attested.round)}: the attester has not signed the contribution of {name}",
                hint="restore the file from a copy, or ask the attester for its signature again",
            )
        return self.ledger.submit(index, contribution, signature, sender=sender)

    def settle(self, *, advance: bool) -> RoundOutcome:
        """Settle the recorded round; ``advance`` waits for the end of the dispute window first."""
        state = self.ledger.state()
        if state.phase == "disputed":
            raise WorkspaceError(
                f"round {state.round} is disputed and waits for the arbiter's ruling",
                hint="`cocogen dispute resolve`: the arbiter up to its deadline, then anyone with --default",
            )
        if advance and state.phase == "recorded" and state.now <= state.deadline:
            self.ledger.wait_until(state.deadline + 1)
        outcome = self.ledger.settle()
        self.deliver()  # somebody else may have recorded the round
        return outcome

    def record(self, *, advance: bool) -> Receipt:
        """Freeze the profile; ``advance`` waits for the submission deadline if somebody is missing."""
        state = self.ledger.state()
        missing = any(p and not s for p, s in zip(state.participants, state.submitted, strict=True))
        if advance and state.phase == "open" and missing and state.now <= state.deadline:
            self.ledger.wait_until(state.deadline + 1)
        receipt = self.ledger.record()
        self.deliver()
        return receipt

    def play(self) -> RoundReport:
        """Bring the running round to its end, opening one when none is running."""
        if self.begin():
            self.train()
            self.challenge()
            self.answer()
        return self.finish()

    def begin(self) -> bool:
        """Open a round unless one is running; whether there is still time to hand in contributions."""
        if self.ledger.state().phase == "idle":
            self.open()
        state = self.ledger.state()
        if self.challenges is not None and self.accepts(state):  # somebody else may have opened the round
            self.challenges.commit(state.round)
        return self.accepts(state)

    def finish(self) -> RoundReport:
        """Attest, submit, record and settle the running round with whatever evidence is there."""
        state = self.ledger.state()
        number = state.round
        if self.accepts(state):
            self.challenge()
            attested = self.attest()
            submitted = self.ledger.state().submitted
            for n, contribution in enumerate(attested.contributions):
                if contribution is not None and not submitted[n]:
                    self._submit(attested, n, None)
        if state.phase == "open":
            self.record(advance=True)
        if self.ledger.state().phase != "idle":
            self.settle(advance=True)
        if "task" in self.__dict__:
            measure_patients(self.task, self.workspace, self.resolved, number)
        return self.report(number)

    @staticmethod
    def accepts(state: LedgerState) -> bool:
        """Whether contributions can still be handed in."""
        return state.phase == "open" and state.now <= state.deadline

    def report(self, number: int) -> RoundReport:
        """What happened in a finished round, from the ledger and the workspace."""
        outcome = next(outcome for outcome in self.ledger.outcomes() if outcome.round == number)
        attested = self.history.attested(number) if self.workspace.attested(number).exists() else None
        return RoundReport.of(
            self.resolved,
            self.ledger.decoded,
            outcome,
            self.plan(number, outcome.participants),
            self.market(number, outcome.participants),
            self.history.quality(number),
            attested,
            read_patients(self.workspace, self.resolved, number),
        )

    def _require_open(self, step: str) -> LedgerState:
        state = self.ledger.state()
        if state.phase != "open":
            raise WorkspaceError(
                f"cannot {step}: round {state.round} is {state.phase}, not open",
                hint="`cocogen status` says what comes next",
            )
        return state
