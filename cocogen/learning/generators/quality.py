"""κ: how much a synthetic sample is worth beside a real one, measured by the attester on its own real data [ours].

Train on synthetic, test on real (TSTR [1]_), relative to training on real. Both classifiers are the same logistic
regression, so that κ speaks of the samples and not of a model. Classes count alike however rare they are, and of two
classes it is asked how well they are ranked rather than decided: a weak or a rare signal is seen by no decision. Wide
samples are first projected on the principal components of the holdout, because the regression must be fitted dozens of
times.

.. [1] C. Esteban, S. L. Hyland, G. Rätsch, "Real-valued (Medical) Time Series Generation with Recurrent Conditional
   GANs", 2017.
.. [2] J. A. Hanley, B. J. McNeil, "The Meaning and Use of the Area under a Receiver Operating Characteristic (ROC)
   Curve", 1982.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import RepeatedStratifiedKFold, StratifiedKFold
from threadpoolctl import ThreadpoolController

from cocogen.errors import LearningError
from cocogen.learning.metrics import area_under_roc, balanced_accuracy

__all__ = ["LEAST_OF_A_CLASS", "QUALITY_FLOOR", "QualityMeter", "panel_labels"]

QUALITY_FLOOR = 0.01
LEAST_OF_A_CLASS = 2
"""Samples of every class that a holdout needs: one to learn from, one to test on."""
_DECIMALS = 6
_FOLDS = 5
_REPEATS = 4
_NO_SKILL = 0.02
_CONFIDENCE = 2.0  # standard errors
_WIDE = 256  # parameters d·C; Newton's method takes their cube
_COMPONENTS = 64


def panel_labels(classes: int, panel: int) -> NDArray[np.int64]:
    """Labels of the class-balanced panel, ``panel`` of each class, sorted."""
    return np.repeat(np.arange(classes, dtype=np.int64), panel)


class QualityMeter:
    """Measures panels against one holdout.

    κ = (TSTR − chance) / (TRTR − chance): of two classes in the area under the ROC curve, chance 1/2; of more in
    balanced accuracy, chance = 1/C. Both regressions weigh classes inversely to their numbers. TRTR is cross-validated
    inside the holdout, repeatedly, on at most ``panel`` samples of a class; TSTR is the mean over blocks of the panel
    that hold as many samples of each class as these real training sets, so that both learn from as many. Clipped to
    [0.01, 1] and rounded to 6 decimals, since the ledger's counts depend on it; deterministic. The holdout is small, so
    κ carries a standard error (:meth:`standard_error`) and saturates at 1: it tells usable from useless rather than
    good from better. Where TRTR is less than its own standard error above chance, that error stands in for the
    difference.

    With more than 256 parameters d·C both regressions are fitted by L-BFGS, TRTR is cross-validated once, and of more
    than 64 features they see the first 64 principal components of the holdout, divided by one common factor.

    Raises
    ------
    LearningError
        When the holdout has fewer than 2 samples of a class, does not vary, or is large enough to show that its classes
        cannot be told apart: TRTR is less than 0.02 above chance even with two standard errors on top.
    """

    def __init__(
        self, features: NDArray[np.float32], labels: NDArray[np.int64], classes: int, panel: int | None = None
    ) -> None:
        self._labels = labels
        self._counts = np.bincount(labels, minlength=classes)
        self._ranked = classes == 2
        self._chance = 1.0 / classes
        rarest = int(self._counts.min())
        if rarest < LEAST_OF_A_CLASS:
            raise LearningError(
                f"the attester's holdout has {rarest} samples of class {int(self._counts.argmin())}, but needs at "
                f"least {LEAST_OF_A_CLASS} to measure generators",
                hint="raise learning.holdout_fraction, or set generation.maximum = 0: then nothing is measured",
            )
        if not np.ptp(features, axis=0).any():
            raise LearningError(
                f"the {len(labels)} samples of the attester's holdout are all alike",
                hint="give it samples that vary",
            )
        self._wide = features.shape[1] * classes > _WIDE
        self._projection: Any = None
        with _threads().limit(limits=1):
            if self._wide and features.shape[1] > _COMPONENTS:
                components = min(_COMPONENTS, *features.shape)
                self._projection = PCA(components, svd_solver="full").fit(features)
            self._features = self._reduced(features)
            self._folds = min(_FOLDS, rarest)
            self._cross_validate(1 if self._wide else _REPEATS, panel or len(labels))
        self._error = self._standard_error(self.reference)
        # Cross-validation of little data errs below chance, which is no evidence that there is nothing to learn.
        if max(0.0, self._skill) + _CONFIDENCE * self._error < _NO_SKILL:
            raise LearningError(
                f"real data predicts the holdout no better than chance: {self.reference:.3f} {self.measure_name}, give "
                f"or take {self._error:.3f}, where chance is {self._chance:.3g}; no quality can be measured against it",
                hint="check the labels and features, or set generation.maximum = 0: then nothing is measured",
            )
        self._unit = max(self._skill, self._error)

    def _cross_validate(self, repeats: int, panel: int) -> None:
        folds = RepeatedStratifiedKFold(n_splits=self._folds, n_repeats=repeats, random_state=0)
        cuts = list(folds.split(self._features, self._labels))
        largest = np.max([self._count(learn) for learn, _ in cuts], axis=0)
        self._wanted = np.minimum(largest, panel)
        skills, recalls = [], []
        for first in range(0, len(cuts), self._folds):
            outputs, parts = self._empty(), []
            for number, (learn, test) in enumerate(cuts[first : first + self._folds]):
                of_class = [learn[self._labels[learn] == c] for c in range(len(self._counts))]
                rows = np.concatenate([_spread(o, w, number) for o, w in zip(of_class, self._wanted, strict=True)])
                outputs[test] = self._predict(self._features[rows], self._labels[rows], self._features[test])
                parts.append(test)
            skills.append(self._skill_of(outputs, parts))
            recalls.append(self._recall_of(outputs))
        self._skill = float(np.mean(skills))
        self._recall = np.mean(recalls, axis=0)

    @property
    def measure_name(self) -> str:
        """What TSTR and TRTR are shares of."""
        return "area under the ROC curve" if self._ranked else "balanced accuracy"

    @property
    def reference(self) -> float:
        """TRTR: that of training on real data, in [0, 1]; :attr:`measure_name` says of what."""
        return self._skill + self._chance

    @property
    def doubt(self) -> str | None:
        """Why the measured κ tells little; None when TRTR is clear of chance by two standard errors."""
        if self._skill >= _CONFIDENCE * self._error:
            return None
        return (
            f"the attester's holdout of {len(self._labels)} samples tells little about generators: real data reaches "
            f"{self.reference:.2f} {self.measure_name} on it, give or take {self._error:.2f}, where chance is "
            f"{self._chance:.2g}; κ may be off by {min(1.0, self.standard_error(1.0)):.1f}"
        )

    @property
    def enough(self) -> float:
        """How many times as large a holdout would leave no :attr:`doubt`, if TRTR stayed the same; may be infinite."""
        return (_CONFIDENCE * self._error / self._skill) ** 2 if self._skill > 0.0 else math.inf

    def measure(
        self, panel: NDArray[np.float32], labels: NDArray[np.int64], known: NDArray[np.int64] | None = None
    ) -> float:
        """κ in [0.01, 1] of a class-balanced panel (m, d) of standardized samples, sorted by label.

        Of a generator whose samples are no numbers it is 0.01.
        ``known``: the classes that the generator has seen, all of them when absent. Of the others the regression learns
        the holdout's own samples, cross-validated, in place of the panel's, and κ is the share of what the known
        classes add: (TSTR − B) / (TRTR − B), B = TRTR with those classes recalled by chance; of two classes, half of
        TRTR [ours].
        """
        if not np.isfinite(panel).all():
            return QUALITY_FLOOR
        with _threads().limit(limits=1):
            panel = self._reduced(panel)
            if known is not None and len(known) < len(self._recall):
                return self._measure_known(panel, labels, known)
            skills = []
            for chosen in self._blocks(labels):
                skills.append(self._skill_of(self._predict(panel[chosen], labels[chosen], self._features)))
            return _kappa(float(np.mean(skills)) / self._unit)

    def _blocks(self, labels: NDArray[np.int64]) -> list[NDArray[np.int64]]:
        """Rows of the panel by block: each class goes round its own samples, so that blocks repeat as few as may be."""
        each = np.bincount(labels, minlength=len(self._wanted))
        starts = np.cumsum(each) - each
        take = np.minimum(self._wanted, each)
        number = min(max(1, int((each // take).max())), _FOLDS * (1 if self._wide else _REPEATS))
        return [
            np.concatenate(
                [
                    start + (block * own + np.arange(own)) % all_
                    for start, own, all_ in zip(starts, take, each, strict=True)
                ]
            )
            for block in range(number)
        ]

    def _measure_known(self, panel: NDArray[Any], labels: NDArray[np.int64], known: NDArray[np.int64]) -> float:
        outputs, parts = self._empty(), []
        folds = StratifiedKFold(self._folds, shuffle=True, random_state=0)
        for number, (learn, test) in enumerate(folds.split(self._features, self._labels)):
            real = learn[~np.isin(self._labels[learn], known)]
            drawn = []
            for label in known:
                # As many as there are real ones, others in every fold.
                drawn.append(_spread(np.flatnonzero(labels == label), int(self._count(learn)[label]), number))
            chosen = np.concatenate(drawn) if drawn else np.zeros(0, dtype=np.int64)
            features = np.concatenate([self._features[real], panel[chosen]])
            targets = np.concatenate([self._labels[real], labels[chosen]])
            outputs[test] = self._predict(features, targets, self._features[test])
            parts.append(test)
        if self._ranked:
            added = self._unit * len(known) / 2.0
        else:
            added = max(
                float((self._recall[known] - self._chance).sum()) / len(self._recall),
                self._error * len(known) / len(self._recall),
            )
        return _kappa(1.0 - (self._skill - self._skill_of(outputs, parts)) / added)

    def standard_error(self, quality: float) -> float:
        """Of a measured κ, because the holdout is a sample: at most this, by the delta method.

        TSTR and TRTR are measured on one holdout; that they err together is left out, which overstates it.
        """
        synthetic = min(1.0, quality * self._unit + self._chance)
        variances = self._standard_error(synthetic) ** 2 + (quality * self._error) ** 2
        return math.sqrt(variances) / self._unit

    def _standard_error(self, value: float) -> float:
        """Of an area under the ROC curve [2]_, or of a mean of binomial shares, on this holdout."""
        value = min(max(value, self._chance), 1.0)
        spread = value * (1.0 - value)
        if not self._ranked:
            return math.sqrt(spread * float((1.0 / self._counts).sum())) / len(self._counts)
        few, many = sorted(int(count) for count in self._counts)
        two_positives, two_negatives = value / (2.0 - value) - value**2, 2.0 * value**2 / (1.0 + value) - value**2
        # Which class is called positive is arbitrary, so the larger of the two answers counts.
        largest, least = max(two_positives, two_negatives), min(two_positives, two_negatives)
        return math.sqrt((spread + (many - 1) * largest + (few - 1) * least) / (few * many))

    def _count(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        return np.bincount(self._labels[rows], minlength=len(self._counts))

    def _empty(self) -> NDArray[Any]:
        return np.zeros(len(self._labels), dtype=np.float64 if self._ranked else np.int64)

    def _skill_of(self, outputs: NDArray[Any], parts: Sequence[NDArray[np.int64]] | None = None) -> float:
        """Above chance; ``parts``: samples that one regression each speaks of, whose scores do not compare."""
        if not self._ranked:
            return balanced_accuracy(outputs, self._labels) - self._chance
        rows = parts or [np.arange(len(outputs))]
        return float(np.mean([area_under_roc(outputs[part], self._labels[part] == 1) for part in rows])) - self._chance

    def _recall_of(self, outputs: NDArray[Any]) -> NDArray[np.float64]:
        return np.array([(outputs[self._labels == c] == c).mean() for c in range(len(self._counts))])

    def _reduced(self, features: NDArray[np.float32]) -> NDArray[Any]:
        if self._projection is None:
            return features
        # One factor for all components, so that their relative sizes, hence the regularization, stay.
        reduced: NDArray[Any] = self._projection.transform(features) / math.sqrt(
            self._projection.explained_variance_.mean()
        )
        return reduced

    def _predict(self, features: NDArray[Any], labels: NDArray[np.int64], unseen: NDArray[Any]) -> NDArray[Any]:
        """Predicted classes; of two classes scores of the second, rounded so that equal samples tie."""
        # Newton's method: few steps on small tables.
        solver = "lbfgs" if self._wide else "newton-cholesky"
        model = LogisticRegression(C=0.1, solver=solver, max_iter=2_000, class_weight="balanced")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a stranger's samples may be ill-conditioned; they are judged all the same
            model.fit(features, labels)
        if self._ranked:
            return np.asarray(model.decision_function(unseen)).round(_DECIMALS)
        return np.asarray(model.predict(unseen))


@cache
def _threads() -> ThreadpoolController:
    """Looking for the libraries that have threads takes as long as a regression, so it is done once."""
    return ThreadpoolController()


def _spread(rows: NDArray[np.int64], wanted: int, shift: int) -> NDArray[np.int64]:
    """At most ``wanted`` of ``rows``, sorted and evenly spread; another ``shift`` gives others."""
    if wanted >= len(rows):
        return rows
    return np.sort(rows[(np.arange(wanted) * len(rows) // wanted + shift) % len(rows)])


def _kappa(ratio: float) -> float:
    return round(float(np.clip(ratio, QUALITY_FLOOR, 1.0)), _DECIMALS)
