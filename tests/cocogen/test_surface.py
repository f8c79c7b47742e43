from __future__ import annotations

import doctest
import importlib
import subprocess
import sys

import pytest

import cocogen


@pytest.mark.heavy
def test_importing_the_engine_loads_no_heavy_library():
    code = (
        "import sys, cocogen; from cocogen import CoopetitionGame, solve, certify, mechanism, load_consortium; "
        "print([name for name in ('torch', 'web3', 'scipy.optimize', 'sklearn') if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert found.strip() == "[]"


@pytest.mark.parametrize("name", cocogen.__all__)
def test_every_exported_name_loads(name):
    assert getattr(cocogen, name).__name__ == name


@pytest.mark.parametrize("module", ["", *(f".game.{name}" for name in ("accuracy", "competition", "effective"))])
def test_the_examples_in_docstrings_hold(module):
    outcome = doctest.testmod(importlib.import_module(f"cocogen{module}"))
    assert outcome.attempted > 0
    assert outcome.failed == 0


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'Consortia'"):
        _ = cocogen.Consortia


def test_dir_lists_names_before_they_are_loaded():
    assert set(cocogen.__all__) <= set(dir(cocogen))
