"""Does generation pay for the model? Final accuracy with the synthetic samples of the equilibrium, and without.

Every seed plays ten rounds of ``examples/cifar10.toml`` on a ledger in memory, as ``cocogen run`` does
(:func:`cocogen.operations.study.play_rounds`), once for each way of training. Partition, initial weights, random
streams and number of rounds are the same for all ways of a seed, so that differences are paired. Beside the generators
there are two references: an oracle, whose samples are real images that no organization holds, the best that a generator
could do; and no generation in so many more rounds that as many samples pass through the classifiers.

How the settings were chosen, on another seed, and what came out: docs/generators.md.
"""

from __future__ import annotations

import argparse
import math
import multiprocessing
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.harness import less_than, publish, table
from chain.twin.ledger import MemoryProvider
from cocogen.data.heterogeneity import heterogeneity
from cocogen.data.samples import Samples
from cocogen.evidence.local import Agreed, Local
from cocogen.experiments.claims import Interval
from cocogen.learning.generators.base import deficit_labels
from cocogen.learning.models.states import ModelState
from cocogen.learning.training.local import Advance, LocalWork
from cocogen.operations.registration import Registration, register
from cocogen.operations.study import play_rounds
from cocogen.terms.consortium import Consortium, load_consortium

TERMS = Path(__file__).parents[1] / "examples" / "cifar10.toml"
NO_GENERATION = "vcfl"
NONE, LONGER, ORACLE = "no generation", "no generation, more rounds", "oracle"
ROUNDS = 10
GENERATORS: dict[str, dict[str, Any]] = {
    "mixture": {},  # that of the terms
    "cvae": {"generator": "cvae", "pretraining_rounds": 20, "latent": 32, "hidden": 64, "learning_rate": 0.002},
}


class Oracle:
    """Implements :class:`~cocogen.learning.generators.base.Generator`: draws from real samples, the ``reserve``.

    κ means nothing where the reserve is the attester's holdout, on which it is measured.
    """

    def __init__(self, reserve: Samples) -> None:
        self._features = reserve.features
        self._order = np.argsort(reserve.labels, kind="stable")
        self._counts = np.bincount(reserve.labels)

    def initial_state(self, rng: np.random.Generator) -> ModelState:  # noqa: ARG002 - nothing is learned
        """One number, which means nothing."""
        return ModelState({"nothing": np.zeros(1, dtype=np.float32)})

    def fit(self, works: Sequence[LocalWork], advance: Advance = lambda: None) -> list[ModelState]:
        """What it was given."""
        for _ in works:
            advance()
        return [work.initial for work in works]

    def sample(
        self,
        state: ModelState,  # noqa: ARG002 - the same for everybody
        labels: NDArray[np.int64],
        rng: np.random.Generator,
    ) -> NDArray[np.float32]:
        """One real sample per label, with replacement."""
        starts = np.cumsum(self._counts) - self._counts
        return self._features[self._order[starts[labels] + rng.integers(self._counts[labels])]]

    def movement(self, base: ModelState, state: ModelState) -> float:  # noqa: ARG002
        """It never moves."""
        return 0.0


@dataclass(frozen=True)
class Setting:
    """One seed with one generator, everything measured that the terms leave open. ``seconds``: processor time."""

    consortium: Consortium
    task: Local
    registration: Registration
    seconds: float

    @classmethod
    def of(cls, seed: int, generation: dict[str, Any], rounds: int = ROUNDS, oracle: Oracle | None = None) -> Setting:
        """The example's terms with another seed, other fields of ``[generation]`` and another number of rounds."""
        begin = time.process_time()
        terms = load_consortium(TERMS)
        run = {"seed": seed, "rounds": rounds}
        sections = {
            "consortium": terms.consortium.model_copy(update=run),
            "generation": terms.generation.model_copy(update=generation),
        }
        consortium = terms.model_copy(update=sections)
        task = Local(Agreed(consortium.learning, consortium.generation, consortium.names, seed, generator=oracle))
        registration = register(consortium, MemoryProvider(seed), task)
        return cls(consortium, task, registration, time.process_time() - begin)

    def play(self, training: str, mechanism_name: str | None = None) -> dict[str, Any]:
        """Play all rounds; samples are those of a round, the mean over rounds."""
        begin = time.process_time()
        seed = self.consortium.consortium.seed
        reports = play_rounds(self.registration, MemoryProvider(seed), self.task, mechanism_name=mechanism_name)
        raw = np.mean([report.plan.profile.raw for report in reports], axis=0)
        return {
            "seed": seed,
            "training": training,
            "rounds": len(reports),
            "accuracy": reports[-1].evaluation["accuracy"],
            "loss": reports[-1].evaluation["loss"],
            "real": int(self.task.registered.sum()),
            "synthetic": float(raw.sum()),
            "synthetic_by_organization": np.rint(raw).astype(int).tolist(),
            "kappa": float(np.mean([report.quality for report in reports])),
            "skew": float(np.average(self.task.heterogeneity, weights=self.task.registered)),
            "skew_trained_on": self._skew(np.rint(raw).astype(int).tolist()),
            "left_out": sum(contribution is None for report in reports for contribution in report.contributions),
            "seconds": time.process_time() - begin,
        }

    def play_longer(self, like: dict[str, Any]) -> dict[str, Any]:
        """Real data only, in so many rounds that as many samples are trained on as in the row ``like``."""
        begin = time.process_time()
        rounds = round(like["rounds"] * (1 + like["synthetic"] / like["real"]))
        evaluation = self.task.train_together(rounds)
        found = {"training": LONGER, "rounds": rounds, "accuracy": evaluation.accuracy, "loss": evaluation.loss}
        return {"seed": like["seed"], **found, "seconds": time.process_time() - begin}

    def _skew(self, raw: Sequence[int]) -> float:
        """δ̄ of what the organizations train on, real and synthetic."""
        counts = np.rint(self.task.label_mix * self.task.registered[:, None]).astype(np.int64)
        mix, classes = counts.sum(axis=0) / counts.sum(), counts.shape[1]
        extra = [
            np.bincount(deficit_labels(own, mix, n), minlength=classes) for own, n in zip(counts, raw, strict=True)
        ]
        both = counts + np.stack(extra)
        return float(np.average(heterogeneity(both), weights=both.sum(axis=1)))


