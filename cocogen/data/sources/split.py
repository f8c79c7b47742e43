"""One data set cut into a test fold, the attester's holdout and the organizations' own data, as the terms say.

Everything is standardized by what all organizations agreed on without showing each other a sample. Left out: the
samplers (:mod:`cocogen.data.splits`, :mod:`cocogen.data.partition`) and training (:mod:`cocogen.evidence`).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from cocogen.data.feature_shift import add_noise, noise_level
from cocogen.data.heterogeneity import label_counts
from cocogen.data.partition import dirichlet_partition, equal_sizes, iid_partition, quantity_sizes, shard_partition
from cocogen.data.samples import Samples
from cocogen.data.scaling import federated_scale
from cocogen.data.sets import DataFolders, load
from cocogen.data.sources.base import RegisteredRows, Reserved
from cocogen.data.splits import Split, limit_samples, stratified_split
from cocogen.errors import DatasetError, LearningError
from cocogen.streams import Purpose, Streams
from cocogen.terms.sections import Learning

__all__ = ["SplitSource"]


class SplitSource:
    """Implements :class:`~cocogen.data.sources.base.Source`: the data set of the terms, cut among ``organizations``
    members, the attester and the test fold.

    ``folders``: where its files are. ``least``: samples of every class that the attester needs, in every test fold: a
    run that compares over all of them is not to end in the last. With the partition "feature-shift" the members'
    samples carry noise from the stream of each; test fold and holdout are clean. It keeps the whole set as it was read,
    4nd bytes for n samples of d features, nd for images: whoever has taken its own lets it go. ``classes``: their
    names; ``scale``: by which all samples are standardized.

    Raises
    ------
    DatasetError
        When the data set is unknown, missing or malformed, or cannot be split as the terms say.
    """

    def __init__(
        self,
        learning: Learning,
        organizations: int,
        streams: Streams,
        folders: DataFolders | None = None,
        *,
        least: int = 0,
    ) -> None:
        dataset = load(learning.dataset, folders)
        used = limit_samples(
            dataset.labels,
            learning.samples or len(dataset.labels),
            streams.shared(Purpose.LIMIT),
            test_from=dataset.test_from,
        )
        labels = dataset.labels[used]
        test_from = None if dataset.test_from is None else int(np.searchsorted(used, dataset.test_from))
        if least:
            _check_holdouts(learning, labels, dataset.classes, streams, test_from, least)
        cut = _cut(learning, labels, streams, test_from)
        owned = [cut.pool[part] for part in _partition(learning, labels[cut.pool], organizations, streams)]
        self.shape, self.classes = dataset.shape, dataset.classes
        self.counts = label_counts([labels[own] for own in owned], len(dataset.classes))
        self._features, self._used, self._labels = dataset.features, used, labels
        self._owned, self._cut = owned, cut
        self._learning, self._streams = learning, streams
        self.scale = federated_scale((dataset.features[used[own]] for own in owned), dataset.shape)

    def of_member(self, n: int) -> Samples:
        """The own samples of organization ``n``."""
        return _shifted(self._learning, self._samples(self._owned[n]), n, len(self._owned), self._streams)

    def own_patients(self, n: int) -> Samples | None:  # noqa: ARG002 - the protocol's signature
        """None: the test fold judges the models of all."""
        return None

    def registered(self, n: int) -> RegisteredRows | None:  # noqa: ARG002 - the protocol's signature
        """Nothing: anybody who has the data set and the seed can cut it again."""
        return None

    def of_attester(self) -> Reserved:
        """Holdout and test fold."""
        return Reserved(holdout=self._samples(self._cut.holdout), test=self._samples(self._cut.test))

    def _samples(self, indices: NDArray[np.int64]) -> Samples:
        return Samples(self.scale.apply(self._features[self._used[indices]]), self._labels[indices])


def _cut(
    learning: Learning,
    labels: NDArray[np.int64],
    streams: Streams,
    test_from: int | None,
    fraction: float | None = None,
) -> Split:
    return stratified_split(
        labels,
        folds=learning.splits,
        fold=streams.split,
        holdout_fraction=fraction or learning.holdout_fraction,
        fold_rng=streams.shared(Purpose.FOLDS),
        holdout_rng=streams.get(Purpose.HOLDOUT),
        test_from=test_from,
    )


def _check_holdouts(
    learning: Learning,
    labels: NDArray[np.int64],
    classes: tuple[str, ...],
    streams: Streams,
    test_from: int | None,
    least: int,
) -> None:
    """Every test fold leaves the attester ``least`` samples of every class; DatasetError says what would do."""

    def fewest(fraction: float | None = None) -> tuple[int, int, int]:
        """The fewest samples of a class in a holdout, which class, and in which test fold."""
        found = []
        for split in range(learning.splits):
            cut = _cut(learning, labels, Streams(streams.seed, split), test_from, fraction)
            counts = np.bincount(labels[cut.holdout], minlength=len(classes))
            found.append((int(counts.min()), int(counts.argmin()), split))
        return min(found)

    count, label, split = fewest()
    if count >= least:
        return
    whole = int((labels == label).sum())
    first = max(learning.holdout_fraction, (least - 0.5) / whole)
    steps = range(math.ceil(first * 100), 61)
    enough = next((step / 100 for step in steps if fewest(step / 100)[0] >= least), None)
    instead = f"learning.holdout_fraction = {enough:g} would do; or" if enough else "none is large enough:"
    raise DatasetError(
        f"of the {whole} samples of class {classes[label]} the attester's holdout has {count} in test fold {split}, "
        f"but needs {least} to measure generators",
        hint=f"{instead} merge the class with another, leave it out, or set generation.maximum = 0: then nothing is "
        "measured",
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
