"""Federated rounds: our training stacked and looped, and the plain PyTorch loop, on equal models, data and batches.

One setting fixes all three (:func:`digits`, :func:`images`), so that another peer can be run on the same. A run is
what it takes from the data to the model after so many rounds: local training and averaging, without evaluation or
evidence. Whole runs and the slope, seconds per further round between 10 and 50, are reported apart. This is what
decides :data:`cocogen.learning.training.STACK_FROM`, and that convolutions are looped on a CPU.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from benchmarks.harness import in_fresh_process, main, paired, resident_peak_mb
from cocogen.learning.models import Classifier, build_classifier
from cocogen.learning.states import ModelState, average
from cocogen.learning.training import LocalResult, LocalWork, Schedule, train, train_looped, train_stacked

ROUNDS, MORE_ROUNDS = 10, 50
_CIFAR_RECORD = 1 + 3 * 32 * 32


@dataclass(frozen=True)
class Setting:
    """Model, initial parameters, each organization's samples, and the schedule; ``network`` builds the plain peer.

    Batches: organization n draws the permutation of each epoch of round r from ``order(r, n)``.
    """

    name: str
    classifier: Classifier
    network: Callable[[], nn.Module]
    initial: ModelState
    features: list[NDArray[np.float32]]
    labels: list[NDArray[np.int64]]
    schedule: Schedule

    def order(self, round_number: int, organization: int) -> np.random.Generator:
        """The stream of an organization's permutations in a round."""
        return np.random.default_rng([round_number, organization])

    def works(self, round_number: int, state: ModelState) -> list[LocalWork]:
        """Everybody's part of a round that starts from ``state``."""
        parts = enumerate(zip(self.features, self.labels, strict=True))
        return [LocalWork(state, x, y, self.order(round_number, n)) for n, (x, y) in parts]


def digits(organizations: int, samples: int = 150) -> Setting:
    """Bundled 8x8 digits, resampled to ``samples`` each; MLP 64-64-10, batches of 32, 5 local epochs."""
    from sklearn.datasets import load_digits

    table = load_digits()
    features, labels = (table.data / 16.0).astype(np.float32), table.target.astype(np.int64)
    rows = [np.random.default_rng(n).choice(len(labels), samples) for n in range(organizations)]
    classifier = build_classifier("mlp", shape=(64,), classes=10, hidden=64)
    return Setting(
        "digits, mlp 64-64-10",
        classifier,
        lambda: nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10)),
        classifier.initial_state(np.random.default_rng(0)),
        [features[chosen] for chosen in rows],
        [labels[chosen] for chosen in rows],
        Schedule(epochs=5, batch_size=32, learning_rate=0.05, momentum=0.9),
    )


def images(organizations: int, samples: int = 300) -> Setting:
    """CIFAR-10 in its binary layout below ``COCOGEN_DATA``, ``samples`` each; LeNet, batches of 32, 1 local epoch."""
    files = sorted(Path(os.environ["COCOGEN_DATA"]).rglob("data_batch_*.bin"))
    records = np.concatenate([np.fromfile(file, dtype=np.uint8).reshape(-1, _CIFAR_RECORD) for file in files])
    features, labels = records[:, 1:].astype(np.float32) / 127.5 - 1.0, records[:, 0].astype(np.int64)
    rows = [np.random.default_rng(n).choice(len(labels), samples) for n in range(organizations)]
    classifier = build_classifier("lenet", shape=(3, 32, 32), classes=10, hidden=1)
    return Setting(
        "cifar-10, lenet",
        classifier,
        _plain_lenet,
        classifier.initial_state(np.random.default_rng(0)),
        [features[chosen] for chosen in rows],
        [labels[chosen] for chosen in rows],
        Schedule(epochs=1, batch_size=32, learning_rate=0.02, momentum=0.9),
    )


def _plain_lenet() -> nn.Module:
    return nn.Sequential(
        *(nn.Unflatten(-1, (3, 32, 32)), nn.Conv2d(3, 6, 5), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()),
        *(nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10)),
    )


def ours(
    setting: Setting, rounds: int, run: Callable[[Classifier, list[LocalWork], Schedule], list[LocalResult]] = train
) -> ModelState:
    """Federated averaging with this package."""
    state, weights = setting.initial, [len(labels) for labels in setting.labels]
    for number in range(rounds):
        results = run(setting.classifier, setting.works(number, state), setting.schedule)
        state = average([result.state for result in results], weights)
    return state


