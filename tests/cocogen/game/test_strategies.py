from __future__ import annotations

import numpy as np
import pytest

from cocogen.errors import ConfigurationError, EmptyStrategySet
from cocogen.game.strategies import GenerationAmounts


def _family(**changes):
    arguments = {
        "local": [100.0, 200.0],
        "quality": [0.5, 1.0],
        "cost_linear": [0.1, 0.2],
        "cost_quadratic": [0.01, 0.02],
        "maximum": [50.0, 80.0],
        "cost_fixed": [3.0, 4.0],
    }
    return GenerationAmounts(**(arguments | changes))


def test_a_profile_has_the_effect_of_the_definition():
    family = _family(generated_weight=2.0)
    effect = family.segments.effect(*family.locate([10.0, 20.0]))
    np.testing.assert_allclose(effect.samples, [105.0, 220.0])
    np.testing.assert_allclose(effect.score_input, [110.0, 240.0])
    np.testing.assert_allclose(effect.cost, [0.1 * 10 + 0.005 * 100 + 3, 0.2 * 20 + 0.01 * 400 + 4])


def test_one_number_holds_for_every_organization():
    family = GenerationAmounts([100.0, 200.0, 300.0], 0.5, 0.1, 0.01, 50.0)
    np.testing.assert_array_equal(family.quality, [0.5, 0.5, 0.5])
    assert family.size == 3


def test_a_block_of_segments_is_that_of_its_organizations():
    block = _family().segments.block(slice(1, 2))
    np.testing.assert_allclose(block.effect(np.array([20.0]), np.zeros(1, dtype=np.int64)).samples, [220.0])


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("quality", 0.0),
        ("quality", 1.1),
        ("quality", np.nan),
        ("cost_linear", -0.1),
        ("cost_quadratic", 0.0),
        ("cost_quadratic", np.inf),
        ("cost_fixed", -1.0),
        ("local", [-1.0, 5.0]),
        ("maximum", np.nan),
        ("generated_weight", -1.0),
        ("quality", [0.5, 0.5, 0.5]),
    ],
)
def test_a_parameter_out_of_range_is_named(field, value):
    with pytest.raises(ConfigurationError, match=field):
        _family(**{field: value})


def test_a_negative_maximum_leaves_no_strategy():
    with pytest.raises(EmptyStrategySet, match="organization 1"):
        _family(maximum=[50.0, -1.0])


@pytest.mark.parametrize("profile", [[10.0, 80.001], [-1e-9, 10.0], [np.nan, 10.0], [10.0], [[10.0, 20.0]]], ids=str)
def test_an_infeasible_profile_is_refused(profile):
    with pytest.raises(ConfigurationError, match="strategies"):
        _family().locate(profile)


def test_a_maximum_of_zero_allows_only_nothing():
    family = _family(maximum=[0.0, 80.0])
    family.locate([0.0, 80.0])
    with pytest.raises(ConfigurationError, match=r"strategies\[0\]"):
        family.locate([0.1, 80.0])
