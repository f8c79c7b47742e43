"""How well a classifier does on labelled samples: accuracy, balanced accuracy, and the area under the ROC curve.

Without torch: whoever measures on its own samples needs no model. Left out: how sure each is
(:mod:`cocogen.learning.intervals`).

.. [1] J. A. Hanley, B. J. McNeil, "The Meaning and Use of the Area under a Receiver Operating Characteristic (ROC)
   Curve", 1982.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from cocogen.errors import ConfigurationError, FieldProblem, LearningError
from cocogen.learning.intervals import Interval, area_interval, mean_of_shares, wilson
from cocogen.terms.metrics import metric_field
from cocogen.terms.sections import Metric

__all__ = ["Evaluation", "area_under_roc", "balanced_accuracy", "judge", "require_measurable"]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """``accuracy`` and ``balanced_accuracy`` in [0, 1], mean cross-entropy ``loss`` in nats, over ``samples``.

    ``metric``: that of the terms, whose ``interval`` at 95 % is there unless it is the accuracy, where it follows from
    accuracy and samples. ``auroc`` is there where it is the metric.
    """

    accuracy: float
    balanced_accuracy: float
    loss: float
    samples: int
    metric: Metric = "accuracy"
    auroc: float | None = None
    interval: Interval | None = None

    @property
    def value(self) -> float:
        """In the metric, in [0, 1]."""
        return float(getattr(self, metric_field(self.metric)))

    @property
    def bounds(self) -> Interval:
        """The interval at 95 % of :attr:`value`."""
        return self.interval or wilson(round(self.accuracy * self.samples), self.samples)

    def to_dict(self) -> dict[str, float]:
        """Plain JSON values, as evidence documents hold them: with the metric of the terms, unless it is the accuracy,
        and the ends of its interval."""
        plain: dict[str, float] = {
            "accuracy": self.accuracy,
            "balanced_accuracy": self.balanced_accuracy,
            "loss": self.loss,
            "samples": self.samples,
        }
        if self.auroc is not None:
            plain["auroc"] = self.auroc
        if self.interval is not None:
            plain["low"], plain["high"] = self.interval
        return plain


def judge(logits: NDArray[np.floating], labels: NDArray[np.int64], metric: Metric = "accuracy") -> Evaluation:
    """How predictions do: ``logits`` (n, C), ``labels`` (n,) in [0, C), n at least 1.

    The class with the largest logit is predicted, the first of equal ones. Infinite logits give a loss that is not
    finite.

    Raises
    ------
    LearningError
        When the metric is the area under the ROC curve and there are not two classes, or the samples are of one.
    """
    scores = logits.astype(np.float64)
    with np.errstate(invalid="ignore"):  # infinite logits
        shifted = scores - scores.max(axis=1, keepdims=True)
    log_probabilities = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    predicted = scores.argmax(axis=1)
    area, interval = None, None
    if metric == "auroc":
        if scores.shape[1] != 2:
            raise LearningError(
                f"the area under the ROC curve is that of two classes, not of {scores.shape[1]}",
                hint="measure accuracy or balanced accuracy",
            )
        with np.errstate(invalid="ignore"):
            area = area_under_roc(scores[:, 1] - scores[:, 0], labels == 1)
        positive = int((labels == 1).sum())
        interval = area_interval(area, positive, len(labels) - positive)
    elif metric == "balanced-accuracy":
        classes, counts = np.unique(labels, return_counts=True)
        right = [int((predicted[labels == c] == c).sum()) for c in classes]
        interval = mean_of_shares(right, counts.tolist())
    return Evaluation(
        accuracy=float((predicted == labels).mean()),
        balanced_accuracy=balanced_accuracy(predicted, labels),
        loss=float(-log_probabilities[np.arange(len(labels)), labels].mean()),
        samples=len(labels),
        metric=metric,
        auroc=area,
        interval=interval,
    )


def balanced_accuracy(predicted: NDArray[np.int64], labels: NDArray[np.int64]) -> float:
    """Mean over the classes that are there of the share predicted right, in [0, 1]."""
    return float(np.mean([(predicted[labels == c] == c).mean() for c in np.unique(labels)]))


def area_under_roc(scores: NDArray[np.float64], positive: NDArray[np.bool_]) -> float:
    """The chance that a positive sample scores above a negative one, in [0, 1]: the area under the ROC curve [1]_.

    Ties count half, so that constant scores give 1/2; a score that is no number counts as 0. Computed from ranks (Mann
    and Whitney's U).

    Raises
    ------
    LearningError
        When the samples are all of one class: nothing can be ranked then.
    """
    many = int(positive.sum())
    if not 0 < many < len(positive):
        only = "positive" if many else "negative"
        raise LearningError(
            f"all {len(positive)} samples are {only}, so no area under the ROC curve can be measured",
            hint="measure on samples of both classes, or choose another metric",
        )
    ranks = rankdata(np.nan_to_num(scores, nan=0.0, posinf=np.inf, neginf=-np.inf))
    above = float(ranks[positive].sum()) - many * (many + 1) / 2
    return above / (many * (len(positive) - many))


def require_measurable(metric: Metric, labels: NDArray[np.int64], classes: int, where: str) -> None:
    """That the metric of the terms can be measured on samples with these ``labels``, which are ``where``.

    Raises
    ------
    ConfigurationError
        When it is the area under the ROC curve, and there are not two classes.
    LearningError
        When the samples are of one class.
    """
    if metric != "auroc":
        return
    if classes != 2:
        problem = FieldProblem("learning.metric", '"auroc"', f'for two classes; "balanced-accuracy" serves {classes}')
        raise ConfigurationError("the terms are not valid:", problems=[problem])
    if (found := np.unique(labels)).size < 2:
        only = f"only class {int(found[0])} is" if found.size else "no sample is"
        raise LearningError(
            f"{only} among the {len(labels)} samples of {where}, so no area under the ROC curve can be measured",
            hint='give it samples of both classes, or set learning.metric = "accuracy"',
        )
