"""What a mechanism is given and what it answers, one round at a time.

A :class:`Market` is the frozen state of one round, after the terms have been encoded and decoded; a
:class:`Mechanism` turns it into a :class:`Plan`, with its certificate. Index n is the n-th organization of the terms
file; organizations that do not take part keep their place and hold zeros. Left out: the organizations' files and keys,
and what was really contributed afterwards (``cocogen.rounds.loop``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np

from cocogen.errors import ConfigurationError, FieldProblem
from cocogen.game.accuracy import AccuracyFunction
from cocogen.game.arrays import Array, BoolArray
from cocogen.ledger import DecodedTerms
from cocogen.mechanisms.resources import IntegerProfile, Resources
from cocogen.solvers.certificate import Certificate
from cocogen.solvers.equilibrium import Equilibrium

__all__ = ["Market", "Mechanism", "Plan", "Planned", "Rule"]

_Market = TypeVar("_Market", contravariant=True)
_Plan = TypeVar("_Plan", bound="Planned", covariant=True)


class Planned(Protocol):
    """A round's plan, as far as every system has one; :class:`Plan` is one of a coopetition game."""

    @property
    def profile(self) -> IntegerProfile:
        """What each organization is to contribute."""
        ...


class Rule(Protocol[_Market, _Plan]):
    """Plans a round in a system's own market; :class:`Mechanism` is one of a coopetition game."""

    def plan(self, market: _Market, rng: np.random.Generator) -> _Plan:
        """Plan one round; ``rng`` is the only source of randomness."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Market:
    """One round's state; arrays of shape (N,) and float64 unless said otherwise.

    Attributes
    ----------
    names : tuple of str
        The organizations, in the order of the terms file.
    profitability : ndarray
        p, currency per unit of accuracy and round.
    competition : ndarray
        ρ, shape (N, N), entries in [0, 1], zero diagonal.
    accuracy : AccuracyFunction
        P without heterogeneity; the mean over the participants is put in when a game is built.
    heterogeneity : ndarray
        δ_n in [0, 1).
    resources : Resources
        What they can contribute.
    decoded : DecodedTerms
        Rates, weights and offsets that the ledger's integers stand for.
    participants : ndarray
        bool; who takes part in this round.
    damage : float
        χ in [0, 1].
    private_gain : float
        ψ, at least 0.
    private_base : float
        Own effective samples at which the private gain is ψ ln 2.

    Raises
    ------
    ConfigurationError
        An array has another shape than the names ask for.
    """

    names: tuple[str, ...]
    profitability: Array
    competition: Array
    accuracy: AccuracyFunction
    heterogeneity: Array
    resources: Resources
    decoded: DecodedTerms
    participants: BoolArray
    damage: float = 1.0
    private_gain: float = 0.0
    private_base: float = 1.0

    def __post_init__(self) -> None:
        n = self.size
        shapes = {
            "profitability": (np.shape(self.profitability), (n,)),
            "competition": (np.shape(self.competition), (n, n)),
            "heterogeneity": (np.shape(self.heterogeneity), (n,)),
            "participants": (np.shape(self.participants), (n,)),
            "resources": ((self.resources.size,), (n,)),
            "decoded.rates": (self.decoded.rates.shape, (n, n)),
            "decoded.score_weights": (self.decoded.score_weights.shape, (n,)),
        }
        problems = [
            FieldProblem(field, f"shape {found}", f"shape {wanted}")
            for field, (found, wanted) in shapes.items()
            if found != wanted
        ]
        if problems:
            raise ConfigurationError("the parts of a market disagree on N", problems=problems)

    @property
    def size(self) -> int:
        """N, absent organizations included."""
        return len(self.names)


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """One round's plan; arrays have N rows and hold zeros for organizations that do not take part.

    Attributes
    ----------
    mechanism : str
        Its name.
    participants : ndarray
        bool.
    strategies : ndarray
        Continuous, in the family's format: g, raw synthetic samples, shape (N,), or (d, f), shape (N, 2).
    equilibrium : Equilibrium or None
        Of the participants' game, shape (number of participants,); None for rules that do not solve one.
    certificate : Certificate
        Of the continuous plan among the participants.
    epsilon, epsilon_executed : float
        ε of the continuous plan, and of the strategies that the integer profile stands for.
    profile : IntegerProfile
        What to contribute.
    payoffs, transfers : ndarray
        U and R at the continuous plan, currency.
    welfare : float
        Σ U_n, currency.
    planner_strategies : ndarray
        g° (or (d°, f°)), the profile with the largest welfare.
    planner_welfare : float
        SW(g°), currency.
    efficiency : float or None
        SW / SW(g°); None where the planner's welfare is not positive and a ratio says nothing.
    outside_options, surplus : ndarray
        What each organization earns alone, and payoff less that, currency.
    surplus_idle : ndarray
        Surplus of an organization that alone contributes as little as it can (no synthetic samples; D_min) while all
        others follow the plan, currency.
    potential : float
        Φ at the continuous plan, units of accuracy.
    """

    mechanism: str
    participants: BoolArray
    strategies: Array
    equilibrium: Equilibrium | None
    certificate: Certificate
    epsilon: float
    epsilon_executed: float
    profile: IntegerProfile
    payoffs: Array
    transfers: Array
    welfare: float
    planner_strategies: Array
    planner_welfare: float
    efficiency: float | None
    outside_options: Array
    surplus: Array
    surplus_idle: Array
    potential: float


class Mechanism(Protocol):
    """A rule that plans a round."""

    @property
    def name(self) -> str: ...

    def plan(self, market: Market, rng: np.random.Generator) -> Plan:
        """Plan one round.

        Parameters
        ----------
        market : Market
            The round's state.
        rng : numpy.random.Generator
            The only source of randomness; rules that need none leave it untouched.

        Raises
        ------
        GameError
            The participants' market admits no well-posed game.
        SolverError, CertificateError
            No certified equilibrium was reached.
        """
        ...
