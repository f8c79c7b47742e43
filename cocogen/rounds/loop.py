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
from dataclasses import asdict, dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cocogen.errors import REASON_LIMIT, EvidenceRejected, WorkspaceError
from cocogen.files import evidence_hash, measured_quality, write_atomically
from cocogen.ledger import Ledger, LedgerState, Receipt, RoundOutcome
from cocogen.mechanisms import IntegerProfile, build_game, mechanism
from cocogen.mechanisms.base import Market, Plan
from cocogen.printable import shorten
from cocogen.rounds.attested import Attested, contradictions
from cocogen.rounds.delivery import deliver, held_rounds, load_model
from cocogen.rounds.report import RoundReport, plan_to_dict
from cocogen.rounds.wallets import or_unsigned
from cocogen.rounds.workspace import Workspace
from cocogen.terms.market import market
from cocogen.terms.resolved import ResolvedTerms

if TYPE_CHECKING:
    from cocogen.data.sets import DataFolders
    from cocogen.evidence.bundle import Bundle
    from cocogen.evidence.local import Assignment, LearningTask, SharedModel
    from cocogen.learning.training.scaffold import Variate
    from cocogen.rounds.variates import VariateHistory

__all__ = ["RoundLoop", "Work"]

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Work:
    """What the organizations still have to train in a round; the lists have one entry per organization.

    ``bases``: the shared model that each starts from. ``assignments``: None for whoever takes no part or whose
    evidence is already there. ``variates``: where the terms say SCAFFOLD, what it keeps of each organization that has
    an assignment; None where they do not.
    """

    round: int
    bases: list[SharedModel]
    assignments: list[Assignment | None]
    variates: list[Variate] | None = None


