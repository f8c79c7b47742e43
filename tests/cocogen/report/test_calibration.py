"""The picture of a calibration shows every run, says what it shows and where it extrapolates."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from cocogen.errors import ConfigurationError
from cocogen.report.calibration import calibration_figure
from cocogen.report.style import save_figure
from cocogen.terms.accuracy import CalibrationRecord, CalibrationTask, MeasuredAccuracy, fit_record
from cocogen.terms.sections import Learning

TASK = CalibrationTask(learning=Learning(dataset="diagnostic"), organizations=6, rounds=5, seed=7)


def record_of(counts, repeats=2):
    return fit_record(
        TASK,
        [
            MeasuredAccuracy(
                samples=samples,
                alpha=alpha,
                repeat=r,
                heterogeneity=d,
                accuracy=0.97 - samples**-0.6 - d / 50 + r / 200,
            )
            for r in range(repeats)
            for samples in counts
            for alpha, d in ((100.0, 0.05), (0.1, 0.4))
        ],
    )


def test_all_runs_both_fits_and_the_extrapolation_are_drawn_and_named():
    figure = calibration_figure(record_of((25, 100, 400)), reach=2000.0)
    left, right = figure.axes
    _, names = left.get_legend_handles_labels()
    assert names == [
        "fitted at δ̄ = 0.05",
        "fitted at δ̄ = 0.40",
        "extrapolated",
        "measured, mean δ̄ 0.05 to 0.05 (α = 100)",
        "measured, mean δ̄ 0.40 to 0.40 (α = 0.1)",
    ]
    assert left.get_title(loc="left") == "mlp on diagnostic: 6 organizations, 5 rounds"
    assert "samples" in left.get_xlabel()
    assert left.get_ylabel() == "accuracy on the test fold (mean; bars: least to largest)"
    assert right.get_ylabel() == "measured − fitted accuracy"
    points = [line for line in right.lines if line.get_marker() not in ("None", None, "")]
    assert sum(len(line.get_xdata()) for line in points) == 12
    dashed = [line for line in left.lines if line.get_linestyle() == "--" and len(line.get_xdata())]
    assert len(dashed) == 2
    assert all(line.get_xdata()[0] == pytest.approx(400.0) for line in dashed)
    assert all(line.get_xdata()[-1] == pytest.approx(2000.0) for line in dashed)


def test_drawn_curves_are_the_fitted_function():
    record = record_of((25, 100, 400))
    curve = calibration_figure(record, reach=400.0).axes[0].lines
    solid = [line for line in curve if line.get_linestyle() == "-" and len(line.get_xdata()) > 10]
    for line, delta in zip(solid, (0.05, 0.4), strict=True):
        expected = record.fitted.function().with_heterogeneity(delta).value(np.asarray(line.get_xdata()))
        np.testing.assert_allclose(line.get_ydata(), expected)


def test_labels_of_many_sample_counts_do_not_overlap(tmp_path):
    figure = calibration_figure(record_of(range(25, 400, 10), repeats=1), reach=420.0)
    save_figure(figure, tmp_path / "many.png")
    renderer = figure.canvas.get_renderer()
    for axes in figure.axes:
        boxes = [label.get_window_extent(renderer) for label in axes.get_xticklabels()]
        assert len(boxes) > 3
        assert all(left.x1 < right.x0 for left, right in itertools.pairwise(boxes))


def test_an_unfinished_calibration_has_nothing_to_draw():
    with pytest.raises(ConfigurationError, match="unfinished"):
        calibration_figure(CalibrationRecord(task=TASK), reach=400.0)
