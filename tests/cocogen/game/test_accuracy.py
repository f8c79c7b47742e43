from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cocogen.errors import GameError, InvalidAccuracy
from cocogen.game.accuracy import PowerLaw, Saturating, SquareRootBound, check_accuracy, mean_heterogeneity

KINDS = [SquareRootBound(1.0, 20.0), PowerLaw(0.95, 3.0, 0.4, 0.1), Saturating(0.9, 800.0)]
IDS = ["square-root", "power-law", "saturating"]


def test_square_root_bound_is_tradefl_footnote_7():
    assert SquareRootBound(1.0, 25.0).value(400.0) == pytest.approx(1.0 - 1.0 / 100.0 - 1.0 / 25.0, rel=1e-15)


def test_power_law_scales_with_heterogeneity():
    assert PowerLaw(1.0, 4.0, 0.5, 0.25).value(1600.0) == pytest.approx(0.75 * 0.9, rel=1e-15)


def test_saturating_reaches_its_ceiling_share_at_its_scale():
    assert Saturating(0.8, 500.0).value(500.0) == pytest.approx(0.8 * (1.0 - math.exp(-1.0)), rel=1e-15)
    assert Saturating(0.8, 500.0).value(0.0) == 0.0


@pytest.mark.parametrize("accuracy", KINDS, ids=IDS)
@settings(max_examples=40, derandomize=True, deadline=None)
@given(omega=st.floats(2.0, 1e4))
def test_property_derivatives_match_differences(accuracy, omega):
    step = 1e-4 * omega
    slope = (accuracy.value(omega + step) - accuracy.value(omega - step)) / (2 * step)
    curvature = (accuracy.derivative(omega + step) - accuracy.derivative(omega - step)) / (2 * step)
    assert accuracy.derivative(omega) == pytest.approx(slope, rel=1e-5, abs=1e-12)
    assert accuracy.second_derivative(omega) == pytest.approx(curvature, rel=1e-5, abs=1e-15)


@pytest.mark.parametrize("accuracy", KINDS, ids=IDS)
def test_each_kind_is_vectorised_and_passes_its_own_check(accuracy):
    omega = np.array([10.0, 100.0, 1000.0])
    for function in (accuracy.value, accuracy.derivative, accuracy.second_derivative):
        values = function(omega)
        assert values.shape == (3,)
        np.testing.assert_array_equal(values, [function(entry) for entry in omega])
    check_accuracy(accuracy, 1.0, 1e6)


def test_heterogeneity_broadcasts_over_organizations():
    accuracy = PowerLaw(1.0, 4.0, 0.5).with_heterogeneity(np.array([0.0, 0.5]))
    np.testing.assert_allclose(accuracy.value(np.array([1600.0, 1600.0])), [0.9, 0.45], rtol=1e-15)


@pytest.mark.parametrize("accuracy", [KINDS[0], KINDS[2]], ids=[IDS[0], IDS[2]])
def test_kinds_that_do_not_know_heterogeneity_ignore_it(accuracy):
    assert accuracy.with_heterogeneity(0.5).value(300.0) == accuracy.value(300.0)


@pytest.mark.parametrize("accuracy", KINDS, ids=IDS)
@pytest.mark.parametrize("heterogeneity", [1.0, -0.01, math.nan, np.array([0.2, 1.5])])
def test_heterogeneity_outside_its_range_is_refused(accuracy, heterogeneity):
    with pytest.raises(InvalidAccuracy, match=r"must lie in \[0, 1\)"):
        accuracy.with_heterogeneity(heterogeneity)


@pytest.mark.parametrize(
    "build",
    [
        lambda: SquareRootBound(math.nan, 20.0),
        lambda: SquareRootBound(1.0, 0.0),
        lambda: PowerLaw(math.inf, 4.0, 0.5),
        lambda: PowerLaw(1.0, 0.0, 0.5),
        lambda: PowerLaw(1.0, 4.0, -0.5),
        lambda: PowerLaw(1.0, math.nan, 0.5),
        lambda: Saturating(0.0, 100.0),
        lambda: Saturating(1.0, -100.0),
    ],
)
def test_parameters_out_of_range_are_refused(build):
    with pytest.raises(InvalidAccuracy):
        build()


class _Custom:
    minimum = 1.0

    def __init__(self, value, derivative, second):
        self.value, self.derivative, self.second_derivative = value, derivative, second


@pytest.mark.parametrize(
    ("value", "derivative", "second", "condition"),
    [
        (lambda x: x**2, lambda x: 2 * x, lambda x: 2 + 0 * x, "concave"),
        (lambda x: -x, lambda x: -1 + 0 * x, lambda x: 0 * x, "increasing"),
        (lambda x: 1000 * x - x**2, lambda x: 1000 - 2 * x, lambda x: -2 + 0 * x, "increasing"),
        (lambda x: np.log(x), lambda x: 1 / x, lambda x: 1 / x**2, "concave"),
        (lambda x: 0 * x, lambda x: 0 * x, lambda x: 0 * x, "increasing"),
        (lambda x: np.log(x - 50), lambda x: 1 / x, lambda x: -1 / x**2, "finite"),
        (lambda x: np.log(x), lambda x: 3 / x, lambda x: -3 / x**2, "derivative that fits"),
        (lambda x: np.log(x), lambda x: 0.5 / x, lambda x: -0.5 / x**2, "derivative that fits"),
    ],
    ids=[
        "convex",
        "decreasing",
        "peaked",
        "wrong-curvature",
        "flat",
        "not-finite",
        "derivative-too-large",
        "derivative-too-small",
    ],
)
def test_check_refuses_what_is_not_finite_increasing_and_concave(value, derivative, second, condition):
    with np.errstate(invalid="ignore", divide="ignore"), pytest.raises(InvalidAccuracy, match=condition):
        check_accuracy(_Custom(value, derivative, second), 10.0, 1000.0)


def test_check_accepts_a_linear_function():
    check_accuracy(_Custom(lambda x: 2 * x, lambda x: 2 + 0 * x, lambda x: 0 * x), 10.0, 1000.0)


def test_mean_heterogeneity_weighs_by_registered_samples():
    assert mean_heterogeneity([0.1, 0.5], [300, 100]) == pytest.approx(0.2, rel=1e-15)


def test_mean_heterogeneity_needs_a_sample():
    with pytest.raises(GameError, match="nobody registers"):
        mean_heterogeneity([0.1, 0.5], [0, 0])
