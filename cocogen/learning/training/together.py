"""Evaluation of a shared classifier, and training that needs no evidence: together on real data only, or alone.

Left out: aggregation (:mod:`cocogen.learning.aggregation`) with the weights that the attester measured.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from cocogen.learning.aggregation.base import Aggregation
from cocogen.learning.aggregation.individual import IndividualUpdates
from cocogen.learning.metrics import Evaluation, judge
from cocogen.learning.models.classifiers import Classifier
from cocogen.learning.models.states import ModelState, SharedModel
from cocogen.learning.training.local import CPU, LocalWork, Schedule, train
from cocogen.learning.training.scaffold import Variate, remembered
from cocogen.terms.sections import Metric

__all__ = ["Evaluation", "evaluate", "train_alone", "train_together"]


def evaluate(
    classifier: Classifier,
    state: ModelState,
    features: NDArray[np.float32],
    labels: NDArray[np.int64],
    metric: Metric = "accuracy",
) -> Evaluation:
    """How ``state`` does on labelled samples (:func:`cocogen.learning.metrics.judge`)."""
    return judge(classifier.logits(state, features), labels, metric)


def train_together(
    classifier: Classifier,
    initial: ModelState,
    works: Callable[[int, ModelState], Sequence[LocalWork]],
    schedule: Schedule,
    rounds: int,
    aggregation: Aggregation = IndividualUpdates(),  # noqa: B008  # frozen
    device: torch.device = CPU,
    *,
    scaffold: bool = False,
) -> ModelState:
    """Federated training on everybody's samples; ``works`` gives the organizations' parts of a round, from 1.

    1. Every organization n trains the shared classifier θ on its own samples: θ_n
    (:mod:`cocogen.learning.training.local`).
    2. Aggregate the θ_n, weighted by samples (:class:`~cocogen.learning.aggregation.base.Aggregation`; by default their
    average).
    3. Step θ towards the aggregate, as the aggregation's server does; by default θ becomes it.

    With ``scaffold`` control variates correct every step of 1., and are averaged after it
    (:mod:`cocogen.learning.training.scaffold`); the server's optimizer is then to take the average.
    """
    shared = SharedModel(initial, ModelState({}))
    variates: list[Variate] = []
    for number in range(1, rounds + 1):
        parts = list(works(number, shared.classifier))
        if scaffold:
            variates = variates or [Variate()] * len(parts)
            parts = [replace(p, correction=v.correction(shared)) for p, v in zip(parts, variates, strict=True)]
        results = train(classifier, parts, schedule, device)
        weights = [len(part.labels) for part in parts]
        updated = aggregation.clip([result.state for result in results], [shared.classifier] * len(results))
        mean = aggregation.combine(updated, weights)
        state, memory = aggregation.step(shared.classifier, mean, shared.server)
        if scaffold:
            variates = [
                variate.renewed(shared, result.state, len(result.trace.real), schedule.learning_rate, weight)
                for variate, result, weight in zip(variates, results, weights, strict=True)
            ]
            memory = remembered(variates, shared.server)
        shared = SharedModel(state, shared.generator, memory)
    return shared.classifier


def train_alone(
    classifier: Classifier,
    works: Sequence[LocalWork],
    schedule: Schedule,
    rounds: int,
    device: torch.device = CPU,
) -> list[ModelState]:
    """Each organization on its own real data for as many epochs as ``rounds`` federated rounds hold."""
    longer = replace(schedule, epochs=schedule.epochs * rounds)
    return [result.state for result in train(classifier, works, longer, device)]
