"""Random streams derived from the seed of the terms, one for each purpose, round and organization.

A draw never depends on what was drawn elsewhere, so one organization that trains alone sees the same batches as in a
run of all of them, and the attester can repeat the draws that the terms make public (synthetic samples and panels).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

__all__ = ["Purpose", "Streams"]


class Purpose(IntEnum):
    """What a stream is for. Numbers are part of the results of a seed: add at the end, never renumber."""

    FOLDS = 0
    HOLDOUT = 1
    PARTITION = 2
    CLASSIFIER = 3
    GENERATOR = 4
    PRETRAINING = 5
    SUBSET = 6
    CLASSIFIER_BATCHES = 7
    GENERATOR_BATCHES = 8
    SYNTHETIC = 9
    PANEL = 10
    REFERENCE = 11
    ALONE = 12
    SALT = 13
    REFERENCE_GENERATOR = 14
    LIMIT = 15
    FEATURE_SHIFT = 16


@dataclass(frozen=True, slots=True)
class Streams:
    """All streams of one split of one seed; both are non-negative integers."""

    seed: int
    split: int

    def get(self, purpose: Purpose, round_number: int = 0, organization: int = 0) -> np.random.Generator:
        """A fresh generator at the start of its stream: equal arguments give equal draws."""
        key = (int(purpose), self.split, round_number, organization)
        return np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=key))

    def shared(self, purpose: Purpose) -> np.random.Generator:
        """A stream that all splits of the seed have in common, such as the cut into test folds."""
        return np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=(int(purpose),)))
