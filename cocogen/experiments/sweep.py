"""Sweeps: one quantity over a grid, for each setting, read from a table by the claims and figures of every study.

Left out: what is swept (the modules of each family), how a curve is judged (``claims``) and drawn (``figures``).
"""

from __future__ import annotations

import numpy as np

from cocogen.experiments.figures import Figure, heat_map, single
from cocogen.experiments.table import Cell, Table
from cocogen.game.arrays import Array

__all__ = ["above_first", "largest", "peaks", "peaks_by", "sweep", "welfare_map"]


def sweep(table: Table, x: str, value: str, by: str) -> tuple[Array, dict[Cell, Array]]:
    """The K values of ``x``, and for each value of ``by`` the seeds' curves of ``value``, shape (S, K)."""
    grid: list[Cell] = []
    curves: dict[Cell, Array] = {}
    for key in table.distinct(by):
        grid, curves[key] = table.where(**{by: key}).pivot(x, value)
    return np.array(grid, dtype=np.float64), curves


def above_first(curves: Array) -> Array:
    """By how much curves of shape (S, K) lie above their own first point, in percent of it."""
    return np.asarray(100.0 * (curves - curves[:, :1]) / curves[:, :1])


def largest(table: Table, column: str) -> Array:
    """The largest entry of each seed, shape (S,)."""
    return np.array([table.where(seed=seed).numbers(column).max() for seed in table.distinct("seed")])


def peaks(table: Table, rounding: float = 0.0) -> Array:
    """The incentive with the largest welfare, for each seed, shape (S,); NaN where none beats incentive 0 by more
    than ``rounding``, relative."""
    incentives, welfare = table.pivot("incentive", "welfare")
    better = welfare.max(axis=1) > welfare[:, 0] * (1.0 + rounding)
    return np.where(better, np.array(incentives, dtype=np.float64)[np.argmax(welfare, axis=1)], np.nan)


def peaks_by(table: Table, by: str, rounding: float = 0.0) -> tuple[Array, Array]:
    """The K values of ``by``, and the :func:`peaks` under each, shape (S, K); 0 where no incentive beats none."""
    values = table.distinct(by)
    best = np.stack([peaks(table.where(**{by: value}), rounding) for value in values], axis=1)
    return np.array(values, dtype=np.float64), np.nan_to_num(best, nan=0.0)


def welfare_map(table: Table, by: str, x_label: str, y_label: str, rounding: float = -np.inf) -> Figure:
    """Welfare above incentive 0 over incentive and ``by``, and the best incentive of each row that gains more than
    ``rounding`` per cent."""
    figure, axes = single("Welfare above incentive 0", x_label, y_label)
    grid, welfare = sweep(table, "incentive", "welfare", by)
    rows = np.array([above_first(values).mean(axis=0)[1:] for values in welfare.values()])
    y = [float(value) for value in welfare]
    heat_map(axes, grid[1:].tolist(), y, rows, "welfare (%), mean over markets")
    best = [grid[1 + int(np.argmax(row))] if row.max() > rounding else np.nan for row in rows]
    axes.plot(best, y, color="#000000", marker="o", markersize=3.5, linewidth=1.0, label="best incentive")
    axes.set_xscale("log")
    return figure
