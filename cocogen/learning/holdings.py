"""Who holds which samples: a data set cut into a test fold, the attester's holdout and the organizations' own data.

Everything is standardized by what all organizations agreed on without showing each other a sample. Left out: the
samplers (:mod:`cocogen.learning.partition`) and training (:mod:`cocogen.learning.task`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cocogen.errors import LearningError
from cocogen.learning.datasets import load
from cocogen.learning.evidence import Samples
from cocogen.learning.partition import (
    dirichlet_partition,
    equal_sizes,
    federated_scale,
    iid_partition,
    label_counts,
    stratified_split,
)
from cocogen.learning.streams import Purpose, Streams
from cocogen.sections import Learning

__all__ = ["Holdings", "distribute"]


@dataclass(frozen=True, slots=True)
class Holdings:
    """Standardized samples by holder.

    ``own``: those of each organization. ``test``: seen by nobody in training. ``holdout``: the attester's.
    ``shape``: that of one sample, before it was flattened. ``classes``: their number C.
    """

    own: tuple[Samples, ...]
    test: Samples
    holdout: Samples
    shape: tuple[int, ...]
    classes: int

    @property
    def counts(self) -> NDArray[np.int64]:
        """Samples of each organization and class, shape (N, C)."""
        return label_counts([own.labels for own in self.own], self.classes)


def distribute(learning: Learning, organizations: int, streams: Streams) -> Holdings:
    """Cut the data set of the terms among ``organizations`` members, the attester and the test fold.

    Raises
    ------
    DatasetError
        When the data set is unknown, or cannot be split as the terms say.
    """
    dataset = load(learning.dataset)
    cut = stratified_split(
        dataset.labels,
        folds=learning.splits,
        fold=streams.split,
        holdout_fraction=learning.holdout_fraction,
        fold_rng=streams.shared(Purpose.FOLDS),
        holdout_rng=streams.get(Purpose.HOLDOUT),
    )
    owned = [cut.pool[part] for part in _partition(learning, dataset.labels[cut.pool], organizations, streams)]
    scale = federated_scale([dataset.features[own] for own in owned])

    def samples(indices: NDArray[np.int64]) -> Samples:
        return Samples(scale.apply(dataset.features[indices]), dataset.labels[indices])

    return Holdings(
        own=tuple(samples(own) for own in owned),
        test=samples(cut.test),
        holdout=samples(cut.holdout),
        shape=dataset.shape,
        classes=len(dataset.classes),
    )


def _partition(
    learning: Learning, labels: NDArray[np.int64], organizations: int, streams: Streams
) -> tuple[NDArray[np.int64], ...]:
    partition, rng = learning.partition, streams.get(Purpose.PARTITION)
    sizes = partition.sizes or equal_sizes(len(labels), organizations)
    if len(sizes) != organizations:
        raise LearningError(
            f"{len(sizes)} partition sizes for {organizations} organizations", hint="give one size for each"
        )
    if partition.kind == "iid":
        return iid_partition(labels, sizes, rng)
    return dirichlet_partition(labels, sizes, partition.alpha, rng)
