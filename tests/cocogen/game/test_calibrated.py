"""The fitted accuracy function: increasing and concave whatever the points say, and near them where it can be."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cocogen.errors import InvalidAccuracy
from cocogen.game.accuracy import PowerLaw, Saturating, check_accuracy
from cocogen.game.calibrated import Calibrated, Loss, fit_accuracy
from cocogen.game.competition import UniformCompetition
from cocogen.game.coopetition import CoopetitionGame
from cocogen.game.redistribution import Redistribution
from cocogen.game.strategies import GenerationAmounts
from cocogen.solvers import solve
from cocogen.solvers.certificate import certify

ONE_LOSS = Calibrated(0.02, 0.1, (Loss(40.0, 0.5, 0.4, 0.2),), (25.0, 400.0), (0.0, 0.5))


def measured(truth, *, lower=25.0, upper=400.0, skews=(0.0, 0.2, 0.5), noise=0.0, seed=0):
    """Points of a known function on a grid: (samples, heterogeneity, accuracy)."""
    samples, heterogeneity = (grid.ravel() for grid in np.meshgrid(np.geomspace(lower, upper, 8), skews))
    values = np.array([truth(x, d) for x, d in zip(samples, heterogeneity, strict=True)])
    return samples, heterogeneity, np.clip(values + np.random.default_rng(seed).normal(0, noise, values.size), 0, 1)


def power_law(x, d):
    return float(PowerLaw(0.97, 1.5, 0.4, d).value(x))


def test_a_calibrated_function_is_one_minus_its_losses():
    assert ONE_LOSS.with_heterogeneity(0.3).value(120.0) == pytest.approx(
        1.0 - 0.02 - 0.03 - (0.4 + 0.06) * (1.0 + 3.0) ** -0.5, rel=1e-14
    )


def test_a_fit_recovers_a_power_law_within_and_beyond_its_points():
    fit = fit_accuracy(*measured(power_law))
    assert fit.rmse < 3e-4
    assert fit.largest_residual < 1e-3
    for samples, heterogeneity, tolerance in ((60.0, 0.1, 1e-3), (300.0, 0.4, 1e-3), (1600.0, 0.2, 0.01)):
        found = fit.accuracy.with_heterogeneity(heterogeneity).value(samples)
        assert found == pytest.approx(power_law(samples, heterogeneity), abs=tolerance)


def test_residuals_are_measured_minus_fitted():
    samples, heterogeneity, accuracy = measured(power_law, noise=0.02)
    fit = fit_accuracy(samples, heterogeneity, accuracy)
    fitted = [fit.accuracy.with_heterogeneity(d).value(x) for x, d in zip(samples, heterogeneity, strict=True)]
    np.testing.assert_allclose(fit.residuals, accuracy - fitted, atol=1e-15)
    assert fit.rmse == pytest.approx(math.sqrt(np.mean(fit.residuals**2)))
    assert fit.largest_residual == np.abs(fit.residuals).max()
    assert 0.015 < fit.rmse < 0.022


def test_a_fit_is_as_near_to_noisy_points_as_the_function_that_they_come_from():
    def truth(x, d):
        return float(ONE_LOSS.with_heterogeneity(d).value(x))

    samples, heterogeneity, accuracy = measured(truth, noise=0.03, seed=4)
    of_truth = [accuracy[n] - truth(samples[n], heterogeneity[n]) for n in range(samples.size)]
    assert fit_accuracy(samples, heterogeneity, accuracy).rmse <= math.sqrt(np.mean(np.square(of_truth))) + 1e-4


def test_a_fit_does_not_depend_on_the_order_of_the_points():
    points = np.array(measured(power_law, noise=0.02))
    order = np.random.default_rng(1).permutation(points.shape[1])
    one, other = fit_accuracy(*points).accuracy, fit_accuracy(*points[:, order]).accuracy
    grid = np.geomspace(1.0, 4000.0, 20)
    np.testing.assert_allclose(one.value(grid), other.value(grid), atol=1e-7)


points = st.tuples(st.floats(1.0, 1e5), st.floats(0.0, 0.99), st.floats(0.0, 1.0))


@settings(max_examples=60, derandomize=True, deadline=None)
@given(st.lists(points, min_size=3, max_size=12), st.floats(0.0, 0.99), st.floats(0.0, 0.99))
def test_property_a_fit_is_increasing_concave_and_an_accuracy_whatever_the_points(cloud, one, other):
    try:
        accuracy = fit_accuracy(*np.array(cloud).T).accuracy
    except InvalidAccuracy as error:
        assert "different numbers" in error.hint or "does not grow" in str(error)  # noqa: PT017
        return
    mild, strong = (accuracy.with_heterogeneity(delta) for delta in sorted((one, other)))
    check_accuracy(mild, 0.0, 1e9)
    check_accuracy(strong, 0.0, 1e9)
    grid = np.geomspace(1e-6, 1e12, 50)
    assert (mild.value(grid) >= strong.value(grid) - 1e-12).all()
    assert (strong.value(grid) >= -1e-8).all()
    assert (mild.value(grid) <= 1.0 + 1e-8).all()


@settings(max_examples=40, derandomize=True, deadline=None)
@given(omega=st.floats(1.0, 1e4), delta=st.floats(0.0, 0.99))
def test_property_derivatives_match_differences(omega, delta):
    accuracy = fit_accuracy(*measured(power_law, noise=0.02)).accuracy.with_heterogeneity(delta)
    step = 1e-4 * omega
    slope = (accuracy.value(omega + step) - accuracy.value(omega - step)) / (2 * step)
    curvature = (accuracy.derivative(omega + step) - accuracy.derivative(omega - step)) / (2 * step)
    assert accuracy.derivative(omega) == pytest.approx(slope, rel=1e-5, abs=1e-12)
    assert accuracy.second_derivative(omega) == pytest.approx(curvature, rel=1e-5, abs=1e-15)


def test_values_are_vectorised_and_heterogeneity_broadcasts():
    omega, delta = np.array([10.0, 100.0, 1000.0]), np.array([0.1, 0.0, 0.9])
    for name in ("value", "derivative", "second_derivative"):
        together = getattr(ONE_LOSS.with_heterogeneity(delta), name)(omega)
        alone = [getattr(ONE_LOSS.with_heterogeneity(d), name)(x) for x, d in zip(omega, delta, strict=True)]
        assert together.shape == (3,)
        np.testing.assert_allclose(together, alone, rtol=1e-15)
        assert getattr(ONE_LOSS, name)(100.0).shape == ()


def test_the_data_decide_whether_heterogeneity_makes_another_sample_worth_more_or_less():
    def fading(x, d):
        return 0.95 - (0.2 + 0.3 * d) * (1.0 + x / 30.0) ** -1.0

    for truth, sign in ((power_law, -1.0), (fading, 1.0)):
        accuracy = fit_accuracy(*measured(truth)).accuracy
        mild, strong = (accuracy.with_heterogeneity(delta).derivative(60.0) for delta in (0.0, 0.5))
        assert sign * (strong - mild) > 0.05 * mild


def test_points_without_a_difference_in_heterogeneity_give_a_function_that_ignores_it():
    samples, _, accuracy = measured(power_law, skews=(0.3,))
    fitted = fit_accuracy(samples, np.full(samples.size, 0.3), accuracy).accuracy
    assert fitted.measured_heterogeneity == (0.3, 0.3)
    np.testing.assert_array_equal(fitted.with_heterogeneity(0.9).value(samples), fitted.value(samples))


def test_steep_points_do_not_push_the_function_below_zero():
    fitted = fit_accuracy(
        *measured(lambda x, d: float(Saturating(0.9, 3000.0).value(x)), lower=50, upper=5000)
    ).accuracy
    assert fitted.with_heterogeneity(0.999).value(0.0) >= -1e-8
    check_accuracy(fitted, 0.0, 1e7)


@pytest.mark.parametrize("slope", [-1e-4, 0.0])
def test_points_in_which_accuracy_does_not_grow_are_refused_with_the_reason(slope):
    samples, heterogeneity, _ = measured(power_law)
    with pytest.raises(InvalidAccuracy, match="does not grow with data in these 24 points between Ω = 25 and 400"):
        fit_accuracy(samples, heterogeneity, 0.9 + slope * samples)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"samples": [0.0, 50.0, 100.0]}, r"samples 0.0 of point 0 must be greater than 0"),
        ({"samples": [25.0, math.inf, 100.0]}, r"samples inf of point 1"),
        ({"samples": [25.0, math.nan, 100.0]}, r"samples nan of point 1"),
        ({"heterogeneity": [0.1, 0.2, 1.0]}, r"heterogeneity 1.0 of point 2 must be in \[0, 1\)"),
        ({"heterogeneity": [-0.1, 0.2, 0.3]}, r"heterogeneity -0.1 of point 0"),
        ({"accuracy": [0.7, 0.8, 1.01]}, r"accuracy 1.01 of point 2 must be in \[0, 1\]"),
        ({"accuracy": [0.7, math.nan, 0.9]}, r"accuracy nan of point 1"),
        ({"samples": [50.0, 50.0, 50.0]}, r"3 points all at Ω = 50 do not show"),
        ({"samples": [50.0, 50.0, 60.0]}, r"3 points at 2 different Ω"),
        ({"samples": [50.0, 60.0]}, r"shapes \(2,\), \(3,\), \(3,\)"),
        ({"samples": [[50.0, 60.0, 70.0]]}, r"shapes \(1, 3\)"),
    ],
)
def test_unusable_points_are_refused(changes, reason):
    usable = {"samples": [25.0, 50.0, 100.0], "heterogeneity": [0.1, 0.2, 0.3], "accuracy": [0.7, 0.8, 0.85]}
    fit_accuracy(**usable)
    with pytest.raises(InvalidAccuracy, match=reason):
        fit_accuracy(**{**usable, **changes})


def test_no_points_are_refused():
    with pytest.raises(InvalidAccuracy, match="0 points"):
        fit_accuracy([], [], [])


@pytest.mark.parametrize(
    ("changes", "condition"),
    [
        ({"floor": -0.1}, "floor and skew are at least 0"),
        ({"skew": -0.1}, "floor and skew are at least 0"),
        ({"floor": math.nan}, "every number is finite"),
        ({"losses": ()}, "some loss shrinks with data"),
        ({"losses": (Loss(40.0, 0.5, 0.0, 0.1),)}, "some loss shrinks with data"),
        ({"losses": (Loss(40.0, 0.5, math.inf, 0.1),)}, "every number is finite"),
        ({"losses": (Loss(0.0, 0.5, 0.1, 0.1),)}, "every scale and exponent is positive"),
        ({"losses": (Loss(40.0, -0.5, 0.1, 0.1),)}, "every scale and exponent is positive"),
        ({"losses": (Loss(40.0, 0.5, 0.1, -0.2),)}, "every loss shrinks with data"),
        ({"losses": (Loss(40.0, 0.5, -0.1, 0.2),)}, "every loss shrinks with data"),
        ({"losses": (Loss(40.0, 0.5, 0.3, -0.2),)}, "no loss shrinks with heterogeneity"),
        ({"losses": (Loss(40.0, 0.5, 0.9, 0.0),)}, "all losses together are at most 1"),
        ({"samples": (400.0, 25.0)}, "measured ranges are in order"),
        ({"samples": (0.0, 25.0)}, "measured ranges are in order"),
        ({"measured_heterogeneity": (0.0, 1.0)}, "measured ranges are in order"),
    ],
)
def test_weights_that_break_the_shape_are_refused(changes, condition):
    with pytest.raises(InvalidAccuracy, match=condition):
        replace(ONE_LOSS, **changes)


@pytest.mark.parametrize("heterogeneity", [1.0, -0.01, math.nan, np.array([0.2, 1.5])])
def test_heterogeneity_outside_its_range_is_refused(heterogeneity):
    with pytest.raises(InvalidAccuracy, match=r"must lie in \[0, 1\)"):
        ONE_LOSS.with_heterogeneity(heterogeneity)


def test_extrapolation_is_flagged_in_samples_and_in_heterogeneity():
    np.testing.assert_array_equal(ONE_LOSS.extrapolates([24.9, 25.0, 400.0, 400.1]), [True, False, False, True])
    assert ONE_LOSS.with_heterogeneity(0.6).extrapolates(100.0)
    by_organization = ONE_LOSS.with_heterogeneity(np.array([0.6, 0.5]))
    np.testing.assert_array_equal(by_organization.extrapolates([100.0, 100.0]), [True, False])


def test_a_game_on_a_fitted_function_has_a_certified_equilibrium():
    local = np.array([0.0, 85.0, 60.0, 25.0])
    competition = UniformCompetition(0.02, 4)
    game = CoopetitionGame(
        np.array([2400.0, 1900.0, 1100.0, 700.0]),
        competition,
        fit_accuracy(*measured(power_law, noise=0.02)).accuracy.with_heterogeneity(0.2),
        GenerationAmounts(local, 0.7, 0.02, 0.002, 300.0),
        Redistribution.uniform(competition, 0.5, local),
        np.array([0.1, 0.2, 0.3, 0.8]),
    )
    by_price, by_reply = solve(game), solve(game, "best-response")
    assert by_price.converged
    assert 1.0 < by_price.strategies.min() < 299.0
    np.testing.assert_allclose(by_price.strategies, by_reply.strategies, atol=1e-5)
    assert certify(game, by_price.strategies).epsilon < 1e-10
