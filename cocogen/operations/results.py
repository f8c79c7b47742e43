"""What came out of a run: its rounds, what each organization gave and got, and how good the plan was."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cocogen.ledger import Contribution, Deployment
from cocogen.operations.plain import plain_deployment
from cocogen.operations.session import Session
from cocogen.operations.study import Study
from cocogen.operations.verdict import Verdict
from cocogen.rounds.report import RoundReport
from cocogen.systems import SYSTEMS
from cocogen.terms.metrics import metric_field
from cocogen.terms.resolved import ResolvedTerms

__all__ = ["OrganizationResult", "RoundResult", "RunResult", "Welfare", "result_of"]


@dataclass(frozen=True, slots=True)
class RoundResult:
    """A finished round, by organization: strategies planned, κ in force, what was recorded, payoffs in currency and
    transfers in wei (positive when received).

    ``accuracy`` in [0, 1] and ``loss`` are those of the shared model on the attester's test samples; None where nothing
    was attested, or the round is void. Where the ``metric`` of the terms is another, ``value`` is in it, between the
    ends of its ``interval`` at 95 %. ``epsilon`` certifies the continuous plan, ``epsilon_executed`` the integer
    profile, in currency. ``contributions`` and ``payoffs`` are None for whoever did not contribute; ``rejected`` says
    why evidence was refused. ``own_patients``: how the models together and alone do on the patients of those who told
    it, None of those who withhold it; None where nobody brings data of its own.
    """

    round: int
    status: str
    accuracy: float | None
    loss: float | None
    strategies: dict[str, float]
    epsilon: float
    epsilon_executed: float
    quality: dict[str, float | None]
    contributions: dict[str, Contribution | None]
    payoffs: dict[str, float | None]
    transfers: dict[str, int]
    rejected: dict[str, str]
    metric: str = "accuracy"
    value: float | None = None
    interval: tuple[float, float] | None = None
    own_patients: dict[str, Mapping[str, Any] | None] | None = None

    @classmethod
    def of(cls, report: RoundReport, names: Sequence[str], metric: str = "accuracy") -> RoundResult:
        """The result of a round by its report, in the ``metric`` of the terms."""
        found = report.evaluation
        return cls(
            round=report.round,
            status=report.status,
            accuracy=found.get("accuracy"),
            loss=found.get("loss"),
            strategies={name: float(g) for name, g in zip(names, report.plan.strategies, strict=True)},
            epsilon=float(report.plan.epsilon),
            epsilon_executed=float(report.plan.epsilon_executed),
            quality=dict(zip(names, report.quality, strict=True)),
            contributions=dict(zip(names, report.contributions, strict=True)),
            payoffs=dict(zip(names, report.payoffs, strict=True)),
            transfers=dict(zip(names, report.transfers, strict=True)),
            rejected=report.rejected,
            metric=metric,
            value=found.get(metric_field(metric)),
            interval=(found["low"], found["high"]) if "low" in found else None,
            own_patients={told.organization: told.compared() for told in report.own_patients if told is not None}
            or None,
        )

    def plain(self) -> dict[str, Any]:
        """As plain JSON values, wei as strings."""
        return {
            "round": self.round,
            "status": self.status,
            "accuracy": self.accuracy,
            **self._in_the_metric(),
            "loss": self.loss,
            "strategies": self.strategies,
            "epsilon": self.epsilon,
            "epsilon_executed": self.epsilon_executed,
            "quality": self.quality,
            "contributions": {
                name: None if c is None else {"data": c.data, "generated": c.generated, "compute": c.compute}
                for name, c in self.contributions.items()
            },
            "payoffs": self.payoffs,
            "transfers": {name: str(wei) for name, wei in self.transfers.items()},
            "rejected": self.rejected,
            **({} if self.own_patients is None else {"own_patients": self.own_patients}),
        }

    def _in_the_metric(self) -> dict[str, Any]:
        if self.metric == "accuracy":
            return {}
        return {metric_field(self.metric): self.value, "interval": None if self.interval is None else [*self.interval]}


@dataclass(frozen=True, slots=True)
class OrganizationResult:
    """What one organization gave and got over all rounds: samples registered, label skew δ, samples contributed and
    effective synthetic ones, ``payoff`` and ``surplus`` over going alone in currency, the rest in wei."""

    local: int
    heterogeneity: float
    data: int
    generated: int
    transfers: int
    payoff: float
    surplus: float
    balance: int
    liability: int

    def plain(self) -> dict[str, Any]:
        """As plain JSON values, wei as strings."""
        return asdict(self) | {name: str(getattr(self, name)) for name in ("transfers", "balance", "liability")}


@dataclass(frozen=True, slots=True)
class Welfare:
    """Welfare in currency, summed over the rounds as planned: of the mechanism, of the planner, and of the baselines
    in the same markets."""

    mechanism: float
    planner: float
    baselines: dict[str, float]

    @classmethod
    def of(cls, reports: Sequence[RoundReport], resolved: ResolvedTerms) -> Welfare:
        """The welfare of rounds, and what their system's baselines would have made of their markets."""
        system, seed = SYSTEMS.of(resolved), resolved.consortium.seed
        baselines = {
            name: sum(
                float(system.rules[name].plan(report.market, np.random.default_rng([seed, 0, report.round])).welfare)
                for report in reports
            )
            for name in system.baselines
        }
        achieved = sum(float(report.plan.welfare) for report in reports)
        return cls(achieved, sum(float(report.plan.planner_welfare) for report in reports), baselines)

    @property
    def efficiency(self) -> float:
        """The mechanism's share of the planner's welfare."""
        return self.mechanism / self.planner

    def plain(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {
            "mechanism": self.mechanism,
            "planner": self.planner,
            "efficiency": self.efficiency,
            "baselines": self.baselines,
        }


@dataclass(frozen=True, slots=True)
class RunResult:
    """All rounds of a consortium, played and audited; organizations in the order of the terms file.

    ``incentive`` is currency per effective sample. ``privacy``: what updates have spent of it, None where none was
    agreed; ``memorization``: synthetic samples that repeat training samples (:mod:`cocogen.operations.leakage`).
    ``study``: the comparison over test folds, in the ``metric`` of the terms, None where it was left out or no round
    was settled.
    """

    consortium: str
    mechanism: str
    workspace: Path
    deployment: Deployment
    incentive: float
    wei_per_unit: int
    rounds: tuple[RoundResult, ...]
    organizations: dict[str, OrganizationResult]
    privacy: dict[str, Any] | None
    welfare: Welfare
    study: Study | None
    memorization: dict[str, Any]
    audit: Verdict
    metric: str = "accuracy"

    def plain(self) -> dict[str, Any]:
        """As plain JSON values, wei as strings."""
        return {
            "consortium": self.consortium,
            "mechanism": self.mechanism,
            **({} if self.metric == "accuracy" else {"metric": self.metric}),
            "workspace": str(self.workspace),
            "ledger": plain_deployment(self.deployment),
            "incentive": self.incentive,
            "wei_per_unit": str(self.wei_per_unit),
            "rounds": [each.plain() for each in self.rounds],
            "organizations": {name: each.plain() for name, each in self.organizations.items()},
            "privacy": self.privacy,
            "welfare": self.welfare.plain(),
            "study": None if self.study is None else _plain_study(self.study, tuple(self.organizations)),
            "memorization": self.memorization,
            "audit": self.audit.plain(),
        }


def result_of(
    session: Session,
    reports: Sequence[RoundReport],
    *,
    audit: Verdict,
    memorization: dict[str, Any],
    privacy: dict[str, Any] | None,
    study: Study | None,
) -> RunResult:
    """Put together what came out of the rounds of an opened consortium."""
    resolved, state = session.resolved, session.ledger.state()
    names, metric = resolved.names, resolved.learning.metric
    organizations = {}
    for n, name in enumerate(names):
        given = [c for report in reports if (c := report.contributions[n]) is not None]
        paid = [(r.plan, p) for r in reports if (p := r.payoffs[n]) is not None]
        organizations[name] = OrganizationResult(
            local=resolved.organization[n].local,
            heterogeneity=resolved.organization[n].heterogeneity,
            data=sum(c.data for c in given),
            generated=sum(c.generated for c in given),
            transfers=sum(report.transfers[n] for report in reports),
            payoff=sum(payoff for _, payoff in paid),
            surplus=sum(payoff - float(plan.outside_options[n]) for plan, payoff in paid),
            balance=state.balances[n],
            liability=state.liabilities[n],
        )
    return RunResult(
        consortium=resolved.consortium.name,
        mechanism=resolved.consortium.mechanism,
        workspace=session.workspace.root,
        deployment=session.deployment,
        incentive=resolved.incentive,
        wei_per_unit=resolved.settlement.wei_per_unit,
        rounds=tuple(RoundResult.of(report, names, metric) for report in reports),
        organizations=organizations,
        privacy=privacy,
        welfare=Welfare.of(reports, resolved),
        study=study,
        memorization=memorization,
        audit=audit,
        metric=metric,
    )


def _plain_study(study: Study, names: Sequence[str]) -> dict[str, Any]:
    return {
        "splits": len(study.federated),
        "federated": list(study.federated),
        "no_generation": list(study.no_generation),
        "alone": list(study.alone),
        "alone_by_organization": {
            name: [row[n] for row in study.alone_by_organization] for n, name in enumerate(names)
        },
        "mean": study.mean,
    }