def measure(seed: int, generators: Sequence[str], rounds: int = ROUNDS) -> list[dict[str, Any]]:
    """One row for each way of training under one seed; the first generator sets how long ``LONGER`` is."""
    rows: list[dict[str, Any]] = []
    for name in generators:
        setting = Setting.of(seed, GENERATORS[name], rounds)
        row = setting.play(name) | {"theta": setting.task.measure_theta(setting.registration.shared).theta}
        row["seconds"] += setting.seconds
        rows.append(row)
        if name == generators[0]:
            rows += [setting.play(NONE, NO_GENERATION), setting.play_longer(row)]
            reserve = setting.task.attester.holdout
    rows.append(Setting.of(seed, {}, rounds, Oracle(reserve)).play(ORACLE))
    return rows


def compare(rows: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Paired differences in final accuracy over the seeds, each with its 95 % interval by Student's t."""
    accuracy: dict[str, dict[int, float]] = {}
    for row in rows:
        accuracy.setdefault(row["training"], {})[row["seed"]] = row["accuracy"]
    pairs = [(training, NONE) for training in accuracy if training != NONE]
    pairs += [(training, LONGER) for training in accuracy if training not in (NONE, LONGER)]
    for training, baseline in pairs:
        differences = [accuracy[training][seed] - accuracy[baseline][seed] for seed in accuracy[training]]
        interval = Interval.of(differences)
        yield {
            "difference": f"{training} - {baseline}",
            "mean": interval.mean,
            "standard_error": float(np.std(differences, ddof=1) / math.sqrt(len(differences))),
            "low": interval.low,
            "high": interval.high,
            "seeds": interval.count,
        }


def cases(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    torch.set_num_threads(1)
    one = partial(measure, generators=options.generators, rounds=options.rounds)
    rows = []
    with ProcessPoolExecutor(options.jobs, multiprocessing.get_context("spawn")) as pool:
        for row in chain.from_iterable(pool.map(one, options.seeds)):
            rows.append(row)
            yield row
    yield from compare(rows)


def main() -> None:
    whole = {"seeds": [1, 2, 3, 4, 5], "generators": ["mixture"], "rounds": ROUNDS}
    parser = argparse.ArgumentParser(prog="python -m benchmarks.generation")
    parser.add_argument("--seeds", type=int, nargs="+", default=whole["seeds"], help="at least two")
    parser.add_argument("--generators", nargs="+", choices=list(GENERATORS), default=whole["generators"])
    parser.add_argument("--rounds", type=int, default=whole["rounds"])
    parser.add_argument("--jobs", type=int, default=1, help="seeds at once; results do not depend on it")
    parser.add_argument("--format", choices=["text", "json"], default="text")
    options = parser.parse_args()
    if len(options.seeds) < 2:
        parser.error("an interval needs at least two seeds")
    skipped = [f"--{option}" for option in less_than(options, whole)]
    rows = publish("generation", cases(options), as_json=options.format == "json", skipped=skipped)
    if options.format == "text":
        show(rows)


def show(rows: Sequence[dict[str, Any]]) -> None:
    """Print accuracies by seed, and their differences."""
    runs = [row for row in rows if "training" in row]
    seeds = sorted({row["seed"] for row in runs})
    lines = []
    for training in dict.fromkeys(row["training"] for row in runs):
        found = {row["seed"]: row["accuracy"] for row in runs if row["training"] == training}
        mean = float(np.mean(list(found.values())))
        lines.append([training, f"{mean:.4f}", *(f"{found[seed]:.4f}" for seed in seeds)])
    table("final test accuracy", ["training", "mean", *(f"seed {seed}" for seed in seeds)], lines)
    table(
        "paired differences in accuracy",
        ["difference", "mean", "standard error", "95 % interval"],
        [
            [
                row["difference"],
                f"{row['mean']:+.4f}",
                f"{row['standard_error']:.4f}",
                f"{row['low']:+.4f} to {row['high']:+.4f}",
            ]
            for row in rows
            if "difference" in row
        ],
    )


if __name__ == "__main__":
    main()
