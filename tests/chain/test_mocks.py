"""The compiled mock contracts of the Python tests are what the sources in ``contracts/test/mocks`` give."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).resolve().parents[1] / "fixtures" / "compile_mocks.py"


def load_script() -> ModuleType:
    specification = importlib.util.spec_from_file_location("compile_mocks", SCRIPT)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


@pytest.mark.slow
def test_shipped_mocks_are_what_the_sources_give():
    script = load_script()
    if not (script.CONTRACTS / "node_modules" / "solc").is_dir():
        if os.environ.get("CI") == "true":
            pytest.fail("the mock contracts must be compiled with CI=true: cd contracts && npm ci")
        pytest.skip("SKIPPED: no Solidity compiler (cd contracts && npm ci)")
    hint = "run `python tests/fixtures/compile_mocks.py`"
    assert script.FIXTURE.read_text() == script.render(script.compile_mocks()), hint
