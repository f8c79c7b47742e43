"""Exported models with random parameters, and raw inputs for them."""

from __future__ import annotations

import math

import numpy as np

from cocogen.data.own.transform import Transform
from cocogen.learning.exported.model import Card, Digests, ExportedModel, Measured
from cocogen.learning.exported.standardization import Standardization
from cocogen.learning.models.classifiers import build_classifier
from cocogen.learning.models.states import ModelState

CLASSES = ("survived", "died", "moved")


def exported(
    model: str = "mlp",
    shape: tuple[int, ...] = (5,),
    *,
    seed: int = 0,
    preparation: Transform | Standardization | None = None,
    classes: tuple[str, ...] = CLASSES,
) -> ExportedModel:
    rng = np.random.default_rng(seed)
    if preparation is None:
        mean, deviation = rng.normal(size=shape[0]) * 50, rng.uniform(20, 60, shape[0])
        if len(shape) == 3:
            mean, deviation = rng.uniform(110, 140, shape[0]), rng.uniform(65, 80, shape[0])
        preparation = Standardization(shape, mean, deviation)
    made = preparation.schema if isinstance(preparation, Transform) else preparation
    classifier = build_classifier(model, shape=made.shape, classes=len(classes), hidden=7)
    initial = classifier.initial_state(rng)
    # biases and gains that do something
    state = ModelState(
        {n: a + 0.1 * rng.normal(size=a.shape).astype(np.float32) * (a.ndim == 1) for n, a in initial.items()}
    )
    digests = {
        name: name.encode().hex().ljust(64, "0") for name in ("terms", "document", "evidence", "model", "generator")
    }
    card = Card(
        consortium="clinics",
        organization="north",
        round=3,
        metric="balanced-accuracy",
        metrics={"balanced_accuracy": Measured(value=0.9, low=0.8, high=0.95), "loss": Measured(value=0.3)},
        samples=114,
        digests=Digests(classifier=state.digest(), **digests),
    )
    return ExportedModel(model, 7, classes, preparation, state, card)


def raw(shape: tuple[int, ...], count: int = 12, seed: int = 1) -> np.ndarray:
    """(n, *shape): bytes for images, float32 for tables."""
    rng = np.random.default_rng(seed)
    if len(shape) == 3:
        return rng.integers(0, 256, (count, *shape), dtype=np.uint8)
    return (rng.normal(size=(count, math.prod(shape))) * 60).astype(np.float32)
