"""When sampling ends."""

from __future__ import annotations

import math

import numpy as np
import pytest

from cocogen.contribution import Budget, Either, Sampled, StandardError
from cocogen.errors import ConfigurationError


def sampled(evaluations: int = 50, permutations: int = 20, blocks: int = 20, error: float = 0.1) -> Sampled:
    return Sampled(evaluations, permutations, blocks, np.array([error / 2, error]))


def test_a_budget_is_spent_by_evaluations_or_by_permutations() -> None:
    assert Budget(100).completion(sampled(evaluations=50)) == 0.5
    assert Budget(100).completion(sampled(evaluations=100)) == 1
    assert Budget(100).completion(sampled(evaluations=2, permutations=100)) == 1


def test_the_largest_standard_error_decides() -> None:
    assert StandardError(0.1).completion(sampled(error=0.1)) >= 1
    assert StandardError(0.1).completion(sampled(error=0.2)) == pytest.approx(0.25)


def test_a_small_standard_error_of_few_blocks_is_not_believed() -> None:
    assert StandardError(0.1, blocks=10).completion(sampled(error=0.0, blocks=5)) == 0.5
    assert StandardError(0.1, blocks=10).completion(sampled(error=0.0, blocks=10)) == 1


def test_either_rule_may_end_it() -> None:
    rule = Either(Budget(100), StandardError(0.1))
    assert rule.completion(sampled(evaluations=100, error=9.0)) == 1
    assert rule.completion(sampled(evaluations=1, error=0.01)) >= 1
    assert rule.completion(sampled(evaluations=50, error=0.2)) == 0.5


@pytest.mark.parametrize("bound", [0.0, -1.0, math.nan, math.inf])
def test_an_impossible_bound_is_an_error(bound: float) -> None:
    with pytest.raises(ConfigurationError, match="standard error"):
        StandardError(bound)


def test_a_budget_of_nothing_and_an_error_of_one_block_are_errors() -> None:
    with pytest.raises(ConfigurationError, match="budget of 0"):
        Budget(0)
    with pytest.raises(ConfigurationError, match="1 blocks"):
        StandardError(0.1, blocks=1)
