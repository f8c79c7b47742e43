"""Whole federated runs of one setting: this package, a plain PyTorch loop, and Flower's simulation.

One setting fixes the model, its initial weights, every organization's samples, the batch order and the schedule, so
that the final weights can be compared too. A run is what it takes from the data to the model after so many rounds:
local training and averaging, without evaluation or evidence. Every run has a process of its own, and the peers take
turns. Imports are not counted; what torch imports and prepares within its first round is reported apart
(``first_round_seconds``), except that Flower's workers do so within the run, as they do for everybody. Runs of few
and of many rounds tell start-up and slope apart: the slope is the seconds of one more round, start-up what a run costs
beyond its rounds. Times are medians of ``--repeats`` runs, but one of Flower's. This is what decides
:data:`cocogen.learning.training.local.STACK_FROM`, and that convolutions are looped on a CPU.

Flower is measured where it is installed (``pip install 'cocogen[simulation]'``); the images are CIFAR-10's binary
files below ``COCOGEN_DATA``; a GPU is used where there is one. Flower's runs take most of the time.
"""

from __future__ import annotations

import argparse
import functools
import importlib.metadata
import importlib.util
import os
import sys
import time
from collections.abc import Callable, Iterator
from statistics import median
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.harness import in_fresh_process, main, resident_peak_mb
from benchmarks.learning_settings import SETTINGS, Setting, local_epochs
from cocogen.learning.models.states import ModelState, average
from cocogen.learning.training.local import LocalWork, train, train_looped, train_stacked

FLOWER = "Flower simulation"


def ours(
    setting: Setting, organizations: int, rounds: int, device: torch.device, run: Callable[..., Any] = train
) -> ModelState:
    """Federated averaging with this package."""
    data = [setting.samples(n) for n in range(organizations)]
    state, weights = setting.initial, [len(labels) for _, labels in data]
    for number in range(1, rounds + 1):
        works = [LocalWork(state, *each, setting.order(number, n)) for n, each in enumerate(data)]
        results = run(setting.classifier, works, setting.schedule, device)
        state = average([result.state for result in results], weights)
    return state


def plain(setting: Setting, organizations: int, rounds: int, device: torch.device) -> ModelState:
    """What one would write without this package: a module, an optimizer, and a loop."""
    network = setting.network().to(device)
    data = [tuple(torch.from_numpy(array).to(device) for array in setting.samples(n)) for n in range(organizations)]
    shared = {name: torch.from_numpy(array.copy()).to(device) for name, array in setting.initial.items()}
    total = sum(len(labels) for _, labels in data)
    for number in range(1, rounds + 1):
        sums = {name: torch.zeros_like(value) for name, value in shared.items()}
        for n, (features, labels) in enumerate(data):
            network.load_state_dict(shared)
            local_epochs(network, features, labels, setting.schedule, setting.order(number, n))
            for name, value in network.state_dict().items():
                sums[name] += value * (len(labels) / total)
        shared = sums
    return ModelState({name: value.cpu().numpy() for name, value in shared.items()})


PEERS: dict[str, Callable[..., ModelState]] = {
    "ours": ours,
    "ours, looped": functools.partial(ours, run=train_looped),
    "ours, stacked": functools.partial(ours, run=train_stacked),
    "plain PyTorch loop": plain,
}


def measure(peer: str, name: str, organizations: int, rounds: int, threads: int, device: str) -> dict[str, Any]:
    """Seconds, final weights and peak memory of one whole run, in a process that does nothing else."""
    torch.set_num_threads(threads)
    if device == "cuda":
        torch.zeros(1, device=device)  # the driver's start is nobody's work
    if peer == FLOWER:
        from benchmarks.learning_flower import flower

        return flower(name, organizations, rounds)
    setting, run = SETTINGS[name](organizations), PEERS[peer]
    begin = time.perf_counter()
    run(setting, organizations, 1, torch.device(device))
    warm = time.perf_counter()
    state = run(setting, organizations, rounds, torch.device(device))
    seconds = time.perf_counter() - warm
    return {
        "seconds": seconds,
        "first_round_seconds": warm - begin,
        "weights": dict(state),
        "peak_mb": resident_peak_mb(),
    }


