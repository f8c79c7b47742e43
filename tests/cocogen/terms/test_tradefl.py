"""TradeFL's terms file: everything wrong is named, and what it settles is what it plans."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from chain.open import open_ledger
from chain.twin.ledger import MemoryProvider
from cocogen.errors import ConfigurationError, EmptyStrategySet
from cocogen.ledger import Contribution
from cocogen.mechanisms import build_game, mechanism
from cocogen.mechanisms.redistribution.agreement import agree_optimal, agree_uniform
from cocogen.terms.sections import Incentive
from cocogen.terms.tradefl import load_data_market

EXAMPLE = Path(__file__).parents[3] / "examples" / "tradefl.toml"


@pytest.mark.parametrize(
    ("old", "new", "field"),
    [
        ("deadline = 4.0", "deadline = -1.0", "resources.deadline"),
        ("deadline = 4.0", "deadline = nan", "resources.deadline"),
        ("deadline = 4.0", "", "resources.deadline = nothing"),
        ("minimum_fraction = 0.01", "minimum_fraction = 0.0", "resources.minimum_fraction"),
        ("samples = ", "samples = 0 # ", r"organization\[0\].samples"),
        ("bits = ", "bits = 1.5 # ", r"organization\[0\].bits"),
        ("[3_000_000_000, 3_500_000_000,", "[3_500_000_000, 3_000_000_000,", r"organization\[0\].compute_levels"),
        ("[3_000_000_000, 3_500_000_000,", "[", r"organization\[1\].compute_levels"),
        ('name = "org-1"', 'name = "org-0"', r"organization\[1\].name"),
        ('name = "org-1"', 'name = "attester"', r"organization\[1\].name"),
        ("competition = 0.05", "competition = 0.5", "market.competition"),
        ('"optimal"', '"optimal"\nstrength = 1.0', "incentive.strength"),
        ("[resources]", "[resources]\nspeed = 1", "resources.speed"),
    ],
)
def test_an_invalid_field_is_named(altered, old, new, field):
    with pytest.raises(ConfigurationError, match=field):
        load_data_market(altered(old, new))


def test_a_deadline_that_somebody_always_misses_is_named_with_the_one_it_meets(altered):
    with pytest.raises(EmptyStrategySet, match=r"'org-0' misses the deadline of 0\.5 s") as caught:
        load_data_market(altered("deadline = 4.0", "deadline = 0.5"))
    assert "set the deadline to at least" in caught.value.hint


@pytest.mark.parametrize("ledger", ["memory", pytest.param("tester", marks=[pytest.mark.heavy, pytest.mark.slow])])
@pytest.mark.parametrize("redistribution", ["uniform", "optimal"])
def test_the_plans_transfers_are_predicted_and_settled_to_the_wei(ledger, redistribution):
    terms = load_data_market(EXAMPLE).with_incentive(Incentive(redistribution=redistribution))
    provider = MemoryProvider(7) if ledger == "memory" else open_ledger("tester", seed=7)
    encoding = terms.encoding(provider.account, provider.decode)
    agreed = agree_optimal(encoding, "equal-surplus") if redistribution == "optimal" else agree_uniform(encoding, 1e-9)
    on_ledger = provider.deploy(
        terms.settlement_terms(provider.account, agreed.incentive, agreed.weights, agreed.offsets)
    )
    market = terms.market_on(on_ledger.decoded)
    plan = mechanism("tradefl").plan(market, np.random.default_rng(0))
    assert plan.epsilon <= 1e-9
    assert plan.epsilon_executed <= 1e-6
    profile = plan.profile
    contributions = [
        Contribution(int(d), 0, int(f), bytes([1] * 32)) for d, f in zip(profile.data, profile.compute, strict=True)
    ]
    predicted = on_ledger.predict(contributions)
    assert sum(predicted) == 0
    assert max(predicted) > 0
    np.testing.assert_allclose([wei / 1e18 for wei in predicted], plan.transfers, atol=1e-6)
    for n in range(len(terms.names)):
        on_ledger.deposit(n, 2 * on_ledger.state().liabilities[n])
    on_ledger.open_round()
    for n, contribution in enumerate(contributions):
        on_ledger.submit(n, contribution, on_ledger.attest(n, contribution))
    on_ledger.record()
    on_ledger.wait_until(on_ledger.state().deadline + 1)
    assert on_ledger.settle().transfers == predicted
    provider.close()


def test_the_optimal_rule_scores_data_alone():
    terms = load_data_market(EXAMPLE)
    assert terms.incentive.redistribution == "optimal"
    assert terms.compute_weight == 0.0
    assert terms.with_incentive(Incentive()).compute_weight == 1.0


def test_the_plan_under_the_optimal_rule_is_the_planners_optimum():
    terms, provider = load_data_market(EXAMPLE), MemoryProvider(7)
    encoding = terms.encoding(provider.account, provider.decode)
    agreed = agree_optimal(encoding, "equal-surplus")
    market = encoding.market(encoding.decode(agreed.incentive, agreed.weights, agreed.offsets))
    plan = mechanism("tradefl").plan(market, np.random.default_rng(0))
    np.testing.assert_array_equal(plan.strategies, plan.planner_strategies)
    assert plan.efficiency == pytest.approx(1.0, abs=1e-12)
    assert plan.surplus.min() > 0.0
    assert build_game(market).size == 10


def test_absent_organizations_hold_zeros_and_the_rest_is_still_certified():
    terms, provider = load_data_market(EXAMPLE), MemoryProvider(7)
    encoding = terms.encoding(provider.account, provider.decode)
    market = encoding.market(encoding.published(1e-9))
    here = np.arange(10) != 3
    market = type(market)(**{**{f: getattr(market, f) for f in market.__dataclass_fields__}, "participants": here})
    plan = mechanism("tradefl").plan(market, np.random.default_rng(0))
    assert (plan.strategies[3] == 0.0).all()
    assert (plan.profile.data[3], plan.profile.compute[3]) == (0, 0)
    assert plan.epsilon <= 1e-6
