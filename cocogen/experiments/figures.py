"""The three kinds of figure that experiments draw: curves with interval bands, bars with intervals, maps.

Every mean comes with its 95 % interval by Student's t over the seeds. Style and files are ``cocogen.report.style``'s.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from cocogen.experiments.claims import Interval
from cocogen.game.arrays import Array
from cocogen.report.style import colour, marker, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
else:  # matplotlib is an extra
    Axes = Figure = Any

__all__ = ["Figure", "bars", "curves", "heat_map", "legend_below", "peak_panels", "single", "symmetric_log"]


def single(title: str, x_label: str, y_label: str, *, size: tuple[float, float] = (6.0, 4.2)) -> tuple[Figure, Axes]:
    """One labelled panel."""
    figure, (axes,) = new_figure(size=size)
    axes.set(title=title, xlabel=x_label, ylabel=y_label)
    return figure, axes


def curves(axes: Axes, x: ArrayLike, series: Mapping[str, Array], *, markers: bool = True) -> None:
    """Draw means over seeds with interval bands; each series has shape (S, K) over the K values of x."""
    grid = np.asarray(x, dtype=np.float64)
    for index, (label, values) in enumerate(series.items()):
        intervals = [_interval(column) for column in values.T]
        style: dict[str, Any] = {"marker": marker(index), "markevery": max(1, grid.size // 12)} if markers else {}
        axes.plot(grid, [interval.mean for interval in intervals], color=colour(index), label=label, **style)
        axes.fill_between(
            grid,
            [interval.low for interval in intervals],
            [interval.high for interval in intervals],
            color=colour(index),
            alpha=0.18,
            linewidth=0.0,
        )


def bars(axes: Axes, labels: Sequence[str], values: Array, *, limit: float | None = None) -> None:
    """Draw means of shape (S, K) as horizontal bars with intervals, the first label on top.

    ``limit`` cuts the axis at ± limit; a bar that leaves it carries its mean as a number.
    """
    intervals = [_interval(column) for column in values.T]
    places = np.arange(len(labels))[::-1]
    means = np.array([interval.mean for interval in intervals])
    halves = np.array([interval.high - interval.mean for interval in intervals])
    axes.barh(places, means, xerr=halves, color=colour(0), alpha=0.75, capsize=3.0, height=0.62)
    axes.set_yticks(places, labels)
    axes.axvline(0.0, color="#000000", linewidth=0.8)
    axes.grid(False, axis="y")
    if limit is not None:
        axes.set_xlim(-limit, limit)
        for place, mean in zip(places, means, strict=True):
            if abs(mean) > limit:
                side = -1.0 if mean < 0.0 else 1.0
                axes.text(0.97 * side * limit, place, f"{mean:.2g}", ha="left" if mean < 0.0 else "right", va="center")


def _interval(column: Array) -> Interval:
    """Where fewer than two markets have a measurement nothing is drawn."""
    if np.isfinite(column).sum() > 1:
        return Interval.of(column)
    return Interval(np.nan, np.nan, np.nan, 0)


def heat_map(axes: Axes, x: Sequence[float], y: Sequence[float], mean: Array, label: str) -> None:
    """Draw means of shape (len(y), len(x)), gains in blue and losses in red; losses beyond the largest gain saturate.

    Losses may be ten times the largest gain; a scale over all of them would leave no colour for where the gains are.
    """
    limit = float(np.nanmax(mean))
    clipped = float(np.nanmin(mean)) < -limit
    if limit <= 0.0:
        limit, clipped = float(-np.nanmin(mean)) or 1.0, False
    mesh = axes.pcolormesh(
        np.asarray(x), np.asarray(y), mean, shading="nearest", rasterized=True, cmap="RdBu", vmin=-limit, vmax=limit
    )
    axes.grid(False)
    axes.figure.colorbar(mesh, ax=axes, label=label, extend="min" if clipped else "neither")


def peak_panels(
    title: str, x: ArrayLike, x_label: str, y_label: str, series: Mapping[str, Array], smallest: float
) -> Figure:
    """One panel for each series of shape (S, K), scaled to its peak: what falls far below it leaves the panel.

    ``title`` precedes each label; x starts at 0 and goes on logarithmically from ``smallest``.
    """
    figure, axes = new_figure(-(-len(series) // 2), 2, size=(9.2, 6.4), sharex=True)
    grid = np.asarray(x, dtype=np.float64)
    for panel, (label, values) in zip(axes, series.items(), strict=False):
        curves(panel, grid, {label: values})
        symmetric_log(panel, smallest)
        panel.axhline(0.0, color="#000000", linewidth=0.8)
        panel.set_title(f"{title}{label}")
        top = max(Interval.of(column).high for column in values.T)
        if top > 0.02 * float(-values.mean(axis=0).min()):
            panel.set_ylim(-1.2 * top, 1.2 * top)
    for panel in axes[-2:]:
        panel.set_xlabel(x_label)
    for panel in axes[::2]:
        panel.set_ylabel(y_label)
    return figure


def legend_below(axes: Axes, columns: int = 3) -> None:
    """Put the legend outside the data."""
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=columns)


def symmetric_log(axes: Axes, smallest: float) -> None:
    """A logarithmic x axis that has a place for 0, left of the smallest positive value."""
    axes.set_xscale("symlog", linthresh=smallest, linscale=0.4)