def difference(one: dict[str, NDArray[np.float32]], other: dict[str, NDArray[np.float32]]) -> float:
    """Largest absolute difference of two models' parameters."""
    if one.keys() != other.keys():
        raise RuntimeError(f"a run ended with the parameters {sorted(other)}, not {sorted(one)}")
    return max(float(np.abs(one[name] - other[name]).max()) for name in one)


def _rows(
    name: str, organizations: int, peers: list[str], repeats: int, threads: int, device: str
) -> Iterator[dict[str, Any]]:
    setting = SETTINGS[name](organizations)
    runs: dict[tuple[str, int], list[dict[str, Any]]] = {}
    measure("ours", name, organizations, 1, threads, "cpu")  # reads the data from the disk once
    for turn in range(repeats):
        for rounds in (setting.few, setting.many):
            for peer in ("ours", *peers):
                if peer == FLOWER and turn:  # once is minutes
                    continue
                run = in_fresh_process(measure, peer, name, organizations, rounds, threads, device)
                runs.setdefault((peer, rounds), []).append(run)
    mine = _summary(setting, runs, "ours")
    for peer in peers:
        theirs = _summary(setting, runs, peer)
        final = runs["ours", setting.few][0]["weights"]
        yield {
            "setting": name,
            "organizations": organizations,
            "rounds": setting.few,
            "device": device if device != "cpu" else f"cpu, {threads} thread{'s' if threads > 1 else ''}",
            **mine,
            "baseline": peer,
            **{f"baseline_{key}": value for key, value in theirs.items()},
            "ratio": theirs["seconds"] / mine["seconds"],
            "ratio_of_slopes": theirs["seconds_per_further_round"] / mine["seconds_per_further_round"],
            "largest_weight_difference": max(difference(final, run["weights"]) for run in runs[peer, setting.few]),
        }


def _summary(setting: Setting, runs: dict[tuple[str, int], list[dict[str, Any]]], peer: str) -> dict[str, float]:
    short = runs[peer, setting.few]
    few, many = (median(run["seconds"] for run in runs[peer, rounds]) for rounds in (setting.few, setting.many))
    slope = (many - few) / (setting.many - setting.few)
    first = {} if peer == FLOWER else {"first_round_seconds": median(run["first_round_seconds"] for run in short)}
    return {
        "seconds": few,
        "rounds_per_second": setting.few / few,
        "startup_seconds": few - setting.few * slope,
        "seconds_per_further_round": slope,
        "peak_mb": median(run["peak_mb"] for run in short),
        **first,
    }


def cases(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    flower = [FLOWER] if importlib.util.find_spec("ray") else []
    if not flower:
        options.skipped.append("no Flower")
        print("SKIPPED: Flower; install it with: pip install 'cocogen[simulation]'", file=sys.stderr, flush=True)
    wanted = [name for name in SETTINGS if (options.only or "") in name]
    if "cifar-10, lenet" in wanted and "COCOGEN_DATA" not in os.environ:
        options.skipped.append("no CIFAR-10")
        print("SKIPPED: CIFAR-10; COCOGEN_DATA names no folder with data_batch_*.bin", file=sys.stderr, flush=True)
        wanted.remove("cifar-10, lenet")
    if "digits, mlp 64-64-10" in wanted:
        for organizations in options.sizes:
            peers = ["plain PyTorch loop", "ours, looped", *(flower if organizations > 3 else [])]
            yield from _rows("digits, mlp 64-64-10", organizations, peers, options.repeats, 1, "cpu")
    if "cifar-10, lenet" in wanted:
        cores = os.cpu_count() or 1
        for threads in sorted({1, cores}):
            # Flower's simulation uses every core.
            peers = ["plain PyTorch loop", "ours, stacked", *(flower if threads == cores else [])]
            yield from _rows("cifar-10, lenet", 10, peers, options.repeats, threads, "cpu")
    if torch.cuda.is_available():
        for name in wanted:
            for organizations in (10, 50):
                peers = ["plain PyTorch loop", "ours, looped"]
                yield from _rows(name, organizations, peers, options.repeats, 1, "cuda")


if __name__ == "__main__":
    from benchmarks import learning  # new processes look functions up in a module that they can import

    main("learning", learning.cases, sizes=[2, 3, 6, 10, 20, 50, 100], repeats=3)
