"""A market is opened by what its system says of itself, on terms that a ledger holds."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from chain.twin.ledger import MemoryProvider
from cocogen.errors import ConfigurationError
from cocogen.operations.market import open_market
from cocogen.systems import SYSTEMS
from cocogen.systems.base import Systems
from cocogen.systems.tradefl import TRADEFL
from cocogen.terms.load import load_terms
from cocogen.terms.sections import Incentive

EXAMPLE = Path(__file__).parents[3] / "examples" / "tradefl.toml"


@pytest.fixture
def terms():
    return load_terms(EXAMPLE, SYSTEMS.table)


def _open(terms, systems=SYSTEMS):
    return open_market(terms, MemoryProvider(7), systems, measure=pytest.fail)


def test_what_states_everything_is_agreed_without_measuring(terms):
    opened = _open(terms)
    assert (opened.name, opened.mechanism, opened.stated) == ("table-two", "tradefl", None)
    assert opened.ledger.terms.incentive > 0.0
    assert (opened.market.decoded.rates == opened.ledger.decoded.rates).all()
    assert opened.ledger.terms.compute_weight == 0.0


def test_each_redistribution_is_left_open_in_the_market_that_it_scores(terms):
    opened = _open(terms)
    uniform, optimal = (encoding.published(1e-9) for encoding in (opened.uniform, opened.optimal))
    assert (uniform.compute_weight, optimal.compute_weight) == (1.0, 0.0)


def test_a_stated_strength_is_the_one_on_the_ledger(terms):
    opened = _open(terms.with_incentive(Incentive(strength=2e-9)))
    assert opened.stated == opened.ledger.terms.incentive == 2e-9


def test_a_system_without_a_coopetition_game_has_no_market_to_solve(terms):
    with pytest.raises(ConfigurationError, match="the market of tradefl is no coopetition game"):
        _open(terms, Systems((replace(TRADEFL, game=None),)))