def plain(setting: Setting, rounds: int) -> ModelState:
    """What one would write without this package: a module, an optimizer, and a loop."""
    schedule, network = setting.schedule, setting.network()
    data = [(torch.from_numpy(x), torch.from_numpy(y)) for x, y in zip(setting.features, setting.labels, strict=True)]
    shared = {name: torch.from_numpy(array.copy()) for name, array in setting.initial.items()}
    total = sum(len(labels) for _, labels in data)
    for number in range(rounds):
        sums = {name: torch.zeros_like(value) for name, value in shared.items()}
        for n, (features, labels) in enumerate(data):
            network.load_state_dict(shared)
            optimizer = torch.optim.SGD(network.parameters(), lr=schedule.learning_rate, momentum=schedule.momentum)
            rng = setting.order(number, n)
            for _ in range(schedule.epochs):
                order = torch.from_numpy(rng.permutation(len(labels)))
                for start in range(0, len(labels), schedule.batch_size):
                    chosen = order[start : start + schedule.batch_size]
                    optimizer.zero_grad()
                    nn.functional.cross_entropy(network(features[chosen]), labels[chosen]).backward()
                    optimizer.step()
            for name, value in network.state_dict().items():
                sums[name] += value * (len(labels) / total)
        shared = sums
    return ModelState({name: value.numpy() for name, value in shared.items()})


def difference(one: ModelState, other: ModelState) -> float:
    """Largest absolute difference of two models' parameters."""
    return max(float(np.abs(one[name] - other[name]).max()) for name in one)


def memory_mb(make: Callable[[int], Setting], organizations: int, threads: int) -> float:
    """Peak resident memory of one round with this package, in a process that does nothing else, MB."""
    torch.set_num_threads(threads)
    ours(make(organizations), 1)
    return resident_peak_mb()


def _case(make: Callable[[int], Setting], organizations: int, repeats: int, threads: int) -> Iterator[dict[str, Any]]:
    setting = make(organizations)
    gap = difference(ours(setting, ROUNDS), plain(setting, ROUNDS))
    memory = in_fresh_process(memory_mb, make, organizations, threads)
    slow = not setting.classifier.dense
    peers: dict[str, Callable[[int], Any]] = {"plain PyTorch loop": lambda rounds: plain(setting, rounds)}
    peers["looped"] = lambda rounds: ours(setting, rounds, train_looped)
    if slow:
        peers["stacked"] = lambda rounds: ours(setting, rounds, train_stacked)
        del peers["looped"]
    for baseline, peer in peers.items():
        seconds, theirs, ratio = paired(lambda: ours(setting, ROUNDS), lambda run=peer: run(ROUNDS), repeats)
        row = {
            "setting": setting.name,
            "organizations": organizations,
            "rounds": ROUNDS,
            "seconds": seconds,
            "rounds_per_second": ROUNDS / seconds,
            "baseline": baseline,
            "baseline_seconds": theirs,
            "ratio": ratio,
            "largest_difference_to_plain": gap,
            "peak_mb": memory,
            "device": f"cpu, {threads} thread{'s' if threads > 1 else ''}",
        }
        if baseline == "plain PyTorch loop" and not slow:
            more, their_more, _ = paired(lambda: ours(setting, MORE_ROUNDS), lambda run=peer: run(MORE_ROUNDS), 1)
            row["seconds_per_further_round"] = (more - seconds) / (MORE_ROUNDS - ROUNDS)
            row["baseline_seconds_per_further_round"] = (their_more - theirs) / (MORE_ROUNDS - ROUNDS)
        yield row


def cases(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    torch.set_num_threads(1)
    chosen = options.only or ""
    if chosen in "digits, mlp 64-64-10":
        for organizations in options.sizes:
            yield from _case(digits, organizations, options.repeats, 1)
    if chosen not in "cifar-10, lenet":
        return
    if "COCOGEN_DATA" not in os.environ:
        print("SKIPPED: CIFAR-10; set COCOGEN_DATA to a folder that holds data_batch_*.bin", flush=True)
        return
    for threads in sorted({1, os.cpu_count() or 1}):
        torch.set_num_threads(threads)
        yield from _case(images, 10, options.repeats, threads)


if __name__ == "__main__":
    main("learning", cases, sizes=[1, 2, 3, 6, 10, 20, 50, 100], repeats=3)
