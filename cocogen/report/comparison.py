"""The comparison of schemes as a figure: welfare against the planner, and who gains what over going alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cocogen.report.style import colour, figure_style, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from cocogen.mechanisms.comparison import Comparison

__all__ = ["draw_comparison"]


def draw_comparison(comparison: Comparison, names: tuple[str, ...], title: str) -> Figure:
    """Two panels: welfare of each scheme, and each organization's surplus over going alone, currency a round."""
    rows = list(comparison.rows)[::-1]
    labels = [row.name + (f"\n{row.rule}" if row.rule else "") for row in rows]
    height = 1.4 + 0.52 * len(rows)
    figure, (left, right) = new_figure(1, 2, size=(11.0, height), sharey=True)
    with figure_style():
        places = np.arange(len(rows))
        welfare = np.array([row.welfare for row in rows])
        left.hlines(places, welfare.min(), welfare, color="#BBBBBB", linewidth=1.0)
        left.plot(welfare, places, "o", color=colour(0))
        left.axvline(comparison.planner_welfare, color=colour(1), linestyle="--", linewidth=1.2)
        left.set_yticks(places, labels)
        left.set_ylim(-0.7, len(rows) - 0.3)
        left.set_xlabel("social welfare, currency a round (dashed: the planner's optimum)")
        left.set_title(title)
        for place, row in zip(places, rows, strict=True):
            loses = row.surplus < -1e-9
            right.plot(row.surplus[~loses], np.full((~loses).sum(), place), "o", color=colour(0), alpha=0.65)
            right.plot(row.surplus[loses], np.full(loses.sum(), place), "X", color=colour(1), alpha=0.9)
        right.axvline(0.0, color="#444444", linewidth=1.0)
        right.set_xlabel("surplus over going alone, currency a round: one mark an organization")
        right.set_title(f"who gains (circle) and who loses (cross), of {len(names)}")
    return figure
