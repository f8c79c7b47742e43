"""One round's state goes in, a certified plan comes out; mechanisms by name.

``base`` holds the protocol and its values, ``planning`` what mechanisms share, ``cocogen_plus`` and ``baselines`` the
rules, ``incentive`` the search for the incentive's strength.
"""

from __future__ import annotations

from cocogen.errors import ConfigurationError, FieldProblem
from cocogen.mechanisms.base import Market, Mechanism, Plan
from cocogen.mechanisms.baselines import NoGeneration, RandomGeneration, WithoutCompetition
from cocogen.mechanisms.cocogen_plus import CoCoGenPlus, build_game
from cocogen.mechanisms.incentive import IncentiveReport, automatic_incentive
from cocogen.mechanisms.resources import DataResources, GenerationResources, IntegerProfile, Resources

__all__ = [
    "BASELINES",
    "MECHANISMS",
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
"""Names of the rules to compare with; none of them redistributes."""

_ALL: tuple[Mechanism, ...] = (CoCoGenPlus(), NoGeneration(), WithoutCompetition(), RandomGeneration())

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
