"""The result of every evaluation: a value per organization, and how well it is known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Valuation"]


@dataclass(frozen=True, slots=True)
class Valuation:
    """What each of N organizations is worth to the whole.

    ``method``: name of the evaluation. ``values``: (N,) float64, in units of the utility (resources: effective
    samples). ``standard_errors``: (N,) float64, of the sampling, what truncation skips included; 0 where nothing was
    sampled. ``evaluations``: distinct coalitions whose utility was
    computed for this result, those that were known before not counted. ``exact``: neither sampled nor truncated.
    ``total``: v(all) - v(∅), what efficient values sum to. ``permutations``: orders of joining that were walked.
    ``truncated``: marginal contributions that were not looked at.
    """

    method: str
    values: NDArray[np.float64]
    standard_errors: NDArray[np.float64]
    evaluations: int
    exact: bool
    total: float
    permutations: int = 0
    truncated: int = 0

    @property
    def shares(self) -> NDArray[np.float64] | None:
        """Values over their sum, shape (N,); None where a value is negative or all are 0, since a share says nothing
        then."""
        total = float(self.values.sum())
        return None if (self.values < 0).any() or total <= 0 else self.values / total
