"""What a mechanism is given and what it answers, one round at a time.

A :class:`Market` is the frozen state of one round, after the terms have been encoded and decoded; a
:class:`Mechanism` turns it into a :class:`Plan`, with its certificate. Index n is the n-th organization of the terms
file; organizations that do not take part keep their place and hold zeros. Left out: the organizations' files and keys,
and what was really contributed afterwards (``cocogen.rounds``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from cocogen.errors import ConfigurationError, FieldProblem
from cocogen.game.accuracy import AccuracyFunction
from cocogen.game.arrays import Array, BoolArray, IntArray
from cocogen.ledger import DecodedTerms
from cocogen.solvers.certificate import Certificate
from cocogen.solvers.equilibrium import Equilibrium

__all__ = ["IntegerProfile", "Market", "Mechanism", "Plan"]


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
    local : ndarray
        Registered local samples, int64, at least 0.
    quality : ndarray
        κ in force this round, in (0, 1].
    cost_linear, cost_quadratic, cost_fixed : ndarray
        Generation costs: currency per sample, per sample², and whatever is generated.
    maximum : ndarray
        Most raw synthetic samples in a round.
    data_cap, generated_cap, compute_cap : ndarray
        Largest contribution the ledger accepts, int64: real samples, effective synthetic samples, compute units.
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
        An array has another shape than the names ask for, or an organization registers more local samples than its cap.
    """

    names: tuple[str, ...]
    profitability: Array
    competition: Array
    accuracy: AccuracyFunction
    heterogeneity: Array
    local: IntArray
    quality: Array
    cost_linear: Array
    cost_quadratic: Array
    cost_fixed: Array
    maximum: Array
    data_cap: IntArray
    generated_cap: IntArray
    compute_cap: IntArray
    decoded: DecodedTerms
    participants: BoolArray
    damage: float = 1.0
    private_gain: float = 0.0
    private_base: float = 1.0

    def __post_init__(self) -> None:
        n = self.size
        shapes = dict.fromkeys(_PER_ORGANIZATION, (n,)) | {"competition": (n, n)}
        problems = [
            FieldProblem(field, f"shape {np.shape(getattr(self, field))}", f"shape {shape}")
            for field, shape in shapes.items()
            if np.shape(getattr(self, field)) != shape
        ]
        decoded = {"decoded.rates": self.decoded.rates.shape, "decoded.score_weights": self.decoded.score_weights.shape}
        problems += [
            FieldProblem(field, f"shape {shape}", f"{n} organizations")
            for field, shape in decoded.items()
            if shape[0] != n
        ]
        if problems:
            raise ConfigurationError("the parts of a market disagree on N", problems=problems)
        over = np.asarray(self.local) > np.asarray(self.data_cap)
        if over.any():
            index = int(np.argmax(over))
            problem = FieldProblem(
                f"local of {self.names[index]!r}", str(self.local[index]), f"at most its cap {self.data_cap[index]}"
            )
            raise ConfigurationError("the ledger would refuse the local samples", problems=[problem])

    @property
    def size(self) -> int:
        """N, absent organizations included."""
        return len(self.names)


_PER_ORGANIZATION = (
    "profitability",
    "heterogeneity",
    "local",
    "quality",
    "cost_linear",
    "cost_quadratic",
    "cost_fixed",
    "maximum",
    "data_cap",
    "generated_cap",
    "compute_cap",
    "participants",
)


@dataclass(frozen=True, slots=True, eq=False)
class IntegerProfile:
    """What the plan asks to be contributed, int64, shape (N,), all at least 0.

    ``data``: real samples; ``generated``: effective synthetic samples ⌊κ g⌋; ``raw``: samples to draw for exactly that
    count, ⌈generated / κ⌉; ``compute``: compute units.
    """

    data: IntArray
    generated: IntArray
    raw: IntArray
    compute: IntArray


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """One round's plan; arrays have shape (N,) and hold zeros for organizations that do not take part.

    Attributes
    ----------
    mechanism : str
        Its name.
    participants : ndarray
        bool.
    strategies : ndarray
        g, raw synthetic samples, continuous.
    equilibrium : Equilibrium or None
        Of the participants' game, shape (number of participants,); None for rules that do not solve one.
    certificate : Certificate
        Of the continuous plan among the participants.
    epsilon, epsilon_executed : float
        ε of the continuous plan, and of the integer profile (each organization at generated / κ, so that its effective
        samples are exactly the integer that is attested).
    profile : IntegerProfile
        What to contribute.
    payoffs, transfers : ndarray
        U and R at the continuous plan, currency.
    welfare : float
        Σ U_n, currency.
    planner_strategies : ndarray
        g°, raw synthetic samples.
    planner_welfare : float
        SW(g°), currency.
    efficiency : float or None
        SW / SW(g°); None where the planner's welfare is not positive and a ratio says nothing.
    outside_options, surplus : ndarray
        What each organization earns alone, and payoff less that, currency.
    surplus_idle : ndarray
        Surplus of an organization that alone contributes nothing generated while all others follow the plan, currency.
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
