"""From resolved terms to the market that a round is played in."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from cocogen.game.arrays import Array
from cocogen.ledger import DecodedTerms, SettlementTerms
from cocogen.mechanisms.base import Market
from cocogen.mechanisms.redistribution.agreement import Encoding
from cocogen.mechanisms.resources import GenerationResources
from cocogen.terms.accuracy import accuracy_function
from cocogen.terms.resolved import ResolvedTerms

__all__ = ["encoding_of", "market"]


def encoding_of(resolved: ResolvedTerms, decode: Callable[[SettlementTerms], DecodedTerms]) -> Encoding:
    """The market of these measurements with its redistribution open, for any rule."""
    quality = resolved.quality

    def decoded(incentive: float, weights: Array, offsets: Array) -> DecodedTerms:
        return decode(resolved.with_rule(incentive, weights.tolist(), offsets.tolist()).settlement_terms())

    return Encoding(
        decode=decoded,
        market=lambda terms: market(resolved, terms, quality),
        published_offsets=-np.array([organization.local for organization in resolved.organization], dtype=np.float64),
        largest_inputs=np.array([o.data_cap + o.generated_cap for o in resolved.organization], dtype=np.float64),
    )


def market(
    resolved: ResolvedTerms,
    decoded: DecodedTerms,
    quality: NDArray[np.float64],
    participants: Sequence[bool] | None = None,
    *,
    local: NDArray[np.int64] | None = None,
) -> Market:
    """One round's market: the resolved terms, the κ in force (shape (N,)) and who takes part (default: everyone).

    Whoever has no κ (NaN) cannot generate. ``local`` (int64, shape (N,)) replaces the registered samples by those that
    were contributed.
    """
    organizations = resolved.organization
    measured = ~np.isnan(quality)
    maximum = np.array([o.generation_maximum for o in organizations], dtype=np.float64)
    return Market(
        names=resolved.names,
        profitability=np.array([o.profitability for o in organizations]),
        competition=np.array(resolved.competition),
        accuracy=accuracy_function(resolved.accuracy),
        heterogeneity=np.array([o.heterogeneity for o in organizations]),
        resources=GenerationResources(
            local=np.array([o.local for o in organizations], dtype=np.int64) if local is None else local,
            quality=np.where(measured, quality, 1.0),
            cost_linear=np.array([o.generation_cost.linear for o in organizations]),
            cost_quadratic=np.array([o.generation_cost.quadratic for o in organizations]),
            cost_fixed=np.array([o.generation_cost.fixed for o in organizations]),
            maximum=np.where(measured, maximum, 0.0),
            data_cap=np.array([o.data_cap for o in organizations], dtype=np.int64),
            generated_cap=np.array([o.generated_cap for o in organizations], dtype=np.int64),
        ),
        decoded=decoded,
        damage=resolved.damage,
        private_gain=resolved.private_gain,
        private_base=resolved.private_base,
        participants=np.ones(len(organizations), dtype=bool) if participants is None else np.array(participants),
    )
