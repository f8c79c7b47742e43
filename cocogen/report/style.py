"""How every figure looks, and how it gets onto disk: one place, so that the figures of a report belong together.

Figures are drawn without a display and without matplotlib's global state, hence safely in worker processes and in
programs that use matplotlib for themselves. Colours are those of Okabe and Ito [1]_, which colour-blind readers tell
apart; give lines a marker or a label as well, because prints are grey.

References
----------
.. [1] M. Okabe, K. Ito, "Color Universal Design", 2008.
"""

from __future__ import annotations

import importlib.util
import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cocogen.errors import ConfigurationError
from cocogen.files import write_atomically

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "MARKERS",
    "PALETTE",
    "colour",
    "figure_format",
    "figure_style",
    "marker",
    "new_figure",
    "require_matplotlib",
    "save_figure",
]

PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")

_DOTS_PER_INCH = 150
_PANEL = (4.6, 3.5)  # inches
_FORMATS = ("png", "svg", "pdf")
_STYLE: dict[str, Any] = {
    "font.family": "sans-serif",
    "font.size": 9.0,
    "axes.titlesize": 10.0,
    "axes.titlelocation": "left",
    "axes.labelsize": 9.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#DDDDDD",
    "grid.linewidth": 0.6,
    "lines.linewidth": 1.6,
    "lines.markersize": 4.5,
    "legend.fontsize": 8.0,
    "legend.frameon": True,
    "legend.edgecolor": "none",
    "legend.framealpha": 0.9,
    "xtick.labelsize": 8.0,
    "ytick.labelsize": 8.0,
    "svg.hashsalt": "cocogen",
}


def colour(index: int) -> str:
    """The colour of series ``index``, as ``#RRGGBB``; the palette starts over after seven."""
    return PALETTE[index % len(PALETTE)]


def marker(index: int) -> str:
    """The marker of series ``index``, to be told apart without colour."""
    return MARKERS[index % len(MARKERS)]


@contextmanager
def figure_style() -> Iterator[None]:
    """Hold the shared style while drawing; whatever the caller's matplotlib was set to comes back afterwards.

    Fonts, spines and grids take effect when their artist is made: create and fill figures inside.
    """
    import matplotlib.style

    with matplotlib.style.context(_STYLE, after_reset=True):
        yield


def new_figure(
    rows: int = 1, columns: int = 1, *, size: tuple[float, float] | None = None, **subplots: Any
) -> tuple[Figure, list[Axes]]:
    """An empty figure and its axes, row by row, in the shared style; draw on them inside :func:`figure_style`.

    Parameters
    ----------
    rows, columns : int
        The grid of panels.
    size : tuple of float, optional
        Width and height in inches; grows with the grid when absent.
    **subplots
        Passed to :meth:`matplotlib.figure.Figure.subplots`: ``sharex``, ``sharey``, ``height_ratios`` and so on.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with figure_style():
        figure = Figure(
            figsize=size or (columns * _PANEL[0], rows * _PANEL[1]), dpi=_DOTS_PER_INCH, layout="constrained"
        )
        FigureCanvasAgg(figure)
        grid = figure.subplots(rows, columns, squeeze=False, **subplots)
    return figure, list(grid.ravel())


def require_matplotlib() -> None:
    """Raise ConfigurationError where figures cannot be drawn; ask before a long computation."""
    if importlib.util.find_spec("matplotlib") is None:
        raise ConfigurationError(
            "figures are drawn by matplotlib, which is not installed",
            hint="install it: pip install 'cocogen[figures]', in a clone make install",
        )


def figure_format(path: str | os.PathLike[str]) -> str:
    """The format that the suffix of ``path`` names; ConfigurationError when figures have no such format, or cannot be
    drawn.

    Ask before a long computation, so that a wrong name is not found at its end.
    """
    require_matplotlib()
    name = Path(path).name
    kind = Path(path).suffix.lower().removeprefix(".")
    if kind not in _FORMATS:
        raise ConfigurationError(
            f"a figure cannot be written as {name!r}",
            hint=f"choose a name that ends in {', '.join('.' + suffix for suffix in _FORMATS)}",
        )
    return kind


def save_figure(figure: Figure, path: str | os.PathLike[str]) -> Path:
    """Write the figure as PNG, SVG or PDF, by the suffix of ``path``; equal figures give equal bytes.

    Raises
    ------
    ConfigurationError
        For any other suffix.
    WorkspaceError
        When the file cannot be written; what was there before stays.
    """
    target = Path(path)
    kind = figure_format(target)
    buffer = io.BytesIO()
    # Dates and versions would make equal figures differ.
    undated: dict[str, dict[str, Any]] = {
        "png": {"Software": None},
        "svg": {"Date": None},
        "pdf": {"CreationDate": None},
    }
    with figure_style():
        figure.savefig(buffer, format=kind, metadata=undated[kind])
    write_atomically(target, buffer.getvalue())
    return target
