"""The figure of a calibration: measured accuracies, the function fitted to them, and what the fit leaves over."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cocogen.game.calibrated import Calibrated
from cocogen.report.style import colour, figure_style, marker, new_figure
from cocogen.terms.accuracy import CalibrationRecord
from cocogen.terms.metrics import metric_words

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["calibration_figure"]

_CURVE_POINTS = 200
_TICK_RATIO = 1.35  # closer ones would overlap


def calibration_figure(record: CalibrationRecord, reach: float) -> Figure:
    """Accuracy over samples by label skew, beside its residuals.

    Parameters
    ----------
    record : CalibrationRecord
        A finished one.
    reach : float
        The largest Ω to draw the fit for; dashed beyond what was measured.
    """
    function = record.fitted.function()
    cells = record.cells()
    counts = sorted({float(cell.samples) for cell in cells})
    alphas = sorted({cell.alpha for cell in cells}, reverse=True)
    with figure_style():
        figure, (left, right) = new_figure(1, 2, size=(9.6, 4.2), width_ratios=(1.7, 1.0))
        for index, alpha in enumerate(alphas):
            own = [cell for cell in cells if cell.alpha == alpha]
            deltas = [cell.heterogeneity for cell in own]
            # Nudged apart, so that the spreads of one sample count do not hide each other.
            nudge = 1.04 ** (index - (len(alphas) - 1) / 2)
            left.errorbar(
                [cell.samples * nudge for cell in own],
                [cell.accuracy for cell in own],
                yerr=[[c.accuracy - c.least for c in own], [c.largest - c.accuracy for c in own]],
                fmt=marker(index),
                color=colour(index),
                elinewidth=0.8,
                capsize=2,
                label=f"measured, mean δ̄ {min(deltas):.2f} to {max(deltas):.2f} (α = {alpha:g})",
            )
            points = [
                (r.samples * nudge, e) for r, e in zip(record.runs, record.residuals, strict=True) if r.alpha == alpha
            ]
            right.plot(*zip(*points, strict=True), marker(index), color=colour(index), alpha=0.6, markersize=3.5)
        _draw_curves(left, function, reach)
        task, words = record.task, metric_words(record.fitted.metric)
        where = f"{task.learning.model} on {task.learning.dataset}"
        left.set_title(f"{where}: {task.organizations} organizations, {task.rounds} rounds")
        left.set_ylabel(f"{words} on the test fold (mean; bars: least to largest)")
        left.legend(loc="lower right")
        right.axhline(0.0, color="black", lw=0.8)
        for bound in (-record.fitted.rmse, record.fitted.rmse):
            right.axhline(bound, color="black", lw=0.8, ls=":")
        right.set_title(f"Residuals, RMSE {record.fitted.rmse:.4f} (dotted)")
        right.set_ylabel(f"measured − fitted {words}")
        _sample_axis(left, [*counts, reach])
        _sample_axis(right, counts)
    return figure


def _draw_curves(axes: Axes, function: Calibrated, reach: float) -> None:
    least, most = function.samples
    inside = np.geomspace(least, most, _CURVE_POINTS)
    beyond = np.geomspace(most, max(most, reach), _CURVE_POINTS)
    for delta, grey in zip(function.measured_heterogeneity, ("0.1", "0.55"), strict=True):
        fitted = function.with_heterogeneity(delta)
        axes.plot(inside, fitted.value(inside), color=grey, label=f"fitted at δ̄ = {delta:.2f}")
        axes.plot(beyond, fitted.value(beyond), color=grey, ls="--")
    axes.plot([], [], color="0.35", ls="--", label="extrapolated")


def _sample_axis(axes: Axes, ticks: list[float]) -> None:
    axes.set_xscale("log")
    shown = ticks[-1:]
    for tick in reversed(ticks):
        if tick * _TICK_RATIO <= shown[0]:
            shown.insert(0, tick)
    axes.set_xticks(shown, [f"{tick:,.0f}" for tick in shown])
    axes.set_xticks([], minor=True)
    axes.set_xlabel("effective samples Ω (log scale)")
