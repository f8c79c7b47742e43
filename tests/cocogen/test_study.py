"""The comparison over test folds measures what it says."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from chain.memory import MemoryProvider
from cocogen.consortium import load_consortium
from cocogen.study import study

EXAMPLE = Path(__file__).parents[2] / "examples" / "clinics.toml"


def short(tmp_path, rounds: int) -> Path:
    text = EXAMPLE.read_text()
    for old, new in (
        ("rounds = 5", f"rounds = {rounds}"),
        ("local_epochs = 5", "local_epochs = 2\nsplits = 2"),
        ("sizes = [105, 85, 70, 60, 40, 25]", "sizes = [60, 50, 40, 30, 25, 20]"),
    ):
        assert old in text
        text = text.replace(old, new)
    path = tmp_path / "clinics.toml"
    path.write_text(text)
    return path


def test_every_fold_is_played_three_ways_and_the_same_twice(tmp_path):
    consortium = load_consortium(short(tmp_path, rounds=2))
    first = study(consortium, 3.0, lambda: MemoryProvider(7))
    assert len(first.federated) == len(first.no_generation) == len(first.alone) == 2
    assert np.shape(first.alone_by_organization) == (2, 6)
    assert first.alone[0] == float(np.mean(first.alone_by_organization[0]))
    assert first.federated != first.no_generation
    assert first.mean["federated"] == float(np.mean(first.federated))
    assert study(consortium, 3.0, lambda: MemoryProvider(7), settled=first.federated[0]) == first


def test_a_settled_first_fold_is_reported_as_it_was(tmp_path):
    consortium = load_consortium(short(tmp_path, rounds=1))
    seen: list[tuple[str, int, int]] = []
    told = study(consortium, 3.0, lambda: MemoryProvider(7), settled=0.5, progress=lambda *step: seen.append(step))
    assert told.federated[0] == 0.5
    assert seen[0][1:] == (0, 2)
    assert seen[-1][1:] == (2, 2)
