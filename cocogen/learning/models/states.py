"""Model parameters as named numpy arrays: what is averaged, hashed, signed and saved.

Independent of torch, so that an attester or auditor can hash and compare models without building them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cocogen.data.archive import absorb, read_arrays, write_arrays
from cocogen.errors import LearningError

__all__ = ["ModelState", "SharedModel", "average"]


class ModelState(Mapping[str, NDArray[np.float32]]):
    """Parameters by name, float32, in sorted order; immutable by convention."""

    __slots__ = ("_arrays",)

    def __init__(self, arrays: Mapping[str, NDArray[np.float32]]) -> None:
        self._arrays = {name: np.ascontiguousarray(arrays[name], dtype=np.float32) for name in sorted(arrays)}

    def __getitem__(self, name: str) -> NDArray[np.float32]:
        return self._arrays[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._arrays)

    def __len__(self) -> int:
        return len(self._arrays)

    def __repr__(self) -> str:
        return f"ModelState({', '.join(f'{name}{array.shape}' for name, array in self.items())})"

    @property
    def layout(self) -> tuple[tuple[str, tuple[int, ...]], ...]:
        """Names and shapes."""
        return tuple((name, array.shape) for name, array in self.items())

    def digest(self) -> str:
        """SHA-256 over names, dtypes, shapes and bytes in sorted order, as hexadecimal text."""
        digest = hashlib.sha256()
        for name, array in self.items():
            encoded = name.encode()
            digest.update(len(encoded).to_bytes(4, "big") + encoded)
            absorb(digest, array)
        return digest.hexdigest()

    def is_finite(self) -> bool:
        """Whether no parameter is NaN or infinite."""
        return all(bool(np.isfinite(array).all()) for array in self.values())

    def save(self, path: Path) -> None:
        """Write an npz file atomically; equal states give equal bytes."""
        write_arrays(path, pack("state", self))

    @classmethod
    def load(cls, path: Path) -> ModelState:
        """Read :meth:`save`'s file; LearningError when it is missing or malformed."""
        arrays = read_arrays(path)
        state = unpack("state", arrays)
        if len(state) != len(arrays):
            raise LearningError(f"{path} does not hold a model's state", hint="name a file written by cocogen")
        return state

    def distance(self, other: ModelState) -> float:
        """Euclidean norm of the difference of all parameters; the layouts must agree."""
        squares = (np.square(self[name] - other[name], dtype=np.float64).sum() for name in self)
        return float(np.sqrt(sum(squares)))


def average(states: Sequence[ModelState], weights: Sequence[int]) -> ModelState:
    """Σ w_n θ_n / Σ w_n, summed in the order given in float64, so that equal inputs give equal bytes.

    This is the aggregation of FedAvg [1]_. Organizations with weight 0 take no part; LearningError when all are 0.

    .. [1] B. McMahan et al., "Communication-Efficient Learning of Deep Networks from Decentralized Data", 2017.
    """
    total = sum(weights)
    if total <= 0:
        raise LearningError("no organization has a positive weight", hint="aggregate at least one contribution")
    names = list(states[0])
    sums = {name: np.zeros(states[0][name].shape, dtype=np.float64) for name in names}
    for state, weight in zip(states, weights, strict=True):
        if weight:
            for name in names:
                sums[name] += weight * state[name].astype(np.float64)
    return ModelState({name: (sums[name] / total).astype(np.float32) for name in names})


@dataclass(frozen=True, slots=True)
class SharedModel:
    """What the organizations hold in common: the classifier and the generator.

    ``server``: what the server's optimizer remembers of earlier rounds (:mod:`cocogen.learning.aggregation.server`),
    nothing where it averages. It is part of the model, so that whoever continues or checks a run continues from it.
    """

    classifier: ModelState
    generator: ModelState
    server: ModelState = field(default_factory=lambda: ModelState({}))

    def digest(self) -> str:
        """SHA-256 over the digests of the parts, of ``server`` unless it is empty, as hexadecimal text."""
        digests = self.classifier.digest() + self.generator.digest() + (self.server.digest() if self.server else "")
        return hashlib.sha256(bytes.fromhex(digests)).hexdigest()

    def save(self, path: Path) -> None:
        """Write an npz file atomically; equal models give equal bytes."""
        parts = pack("classifier", self.classifier) | pack("generator", self.generator) | pack("server", self.server)
        write_arrays(path, parts)

    @classmethod
    def load(cls, path: Path) -> SharedModel:
        """Read :meth:`save`'s file; LearningError when it is missing or malformed."""
        arrays = read_arrays(path)
        parts = [unpack(part, arrays) for part in ("classifier", "generator", "server")]
        if not parts[0] or sum(map(len, parts)) != len(arrays):
            raise LearningError(f"{path} does not hold a shared model", hint="name a model file written by cocogen")
        return cls(*parts)


def pack(part: str, state: ModelState) -> dict[str, NDArray[np.generic]]:
    """The state's arrays under names that begin with ``part/``."""
    return {f"{part}/{name}": array for name, array in state.items()}


def unpack(part: str, arrays: Mapping[str, NDArray[np.generic]]) -> ModelState:
    """The float32 arrays whose names begin with ``part/``, as a state."""
    own = {
        name.removeprefix(f"{part}/"): array.astype(np.float32, copy=False)
        for name, array in arrays.items()
        if name.startswith(f"{part}/") and array.dtype == np.float32
    }
    return ModelState(own)
