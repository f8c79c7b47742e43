"""The examples' terms with some of their text replaced, and commands typed in this process."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path

import pytest

CLINICS = Path(__file__).parents[1] / "examples" / "clinics.toml"
SHORT = (
    ("local_epochs = 5", "local_epochs = 1"),
    ('generator = "cvae"', 'generator = "mixture"\npanel = 20'),
    ("pretraining_rounds = 30", "pretraining_rounds = 2"),
)
"""The clinics, trained for a moment only."""


def edited(path: Path, *edits: tuple[str, str], example: Path = CLINICS) -> Path:
    """``path``, which holds the example with every (old, new) of ``edits``; each old text stands in it."""
    text = example.read_text()
    for old, new in edits:
        assert old in text
        text = text.replace(old, new)
    path.write_text(text)
    return path


def seeds(everyday: int, all_of_them: int) -> list[object]:
    """The seeds of a property that are tried every day, and those that only ``make deep`` tries as well."""
    return [n if n < everyday else pytest.param(n, marks=pytest.mark.deep) for n in range(all_of_them)]


def typed(*arguments: object) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of one command."""
    from cli.main import main

    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), pytest.raises(SystemExit) as stopped:
        main([str(argument) for argument in arguments])
    return int(stopped.value.code or 0), out.getvalue(), err.getvalue()
