"""Whole federated runs against Flower's simulation: same initial weights, data, batch order, epochs and aggregation.

A run of few and one of many rounds tell start-up and slope apart: slope is the seconds of one more round, start-up what
a run costs beyond its rounds. Imports are not counted on either side. Flower's client is what its own documentation
shows: a PyTorch module, an optimiser and a loop. Needs the extra with Flower's simulation
(``pip install 'flwr[simulation]==1.41.*'``); the image case reads CIFAR-10's binary files from COCOGEN_DATA.
"""

from __future__ import annotations

import argparse
import functools
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from benchmarks.harness import in_fresh_process, main, resident_peak_mb
from cocogen.learning.federated import evaluate
from cocogen.learning.models import Classifier
from cocogen.learning.states import ModelState, average
from cocogen.learning.training import LocalWork, Schedule, train

SAMPLES = 150
SEED = 0


@dataclass(frozen=True, slots=True)
class Case:
    """A data set, a model and its local training; ``few`` and ``many`` rounds give the slope."""

    dataset: str
    model: str
    few: int
    many: int
    schedule: Schedule


CASES = (
    Case("digits", "mlp 64-64-10", 10, 50, Schedule(5, 32, learning_rate=0.05, momentum=0.9)),
    # With momentum this network's training is unstable enough to turn a rounding of 1e-7 into 1e-2 within one round,
    # in any two implementations; without it final weights can be compared.
    Case("cifar-10 sample", "lenet", 3, 9, Schedule(5, 32, learning_rate=0.01)),
)


class LeNet(nn.Module):
    """LeNet-5 with rectified units and max pooling, for images of 3 × 32 × 32 that arrive flattened."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 6, 5),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(6, 16, 5),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
        )
        self.head = nn.Sequential(nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10))

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Logits (n, 10) for inputs (n, 3072)."""
        return self.head(self.features(inputs.reshape(-1, 3, 32, 32)))


def network(case: Case) -> nn.Module:
    if case.model == "lenet":
        return LeNet()
    return nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))


@functools.cache
def samples(case: Case) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """All samples, features flat and in [0, 1]."""
    if case.dataset == "digits":
        from sklearn.datasets import load_digits

        features, labels = load_digits(return_X_y=True)
        return (features / 16).astype(np.float32), labels.astype(np.int64)
    path = Path(os.environ["COCOGEN_DATA"]) / "cifar-10-batches-bin" / "data_batch_1.bin"
    records = np.frombuffer(path.read_bytes(), dtype=np.uint8).reshape(-1, 3073)
    return (records[:, 1:] / 255).astype(np.float32), records[:, 0].astype(np.int64)


