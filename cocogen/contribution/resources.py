"""Contribution by what was put in: the evaluation that the transfers rest on, in the form of the others."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cocogen.contribution.valuation import Valuation
from cocogen.errors import ConfigurationError
from cocogen.ledger import Contribution

__all__ = ["resources"]


def resources(
    contributions: Sequence[Contribution | None], *, generated_weight: float = 1.0, compute_weight: float = 0.0
) -> Valuation:
    """x_n = data_n + generated_n + λ · compute_n as the ledger recorded them: effective samples, nothing sampled.

    ``generated_weight`` and ``compute_weight`` (λ) are those of the decoded terms. Whoever did not contribute has 0.
    The score of the redistribution is an affine function of x_n (``cocogen.game.redistribution``).

    Raises
    ------
    ConfigurationError
        When there is no organization.
    """
    if not contributions:
        raise ConfigurationError("no organization, no contribution", hint="give at least one organization")
    values = np.array(
        [
            0.0 if c is None else c.data + generated_weight * c.generated + compute_weight * c.compute
            for c in contributions
        ]
    )
    return Valuation("resources", values, np.zeros(len(values)), evaluations=0, exact=True, total=float(values.sum()))
