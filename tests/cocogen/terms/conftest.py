from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture
def altered(tmp_path: Path, request: pytest.FixtureRequest) -> Callable[[str, str], Path]:
    """Write the test module's EXAMPLE with one text replaced, and return the path."""

    def write(old: str, new: str) -> Path:
        text = request.module.EXAMPLE.read_text()
        assert old in text
        path = tmp_path / "terms.toml"
        path.write_text(text.replace(old, new, 1))
        return path

    return write
