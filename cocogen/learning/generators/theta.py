"""θ: how far the gradients of synthetic samples are from those of real ones, as the quality market measures it.

Along a short federated run, g_data is the largest gradient norm of a class of real samples, and g_diff the largest
distance between the gradients of a class's synthetic and real samples; θ = g_diff/(2 g_data) [1]_. Label skew λ_k of
data whose deficits are filled synthetically then counts as θλ_k. Left out: the run itself.

.. [1] IMFL-AIGC, arXiv:2406.08526, 2024; the published value for CIFAR-10 is 0.54/(2 · 1.75) = 0.1543.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from cocogen.data.samples import Samples
from cocogen.errors import LearningError
from cocogen.learning.models.classifiers import Classifier, to_tensors
from cocogen.learning.models.states import ModelState

__all__ = ["GradientGap", "gradient_gap"]


@dataclass(frozen=True, slots=True)
class GradientGap:
    """The largest gradients along a run, nats per unit of parameter; the two maxima need not meet in one class.

    ``data``: g_data, positive. ``gap``: g_diff. ``states``: models that were looked at.
    """

    data: float
    gap: float
    states: int

    @property
    def theta(self) -> float:
        """θ ≥ 0. Below 1 synthetic samples help against label skew; noise can exceed 1."""
        return self.gap / (2.0 * self.data)


def gradient_gap(
    classifier: Classifier, states: Iterable[ModelState], real: Samples, synthetic: Samples
) -> GradientGap:
    """Compare mean gradients by class at every model of ``states``.

    Classes that ``real`` or ``synthetic`` lacks take no part in g_diff, nor those that ``real`` lacks in g_data.

    Raises
    ------
    LearningError
        When there is no model, no class in common, or no real gradient differs from 0.
    """
    common = np.intersect1d(real.labels, synthetic.labels)
    data, gap, count = 0.0, 0.0, 0
    for state in states:
        count += 1
        for label in np.unique(real.labels):
            own = _gradient(classifier, state, real, label)
            data = max(data, float(np.linalg.norm(own)))
            if label in common:
                gap = max(gap, float(np.linalg.norm(_gradient(classifier, state, synthetic, label) - own)))
    if not len(common) or data == 0.0:
        raise LearningError(
            f"no gradients to compare: {count} models, {len(common)} classes in common, largest gradient {data:g}",
            hint="give real and synthetic samples of the same classes, and models that are still learning",
        )
    return GradientGap(data, gap, count)


def _gradient(classifier: Classifier, state: ModelState, samples: Samples, label: int) -> NDArray[np.float64]:
    rows = samples.labels == label
    leaves = {name: value.clone().requires_grad_() for name, value in to_tensors(state).items()}
    features, labels = torch.from_numpy(samples.features[rows]), torch.from_numpy(samples.labels[rows])
    losses = classifier.losses(leaves, features, labels, torch.zeros(len(labels), classifier.noise_width))
    gradients = torch.autograd.grad(losses.mean(), list(leaves.values()))
    return np.concatenate([gradient.numpy().ravel().astype(np.float64) for gradient in gradients])
