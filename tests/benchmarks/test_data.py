"""The benchmark of own data makes a table that fits its terms, and measures what is really registered."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("polars")
data = pytest.importorskip("benchmarks.data", reason="run python -m pytest in the repository")


def test_the_table_it_makes_is_checked_and_registered(tmp_path: Path) -> None:
    data.make(tmp_path, 2_000)
    assert data.described(tmp_path)[0] > 0
    assert data.checked(tmp_path)[0] > 0
    parts = data.parts(tmp_path)
    assert set(parts) == {"sums", "canonical_rows", "rows_salts_leaves", "tree", "comparison", "peak_mb"}
    assert data.registered(tmp_path)[1] > 0
