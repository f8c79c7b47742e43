from __future__ import annotations

from typing import get_args

from cocogen.terms.metrics import metric_field, metric_words
from cocogen.terms.sections import Metric


def test_every_metric_of_the_terms_has_a_field_and_a_name():
    assert [metric_field(metric) for metric in get_args(Metric)] == ["accuracy", "balanced_accuracy", "auroc"]
    assert [metric_words(metric) for metric in get_args(Metric)] == ["accuracy", "balanced accuracy", "AUROC"]
