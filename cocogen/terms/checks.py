"""What must hold between the fields of any terms file: names, competition, stability of the market, the rule.

Every check returns the problems it finds, so that a user sees all of them at once. Left out: what concerns one kind of
terms only.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from cocogen.errors import FieldProblem
from cocogen.game.bounds import rounded_down
from cocogen.terms.competition import competition_matrix, read_competition_csv

__all__ = [
    "MAXIMUM_ORGANIZATIONS",
    "MINIMUM_ORGANIZATIONS",
    "ROLES",
    "check_market",
    "check_names",
    "check_rule",
    "load_competition",
    "unique",
]

MINIMUM_ORGANIZATIONS = 2
MAXIMUM_ORGANIZATIONS = 120
ROLES = ("attester", "arbiter", "operator")


class _Market(Protocol):
    @property
    def damage(self) -> float: ...
    @property
    def competition(self) -> Any: ...


class _Rule(Protocol):
    @property
    def strength(self) -> Any: ...
    @property
    def redistribution(self) -> str: ...
    @property
    def sharing(self) -> str: ...


class _Settlement(Protocol):
    @property
    def wei_per_unit(self) -> int: ...


class _Terms(Protocol):
    @property
    def names(self) -> tuple[str, ...]: ...
    @property
    def profitability(self) -> NDArray[np.float64]: ...
    @property
    def market(self) -> _Market: ...
    @property
    def incentive(self) -> _Rule: ...
    @property
    def settlement(self) -> _Settlement: ...


def check_names(names: Sequence[str]) -> list[FieldProblem]:
    """Between 2 and 120 organizations, whose names are unique and no reserved words."""
    problems = []
    if not MINIMUM_ORGANIZATIONS <= len(names) <= MAXIMUM_ORGANIZATIONS:
        valid = f"between {MINIMUM_ORGANIZATIONS} and {MAXIMUM_ORGANIZATIONS} organizations"
        problems.append(FieldProblem("organization", f"{len(names)} entries", valid))
    problems += unique("name", names)
    for index, name in enumerate(names):
        if name in (*ROLES, "default"):
            problems.append(FieldProblem(f"organization[{index}].name", repr(name), "a reserved word"))
    return problems


def unique(field: str, values: Sequence[str | None]) -> list[FieldProblem]:
    """No two organizations may state the same."""
    problems = []
    seen: dict[str, int] = {}
    for index, value in enumerate(values):
        if value is None:
            continue
        if value in seen:
            valid = f"must be unique, but organization[{seen[value]}] has it too"
            problems.append(FieldProblem(f"organization[{index}].{field}", repr(value), valid))
        seen.setdefault(value, index)
    return problems


def check_rule(rule: _Rule) -> list[FieldProblem]:
    """An optimal redistribution sets its own strength, and offsets fit the redistribution."""
    problems = []
    if rule.redistribution == "optimal" and rule.strength != "auto":
        valid = '"auto": the optimal redistribution sets it, so that the median score weight is 1'
        problems.append(FieldProblem("incentive.strength", f"{rule.strength:g}", valid))
    if (rule.redistribution == "uniform") != (rule.sharing == "local"):
        fitting = '"local"' if rule.redistribution == "uniform" else '"equal-surplus" or "min-bond"'
        valid = f'{fitting} with redistribution = "{rule.redistribution}"'
        problems.append(FieldProblem("incentive.offsets", f'"{rule.sharing}"', valid))
    return problems


def load_competition(value: Any, names: tuple[str, ...], file: Path) -> tuple[NDArray[np.float64], list[FieldProblem]]:
    """ρ, shape (N, N), from a number, a table, or a CSV file beside the terms."""
    if isinstance(value, str):
        return read_competition_csv(file.parent / value, names)
    return competition_matrix(value, names)


def check_market(terms: _Terms, competition: NDArray[np.float64]) -> list[FieldProblem]:
    """Every potential weight is positive, and a stated strength fits the ledger."""
    profitability = terms.profitability
    damage = terms.market.damage * (competition @ profitability)
    problems = []
    for index in np.flatnonzero(profitability - damage <= 0):
        largest = profitability[index] / damage[index]
        value = terms.market.competition
        valid = (
            f"below {rounded_down(value * largest)}"
            if isinstance(value, float)
            else f"scale the competition of this organization by less than {rounded_down(largest)}"
        )
        problems.append(
            FieldProblem(
                "market.competition",
                f"{float(competition[index].max()):.6g} (largest for {terms.names[index]})",
                f"the potential weight of {terms.names[index]} is {profitability[index] - damage[index]:.6g}, "
                f"but must be positive: {valid}",
            )
        )
    strength = terms.incentive.strength
    if isinstance(strength, float):
        sigma = float((competition + competition.T).max()) / 2
        limit = 2.0**160 / (max(sigma, 1e-300) * terms.settlement.wei_per_unit * 1e18)
        if strength >= limit:
            valid = f"below {rounded_down(limit)}: strength · competition · wei_per_unit · 1e18 must fit 160 bits"
            problems.append(FieldProblem("incentive.strength", f"{strength:.6g}", valid))
    return problems
