"""Who pays whom for contributing: R_n = Σ_m rate_nm (X_n − X_m), rate = incentive · σ.

It is the graph Laplacian of σ applied to affine contribution scores X_n = offset_n + weight_n · x_n, so the transfers
sum to zero for every profile (TradeFL's rule with σ = (ρ + ρᵀ)/2 [ours]). A score depends on one's own strategy alone:
a marginal contribution inside R would destroy the potential. Left out: money in wei, which is the ledger's.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from cocogen.errors import ConfigurationError, FieldProblem
from cocogen.game.arrays import Array, BoolArray, scalar, vector
from cocogen.game.competition import Competition, CompetitionLike, DenseCompetition, UniformCompetition, as_competition
from cocogen.ledger import DecodedTerms

__all__ = ["Redistribution"]


class Redistribution:
    """Budget-balanced transfers on affine scores.

    Parameters
    ----------
    rates : Competition
        incentive · σ, currency per unit of score difference, as an operator of size N.
    score_weights : array_like
        weight_n, shape (N,) or one for all, at least 0, score per unit of x.
    score_offsets : array_like
        offset_n, shape (N,) or one for all, score.

    Raises
    ------
    ConfigurationError
        A weight is negative, something is not finite, or the sizes differ.

    Examples
    --------
    >>> rule = Redistribution.uniform(UniformCompetition(0.1, 2), incentive=2.0, local=[50.0, 80.0])
    >>> rule.transfers(np.array([60.0, 80.0]))
    array([ 2., -2.])
    """

    def __init__(self, rates: Competition, score_weights: ArrayLike, score_offsets: ArrayLike) -> None:
        self.rates = rates
        self.score_weights = vector("score_weights", score_weights, rates.size, lower=0.0)
        self.score_offsets = vector("score_offsets", score_offsets, rates.size)

    @classmethod
    def none(cls, size: int) -> Redistribution:
        """No transfers at all, for N = ``size`` organizations."""
        return cls(UniformCompetition(0.0, size), 0.0, 0.0)

    @classmethod
    def uniform(cls, competition: CompetitionLike, incentive: float, local: ArrayLike) -> Redistribution:
        """The published rule: weight 1 and offset −local, so that only effective synthetic samples score.

        Parameters
        ----------
        competition : Competition, ndarray or scipy.sparse matrix
            ρ, size N.
        incentive : float
            Currency per unit of score difference, at least 0.
        local : array_like
            Registered local samples, shape (N,).
        """
        strength = scalar("incentive", incentive, lower=0.0)
        offsets = -np.asarray(local, dtype=np.float64)
        return cls(as_competition(competition).scaled(strength), 1.0, offsets)

    @classmethod
    def from_decoded(cls, decoded: DecodedTerms, participants: BoolArray | None = None) -> Redistribution:
        """The rule that a ledger's integers stand for, among the participants (shape (N,), default: everyone)."""
        here = np.ones(decoded.score_weights.size, dtype=np.bool_) if participants is None else participants
        return cls(
            DenseCompetition(decoded.rates[np.ix_(here, here)]),
            decoded.score_weights[here],
            decoded.score_offsets[here],
        )

    @property
    def size(self) -> int:
        """N."""
        return self.rates.size

    def scores(self, score_input: ArrayLike) -> Array:
        """X_n = offset_n + weight_n · x_n, shape (N,)."""
        return self.score_offsets + self.score_weights * self._checked(score_input)

    def transfers(self, score_input: ArrayLike) -> Array:
        """R, shape (N,), currency, positive when received; the sum is zero up to rounding."""
        return self.rates.laplacian(self.scores(score_input))

    def marginal_rates(self) -> Array:
        """∂R_n/∂x_n = incentive · σ̄_n · weight_n, shape (N,), currency per unit of x."""
        return self.rates.row_sums() * self.score_weights

    def _checked(self, score_input: ArrayLike) -> Array:
        array = np.asarray(score_input, dtype=np.float64)
        if array.shape != (self.size,):
            problem = FieldProblem("score_input", f"shape {array.shape}", f"shape ({self.size},)")
            raise ConfigurationError("a score needs one input for each organization", problems=[problem])
        return array
