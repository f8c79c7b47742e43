"""One's own data from the command line: a path in the terms, and the folder of --data-dir."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer

from tests.examples import typed

CLINICS = Path(__file__).parents[2] / "examples" / "clinics.toml"


@pytest.fixture
def terms(tmp_path: Path) -> Path:
    """The clinics on their own table, whose file lies in another folder than the terms."""
    table = load_breast_cancer()
    (tmp_path / "data").mkdir()
    np.savez(tmp_path / "data" / "own.npz", features=table.data.astype(np.float32), labels=table.target)
    text = CLINICS.read_text().replace('dataset = "diagnostic"', 'dataset = "own.npz"')
    path = tmp_path / "terms.toml"
    path.write_text(text.replace("pretraining_rounds = 30", "pretraining_rounds = 5"))
    return path


def test_the_folder_of_data_dir_holds_the_data_that_the_terms_name_by_path(
    tmp_path: Path, terms: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("COCOGEN_DATA", raising=False)
    code, out, err = typed("solve", terms, "--format", "json")
    assert code == 4
    assert "own.npz" in out + err
    assert "--data-dir" in out + err
    code, out, _ = typed("solve", terms, "--data-dir", tmp_path / "data", "--format", "json")
    assert code == 0
    assert json.loads(out)["data"]["epsilon"] <= 1e-6


def test_a_data_dir_that_is_no_folder_is_refused_at_once(tmp_path: Path, terms: Path) -> None:
    code, _, err = typed("solve", terms, "--data-dir", tmp_path / "nowhere")
    assert code == 2
    assert "nowhere" in err
