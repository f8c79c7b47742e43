"""Does a generator hand out the training samples? Nearest neighbours tell.

Whoever holds the training samples can run the check, before its synthetic samples leave the house. Synthetic samples
are compared with the training samples and with real samples that nothing was trained on: an honest generator comes as
close to the one as to the other. Distances are Euclidean in standardized features, within the class of the synthetic
sample, so that differing label mixes do not matter. Left out: leaks that no single sample shows, and any guarantee; a
guarantee takes differential privacy.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import pairwise_distances_argmin_min
from sklearn.metrics.pairwise import euclidean_distances
from threadpoolctl import threadpool_limits

from cocogen.data.samples import Samples
from cocogen.errors import LearningError

__all__ = ["EXCESS_LIMIT", "Memorization", "memorization"]

EXCESS_LIMIT = 0.2
_CLOSER_LIMIT = 0.5
_COPY_DISTANCE = 1e-3  # root mean square over the features, in standard deviations
_SIGNIFICANT = 3.0


@dataclass(frozen=True, slots=True)
class Memorization:
    """What the nearest neighbours of ``samples`` synthetic samples say; shares of those samples.

    Attributes
    ----------
    samples : synthetic samples of a class of which there are training samples; the others cannot be copies.
    copies : share that equals a training sample up to rounding.
    expected_copies : share of the reference that does, because the data repeat themselves.
    closer : share that is closer to its nearest training sample than that one is to any other of its class, the
        samples that are not "authentic" [1]_. High too for a generator with too little spread.
    nearest_is_training : share whose nearest real sample is a training sample and not a reference one [2]_.
    expected_nearest : what that share would be for samples independent of both: n_train/(n_train + n_reference) of
        the class, on average.
    excess : (nearest_is_training − expected_nearest)/(1 − expected_nearest), at most 1: about the share of copies, 0
        for an honest generator, 0 too when there is no reference.
    standard_error : of ``excess`` for an honest generator.

    .. [1] A. Alaa et al., "How Faithful is your Synthetic Data? Sample-level Metrics for Evaluating and Auditing
       Generative Models", 2022, section 4.2.
    .. [2] M. Platzer, T. Reutterer, "Holdout-Based Empirical Assessment of Mixed-Type Synthetic Data", 2021; with
       unequal numbers of training and reference samples [ours].
    """

    samples: int
    copies: float
    expected_copies: float
    closer: float
    nearest_is_training: float
    expected_nearest: float
    excess: float
    standard_error: float

    @property
    def flagged(self) -> bool:
        """Whether the samples should not be handed out [ours].

        Copies beyond what the data themselves repeat; or an excess above 0.2 and above three standard errors of
        samples more than half of which are not authentic. Both are asked for because a generator with too little
        spread is close to everything, and one of shifted data is closer to its own than to the reference.
        """
        chance = _SIGNIFICANT * math.sqrt(self.expected_copies / max(self.samples, 1))
        repeated = self.copies > self.expected_copies + chance
        limit = max(EXCESS_LIMIT, _SIGNIFICANT * self.standard_error)
        return repeated or (self.excess > limit and self.closer > _CLOSER_LIMIT)


def memorization(synthetic: Samples, train: Samples, reference: Samples) -> Memorization:
    """Compare ``synthetic`` samples with those trained on and with real ones of the same kind that were not.

    Synthetic samples of a class without training samples are left out, as are training samples that no synthetic one
    is near. A class without ``reference`` samples says nothing about ``excess``.

    Raises
    ------
    LearningError
        When the synthetic samples are not finite, or not of as many features as the training samples.
    """
    shape, width = synthetic.features.shape, train.features.shape[1]
    if shape != (len(synthetic.labels), width) or not np.isfinite(synthetic.features).all():
        raise LearningError(
            f"synthetic samples of shape {shape} for {len(synthetic.labels)} labels cannot be compared with training "
            f"samples: they need {width} finite features each",
            hint="train again",
        )
    compared, copies, closer, won = 0, 0, 0, 0
    references, repeated = 0, 0
    chances = [np.zeros(0)]
    limit = _COPY_DISTANCE * math.sqrt(synthetic.features.shape[1])
    with threadpool_limits(1):
        for label in np.intersect1d(synthetic.labels, train.labels):
            drawn, trained, unseen = (
                part.features[part.labels == label].astype(np.float64) for part in (synthetic, train, reference)
            )
            nearest, distance = pairwise_distances_argmin_min(drawn, trained)
            compared += len(drawn)
            copies += int((distance <= limit).sum())
            closer += int((distance < _own_distances(trained, nearest)).sum())
            if len(unseen):
                away = pairwise_distances_argmin_min(drawn, unseen)[1]
                won += int((distance < away).sum())
                chances.append(np.full(len(drawn), len(trained) / (len(trained) + len(unseen))))
                references += len(unseen)
                repeated += int((pairwise_distances_argmin_min(unseen, trained)[1] <= limit).sum())
    chance = np.concatenate(chances)
    judged, expected = max(len(chance), 1), float(chance.mean()) if len(chance) else 0.0
    error = math.sqrt(float((chance * (1.0 - chance)).sum())) / judged / (1.0 - expected)
    return Memorization(
        samples=compared,
        copies=copies / max(compared, 1),
        expected_copies=repeated / max(references, 1),
        closer=closer / max(compared, 1),
        nearest_is_training=won / judged,
        expected_nearest=expected,
        excess=(won / judged - expected) / (1.0 - expected),
        standard_error=error,
    )


def _own_distances(trained: NDArray[np.float64], rows: NDArray[np.int64]) -> NDArray[np.float64]:
    """Distance of each training sample named in ``rows`` to the nearest other; infinite when it is alone."""
    asked, inverse = np.unique(rows, return_inverse=True)
    distances = euclidean_distances(trained[asked], trained)
    distances[np.arange(len(asked)), asked] = np.inf
    return np.asarray(distances.min(axis=1)[inverse])
