"""κ: how much a synthetic sample is worth beside a real one, measured by the attester on its own real data [ours].

Train on synthetic, test on real (TSTR [1]_), relative to training on real. Both classifiers are the same logistic
regression, so that κ speaks of the samples and not of a model. Wide samples are first projected on the principal
components of the holdout, because the regression must be fitted dozens of times.

.. [1] C. Esteban, S. L. Hyland, G. Rätsch, "Real-valued (Medical) Time Series Generation with Recurrent Conditional
   GANs", 2017.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import RepeatedStratifiedKFold, StratifiedKFold
from threadpoolctl import threadpool_limits

from cocogen.errors import LearningError
from cocogen.learning.federated import balanced_accuracy

__all__ = ["QUALITY_FLOOR", "QualityMeter", "panel_labels"]

QUALITY_FLOOR = 0.01
_DECIMALS = 6
_FOLDS = 5
_REPEATS = 4
_LEAST_SKILL = 0.1
_WIDE = 256  # parameters d·C; Newton's method takes their cube
_COMPONENTS = 64


def panel_labels(classes: int, panel: int) -> NDArray[np.int64]:
    """Labels of the class-balanced panel, ``panel`` of each class, sorted."""
    return np.repeat(np.arange(classes, dtype=np.int64), panel)


class QualityMeter:
    """Measures panels against one holdout.

    κ = (TSTR − chance) / (TRTR − chance) in balanced accuracy, chance = 1/C. TRTR is cross-validated inside the
    holdout, repeatedly; TSTR is the mean over blocks of the panel that are as large as the real training sets, so
    that both classifiers learn from as many samples. Clipped to [0.01, 1] and rounded to 6 decimals, since the
    ledger's counts depend on it; deterministic. The holdout is small, so κ carries a standard error of a few
    hundredths (:meth:`standard_error`) and saturates at 1: it tells usable from useless rather than good from better.

    With more than 256 parameters d·C both regressions are fitted by L-BFGS on one thread, so that the number of cores
    changes nothing, TRTR is cross-validated once, and of more than 64 features they see the first 64 principal
    components of the holdout, divided by one common factor.

    Raises
    ------
    LearningError
        When the holdout is too small, or its classes cannot be told apart.
    """

    def __init__(self, features: NDArray[np.float32], labels: NDArray[np.int64], classes: int) -> None:
        self._labels = labels
        self._wide = features.shape[1] * classes > _WIDE
        self._projection: Any = None
        if self._wide and features.shape[1] > _COMPONENTS:
            with threadpool_limits(1):
                components = min(_COMPONENTS, *features.shape)
                self._projection = PCA(components, svd_solver="full").fit(features)
        features = self._features = self._reduced(features)
        self._chance = 1.0 / classes
        rarest = int(np.bincount(labels, minlength=classes).min())
        if rarest < 2:
            raise LearningError(
                f"the attester's holdout has {rarest} samples of a class, but needs at least 2",
                hint="raise learning.holdout_fraction",
            )
        folds = min(_FOLDS, rarest)
        self._block = len(labels) * (folds - 1) // folds
        repeats = 1 if self._wide else _REPEATS
        predictions: list[NDArray[np.int64]] = [np.empty(len(labels), dtype=np.int64) for _ in range(repeats)]
        splits = RepeatedStratifiedKFold(n_splits=folds, n_repeats=repeats, random_state=0).split(features, labels)
        for number, (learn, test) in enumerate(splits):
            predictions[number // folds][test] = self._predict(features[learn], labels[learn], features[test])
        self._folds = folds
        self._recall = np.mean([_recall(predicted, labels, classes) for predicted in predictions], axis=0)
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

    def measure(
        self, panel: NDArray[np.float32], labels: NDArray[np.int64], known: NDArray[np.int64] | None = None
    ) -> float:
        """κ in [0.01, 1] of a class-balanced panel (m, d) of finite, standardized samples.

        ``known``: the classes that the generator has seen, all of them when absent. Of the others the regression learns
        the holdout's own samples, cross-validated, in place of the panel's, and κ is the share of what the known
        classes add: (TSTR − B) / (TRTR − B), B = TRTR with those classes recalled by chance [ours].
        """
        panel = self._reduced(panel)
        if known is not None and len(known) < len(self._recall):
            return self._measure_known(panel, labels, known)
        blocks = max(1, len(labels) // self._block)
        # Every blocks-th sample of a panel sorted by label keeps the balance of the classes.
        predictions = [
            self._predict(panel[first::blocks], labels[first::blocks], self._features) for first in range(blocks)
        ]
        ratio = np.mean([self._skill(predicted) for predicted in predictions]) / self._reference_skill
        return _kappa(float(ratio))

    def _measure_known(self, panel: NDArray[Any], labels: NDArray[np.int64], known: NDArray[np.int64]) -> float:
        predicted = np.empty(len(self._labels), dtype=np.int64)
        folds = StratifiedKFold(self._folds, shuffle=True, random_state=0)
        for number, (learn, test) in enumerate(folds.split(self._features, self._labels)):
            real = learn[~np.isin(self._labels[learn], known)]
            drawn = []
            for label in known:
                rows, wanted = np.flatnonzero(labels == label), int((self._labels[learn] == label).sum())
                # As many as there are real ones, spread over the panel, others in every fold.
                drawn.append(rows[(np.arange(wanted) * len(rows) // max(wanted, 1) + number) % len(rows)])
            chosen = np.unique(np.concatenate(drawn)) if drawn else np.zeros(0, dtype=np.int64)
            features = np.concatenate([self._features[real], panel[chosen]])
            targets = np.concatenate([self._labels[real], labels[chosen]])
            predicted[test] = self._predict(features, targets, self._features[test])
        added = float((self._recall[known] - self._chance).sum()) / len(self._recall)
        lost = self._reference_skill - self._skill(predicted)
        return _kappa(1.0 - lost / max(added, _LEAST_SKILL / len(self._recall)))

    def standard_error(self, quality: float) -> float:
        """Of a measured κ, because the holdout is a sample: at most this, by the delta method.

        TSTR and TRTR are binomial shares of one holdout; that they err together is left out, which overstates it.
        """
        real = self.reference
        synthetic = min(1.0, quality * self._reference_skill + self._chance)
        variances = synthetic * (1.0 - synthetic) + quality**2 * real * (1.0 - real)
        return math.sqrt(variances / len(self._labels)) / self._reference_skill

    def _skill(self, predicted: NDArray[np.int64]) -> float:
        return balanced_accuracy(predicted, self._labels) - self._chance

    def _reduced(self, features: NDArray[np.float32]) -> NDArray[Any]:
        if self._projection is None:
            return features
        with threadpool_limits(1):
            # One factor for all components, so that their relative sizes, hence the regularization, stay.
            reduced: NDArray[Any] = self._projection.transform(features) / math.sqrt(
                self._projection.explained_variance_.mean()
            )
        return reduced

    def _predict(self, features: NDArray[Any], labels: NDArray[np.int64], unseen: NDArray[Any]) -> NDArray[np.int64]:
        if not self._wide:
            # Newton's method: few steps on small tables, and no thread pool that a busy machine makes slow.
            model = LogisticRegression(C=0.1, solver="newton-cholesky", max_iter=2_000)
            return np.asarray(model.fit(features, labels).predict(unseen))
        with threadpool_limits(1):
            model = LogisticRegression(C=0.1, solver="lbfgs", max_iter=2_000)
            return np.asarray(model.fit(features, labels).predict(unseen))


def _recall(predicted: NDArray[np.int64], labels: NDArray[np.int64], classes: int) -> NDArray[np.float64]:
    return np.array([(predicted[labels == c] == c).mean() for c in range(classes)])


def _kappa(ratio: float) -> float:
    return round(float(np.clip(ratio, QUALITY_FLOOR, 1.0)), _DECIMALS)
