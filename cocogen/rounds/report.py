"""What is told of a round: the plan as it is written down, and the result of a finished round."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cocogen.evidence.own_patients import OwnPatients
from cocogen.files import measured_quality
from cocogen.ledger import Contribution, DecodedTerms, RoundOutcome
from cocogen.mechanisms import IntegerProfile, build_game
from cocogen.mechanisms.base import Market, Plan
from cocogen.rounds.attested import Attested
from cocogen.terms.market import market
from cocogen.terms.resolved import ResolvedTerms

__all__ = ["RoundReport", "plan_to_dict", "settled_payoffs"]


@dataclass(frozen=True, slots=True)
class RoundReport:
    """A finished round: amounts in currency per organization except ``transfers`` (wei).

    ``epsilon`` certifies the continuous plan, ``epsilon_executed`` the integer profile. ``payoffs`` are those of the
    contributions that the ledger recorded, with the transfers it made; None for whoever did not contribute.
    ``evaluation`` is empty when nothing was attested, and when the round is void: its model is nobody's.
    ``own_patients``: what organizations tell of the model on their own patients; nothing where nobody does.
    """

    round: int
    status: str
    plan: Plan
    market: Market
    evaluation: dict[str, float]
    quality: tuple[float | None, ...]
    contributions: tuple[Contribution | None, ...]
    payoffs: tuple[float | None, ...]
    transfers: tuple[int, ...]
    rejected: dict[str, str]
    own_patients: tuple[OwnPatients | None, ...] = ()

    @classmethod
    def of(
        cls,
        resolved: ResolvedTerms,
        decoded: DecodedTerms,
        outcome: RoundOutcome,
        plan: Plan,
        played: Market,
        quality: NDArray[np.float64],
        attested: Attested | None,
        own_patients: tuple[OwnPatients | None, ...] = (),
    ) -> RoundReport:
        """The report of a round that the ledger ended as ``outcome``; ``quality``: κ in force in it, shape (N,)."""
        return cls(
            round=outcome.round,
            status=outcome.status,
            plan=plan,
            market=played,
            evaluation=attested.evaluation if attested and outcome.status != "voided" else {},
            quality=measured_quality(quality),
            contributions=outcome.contributions,
            payoffs=settled_payoffs(resolved, decoded, quality, outcome),
            transfers=outcome.transfers,
            rejected=attested.rejected if attested else {},
            own_patients=own_patients,
        )


def plan_to_dict(plan: Plan, names: Sequence[str]) -> dict[str, Any]:
    """A plan as plain JSON values, keyed by organization."""

    def by_name(values: NDArray[Any]) -> dict[str, Any]:
        return {name: value.item() for name, value in zip(names, values, strict=True)}

    return {
        "strategies": by_name(plan.strategies),
        "data": by_name(plan.profile.data),
        "generated": by_name(plan.profile.generated),
        "raw": by_name(plan.profile.raw),
        "compute": by_name(plan.profile.compute),
        "payoffs": by_name(plan.payoffs),
        "transfers": by_name(plan.transfers),
        "outside_options": by_name(plan.outside_options),
        "surplus": by_name(plan.surplus),
        "surplus_idle": by_name(plan.surplus_idle),
        "epsilon": float(plan.epsilon),
        "epsilon_executed": float(plan.epsilon_executed),
        "potential": float(plan.potential),
        "welfare": float(plan.welfare),
        "planner_welfare": float(plan.planner_welfare),
        "efficiency": plan.efficiency,
    }


def settled_payoffs(
    resolved: ResolvedTerms, decoded: DecodedTerms, quality: NDArray[np.float64], outcome: RoundOutcome
) -> tuple[float | None, ...]:
    """What a round was worth to each organization, in currency: of what it contributed, and with the transfers made.

    ``quality``: κ in force in the round, shape (N,). None for whoever did not contribute, and for everybody unless the
    round is settled and at least two contributed.
    """
    contributors = [contribution is not None for contribution in outcome.contributions]
    if outcome.status != "settled" or sum(contributors) < 2:
        return (None,) * len(contributors)
    data = np.array([0 if c is None else c.data for c in outcome.contributions], dtype=np.int64)
    generated = np.array([0 if c is None else c.generated for c in outcome.contributions], dtype=np.int64)
    state = market(resolved, decoded, quality, contributors, local=data)
    profile = IntegerProfile(data, generated, raw=generated, compute=np.zeros_like(data))
    executed = state.resources.executed(profile, state.participants)
    payoffs = iter(build_game(state, redistributed=False).payoffs(executed))
    return tuple(
        float(next(payoffs)) + wei / decoded.wei_per_unit if contributed else None
        for wei, contributed in zip(outcome.transfers, contributors, strict=True)
    )
