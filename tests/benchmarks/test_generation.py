"""The benchmark of generation pairs what belongs together, and its oracle hands out what it was given."""

from __future__ import annotations

import os

import numpy as np
import pytest

from cocogen.data.samples import Samples
from cocogen.terms.consortium import load_consortium
from cocogen.terms.sections import Partition

generation = pytest.importorskip("benchmarks.generation", reason="run python -m pytest in the repository")


def rows(training: str, **accuracies: float) -> list[dict]:
    return [{"training": training, "seed": int(seed[1:]), "accuracy": value} for seed, value in accuracies.items()]


def test_differences_are_those_of_one_seed_in_whatever_order_they_come():
    measured = [
        *rows("mixture", s1=0.30, s2=0.40, s3=0.50),
        *rows(generation.NONE, s3=0.40, s1=0.28, s2=0.34),
        *rows(generation.LONGER, s2=0.45, s3=0.50, s1=0.40),
    ]
    found = {row["difference"]: row for row in generation.compare(measured)}
    assert set(found) == {
        "mixture - no generation",
        "no generation, more rounds - no generation",
        "mixture - no generation, more rounds",
    }
    paired = found["mixture - no generation"]
    assert paired["mean"] == pytest.approx(0.06)  # of 0.02, 0.06 and 0.10
    assert paired["standard_error"] == pytest.approx(0.04 / np.sqrt(3))
    assert paired["high"] - paired["mean"] == pytest.approx(4.302653 * paired["standard_error"])
    assert paired["mean"] - paired["low"] == pytest.approx(paired["high"] - paired["mean"])
    assert paired["seeds"] == 3
    assert found["mixture - no generation, more rounds"]["mean"] == pytest.approx(-0.05)


def test_the_oracle_draws_every_label_from_all_real_samples_of_that_class():
    labels = np.array([2, 0, 1, 2, 0, 2])
    reserve = Samples(np.arange(6, dtype=np.float32)[:, None], labels)
    oracle = generation.Oracle(reserve)
    state = oracle.initial_state(np.random.default_rng(0))
    wanted = np.repeat([0, 1, 2], 50)
    drawn = oracle.sample(state, wanted, np.random.default_rng(1))
    assert drawn.shape == (150, 1)
    assert drawn.dtype == np.float32
    assert np.array_equal(labels[drawn[:, 0].astype(int)], wanted)
    assert set(drawn[:, 0]) == set(range(6))
    assert np.array_equal(drawn, oracle.sample(state, wanted, np.random.default_rng(1)))
    assert oracle.sample(state, np.array([], dtype=np.int64), np.random.default_rng(1)).shape == (0, 1)


@pytest.mark.deep
@pytest.mark.skipif("COCOGEN_DATA" not in os.environ, reason="SET COCOGEN_DATA to a folder with cifar-10-batches-bin/")
def test_all_ways_of_a_seed_start_from_the_same_samples_and_the_same_model(monkeypatch):
    terms = load_consortium(generation.TERMS)
    partition = Partition(alpha=0.1, sizes=(30,) * 10)
    smaller = {"learning": terms.learning.model_copy(update={"samples": 3000, "partition": partition})}
    monkeypatch.setattr(generation, "load_consortium", lambda path: load_consortium(path).model_copy(update=smaller))
    setting = generation.Setting.of(100, {}, rounds=1)
    planned, none = setting.play("mixture"), setting.play(generation.NONE, generation.NO_GENERATION)
    oracle = generation.Setting.of(100, {}, 1, generation.Oracle(setting.task.attester.holdout))
    assert np.array_equal(oracle.task.label_mix, setting.task.label_mix)
    ours, other = oracle.registration.shared, setting.registration.shared
    assert ours.classifier.digest() == other.classifier.digest()
    assert none["synthetic"] == 0 < planned["synthetic"]
    assert none["skew_trained_on"] == pytest.approx(none["skew"])
    assert planned["skew_trained_on"] < 0.1 * planned["skew"]
    assert none["accuracy"] == setting.task.train_together(1).accuracy
    assert setting.play_longer(planned)["rounds"] == round(1 + planned["synthetic"] / planned["real"])
