"""What the organizations of a market can contribute: the strategies behind a plan, and the integers a ledger records.

A mechanism plans on continuous strategies and never asks which kind they are; the ledger knows three counts for each
organization: data, generated, compute. :class:`GenerationResources` (CoCoGen+) and :class:`DataResources` (TradeFL)
say how the two correspond. Index n is the n-th organization of the terms file, whoever takes part. Left out: how the
numbers were measured (``cocogen.operations.registration``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from cocogen.errors import ConfigurationError, FieldProblem
from cocogen.game.arrays import Array, BoolArray, IntArray
from cocogen.game.data_fractions import DataFractions
from cocogen.game.effective import effective_samples, raw_samples
from cocogen.game.strategies import GenerationAmounts, StrategyFamily
from cocogen.ledger import DecodedTerms

__all__ = ["DataResources", "GenerationResources", "IntegerProfile", "Resources"]


@dataclass(frozen=True, slots=True, eq=False)
class IntegerProfile:
    """What the plan asks to be contributed, int64, shape (N,), all at least 0; zeros for whoever does not take part.

    ``data``: real samples (TradeFL: bits); ``generated``: effective synthetic samples ⌊κ g⌋; ``raw``: samples to draw
    for exactly that count, ⌈generated / κ⌉; ``compute``: compute units (TradeFL: Hz).
    """

    data: IntArray
    generated: IntArray
    raw: IntArray
    compute: IntArray


class Resources(Protocol):
    """The organizations' strategy sets; ``here`` (bool, shape (N,)) says who takes part."""

    @property
    def size(self) -> int:
        """N, absent organizations included."""
        ...

    @property
    def registered(self) -> Array:
        """Registered local samples, shape (N,): the weights of the mean heterogeneity δ̄."""
        ...

    def family(self, here: BoolArray, decoded: DecodedTerms, names: Sequence[str]) -> StrategyFamily:
        """The participants' strategy sets, on the ledger's decoded weights; ``names`` of all, for messages."""
        ...

    def integers(self, strategies: Array, here: BoolArray) -> IntegerProfile:
        """Round the participants' profile to what can be contributed and attested."""
        ...

    def executed(self, profile: IntegerProfile, here: BoolArray) -> Array:
        """The participants' strategies that these integers stand for."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class GenerationResources:
    """CoCoGen+: all local data, and synthetic samples on top; arrays of shape (N,) and float64 unless said otherwise.

    Attributes
    ----------
    local : ndarray
        Registered local samples, int64, at least 0.
    quality : ndarray
        κ in force this round, in (0, 1].
    cost_linear, cost_quadratic, cost_fixed : ndarray
        Generation costs: currency per sample, per sample², and whatever is generated.
    maximum : ndarray
        Most raw synthetic samples in a round.
    data_cap, generated_cap : ndarray
        Largest contribution the ledger accepts, int64: real samples, effective synthetic samples.

    Raises
    ------
    ConfigurationError
        The arrays disagree on N, or an organization registers more local samples than its cap.
    """

    local: IntArray
    quality: Array
    cost_linear: Array
    cost_quadratic: Array
    cost_fixed: Array
    maximum: Array
    data_cap: IntArray
    generated_cap: IntArray

    def __post_init__(self) -> None:
        _check_shapes({name: getattr(self, name) for name in self.__dataclass_fields__}, self.size)
        over = np.asarray(self.local) > np.asarray(self.data_cap)
        if over.any():
            n = int(np.argmax(over))
            problem = FieldProblem(f"local[{n}]", str(self.local[n]), f"at most its cap {self.data_cap[n]}")
            raise ConfigurationError("the ledger would refuse the local samples", problems=[problem])

    @property
    def size(self) -> int:
        return int(np.size(self.local))

    @property
    def registered(self) -> Array:
        return np.asarray(self.local, dtype=np.float64)

    def family(self, here: BoolArray, decoded: DecodedTerms, names: Sequence[str]) -> GenerationAmounts:  # noqa: ARG002 - the protocol's signature
        """An amount is limited by its maximum and by the cap on effective samples at the κ in force."""
        quality = self.quality[here]
        return GenerationAmounts(
            self.registered[here],
            quality,
            self.cost_linear[here],
            self.cost_quadratic[here],
            np.minimum(self.maximum[here], self.generated_cap[here] / quality),
            self.cost_fixed[here],
            generated_weight=decoded.generated_weight,
        )

    def integers(self, strategies: Array, here: BoolArray) -> IntegerProfile:
        """All local samples, ⌊κ g⌋ effective ones within the cap, and the raw samples that give exactly those."""
        generated, raw = np.zeros(self.size, dtype=np.int64), np.zeros(self.size, dtype=np.int64)
        for n, amount in zip(np.flatnonzero(here), strategies, strict=True):
            quality = float(self.quality[n])
            generated[n] = min(effective_samples(float(amount), quality), int(self.generated_cap[n]))
            raw[n] = raw_samples(int(generated[n]), quality)
        data = np.where(here, self.local, 0).astype(np.int64)
        return IntegerProfile(data=data, generated=generated, raw=raw, compute=np.zeros(self.size, dtype=np.int64))

    def executed(self, profile: IntegerProfile, here: BoolArray) -> Array:
        """The amounts generated / κ, at which effective samples are exactly the integer that is attested."""
        quality = self.quality[here]
        limit = np.minimum(self.maximum[here], self.generated_cap[here] / quality)
        return np.asarray(np.minimum(profile.generated[here] / quality, limit))


@dataclass(frozen=True, slots=True, eq=False)
class DataResources:
    """TradeFL: a fraction of the local data at a compute level; see :class:`cocogen.game.data_fractions.DataFractions`.

    Arrays of shape (N,), float64: ``samples``, ``bits``, ``cycles_per_bit``, ``communication_time`` (s),
    ``communication_energy`` (J); ``compute_levels`` of shape (N, m) in whole Hz. On the ledger data = round(d s) bits
    and compute = f Hz.

    Raises
    ------
    ConfigurationError
        The arrays disagree on N.
    """

    samples: Array
    bits: Array
    compute_levels: Array
    cycles_per_bit: Array
    communication_time: Array
    communication_energy: Array
    deadline: float
    overhead_weight: float
    capacitance: float
    minimum_fraction: float

    def __post_init__(self) -> None:
        arrays = ("samples", "bits", "cycles_per_bit", "communication_time", "communication_energy")
        _check_shapes({name: getattr(self, name) for name in arrays}, self.size)

    @property
    def size(self) -> int:
        return int(np.size(self.samples))

    @property
    def registered(self) -> Array:
        return self.samples

    def family(self, here: BoolArray, decoded: DecodedTerms, names: Sequence[str]) -> DataFractions:
        """The score's λ is the ledger's compute weight."""
        return DataFractions(
            self.bits[here],
            self.samples[here],
            self.compute_levels[here],
            self.cycles_per_bit[here],
            self.deadline,
            communication_time=self.communication_time[here],
            communication_energy=self.communication_energy[here],
            overhead_weight=self.overhead_weight,
            capacitance=self.capacitance,
            minimum_fraction=self.minimum_fraction,
            compute_weight=decoded.compute_weight,
            names=[name for name, present in zip(names, here, strict=True) if present],
        )

    def integers(self, strategies: Array, here: BoolArray) -> IntegerProfile:
        """round(d s) bits and the compute level in Hz."""
        data, compute = np.zeros(self.size, dtype=np.int64), np.zeros(self.size, dtype=np.int64)
        data[here] = np.rint(strategies[:, 0] * self.bits[here]).astype(np.int64)
        compute[here] = np.rint(strategies[:, 1]).astype(np.int64)
        nothing = np.zeros(self.size, dtype=np.int64)
        return IntegerProfile(data=data, generated=nothing, raw=nothing, compute=compute)

    def executed(self, profile: IntegerProfile, here: BoolArray) -> Array:
        """(data / s, compute), the fraction kept within its limits: half a bit of rounding may leave them."""
        compute = profile.compute[here].astype(np.float64)
        cycles = self.cycles_per_bit[here] * self.bits[here]
        in_time = (self.deadline - self.communication_time[here]) * compute / cycles
        most = np.clip(in_time, self.minimum_fraction, 1.0)
        fraction = np.clip(profile.data[here] / self.bits[here], self.minimum_fraction, most)
        return np.stack([fraction, compute], axis=1)


def _check_shapes(arrays: Mapping[str, Array | IntArray], size: int) -> None:
    problems = [
        FieldProblem(field, f"shape {np.shape(array)}", f"shape ({size},)")
        for field, array in arrays.items()
        if np.shape(array) != (size,)
    ]
    if problems:
        raise ConfigurationError("the resources disagree on N", problems=problems)