def own(case: Case, n: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """The samples of organization ``n``."""
    features, labels = samples(case)
    rows = np.random.default_rng([SEED, n]).choice(len(labels), SAMPLES)
    return features[rows], labels[rows]


def order(number: int, n: int) -> np.random.Generator:
    """The stream of batches of organization ``n`` in a round; one permutation for each epoch."""
    return np.random.default_rng([SEED, number, n])


def ours(case: Case, organizations: int, rounds: int) -> dict[str, Any]:
    """Seconds and final weights of a run of this package."""
    torch.set_num_threads(1)
    model = Classifier(network(case), 10)
    initial = model.initial_state(np.random.default_rng(SEED))
    data = [own(case, n) for n in range(organizations)]
    begin = time.perf_counter()
    state = initial
    for number in range(1, rounds + 1):
        works = [LocalWork(state, *each, order(number, n)) for n, each in enumerate(data)]
        state = average([result.state for result in train(model, works, case.schedule)], [SAMPLES] * organizations)
    seconds = time.perf_counter() - begin
    return {"seconds": seconds, "weights": dict(state.items()), "peak_mb": resident_peak_mb()}


def flower(case: Case, organizations: int, rounds: int) -> dict[str, Any]:
    """Seconds and final weights of a run of Flower's simulation."""
    root = str(Path(__file__).parents[1])
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
    os.environ |= {"FLWR_TELEMETRY_ENABLED": "0", "RAY_USAGE_STATS_ENABLED": "0"}

    from flwr.app import ArrayRecord, Context, Message, MetricRecord, RecordDict
    from flwr.clientapp import ClientApp
    from flwr.serverapp import Grid, ServerApp
    from flwr.serverapp.strategy import FedAvg
    from flwr.simulation import run_simulation

    client, server = ClientApp(), ServerApp()

    @client.train()
    def local(message: Message, context: Context) -> Message:
        torch.set_num_threads(1)
        n, number = int(context.node_config["partition-id"]), int(message.content["config"]["server-round"])
        model = network(case)
        model.load_state_dict(message.content["arrays"].to_torch_state_dict())
        rng, (features, labels) = order(number, n), map(torch.from_numpy, own(case, n))
        optimizer = torch.optim.SGD(model.parameters(), lr=case.schedule.learning_rate, momentum=case.schedule.momentum)
        for _ in range(case.schedule.epochs):
            rows = torch.from_numpy(rng.permutation(len(labels)))
            for start in range(0, len(labels), case.schedule.batch_size):
                chosen = rows[start : start + case.schedule.batch_size]
                optimizer.zero_grad()
                nn.functional.cross_entropy(model(features[chosen]), labels[chosen]).backward()
                optimizer.step()
        metrics = MetricRecord({"num-examples": len(labels)})
        return Message(RecordDict({"arrays": ArrayRecord(model.state_dict()), "metrics": metrics}), reply_to=message)

    found: dict[str, NDArray[np.float32]] = {}

    @server.main()
    def run(grid: Grid, context: Context) -> None:  # noqa: ARG001  # Flower's signature
        initial = Classifier(network(case), 10).initial_state(np.random.default_rng(SEED))
        arrays = ArrayRecord({name: torch.from_numpy(value) for name, value in initial.items()})
        strategy = FedAvg(fraction_evaluate=0.0, min_train_nodes=organizations, min_available_nodes=organizations)
        result = strategy.start(grid, arrays, num_rounds=rounds)
        found.update((name, value.numpy()) for name, value in result.arrays.to_torch_state_dict().items())

    resources = {"client_resources": {"num_cpus": 1, "num_gpus": 0.0}}
    begin = time.perf_counter()
    run_simulation(server, client, num_supernodes=organizations, backend_config=resources)
    seconds = time.perf_counter() - begin
    return {"seconds": seconds, "weights": found, "peak_mb": resident_peak_mb()}


def slope(few: list[float], many: list[float], case: Case) -> tuple[float, float]:
    """Seconds of one more round, and of start-up, from the medians of runs of few and of many rounds."""
    short, long = float(np.median(few)), float(np.median(many))
    each = (long - short) / (case.many - case.few)
    return each, short - case.few * each


def cases(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    for case in CASES:
        if options.only and options.only not in f"{case.model} {case.dataset}":
            continue
        if case.dataset != "digits" and "COCOGEN_DATA" not in os.environ:
            print(f"SKIPPED: {case.dataset} needs COCOGEN_DATA", file=sys.stderr)
            continue
        for organizations in options.sizes:
            yield _row(case, organizations, options.repeats)


def _row(case: Case, organizations: int, repeats: int) -> dict[str, Any]:
    seconds: dict[tuple[str, int], list[float]] = {}
    last: dict[str, dict[str, Any]] = {}
    difference = 0.0
    in_fresh_process(ours, case, organizations, 1)  # reads the data from the disk once
    for _ in range(repeats):
        for rounds in (case.few, case.many):
            for name, run in (("ours", ours), ("flower", flower)):
                last[name] = in_fresh_process(run, case, organizations, rounds)
                seconds.setdefault((name, rounds), []).append(last[name]["seconds"])
            mine, theirs = last["ours"]["weights"], last["flower"]["weights"]
            if mine.keys() != theirs.keys():
                raise RuntimeError(f"Flower's run ended with the parameters {sorted(theirs)}, not {sorted(mine)}")
            difference = max(difference, *(float(np.abs(mine[name] - theirs[name]).max()) for name in mine))
    each, start = slope(seconds["ours", case.few], seconds["ours", case.many], case)
    their_each, their_start = slope(seconds["flower", case.few], seconds["flower", case.many], case)
    whole, their_whole = (float(np.median(seconds[name, case.few])) for name in ("ours", "flower"))
    features, labels = samples(case)
    final = ModelState(last["ours"]["weights"])
    return {
        "dataset": case.dataset,
        "model": case.model,
        "organizations": organizations,
        "rounds": case.few,
        "seconds": whole,
        "seconds_per_round": each,
        "startup_seconds": start,
        "accuracy": evaluate(Classifier(network(case), 10), final, features, labels).accuracy,
        "baseline": "Flower simulation",
        "baseline_seconds": their_whole,
        "baseline_seconds_per_round": their_each,
        "baseline_startup_seconds": their_start,
        "ratio": their_whole / whole,
        "ratio_per_round": their_each / each,
        "largest_weight_difference": difference,
        "device": "cpu, 1 thread a process",
        "peak_mb": last["ours"]["peak_mb"],
        "baseline_peak_mb": last["flower"]["peak_mb"],
    }


if __name__ == "__main__":
    from benchmarks import learning_flower  # Ray's workers look functions up in a module that they can import

    main("learning_flower", learning_flower.cases, sizes=[10], repeats=1)
