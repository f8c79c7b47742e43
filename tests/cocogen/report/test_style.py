"""Every figure of a report: same look, no display, no global state, and a file that is whole or not there."""

from __future__ import annotations

import subprocess
import sys

import pytest

from cocogen.errors import ConfigurationError, WorkspaceError
from cocogen.report.style import (
    MARKERS,
    PALETTE,
    colour,
    figure_format,
    figure_style,
    marker,
    new_figure,
    save_figure,
)


def drawn():
    with figure_style():
        figure, (axes,) = new_figure()
        axes.plot([1.0, 2.0], [3.0, 4.0], marker=marker(0), color=colour(0), label="δ̄ = 0.1")
        axes.set_xlabel("effective samples Ω")
        axes.legend()
    return figure


@pytest.mark.parametrize(("suffix", "magic"), [("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")])
def test_equal_figures_give_equal_bytes(tmp_path, suffix, magic):
    files = [save_figure(drawn(), tmp_path / f"{name}.{suffix}") for name in "ab"]
    assert files[0].read_bytes() == files[1].read_bytes()
    assert files[0].read_bytes().startswith(magic)


@pytest.mark.parametrize("name", ["figure.docx", "figure"])
def test_another_format_is_refused_with_those_that_are_known(tmp_path, name):
    with pytest.raises(ConfigurationError, match=name) as caught:
        save_figure(drawn(), tmp_path / name)
    assert ".png, .svg, .pdf" in caught.value.hint
    assert list(tmp_path.iterdir()) == []


def test_the_suffix_names_the_format_in_either_case():
    assert figure_format("folder/Figure.PNG") == "png"


def test_a_figure_that_cannot_be_written_leaves_what_was_there(tmp_path):
    (tmp_path / "file").write_text("kept")
    with pytest.raises(WorkspaceError, match="cannot be written"):
        save_figure(drawn(), tmp_path / "file" / "figure.png")
    assert (tmp_path / "file").read_text() == "kept"


def test_panels_come_row_by_row():
    figure, axes = new_figure(2, 3, sharex=True)
    assert len(axes) == 6
    positions = [panel.get_subplotspec().num1 for panel in axes]
    assert positions == list(range(6))
    assert tuple(figure.get_size_inches()) == pytest.approx((13.8, 7.0))


def test_the_palette_starts_over():
    assert colour(len(PALETTE)) == colour(0)
    assert marker(len(MARKERS)) == marker(0)


@pytest.mark.heavy
def test_drawing_leaves_the_callers_matplotlib_alone():
    script = (
        "import sys, matplotlib; from cocogen.report.style import figure_style, new_figure\n"
        "settings = lambda: {key: matplotlib.rcParams[key] for key in matplotlib.rcParams if key != 'backend'}\n"
        "matplotlib.rcParams['axes.grid'] = False; before = settings()\n"
        "with figure_style(): new_figure(1, 2); assert matplotlib.rcParams['axes.grid']\n"
        "assert settings() == before; assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", script], check=True)


@pytest.mark.heavy
def test_importing_the_style_does_not_load_matplotlib():
    script = "import sys, cocogen.report.style; assert 'matplotlib' not in sys.modules"
    subprocess.run([sys.executable, "-c", script], check=True)
