"""What each metric of the terms is called: in words, and as a field of documents and of JSON.

``learning.metric`` says which it is (:class:`cocogen.terms.sections.Learning`). Left out: how they are measured
(:mod:`cocogen.learning.metrics`).
"""

from __future__ import annotations

__all__ = ["metric_field", "metric_words"]


def metric_field(metric: str) -> str:
    """Its field in evaluations: "accuracy", "balanced_accuracy", "auroc"."""
    return metric.replace("-", "_")


def metric_words(metric: str) -> str:
    """Its name in a text: "accuracy", "balanced accuracy", "AUROC"."""
    return "AUROC" if metric == "auroc" else metric.replace("-", " ")
