"""A class-conditional Gaussian mixture whose parameters are averaged without loss.

The parameters are moments per sample of the organization: of every class c and component k the share w = (1/n) Σ r,
the first moments (1/n) Σ r z and the second (1/n) Σ r z zᵀ, where r is the responsibility of the component for a
sample and z its coordinates (:mod:`~cocogen.learning.generators.basis`). An average weighted by samples therefore *is*
the moments of the union: one component a class is fitted exactly, at once; with more, a federated round is one
iteration of expectation maximization on the union, because all organizations compute r from the same base [1]_.

A local fit moves the base a step towards the organization's own moments (stochastic expectation maximization [2]_), so
that an organization keeps what the others know of the classes that it lacks. The averaging stays exact, since a step is
linear. The matrices are small: more threads than one only cost time.

Left out: secrecy of the moments. Those of a class of which an organization holds one sample are that sample.

.. [1] A. P. Dempster, N. M. Laird, D. B. Rubin, "Maximum Likelihood from Incomplete Data via the EM Algorithm", 1977.
.. [2] O. Cappé, E. Moulines, "On-line Expectation-Maximization Algorithm for Latent Data Models", 2009.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from cocogen.learning.generators.basis import Basis
from cocogen.learning.generators.gaussians import LEAST_SHARE, Gaussian, gaussians
from cocogen.learning.models.states import ModelState
from cocogen.learning.training.local import Advance, LocalWork

__all__ = ["GaussianMixture"]

Array = NDArray[np.float64]

_STEP = 0.5
_SPLIT = 0.5
_TOLERANCE = 1e-3


class GaussianMixture:
    """Implements :class:`~cocogen.learning.generators.base.Generator`; nothing is trained by gradients.

    Parameters
    ----------
    shape : that of one sample, (d,) or (channels, height, width).
    classes : their number C.
    components : Gaussians K of each class. Several start out equal and are split along random directions [1]_.
    epochs : iterations of one call of :meth:`fit`; 0 leaves the base as it is.

    .. [1] Y. Linde, A. Buzo, R. Gray, "An Algorithm for Vector Quantizer Design", 1980.
    """

    def __init__(self, *, shape: tuple[int, ...], classes: int, components: int = 1, epochs: int = 1) -> None:
        self.basis = Basis(shape)
        self.classes = classes
        self.components = components
        self.epochs = epochs

    def initial_state(self, rng: np.random.Generator) -> ModelState:
        """No samples seen; ``direction`` (K, d), in which equal components are split, is the only draw."""
        direction = rng.standard_normal((self.components, self.basis.width))
        return ModelState(_single(self._empty() | {"direction": direction}))

    def fit(self, works: Sequence[LocalWork], advance: Advance = lambda: None) -> list[ModelState]:
        """Each organization's base, moved towards the moments of its own samples; no ``rng`` is used."""
        with threadpool_limits(1):
            fitted = []
            for work in works:
                fitted.append(self._fit(work))
                advance()
            return fitted

    def sample(self, state: ModelState, labels: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.float32]:
        """One sample per label, shape (len(labels), d), float32.

        A class that no sample was seen of is drawn from one Gaussian over everything.
        """
        uniform, normal = rng.random(len(labels)), rng.standard_normal((len(labels), self.basis.width))
        limits = np.cumsum(self._shares(state), axis=1)
        # The last limit may be rounded below 1.
        chosen = np.minimum((uniform[:, None] >= limits[labels]).sum(axis=1), self.components - 1)
        coordinates = np.empty_like(normal)
        with threadpool_limits(1):
            for label, components in enumerate(self._gaussians(state)):
                for k, gaussian in enumerate(components):
                    rows = (labels == label) & (chosen == k)
                    coordinates[rows] = gaussian.place(normal[rows])
        return self.basis.inverse(coordinates)

    def movement(self, base: ModelState, state: ModelState) -> float:
        """Root mean square of the standardized features that the step from ``base`` to ``state`` implies.

        About 1 for honest samples whatever their labels, where a distance between moments would be large for skewed
        ones. Infinite when no samples have such moments; 0 when nothing moved.
        """
        if state.digest() == base.digest():
            return 0.0
        own, start = _double(state), _double(base)
        step = 1.0 if _is_empty(base) else 1.0 - (1.0 - _STEP) ** self.epochs
        implied = {name: start[name] + (own[name] - start[name]) / max(step, _TOLERANCE) for name in own}
        squares = np.concatenate([np.diagonal(implied["second"], axis1=2, axis2=3), implied["square"]], axis=2)
        weight, slack = implied["weight"][..., None], _TOLERANCE * max(1.0, float(np.abs(squares).max()))
        possible = (
            np.array_equal(own["direction"], start["direction"])
            and bool((weight >= -_TOLERANCE).all())
            and abs(float(weight.sum()) - 1.0) <= _TOLERANCE
            and bool((squares >= -slack).all())
            # Cauchy and Schwarz: (Σ r z)² ≤ Σ r · Σ r z².
            and bool((np.square(implied["first"]) <= (weight + _TOLERANCE) * (squares + slack)).all())
        )
        return math.sqrt(max(0.0, float(squares.sum())) / self.basis.width) if possible else math.inf

    def _fit(self, work: LocalWork) -> ModelState:
        state = work.initial
        if not len(work.labels):
            return state
        coordinates = self.basis.forward(work.features)
        for _ in range(self.epochs):
            step = 1.0 if _is_empty(state) else _STEP
            before = _double(state)
            own = self._moments(coordinates, work.labels, self._responsibilities(state, coordinates, work.labels))
            moved = {name: before[name] + step * (own[name] - before[name]) for name in own}
            state = ModelState(_single(before | moved))
        return state

    def _moments(self, coordinates: Array, labels: NDArray[np.int64], responsibilities: Array) -> dict[str, Array]:
        block, moments = self.basis.block, self._empty()
        for label in np.unique(labels):
            rows = coordinates[labels == label]
            for k, share in enumerate(responsibilities[labels == label].T / len(labels)):
                weighted = rows * share[:, None]
                moments["weight"][label, k] = share.sum()
                moments["first"][label, k] = weighted.sum(axis=0)
                moments["second"][label, k] = weighted[:, :block].T @ rows[:, :block]
                moments["square"][label, k] = (weighted[:, block:] * rows[:, block:]).sum(axis=0)
        return moments

    def _responsibilities(self, state: ModelState, coordinates: Array, labels: NDArray[np.int64]) -> Array:
        """Probability (n, K) of each component of a sample's own class, under the base."""
        result = np.full((len(labels), self.components), 1.0 / self.components)
        if self.components == 1:
            return result
        shares, components = self._shares(state), self._gaussians(state)
        for label in np.unique(labels[state["weight"][labels].sum(axis=1) >= LEAST_SHARE]):
            own = components[label]
            if len({moments.tobytes() for moments in state["first"][label]}) == 1:
                directions = state["direction"].astype(np.float64)
                own = [gaussian.moved(_SPLIT * along) for gaussian, along in zip(own, directions, strict=True)]
            rows = labels == label
            scores = np.stack([gaussian.log_density(coordinates[rows]) for gaussian in own], axis=1)
            scores = np.exp(scores - scores.max(axis=1, keepdims=True)) * np.maximum(shares[label], LEAST_SHARE)
            result[rows] = scores / scores.sum(axis=1, keepdims=True)
        return result

    def _gaussians(self, state: ModelState) -> list[list[Gaussian]]:
        moments = _double(state)
        return gaussians(moments["weight"], moments["first"], moments["second"], moments["square"])

    def _shares(self, state: ModelState) -> Array:
        """Share (C, K) of each component in its class; equal where no sample was seen."""
        weight = np.where(state["weight"] >= LEAST_SHARE, state["weight"], 0.0).astype(np.float64)
        totals = weight.sum(axis=1, keepdims=True)
        return np.where(totals > 0, weight / np.where(totals > 0, totals, 1.0), 1.0 / self.components)

    def _empty(self) -> dict[str, Array]:
        cells, width, block = (self.classes, self.components), self.basis.width, self.basis.block
        shapes = {"weight": (), "first": (width,), "second": (block, block), "square": (width - block,)}
        return {name: np.zeros((*cells, *shape)) for name, shape in shapes.items()}


def _is_empty(state: ModelState) -> bool:
    return not state["weight"].any()


def _double(state: ModelState) -> dict[str, Array]:
    return {name: array.astype(np.float64) for name, array in state.items()}


def _single(arrays: Mapping[str, Array]) -> dict[str, NDArray[np.float32]]:
    return {name: array.astype(np.float32) for name, array in arrays.items()}
