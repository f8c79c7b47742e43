"""A coalition is worth what its updates aggregate to."""

from __future__ import annotations

import numpy as np
import pytest

from cocogen.contribution import Coalitions, exact_shapley, leave_one_out, reaggregated
from cocogen.errors import ConfigurationError
from cocogen.learning.models.states import ModelState, average


def state(*values: float) -> ModelState:
    return ModelState({"w": np.array(values, dtype=np.float32)})


UPDATES, BASE = [state(1, 0), state(0, 4), state(2, 2)], state(-1, -1)


def measure(model: ModelState) -> float:
    return float(model["w"].sum())


def test_a_coalition_is_worth_its_weighted_average_and_nobody_the_base() -> None:
    utility = reaggregated(UPDATES, [1, 3, 0], BASE, measure)
    assert utility(()) == -2.0
    assert utility((0,)) == 1.0
    assert utility((0, 1)) == pytest.approx((1 * 1 + 3 * 4) / 4)
    assert utility((2,)) == -2.0, "an organization without weight changes nothing"
    assert utility((0, 2)) == 1.0


def test_an_organization_without_weight_is_a_null_player() -> None:
    game = Coalitions(3, reaggregated(UPDATES, [1, 3, 0], BASE, measure))
    assert exact_shapley(game).values[2] == 0
    assert leave_one_out(game).values[2] == 0


def test_the_aggregation_of_the_round_is_used() -> None:
    def largest(states, weights) -> ModelState:
        return average([states[int(np.argmax(weights))]], [1])

    assert reaggregated(UPDATES, [1, 3, 2], BASE, measure, largest)((0, 1, 2)) == 4.0


@pytest.mark.parametrize("weights", [[1, 2], [1, 2, -1]])
def test_weights_that_do_not_fit_are_an_error(weights: list[int]) -> None:
    with pytest.raises(ConfigurationError, match="3 updates"):
        reaggregated(UPDATES, weights, BASE, measure)
