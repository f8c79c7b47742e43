"""The benchmark of own data makes a table that fits its terms, and measures what is really registered."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("polars")
data = pytest.importorskip("benchmarks.data", reason="run python -m pytest in the repository")


def test_the_table_it_makes_is_checked_and_registered(tmp_path: Path) -> None:
    data.make(tmp_path, 2_000)
    for measured in (data.described(tmp_path), data.checked(tmp_path), data.registered(tmp_path)):
        assert min(measured.values()) > 0
    parts = data.parts(tmp_path)
    timed = {"sums", "canonical_rows", "rows_salts_leaves", "tree", "comparison"}
    assert set(parts) == {*timed, *(f"{name}_processor" for name in timed), "peak_mb"}
