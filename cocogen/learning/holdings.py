"""Who holds which samples: a data set cut into a test fold, the attester's holdout and the organizations' own data.

Everything is standardized by what all organizations agreed on without showing each other a sample. Left out: the
samplers (:mod:`cocogen.learning.splits`, :mod:`cocogen.learning.partition`) and training
(:mod:`cocogen.learning.task`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cocogen.errors import LearningError
from cocogen.learning.datasets import DataFolders, load
from cocogen.learning.evidence import Samples
from cocogen.learning.feature_shift import add_noise, noise_level
from cocogen.learning.heterogeneity import label_counts
from cocogen.learning.partition import (
    dirichlet_partition,
    equal_sizes,
    iid_partition,
    quantity_sizes,
    shard_partition,
)
from cocogen.learning.scaling import federated_scale
from cocogen.learning.splits import limit_samples, stratified_split
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


def distribute(
    learning: Learning, organizations: int, streams: Streams, folders: DataFolders | None = None
) -> Holdings:
    """Cut the data set of the terms among ``organizations`` members, the attester and the test fold.

    ``folders``: where its files are. With the partition "feature-shift" the members' samples carry noise from the
    stream of each; test fold and holdout are clean. A set of n samples of d features occupies 4nd bytes afterwards,
    and while it is cut nd more for images, 4nd for tables.

    Raises
    ------
    DatasetError
        When the data set is unknown, missing or malformed, or cannot be split as the terms say.
    """
    dataset = load(learning.dataset, folders)
    used = limit_samples(
        dataset.labels,
        learning.samples or len(dataset.labels),
        streams.shared(Purpose.LIMIT),
        test_from=dataset.test_from,
    )
    labels = dataset.labels[used]
    cut = stratified_split(
        labels,
        folds=learning.splits,
        fold=streams.split,
        holdout_fraction=learning.holdout_fraction,
        fold_rng=streams.shared(Purpose.FOLDS),
        holdout_rng=streams.get(Purpose.HOLDOUT),
        test_from=None if dataset.test_from is None else int(np.searchsorted(used, dataset.test_from)),
    )
    owned = [cut.pool[part] for part in _partition(learning, labels[cut.pool], organizations, streams)]
    scale = federated_scale((dataset.features[used[own]] for own in owned), dataset.shape)

    def samples(indices: NDArray[np.int64]) -> Samples:
        return Samples(scale.apply(dataset.features[used[indices]]), labels[indices])

    return Holdings(
        own=tuple(_shifted(learning, samples(own), n, organizations, streams) for n, own in enumerate(owned)),
        test=samples(cut.test),
        holdout=samples(cut.holdout),
        shape=dataset.shape,
        classes=len(dataset.classes),
    )


def _partition(
    learning: Learning, labels: NDArray[np.int64], organizations: int, streams: Streams
) -> tuple[NDArray[np.int64], ...]:
    partition, rng = learning.partition, streams.get(Purpose.PARTITION)
    if partition.kind == "shards":
        return shard_partition(labels, organizations, partition.shards_each, rng)
    if partition.kind == "quantity":
        sizes = quantity_sizes(len(labels), organizations, partition.alpha, partition.minimum, rng)
        return iid_partition(labels, sizes, rng)
    sizes = partition.sizes or equal_sizes(len(labels), organizations)
    if len(sizes) != organizations:
        raise LearningError(
            f"{len(sizes)} partition sizes for {organizations} organizations", hint="give one size for each"
        )
    if partition.kind == "dirichlet":
        return dirichlet_partition(labels, sizes, partition.alpha, rng)
    return iid_partition(labels, sizes, rng)


def _shifted(learning: Learning, own: Samples, n: int, organizations: int, streams: Streams) -> Samples:
    if learning.partition.kind != "feature-shift":
        return own
    level = noise_level(learning.partition.noise, n, organizations)
    return Samples(add_noise(own.features, level, streams.get(Purpose.FEATURE_SHIFT, 0, n)), own.labels)
