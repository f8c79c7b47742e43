"""What is told of a round: the plan as it is written down, and the result of a finished round."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from cocogen.ledger import Contribution
from cocogen.mechanisms.base import Market, Plan

__all__ = ["RoundReport", "plan_to_dict"]


@dataclass(frozen=True, slots=True)
class RoundReport:
    """A finished round: amounts in currency per organization except ``transfers`` (wei).

    ``epsilon`` certifies the continuous plan, ``epsilon_executed`` the integer profile. ``payoffs`` are those of the
    contributions that the ledger recorded, with the transfers it made; None for whoever did not contribute.
    ``evaluation`` is empty when nothing was attested, and when the round is void: its model is nobody's.
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
