"""Local training: the same stochastic gradient descent for one organization, or for many stacked into one.

Stacking turns the N small matrix products of a step into one batched product. Organizations with fewer batches stop
early: they are ordered by their number of steps, so that those still active are always the first of the stack.
Both ways draw batches and noise from the organization's own stream, hence agree up to floating point rounding.
Convolutions on a CPU are not stacked; there as many organizations train at once as there are threads.
All parameters lie in one flat buffer (N, P), so that an optimizer step is a few operations however many layers there
are, and whatever python has to decide is decided a block of steps ahead (:mod:`cocogen.learning.training.batches`).
Left out: what is trained (an :class:`~cocogen.learning.models.classifiers.Objective`), and aggregation.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from queue import SimpleQueue
from threading import Event
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.func import vmap
from torch.optim.adam import adam

from cocogen.errors import LearningError
from cocogen.learning.models.classifiers import DenseClassifier, Objective
from cocogen.learning.models.states import ModelState
from cocogen.learning.training.batches import Register, blocks
from cocogen.learning.training.threads import available_threads, map_on_threads

__all__ = [
    "CPU",
    "STACK_FROM",
    "Advance",
    "LocalResult",
    "LocalWork",
    "Schedule",
    "TrainingTrace",
    "is_stacked",
    "train",
    "train_looped",
    "train_stacked",
]

Leaves = dict[str, Tensor]
Step = Callable[[Leaves, Tensor, Tensor, Tensor, Tensor], tuple[Tensor, Leaves]]
Means = Callable[[Leaves, Tensor, Tensor, Tensor, Tensor], Tensor]
Advance = Callable[[], None]
Layout = tuple[tuple[str, tuple[int, ...]], ...]

_NOTHING = np.zeros((2, 0), dtype=np.int64)
CPU = torch.device("cpu")

STACK_FROM = 2
"""Organizations from which on a dense objective trains stacked on a CPU; measured by ``benchmarks/learning.py``."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """How long and how fast: ``epochs`` passes in batches of ``batch_size``, by SGD with momentum or by Adam.

    ``proximal``: μ ≥ 0 of FedProx [1]_, which adds ½μ‖θ − θ_0‖² to the loss, θ_0 being the parameters at the start.

    .. [1] T. Li et al., "Federated Optimization in Heterogeneous Networks", 2020.
    """

    epochs: int
    batch_size: int
    learning_rate: float
    optimizer: Literal["sgd", "adam"] = "sgd"
    momentum: float = 0.0
    weight_decay: float = 0.0
    proximal: float = 0.0

    def steps(self, samples: int) -> int:
        """Gradient steps of one organization with ``samples`` samples."""
        return self.epochs * -(-samples // self.batch_size)


@dataclass(frozen=True, slots=True)
class LocalWork:
    """One organization's part: ``features`` (n, d) float32, ``labels`` (n,) int64; the last ``synthetic`` rows are
    generated. ``rng`` is consumed.

    ``correction``: what SCAFFOLD adds to every gradient (:mod:`cocogen.learning.training.scaffold`), None for nothing.
    """

    initial: ModelState
    features: NDArray[np.float32]
    labels: NDArray[np.int64]
    rng: np.random.Generator
    synthetic: int = 0
    correction: ModelState | None = None


@dataclass(frozen=True, slots=True)
class TrainingTrace:
    """What happened in each of T steps: ``real`` and ``synthetic`` samples (T,) int64, mean ``losses`` before the
    step (T,) float32, without the proximal term, ``gradient_norms`` (T,) float32, weight decay, proximal term and
    correction included."""

    real: NDArray[np.int64]
    synthetic: NDArray[np.int64]
    losses: NDArray[np.float32]
    gradient_norms: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class LocalResult:
    """Parameters after training, and the trace."""

    state: ModelState
    trace: TrainingTrace


def is_stacked(objective: Objective, organizations: int, device: torch.device = CPU) -> bool:
    """Whether :func:`train` stacks: on a CPU dense objectives from ``STACK_FROM`` organizations on, elsewhere all
    from two on.

    The rule is measured (``benchmarks/learning.py``): batched products of small matrices save most of the time of a
    loop on a CPU, while stacked convolutions become grouped convolutions, which are slower there than one after the
    other. A GPU is left idle by one small model, whatever it is made of.
    """
    if device.type == "cpu":
        return objective.dense and organizations >= STACK_FROM
    return organizations > 1


def train(
    objective: Objective,
    works: Sequence[LocalWork],
    schedule: Schedule,
    device: torch.device = CPU,
    advance: Advance = lambda: None,
) -> list[LocalResult]:
    """Train every organization on ``device``, stacked or looped as :func:`is_stacked` says; results in order.

    ``advance`` is called once for every organization, when it is done.

    Raises
    ------
    LearningError
        When a parameter stops being finite, or gradients are to be corrected where the schedule takes other than plain
        gradient steps.
    """
    chosen = train_stacked if is_stacked(objective, len(works), device) else train_looped
    return chosen(objective, works, schedule, device, advance)


def train_looped(
    objective: Objective,
    works: Sequence[LocalWork],
    schedule: Schedule,
    device: torch.device = CPU,
    advance: Advance = lambda: None,
) -> list[LocalResult]:
    """Train every organization by itself; on a CPU as many at once as torch has threads, each on one of them.

    A dense objective is trained one organization after the other: its steps are so short that python, which runs on one
    thread at a time, would be in its own way.
    """
    at_once = min(len(works), available_threads())
    if device.type != "cpu" or objective.dense or at_once < 2:
        results = []
        for work in works:
            results += _train(objective, [work], schedule, device)
            advance()
        return results
    # A module cannot be called with two sets of parameters at once.
    free: SimpleQueue[Objective] = SimpleQueue()
    for _ in range(at_once):
        free.put(copy.deepcopy(objective))

    def one(work: LocalWork, stop: Event) -> LocalResult:
        own = free.get()
        try:
            return _train(own, [work], schedule, device, stop)[0]
        finally:
            free.put(own)

    return map_on_threads(one, works, at_once, advance)


def train_stacked(
    objective: Objective,
    works: Sequence[LocalWork],
    schedule: Schedule,
    device: torch.device = CPU,
    advance: Advance = lambda: None,
) -> list[LocalResult]:
    """Train all organizations at once; they may start from different parameters of one layout."""
    order = sorted(range(len(works)), key=lambda n: -schedule.steps(len(works[n].labels)))
    trained = _train(objective, [works[n] for n in order], schedule, device)
    results = dict(zip(order, trained, strict=True))
    for _ in works:
        advance()
    return [results[n] for n in range(len(works))]


def _train(
    objective: Objective,
    works: Sequence[LocalWork],
    schedule: Schedule,
    device: torch.device,
    stop: Event | None = None,
) -> list[LocalResult]:
    """Local training of ``works``, those with most steps first.

    1. Lay the parameters θ_n of the organizations n into the rows of one buffer.
    2. For every step t, for the organizations that still have batches:

       a. gather the batches b_n drawn for the step;
       b. mean losses f_n(θ_n; b_n) and their gradients g_n, all organizations at once;
       c. g_n ← g_n + weight_decay · θ_n + μ (θ_n − θ_n at the start) + correction_n;
       d. log f_n and ‖g_n‖, and step θ_n along g_n.
    3. Cut the buffer into states.
    """
    if not works:
        return []
    layout = works[0].initial.layout
    values = torch.from_numpy(np.stack([_flatten(work.initial) for work in works])).to(device)
    corrections = _corrections(works, schedule)
    optimizer = _Optimizer(values, schedule, None if corrections is None else corrections.to(device))
    features = _joined([work.features for work in works]).to(device)
    labels = _joined([work.labels for work in works]).to(device)
    registers = [Register(len(work.labels), work.synthetic, work.rng) for work in works]
    written_out = isinstance(objective, DenseClassifier)
    stacked = len(works) > 1 or written_out
    step = _step(objective, stacked=stacked)

    counts: list[NDArray[np.int64]] = []
    logs: list[NDArray[np.float32]] = []
    active = 0
    leaves: Leaves = {}
    with torch.inference_mode(written_out):  # spares every operation what only autograd needs
        for block in blocks(registers, schedule.epochs, schedule.batch_size, objective.noise_width):
            rows, weights, noise = (array.to(device) for array in (block.rows, block.weights, block.noise))
            log: list[Tensor] = []
            steps = zip(
                block.extents, rows.unbind(), labels[rows].unbind(), weights.unbind(), noise.unbind(), strict=True
            )
            for (count, width), *drawn in steps:
                if stop is not None and stop.is_set():
                    raise LearningError("local training was stopped: that of another organization failed")
                if count != active:
                    active, leaves = count, _leaves(values[:count] if stacked else values[0], layout)
                if drawn[0].shape != (count, width):
                    drawn = [each[:count, :width] for each in drawn]
                row, target, weight, draws = drawn
                batch = features.index_select(0, row.flatten()).view(count, width, -1)
                means, gradients = step(leaves, batch, target, draws, weight)
                norms = optimizer.step(torch.cat([gradients[name].reshape(count, -1) for name in leaves], dim=1))
                log += means, norms
            counts.append(np.stack([block.sizes - block.synthetic, block.synthetic]))
            logs.append(_by_step(log, block.extents, len(works)))
    if not np.isfinite(trained := values.cpu().numpy()).all():
        raise LearningError("local training diverged: a parameter is not finite", hint="lower the learning rate")
    return [
        LocalResult(_unflatten(row, layout), _trace(counts, logs, n, schedule.steps(len(work.labels))))
        for n, (work, row) in enumerate(zip(works, trained, strict=True))
    ]


def _step(objective: Objective, *, stacked: bool) -> Step:
    """The mean losses (count,) and their gradients, written out where the objective has that, else by autograd."""
    if isinstance(objective, DenseClassifier):
        written_out = objective.gradients
        return lambda leaves, features, labels, _noise, weights: written_out(leaves, features, labels, weights)
    means_of = _means(objective) if stacked else _one_mean(objective)

    def step(leaves: Leaves, features: Tensor, labels: Tensor, noise: Tensor, weights: Tensor) -> tuple[Tensor, Leaves]:
        variables = {name: leaf.detach().requires_grad_() for name, leaf in leaves.items()}
        means = means_of(variables, features, labels, noise, weights)
        gradients = torch.autograd.grad(means.sum(), list(variables.values()))
        return means.detach(), dict(zip(leaves, gradients, strict=True))

    return step


def _one_mean(objective: Objective) -> Means:
    """The mean loss of one organization, whose parameters have no dimension for organizations."""

    def mean(parameters: Leaves, features: Tensor, labels: Tensor, noise: Tensor, _weights: Tensor) -> Tensor:
        return objective.losses(parameters, features[0], labels[0], noise[0]).mean(dim=0, keepdim=True)

    return mean


def _means(objective: Objective) -> Means:
    losses = objective.losses if objective.dense else vmap(objective.losses)

    def means(parameters: Leaves, features: Tensor, labels: Tensor, noise: Tensor, weights: Tensor) -> Tensor:
        return (losses(parameters, features, labels, noise) * weights).sum(dim=1)

    return means


class _Optimizer:
    """Steps on the first organizations of stacked flat parameters ``values`` (N, P), in place."""

    def __init__(self, values: Tensor, schedule: Schedule, corrections: Tensor | None) -> None:
        self.schedule = schedule
        self.values = values
        self.corrections = corrections
        self.start = values.clone() if schedule.proximal else values
        self.first = torch.zeros_like(values)
        self.second = torch.zeros_like(values) if schedule.optimizer == "adam" else self.first
        self.taken = torch.zeros(())

    def step(self, gradients: Tensor) -> Tensor:
        """Apply ``gradients`` (count, P), which are overwritten; returns their norms (count,), with all terms."""
        schedule, count = self.schedule, len(gradients)
        values, first = self.values[:count], self.first[:count]
        if schedule.weight_decay:
            gradients.add_(values, alpha=schedule.weight_decay)
        if schedule.proximal:
            gradients.add_(values - self.start[:count], alpha=schedule.proximal)
        if self.corrections is not None:
            gradients.add_(self.corrections[:count])
        norms: Tensor = torch.linalg.vector_norm(gradients, dim=1)
        if schedule.optimizer == "sgd":
            torch.add(gradients, first, alpha=schedule.momentum, out=first)
            values.sub_(first, alpha=schedule.learning_rate)
        else:
            rate, second = schedule.learning_rate, self.second[:count]
            rates: dict[str, Any] = {"beta1": 0.9, "beta2": 0.999, "lr": rate, "weight_decay": 0.0, "eps": 1e-8}
            adam([values], [gradients], [first], [second], [], [self.taken], amsgrad=False, maximize=False, **rates)
        return norms


def _corrections(works: Sequence[LocalWork], schedule: Schedule) -> Tensor | None:
    """What is added to the gradients of each organization (N, P), None where nothing is added to anyone's."""
    if all(work.correction is None for work in works):
        return None
    if schedule.optimizer != "sgd" or schedule.momentum or schedule.proximal:
        raise LearningError(
            f"gradients cannot be corrected under {schedule}: a control variate is the mean of plain gradients",
            hint="train by SGD without momentum and without a proximal term",
        )
    rows = []
    for work in works:
        if work.correction is None:
            rows.append(np.zeros_like(_flatten(work.initial)))
        elif work.correction.layout == work.initial.layout:
            rows.append(_flatten(work.correction))
        else:
            raise LearningError(
                f"the correction {work.correction!r} does not fit the parameters {work.initial!r}",
                hint="correct by control variates of the same model",
            )
    return torch.from_numpy(np.stack(rows))


