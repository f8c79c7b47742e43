"""Local training of one round: stacked against the plain PyTorch loop, and against our own loop.

Same data, model, batch size and epochs: the diagnostic table resampled to a given number of samples an organization.
This is what decides that dense models train stacked from two organizations on.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import nn

from benchmarks.harness import main, paired, peak_mb
from cocogen.learning.datasets import load
from cocogen.learning.models import build_classifier
from cocogen.learning.training import LocalWork, Schedule, train_looped, train_stacked

SAMPLES = 150
SCHEDULE = Schedule(epochs=5, batch_size=32, learning_rate=0.05, momentum=0.9)


def plain_loop(works: list[LocalWork]) -> None:
    """What one would write without this package: a module, an optimiser, and a loop."""
    for work in works:
        model = nn.Sequential(nn.Linear(work.features.shape[1], 32), nn.ReLU(), nn.Linear(32, 2))
        optimizer = torch.optim.SGD(model.parameters(), lr=SCHEDULE.learning_rate, momentum=SCHEDULE.momentum)
        features, labels = torch.from_numpy(work.features), torch.from_numpy(work.labels)
        for _ in range(SCHEDULE.epochs):
            order = torch.randperm(len(labels))
            for start in range(0, len(labels), SCHEDULE.batch_size):
                chosen = order[start : start + SCHEDULE.batch_size]
                optimizer.zero_grad()
                nn.functional.cross_entropy(model(features[chosen]), labels[chosen]).backward()
                optimizer.step()


def cases(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    torch.set_num_threads(1)
    dataset = load("diagnostic")
    features = ((dataset.features - dataset.features.mean(0)) / dataset.features.std(0)).astype(np.float32)
    model = build_classifier("mlp", shape=(features.shape[1],), classes=2, hidden=32)
    initial = model.initial_state(np.random.default_rng(0))

    def works(organizations: int) -> list[LocalWork]:
        made = []
        for n in range(organizations):
            rows = np.random.default_rng(n).choice(len(features), SAMPLES)
            made.append(LocalWork(initial, features[rows], dataset.labels[rows], np.random.default_rng(n)))
        return made

    for organizations in options.sizes:
        for baseline, run in (("plain PyTorch loop", plain_loop), ("looped", None)):
            if options.only and options.only not in f"mlp {baseline}":
                continue

            def other(run: Any = run, count: int = organizations) -> None:
                run(works(count)) if run else train_looped(model, works(count), SCHEDULE)

            seconds, theirs, ratio = paired(
                lambda count=organizations: train_stacked(model, works(count), SCHEDULE), other, options.repeats
            )
            yield {
                "dataset": "diagnostic",
                "model": "mlp 30-32-2",
                "organizations": organizations,
                "seconds_per_round": seconds,
                "baseline": baseline,
                "baseline_seconds_per_round": theirs,
                "ratio": ratio,
                "device": "cpu, 1 thread",
                "peak_mb": peak_mb(),
            }


if __name__ == "__main__":
    main("learning", cases, sizes=[2, 6, 20, 50], repeats=5)
