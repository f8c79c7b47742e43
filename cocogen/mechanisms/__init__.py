"""One round's state goes in, a certified plan comes out; mechanisms by name.

``base`` holds the protocol and its values, ``resources`` what can be contributed, ``planning`` what mechanisms share
and the equilibrium's plan, ``baselines/`` the rules to compare with. ``redistribution/`` designs what is paid:
``incentive`` (the strength of the published rule) and ``optimal`` (weights from ``implementation``, offsets from
``sharing``).
"""

from __future__ import annotations

from cocogen.errors import ConfigurationError, FieldProblem
from cocogen.mechanisms.base import Market, Mechanism, Plan
from cocogen.mechanisms.baselines.cocogen import NoGeneration, RandomGeneration, WithoutCompetition
from cocogen.mechanisms.planning import EquilibriumPlan, build_game
from cocogen.mechanisms.redistribution.incentive import IncentiveReport, automatic_incentive
from cocogen.mechanisms.resources import DataResources, GenerationResources, IntegerProfile, Resources

__all__ = [
    "BASELINES",
    "MECHANISMS",
    "UNPAID",
    "DataResources",
    "GenerationResources",
    "IncentiveReport",
    "IntegerProfile",
    "Market",
    "Mechanism",
    "Plan",
    "Resources",
    "automatic_incentive",
    "build_game",
    "mechanism",
]

BASELINES: tuple[str, ...] = ("vcfl", "wco", "radg")
"""Rules of the generation market to compare with."""

UNPAID: tuple[str, ...] = ("cocogen", *BASELINES)
"""Rules that redistribute nothing."""

_ALL: tuple[Mechanism, ...] = (
    EquilibriumPlan("cocogen+"),
    EquilibriumPlan("cocogen", redistributed=False),
    EquilibriumPlan("tradefl"),
    NoGeneration(),
    WithoutCompetition(),
    RandomGeneration(),
)

MECHANISMS: dict[str, Mechanism] = {rule.name: rule for rule in _ALL}
"""Every rule by its name."""


def mechanism(name: str) -> Mechanism:
    """Look up a mechanism.

    Raises
    ------
    ConfigurationError
        Unknown name; the problem lists the valid ones.
    """
    if name not in MECHANISMS:
        problem = FieldProblem("mechanism", repr(name), "one of " + ", ".join(MECHANISMS))
        raise ConfigurationError("there is no such mechanism", problems=[problem])
    return MECHANISMS[name]
