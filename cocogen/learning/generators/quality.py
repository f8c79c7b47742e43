"""κ: how much a synthetic sample is worth beside a real one, measured by the attester on its own real data [ours].

Train on synthetic, test on real (TSTR [1]_), relative to training on real. Both classifiers are the same logistic
regression, so that κ speaks of the samples and not of a model.

.. [1] C. Esteban, S. L. Hyland, G. Rätsch, "Real-valued (Medical) Time Series Generation with Recurrent Conditional
   GANs", 2017.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import RepeatedStratifiedKFold

from cocogen.errors import LearningError
from cocogen.learning.federated import balanced_accuracy

__all__ = ["QUALITY_FLOOR", "QualityMeter", "panel_labels"]

QUALITY_FLOOR = 0.01
_DECIMALS = 6
_FOLDS = 5
_REPEATS = 4
_LEAST_SKILL = 0.1


def panel_labels(classes: int, panel: int) -> NDArray[np.int64]:
    """Labels of the class-balanced panel, ``panel`` of each class, sorted."""
    return np.repeat(np.arange(classes, dtype=np.int64), panel)


class QualityMeter:
    """Measures panels against one holdout.

    κ = (TSTR − chance) / (TRTR − chance) in balanced accuracy, chance = 1/C. TRTR is cross-validated inside the
    holdout, repeatedly; TSTR is the mean over blocks of the panel that are as large as the real training sets, so
    that both classifiers learn from as many samples. Clipped to [0.01, 1] and rounded to 6 decimals, since the
    ledger's counts depend on it; deterministic. The holdout is small, so κ carries a standard error of a few
    hundredths and saturates at 1: it tells usable from useless rather than good from better.

    Raises
    ------
    LearningError
        When the holdout is too small, or its classes cannot be told apart.
    """

    def __init__(self, features: NDArray[np.float32], labels: NDArray[np.int64], classes: int) -> None:
        self._features = features
        self._labels = labels
        self._chance = 1.0 / classes
        rarest = int(np.bincount(labels, minlength=classes).min())
        if rarest < 2:
            raise LearningError(
                f"the attester's holdout has {rarest} samples of a class, but needs at least 2",
                hint="raise learning.holdout_fraction",
            )
        folds = min(_FOLDS, rarest)
        self._block = len(labels) * (folds - 1) // folds
        predictions: list[NDArray[np.int64]] = [np.empty(len(labels), dtype=np.int64) for _ in range(_REPEATS)]
        splits = RepeatedStratifiedKFold(n_splits=folds, n_repeats=_REPEATS, random_state=0).split(features, labels)
        for number, (learn, test) in enumerate(splits):
            fitted = _classifier().fit(features[learn], labels[learn])
            predictions[number // folds][test] = fitted.predict(features[test])
        self._reference_skill = float(np.mean([self._skill(predicted) for predicted in predictions]))
        if self._reference_skill < _LEAST_SKILL:
            raise LearningError(
                f"real data predicts the holdout only {self._reference_skill:.3f} above chance, less than "
                f"{_LEAST_SKILL}: no quality can be measured against it",
                hint="raise learning.holdout_fraction",
            )

    @property
    def reference(self) -> float:
        """TRTR: balanced accuracy of training on real data, in [0, 1]."""
        return self._reference_skill + self._chance

    def measure(self, panel: NDArray[np.float32], labels: NDArray[np.int64]) -> float:
        """κ in [0.01, 1] of a class-balanced panel (m, d) of finite, standardized samples."""
        blocks = max(1, len(labels) // self._block)
        # Every blocks-th sample of a panel sorted by label keeps the balance of the classes.
        fits = (_classifier().fit(panel[first::blocks], labels[first::blocks]) for first in range(blocks))
        ratio = np.mean([self._skill(fit.predict(self._features)) for fit in fits]) / self._reference_skill
        return round(float(np.clip(ratio, QUALITY_FLOOR, 1.0)), _DECIMALS)

    def _skill(self, predicted: NDArray[np.int64]) -> float:
        return balanced_accuracy(predicted, self._labels) - self._chance


def _classifier() -> Any:
    # Newton's method: few steps on small tables, and no thread pool that a busy machine makes slow.
    return LogisticRegression(C=0.1, solver="newton-cholesky", max_iter=2_000)
