"""What strangers' tables need: weak signals, no generation, and errors that say what would do."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.examples import edited, typed

QUICK = ('"table.npz"', '"table.npz"\nmodel = "logistic"\n\n[generation]\npretraining_rounds = 2')
EXAMPLE = Path(__file__).parents[2] / "examples" / "table.toml"


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[Any, str]]:
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str, code: int = 0) -> tuple[Any, str]:
        found, out, err = typed(*arguments, "--format", "json")
        assert found == code, out + err
        return json.loads(out), err

    return run


def write(folder: Path, features: Any, labels: Any, *edits: tuple[str, str]) -> Path:
    np.savez(folder / "table.npz", features=features, labels=labels)
    return edited(folder / "terms.toml", ('name = "table"', 'name = "table"\nrounds = 1'), *edits, example=EXAMPLE)


def weak(count: int, positives: int, distance: float) -> tuple[np.ndarray, np.ndarray]:
    """A table, column by column, whose rare class lies ``distance`` deviations off in one column of five."""
    rng = np.random.default_rng(4)
    labels = np.where(rng.permutation(count) < positives, "died", "survived")
    features = rng.standard_normal((count, 5))
    features[:, 0] += distance * (labels == "died")
    return np.asfortranarray(features), labels


@pytest.mark.parametrize(
    ("count", "positives", "distance"),
    [
        pytest.param(228, 63, 0.6, id="weak", marks=pytest.mark.slow),
        pytest.param(1000, 14, 1.2, id="rare", marks=pytest.mark.slow),
    ],
)
def test_a_weak_or_rare_signal_runs_and_is_said_to_be_uncertain_before_training(
    run, tmp_path, count: int, positives: int, distance: float
) -> None:
    terms = write(tmp_path, *weak(count, positives, distance), QUICK)
    answer, said = run("run", terms, "--no-study")
    assert answer["data"]["audit"]["status"] == "PASS"
    assert all(0 < quality <= 1 for quality in answer["data"]["rounds"][0]["quality"].values())
    assert "holdout" in said
    assert "κ may be off by" in said
    assert said.index("κ may be off by") < said.index("training the generator")


@pytest.mark.slow
def test_schemes_are_compared_by_what_they_would_generate_even_where_nobody_does(run, tmp_path) -> None:
    terms = write(tmp_path, *weak(300, 90, 2.0), QUICK, ("rounds = 1", 'rounds = 1\nmechanism = "vcfl"'))
    played, _ = run("run", terms, "--no-study")
    assert set(played["data"]["rounds"][0]["quality"].values()) == {None}
    assert played["data"]["audit"]["status"] == "PASS"
    schemes = run("compare", terms)[0]["data"]["schemes"]
    assert max(amount for scheme in schemes for amount in scheme["strategies"].values()) > 0


def test_what_cannot_be_measured_ends_before_anything_is_trained(run, tmp_path) -> None:
    terms = write(tmp_path, *weak(300, 7, 2.0))
    answer, said = run("run", terms, code=4)
    assert "samples of class died" in answer["error"]["message"]
    assert "learning.holdout_fraction = 0." in answer["error"]["hint"]
    assert "training" not in said


@pytest.mark.parametrize("shape", [(60, 5), (60, 8, 8), (60, 3, 20, 20)])
def test_samples_without_any_variation_end_in_an_error_of_their_own(run, tmp_path, shape: tuple[int, ...]) -> None:
    answer, _ = run("run", write(tmp_path, np.full(shape, 7, dtype=np.uint8), np.arange(60) % 2), code=4)
    assert answer["error"]["code"] == "DatasetError"
    assert "the same" in answer["error"]["message"]