def _joined(arrays: Sequence[NDArray[Any]]) -> Tensor:
    # One organization's samples are only read, so they need no copy.
    return torch.from_numpy(arrays[0] if len(arrays) == 1 else np.concatenate(arrays))


def _flatten(state: ModelState) -> NDArray[np.float32]:
    return np.concatenate([array.ravel() for array in state.values()])


def _cut(layout: Layout) -> list[tuple[str, tuple[int, ...], slice]]:
    bounds = pairwise(accumulate((math.prod(shape) for _, shape in layout), initial=0))
    return [(name, shape, slice(*place)) for (name, shape), place in zip(layout, bounds, strict=True)]


def _leaves(values: Tensor, layout: Layout) -> Leaves:
    """The parameters in flat ``values`` (..., P), each (..., *shape): views that see every step."""
    leading = values.shape[:-1]
    return {name: values[..., place].view(*leading, *shape) for name, shape, place in _cut(layout)}


def _unflatten(row: NDArray[np.float32], layout: Layout) -> ModelState:
    return ModelState({name: row[place].reshape(shape).copy() for name, shape, place in _cut(layout)})


def _by_step(log: list[Tensor], extents: Sequence[tuple[int, int]], organizations: int) -> NDArray[np.float32]:
    """Losses and norms (2, K, N) from the alternating entries of each step, which hold the active ones alone."""
    table = np.zeros((len(extents), 2, organizations), dtype=np.float32)
    counts = np.array([count for count, _ in extents])
    table[np.broadcast_to(np.arange(organizations) < counts[:, None, None], table.shape)] = torch.cat(log).cpu().numpy()
    return table.swapaxes(0, 1)


def _trace(counts: list[NDArray[np.int64]], logs: list[NDArray[np.float32]], n: int, steps: int) -> TrainingTrace:
    real, synthetic = np.concatenate([_NOTHING, *(count[:, :, n] for count in counts)], axis=1)[:, :steps]
    losses, norms = np.concatenate([_NOTHING, *(log[:, :, n] for log in logs)], axis=1, dtype=np.float32)[:, :steps]
    return TrainingTrace(real, synthetic, losses, norms)
