"""What the peers of ``benchmarks/learning.py`` train: models, samples, schedules, and the loop of every tutorial."""

from __future__ import annotations

import functools
import importlib.metadata
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from cocogen.learning.models.classifiers import Classifier, build_classifier
from cocogen.learning.models.states import ModelState
from cocogen.learning.training.local import Schedule

Samples = tuple[NDArray[np.float32], NDArray[np.int64]]
_CIFAR_RECORD = 1 + 3 * 32 * 32


@dataclass(frozen=True)
class Setting:
    """Model, initial parameters, ``samples`` of organization n, and the schedule; ``network`` builds the plain peer.

    ``few`` and ``many``: rounds of the two runs.
    """

    classifier: Classifier
    network: Callable[[], nn.Module]
    samples: Callable[[int], Samples]
    schedule: Schedule
    few: int
    many: int

    @functools.cached_property
    def initial(self) -> ModelState:
        """The parameters from which every peer starts."""
        return self.classifier.initial_state(np.random.default_rng(0))

    def order(self, number: int, n: int) -> np.random.Generator:
        """The stream of organization ``n`` in round ``number``: one permutation for each epoch."""
        return np.random.default_rng([number, n])


def digits(organizations: int) -> Setting:
    """Bundled 8x8 digits, 150 samples each; MLP 64-64-10, batches of 32, 5 local epochs."""
    return Setting(
        build_classifier("mlp", shape=(64,), classes=10, hidden=64),
        lambda: nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10)),
        _digits,
        Schedule(epochs=5, batch_size=32, learning_rate=0.05, momentum=0.9),
        few=10,
        many=50 if organizations <= 20 else 20,  # fifty rounds of a hundred would take Flower a quarter of an hour
    )


def images(organizations: int) -> Setting:  # noqa: ARG001  # every setting takes it
    """CIFAR-10, 300 samples each; LeNet, batches of 32, 1 local epoch.

    The step is short and without momentum: longer ones turn a rounding of 1e-7 into 1e-3 within five rounds, in any two
    implementations, and final weights could not be compared.
    """
    return Setting(
        build_classifier("lenet", shape=(3, 32, 32), classes=10, hidden=1),
        lambda: nn.Sequential(
            *(nn.Unflatten(-1, (3, 32, 32)), nn.Conv2d(3, 6, 5), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()),
            *(nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10)),
        ),
        _images,
        Schedule(epochs=1, batch_size=32, learning_rate=0.01),
        few=3,
        many=13,
    )


SETTINGS: dict[str, Callable[[int], Setting]] = {"digits, mlp 64-64-10": digits, "cifar-10, lenet": images}


@functools.cache
def _digits_table() -> Samples:
    # The file that sklearn.datasets.load_digits reads, without the seconds that importing scikit-learn takes.
    file = importlib.metadata.distribution("scikit-learn").locate_file("sklearn/datasets/data/digits.csv.gz")
    table = np.loadtxt(str(file), delimiter=",", dtype=np.float32)
    return table[:, :-1] / 16, table[:, -1].astype(np.int64)


def _digits(n: int) -> Samples:
    features, labels = _digits_table()
    rows = np.random.default_rng(n).choice(len(labels), 150)
    return features[rows], labels[rows]


@functools.cache
def _images_file() -> NDArray[np.uint8]:
    file = min(Path(os.environ["COCOGEN_DATA"]).rglob("data_batch_*.bin"))
    return np.memmap(file, dtype=np.uint8, mode="r").reshape(-1, _CIFAR_RECORD)


def _images(n: int) -> Samples:
    records = _images_file()
    chosen = records[np.sort(np.random.default_rng(n).choice(len(records), 300))]
    return chosen[:, 1:].astype(np.float32) / 127.5 - 1.0, chosen[:, 0].astype(np.int64)


def local_epochs(
    network: nn.Module, features: torch.Tensor, labels: torch.Tensor, schedule: Schedule, rng: np.random.Generator
) -> None:
    """The training loop of every tutorial, in place."""
    optimizer = torch.optim.SGD(network.parameters(), lr=schedule.learning_rate, momentum=schedule.momentum)
    for _ in range(schedule.epochs):
        order = torch.from_numpy(rng.permutation(len(labels))).to(labels.device)
        for start in range(0, len(labels), schedule.batch_size):
            chosen = order[start : start + schedule.batch_size]
            optimizer.zero_grad()
            nn.functional.cross_entropy(network(features[chosen]), labels[chosen]).backward()
            optimizer.step()
