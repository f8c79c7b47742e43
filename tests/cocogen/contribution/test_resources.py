"""Resources count as the ledger counts them."""

from __future__ import annotations

import pytest

from cocogen.contribution import exact_shapley, leave_one_out, resources
from cocogen.contribution.coalitions import Coalitions
from cocogen.errors import ConfigurationError
from cocogen.ledger import Contribution


def contribution(data: int, generated: int, compute: int = 0) -> Contribution:
    return Contribution(data, generated, compute, b"\x01" * 32)


def test_resources_are_weighted_counts_and_absence_is_nothing() -> None:
    given = [contribution(30, 10, 4), None, contribution(60, 0, 8)]
    valuation = resources(given)
    assert valuation.values.tolist() == [40.0, 0.0, 60.0]
    assert valuation.shares.tolist() == [0.4, 0.0, 0.6]
    assert valuation.exact
    assert (valuation.evaluations, valuation.total) == (0, 100.0)
    assert resources(given, generated_weight=0.5, compute_weight=0.25).values.tolist() == [36.0, 0.0, 62.0]


def test_resources_are_the_shapley_values_of_the_game_that_counts_them() -> None:
    valuation = resources([contribution(30, 10), contribution(5, 0), contribution(60, 1)])
    game = Coalitions(3, lambda s: float(sum(valuation.values[n] for n in s)))
    assert exact_shapley(game).values == pytest.approx(valuation.values)
    assert leave_one_out(game).values == pytest.approx(valuation.values)


def test_shares_are_not_stated_where_they_mean_nothing() -> None:
    assert resources([contribution(0, 0)]).shares is None
    assert exact_shapley(Coalitions(2, lambda s: float(sum((-1, 3)[n] for n in s)))).shares is None


def test_no_organization_is_an_error() -> None:
    with pytest.raises(ConfigurationError, match="no organization"):
        resources([])