class RoundLoop:
    """All steps of all rounds of one consortium over one ledger and one workspace.

    ``split`` selects the stratified test fold; ``mechanism_name`` overrides the mechanism of the terms (baselines);
    ``folders`` is where the files of the data set are looked for.
    """

    def __init__(
        self,
        resolved: ResolvedTerms,
        ledger: Ledger,
        workspace: Workspace,
        *,
        split: int = 0,
        mechanism_name: str | None = None,
        progress: Progress | None = None,
        task: LearningTask | None = None,
        folders: DataFolders | None = None,
    ) -> None:
        self.resolved = resolved
        self.ledger = ledger
        self.workspace = workspace
        self.split = split
        self.progress = progress
        self._folders = folders
        self._mechanism = mechanism(mechanism_name or resolved.consortium.mechanism)
        self._plans: dict[tuple[int, tuple[bool, ...]], Plan] = {}
        if task is not None:
            self.__dict__["task"] = task

    @cached_property
    def task(self) -> LearningTask:
        """The learning side, built on first use because it loads torch."""
        from cocogen.evidence.local import LearningTask

        resolved = self.resolved
        return LearningTask(
            resolved.learning,
            resolved.generation,
            resolved.names,
            resolved.consortium.seed,
            self.split,
            folders=self._folders,
            generates=resolved.generates,
        )

    @cached_property
    def _history(self) -> VariateHistory:
        from cocogen.rounds.variates import VariateHistory

        return VariateHistory(self)

    # What the round is about -----------------------------------------------------------------------------------

    def market(self, number: int, participants: Sequence[bool] | None = None) -> Market:
        """The market of a round: κ measured at the end of the last recorded round before it."""
        return market(self.resolved, self.ledger.decoded, self._quality(number), participants)

    def plan(self, number: int, participants: Sequence[bool]) -> Plan:
        """What everyone should contribute this round; the same call gives the same plan."""
        key = (number, tuple(participants))
        if key not in self._plans:
            rng = np.random.default_rng([self.resolved.consortium.seed, self.split, number])
            self._plans[key] = self._mechanism.plan(self.market(number, participants), rng)
        return self._plans[key]

    def _quality(self, number: int) -> NDArray[np.float64]:
        quality = self.resolved.quality
        for outcome in self.ledger.outcomes():
            if outcome.round < number and outcome.status not in ("voided", "open"):
                for n, document in self._recorded_documents(outcome).items():
                    if (measured := document["measurement"]["quality"]) is not None:
                        quality[n] = float(measured)
        return quality

    def _recorded_documents(self, outcome: RoundOutcome) -> dict[int, dict[str, Any]]:
        """The evidence documents of the recorded contributions, each checked against its digest on the ledger."""
        documents = self._attested(outcome.round).documents
        found = {}
        for n, contribution in enumerate(outcome.contributions):
            if contribution is None:
                continue
            document = documents[n]
            if document is None or evidence_hash(document) != contribution.evidence_hash:
                raise WorkspaceError(
                    f"{self.workspace.attested(outcome.round)} was altered: the evidence of {self.resolved.names[n]} "
                    "is not what the ledger recorded",
                    hint="restore the file from a copy",
                )
            found[n] = document
        return found

    def base_models(self, number: int, organizations: Sequence[int] | None = None) -> list[SharedModel]:
        """The model each organization holds: the aggregate of the last round before ``number`` that recorded its
        contribution, or the registered one, which also stands for organizations other than those named (default: all).
        """
        names, outcomes = self.resolved.names, self.ledger.outcomes()
        held = held_rounds(outcomes, len(names), number)
        wanted = range(len(names)) if organizations is None else organizations
        origins = {held[n] for n in wanted}
        digests = {0: self.resolved.model_digest}
        for outcome in outcomes:
            if outcome.round in origins:
                digests[outcome.round] = self._agreed_model(outcome)
        models = {0: self.load_model(0, digests[0])}
        for n in wanted:
            if held[n] not in models:
                models[held[n]] = self.load_model(held[n], digests[held[n]], names[n])
        return [models[held[n] if n in wanted else 0] for n in range(len(names))]

    def load_model(self, number: int, digest: str, name: str = "") -> SharedModel:
        """The shared model after a round, 0 being the registered one, as the attester has it, or as organization
        ``name`` was given it; WorkspaceError unless ``digest`` is its own.
        """
        path = self.workspace.model(number)
        if not path.exists() and name:
            path = self.workspace.delivered(number, name)
        if not path.exists():
            hint = "restore it from a copy" if number == 0 else f"ask the attester for it, or restore {name}'s copy"
            raise WorkspaceError(f"{path} is not there", hint=hint)
        return load_model(path, digest)

    def deliver(self) -> dict[int, list[Path]]:
        """Write the models that recorded contributors are to be given, where this is the attester's workspace; the new
        files, by round. No model but the one whose digest was signed is handed out
        (:func:`cocogen.rounds.delivery.deliver`).
        """
        return deliver(self.workspace, self.resolved.names, self.ledger.outcomes(), self._agreed_model)

    def _agreed_model(self, outcome: RoundOutcome) -> str:
        """The digest of a recorded round's model, by the evidence that the ledger recorded."""
        return str(next(iter(self._recorded_documents(outcome).values()))["aggregated_model"])

    def variates(self, number: int, organizations: Sequence[int] | None = None) -> list[Variate] | None:
        """What SCAFFOLD keeps of the organizations named (all by default) before a round; None without SCAFFOLD."""
        return self._history.before(number, organizations) if self.resolved.learning.scaffold else None

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
        return Work(number, self.base_models(number, at_work), assignments, self.variates(number, at_work))

    def train(self, organizations: Sequence[int] | None = None) -> list[Path]:
        """Generate, train and write signed evidence of the running round, for all participants or those named.

        An organization whose bundle is already there is left alone: evidence is written once.
        """
        work, names = self.pending(organizations), self.resolved.names
        if any(assignment is not None for assignment in work.assignments):
            bundles = self.task.train(
                work.round,
                work.bases,
                work.assignments,
                self.ledger.decoded.terms_hash,
                lambda name, digest: or_unsigned(partial(self.ledger.sign, name, digest)),
                progress=self.progress,
                variates=work.variates,
            )
            for n, bundle in enumerate(bundles):
                if bundle is not None:
                    bundle.save(self.workspace.bundle(work.round, names[n]))
        wanted = range(len(names)) if organizations is None else organizations
        paths = [self.workspace.bundle(work.round, names[n]) for n in wanted]
        return [path for path in paths if path.exists()]

    def keep(self, number: int, evidence: Mapping[int, bytes], absent: Mapping[int, str]) -> None:
        """Store what came of training elsewhere: the bytes of bundles, unread, and why the others have sent none."""
        names = self.resolved.names
        for n, content in evidence.items():
            write_atomically(self.workspace.bundle(number, names[n]), content)
        reasons = {names[n]: reason for n, reason in absent.items()}
        self.workspace.write_json(self.workspace.absent(number), reasons)

    def _absent(self, number: int) -> list[tuple[str, str]]:
        """Names of known organizations, and why each has sent nothing."""
        path = self.workspace.absent(number)
        reasons = self.workspace.read_json(path)
        if not isinstance(reasons, dict) or not all(isinstance(reason, str) for reason in reasons.values()):
            raise WorkspaceError(f"{path} does not hold a reason for each name", hint="remove it, or restore a copy")
        return [(name, shorten(reasons[name], REASON_LIMIT)) for name in self.resolved.names if name in reasons]

    def attest(self, bundles: Sequence[Path] | None = None) -> Attested:
        """Verify evidence, aggregate, measure κ and sign; once per round, so that no two signatures can differ.

        Where the attester is a contract wallet the contributions stay unsigned (``wallet_signatures``).
        """
        state = self._require_open("attest")
        number = state.round
        if self.workspace.attested(number).exists():
            return self.attested(number)
        from cocogen.evidence.bundle import Bundle

        names = self.resolved.names
        paths = bundles if bundles is not None else [self.workspace.bundle(number, name) for name in names]
        found: list[Any] = [None] * len(names)
        rejected: dict[str, str] = {}
        if bundles is None and self.workspace.absent(number).exists():
            rejected |= {n: why for n, why in self._absent(number) if not self.workspace.bundle(number, n).exists()}
        for path in paths:
            if bundles is None and not path.exists():
                continue
            try:
                bundle = Bundle.load(path)
            except EvidenceRejected as error:
                rejected[path.stem] = error.reason
                continue
            if bundle.organization not in names or not state.participants[names.index(bundle.organization)]:
                rejected[path.stem] = f"{bundle.organization!r} takes no part in round {number}"
                continue
            n = names.index(bundle.organization)
            # A file in somebody else's name must not push out what that organization really signed.
            if bundles is None and path.stem != bundle.organization:
                rejected[path.stem] = f"its file holds evidence in the name of {bundle.organization}"
            elif found[n] is None or not self._is_signed(found[n], n):
                found[n] = bundle
        if not any(bundle is not None for bundle in found) and not rejected:
            raise WorkspaceError(
                f"there is no evidence of round {number} to attest", hint="let the organizations run `cocogen train`"
            )
        evidence = self.task.attest(
            number,
            self.base_models(number),
            found,
            [organization.address for organization in self.resolved.organization],
            self.ledger.verify,
            self._quality(number),
            self.resolved.settlement_terms().members,
            self.ledger.decoded.terms_hash,
            progress=self.progress,
            planned=self.plan(number, state.participants).profile.generated.tolist(),
            variates=self.variates(number),
            refused=rejected,
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
            evaluation=asdict(evidence.evaluation),
            documents=tuple(evidence.documents),
        )
        if self.resolved.learning.scaffold and bundles is not None:
            for n, contribution in enumerate(contributions):
                # What came from elsewhere gets its place here: later rounds compute control variates from it.
                if contribution is not None:
                    found[n].save(self.workspace.bundle(number, names[n]))
        evidence.aggregated.save(self.workspace.model(number))
        self.workspace.write_json(self.workspace.attested(number), attested.to_dict())
        return attested

    def _is_signed(self, bundle: Bundle, index: int) -> bool:
        return self.ledger.verify(self.resolved.organization[index].address, bundle.digest(), bundle.signature)

    def attested(self, number: int) -> Attested:
        """What the attester made of a round; WorkspaceError before it did, and where the file says something else than
        the evidence that was signed, or than the κ in force."""
        return self._attested(number, dict(enumerate(measured_quality(self._quality(number)))))

    def _attested(self, number: int, in_force: Mapping[int, float | None] | None = None) -> Attested:
        path = self.workspace.attested(number)
        attested = Attested.from_dict(self.workspace.read_json(path), file=path)
        for problem in contradictions(attested, number, self.ledger.decoded.terms_hash, self.resolved.names, in_force):
            raise WorkspaceError(f"{path} was altered: {problem}", hint="restore the file from a copy")
        return attested

    def submit(self, index: int, *, sender: int | None = None) -> Receipt:
        """Hand in the attested contribution of one organization, or relay it for a silent one."""
        return self._submit(self.attested(self._require_open("submit").round), index, sender)

    def _submit(self, attested: Attested, index: int, sender: int | None) -> Receipt:
        contribution, signature = attested.contributions[index], attested.signatures[index]
        name = self.resolved.names[index]
        if contribution is not None and signature is None:
            raise WorkspaceError(
                f"the contribution of {name} waits for the signature of the attester's owners",
                hint="they sign the digest that `cocogen attest` shows; then `cocogen attest --signatures FILE`",
            )
        if contribution is None or signature is None:
            reason = attested.rejected.get(name, "no evidence was handed to the attester")
            pays = "" if self.resolved.masks else ", and pays what `cocogen plan` says"
            hint = f"without the attester's signature it is absent: it gets no model of the round{pays}"
            raise EvidenceRejected(name, reason, hint=hint)
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
        return self.finish()

    def begin(self) -> bool:
        """Open a round unless one is running; whether there is still time to hand in contributions."""
        if self.ledger.state().phase == "idle":
            self.open()
        return self._accepts(self.ledger.state())

    def finish(self) -> RoundReport:
        """Attest, submit, record and settle the running round with whatever evidence is there."""
        state = self.ledger.state()
        number = state.round
        if self._accepts(state):
            attested = self.attest()
            submitted = self.ledger.state().submitted
            for n, contribution in enumerate(attested.contributions):
                if contribution is not None and not submitted[n]:
                    self._submit(attested, n, None)
        if state.phase == "open":
            self.record(advance=True)
        if self.ledger.state().phase != "idle":
            self.settle(advance=True)
        return self.report(number)

    @staticmethod
    def _accepts(state: LedgerState) -> bool:
        return state.phase == "open" and state.now <= state.deadline

    def report(self, number: int) -> RoundReport:
        """What happened in a finished round, from the ledger and the workspace."""
        outcome = next(outcome for outcome in self.ledger.outcomes() if outcome.round == number)
        attested = self.attested(number) if self.workspace.attested(number).exists() else None
        return RoundReport(
            round=number,
            status=outcome.status,
            plan=self.plan(number, outcome.participants),
            market=self.market(number, outcome.participants),
            evaluation=attested.evaluation if attested and outcome.status != "voided" else {},
            quality=measured_quality(self._quality(number)),
            contributions=outcome.contributions,
            payoffs=self._payoffs(number, outcome),
            transfers=outcome.transfers,
            rejected=attested.rejected if attested else {},
        )

    def _payoffs(self, number: int, outcome: RoundOutcome) -> tuple[float | None, ...]:
        contributors = [contribution is not None for contribution in outcome.contributions]
        if outcome.status != "settled" or sum(contributors) < 2:
            return (None,) * len(contributors)
        data = np.array([0 if c is None else c.data for c in outcome.contributions], dtype=np.int64)
        generated = np.array([0 if c is None else c.generated for c in outcome.contributions], dtype=np.int64)
        state = market(self.resolved, self.ledger.decoded, self._quality(number), contributors, local=data)
        profile = IntegerProfile(data, generated, raw=generated, compute=np.zeros_like(data))
        executed = state.resources.executed(profile, state.participants)
        payoffs = iter(build_game(state, redistributed=False).payoffs(executed))
        unit = self.ledger.decoded.wei_per_unit
        return tuple(
            float(next(payoffs)) + wei / unit if contributed else None
            for wei, contributed in zip(outcome.transfers, contributors, strict=True)
        )

    def _require_open(self, step: str) -> LedgerState:
        state = self.ledger.state()
        if state.phase != "open":
            raise WorkspaceError(
                f"cannot {step}: round {state.round} is {state.phase}, not open",
                hint="`cocogen status` says what comes next",
            )
        return state
