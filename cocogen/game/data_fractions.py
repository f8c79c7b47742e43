"""TradeFL's strategies: which share of its data an organization trains on, at which compute level, by a deadline.

A strategy is a pair (d_n, f_n) with d_n ∈ [D_min, 1] and f_n one of m compute levels, subject to the round's deadline
T_comm + η d s / f ≤ τ (TradeFL Eq. 3 and 19). Each level is one segment with the data fraction as its position; a
level at which not even D_min meets the deadline is infeasible. Units: s in bits, |S| in samples, f in Hz (cycles per
second), energies in joules, times in seconds. P counts samples, never bits. Left out: how d and f are chosen.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from cocogen.errors import ConfigurationError, EmptyStrategySet, FieldProblem
from cocogen.game.arrays import Array, BoolArray, IntArray, frozen, scalar, vector
from cocogen.game.bounds import rounded_down, rounded_up
from cocogen.game.strategies import Segments

__all__ = ["DataFractions"]

_ROUNDING = 1e-12  # of the deadline, or of a fraction: what is met exactly may be computed in another order elsewhere


class DataFractions:
    """TradeFL: organization n trains on a fraction d_n of its data at compute level f_n.

    q_n = d_n |S_n|, x_n = d_n s_n + λ f_n, C_n = ϖ (κ f_n² η_n d_n s_n + E_n) (Eq. 4-5; κ here is the capacitance).
    A profile is an array of shape (N, 2), float64: the data fraction and the compute level in Hz.

    Parameters
    ----------
    bits : array_like
        s, size of the local data in bits, shape (N,) or one for all, greater than 0.
    samples : array_like
        |S|, local samples, shape (N,), greater than 0.
    compute_levels : array_like
        F^(1) < … < F^(m) in Hz, shape (N, m), or (m,) for all, greater than 0.
    cycles_per_bit : array_like
        η, shape (N,) or one for all, greater than 0.
    deadline : float
        τ in seconds, greater than 0.
    communication_time : array_like
        T_comm = T1 + T3 in seconds, shape (N,) or one for all, at least 0.
    communication_energy : array_like
        E in joules, shape (N,) or one for all, at least 0.
    overhead_weight : float
        ϖ, currency per joule, at least 0.
    capacitance : float
        κ, effective capacitance of a processor, joules per cycle and Hz², greater than 0.
    minimum_fraction : float
        D_min in (0, 1].
    compute_weight : float
        λ, bits of score per Hz, at least 0; 1 where the paper leaves it open [ours].
    names : sequence of str, optional
        For messages; default "organization n".

    Raises
    ------
    ConfigurationError
        A parameter is out of range, or the levels do not increase.
    EmptyStrategySet
        An organization misses the deadline at every level; the message names it and the least deadline that it meets.
    """

    def __init__(
        self,
        bits: ArrayLike,
        samples: ArrayLike,
        compute_levels: ArrayLike,
        cycles_per_bit: ArrayLike,
        deadline: float,
        *,
        communication_time: ArrayLike = 0.0,
        communication_energy: ArrayLike = 0.0,
        overhead_weight: float = 1.0,
        capacitance: float = 1e-27,
        minimum_fraction: float = 0.01,
        compute_weight: float = 1.0,
        names: Sequence[str] | None = None,
    ) -> None:
        size = int(np.size(np.asarray(samples)))
        self.samples = vector("samples", np.atleast_1d(np.asarray(samples, dtype=np.float64)), size, positive=True)
        self.bits = vector("bits", bits, size, positive=True)
        self.cycles_per_bit = vector("cycles_per_bit", cycles_per_bit, size, positive=True)
        self.communication_time = vector("communication_time", communication_time, size, lower=0.0)
        self.communication_energy = vector("communication_energy", communication_energy, size, lower=0.0)
        self.deadline = scalar("deadline", deadline, positive=True)
        self.overhead_weight = scalar("overhead_weight", overhead_weight, lower=0.0)
        self.capacitance = scalar("capacitance", capacitance, positive=True)
        self.minimum_fraction = scalar("minimum_fraction", minimum_fraction, upper=1.0, positive=True)
        self.compute_weight = scalar("compute_weight", compute_weight, lower=0.0)
        self.compute_levels = _levels(compute_levels, size)
        self._segments = self._build(names)

    def _build(self, names: Sequence[str] | None) -> Segments:
        shape = self.compute_levels.shape
        cycles = (self.cycles_per_bit * self.bits)[:, None]
        in_time = (self.deadline - self.communication_time)[:, None] * self.compute_levels / cycles
        feasible = self._time(self.minimum_fraction, self.compute_levels) <= self.deadline * (1.0 + _ROUNDING)
        if not feasible.any(axis=1).all():
            n = int(np.argmin(feasible.any(axis=1)))
            fastest = self.compute_levels[n, -1]
            least = rounded_up(float(self._time(self.minimum_fraction, self.compute_levels)[n, -1]))
            label = f"organization {n}" if names is None else f"organization {names[n]!r}"
            raise EmptyStrategySet(
                f"{label} misses the deadline of {self.deadline!r} s at every compute level: its smallest data "
                f"fraction {self.minimum_fraction:g} takes {least} s at its fastest level {fastest:g} Hz",
                hint=f"set the deadline to at least {least} s, lower minimum_fraction, or give it a faster level",
            )
        power = self.overhead_weight * self.capacitance * self.compute_levels**2
        return Segments(
            lower=frozen(np.full(shape, self.minimum_fraction)),
            upper=frozen(np.where(feasible, np.clip(in_time, self.minimum_fraction, 1.0), self.minimum_fraction)),
            samples_base=frozen(np.zeros(shape)),
            samples_slope=np.broadcast_to(self.samples[:, None], shape),
            score_base=frozen(self.compute_weight * self.compute_levels),
            score_slope=np.broadcast_to(self.bits[:, None], shape),
            cost_base=np.broadcast_to(self.overhead_weight * self.communication_energy[:, None], shape),
            cost_slope=frozen(power * cycles),
            cost_curvature=frozen(np.zeros(shape)),
            feasible=feasible,
        )

    def _time(self, fraction: Array | float, compute: Array) -> Array:
        """Seconds that a round takes; ``compute`` of shape (N,) or (N, m), the fraction alike or one for all."""
        share = (slice(None), *(None,) * (compute.ndim - 1))
        cycles = (self.cycles_per_bit * self.bits)[share]
        return np.asarray(self.communication_time[share] + cycles * fraction / compute)

    def in_time(self, strategies: Array) -> BoolArray:
        """Who meets the deadline with its pair of data fraction and compute level, shape (N, 2); bool, shape (N,)."""
        return np.asarray(self._time(strategies[:, 0], strategies[:, 1]) <= self.deadline * (1.0 + _ROUNDING))

    @property
    def size(self) -> int:
        return int(self.samples.size)

    @property
    def segments(self) -> Segments:
        return self._segments

    def locate(self, strategies: ArrayLike) -> tuple[Array, IntArray]:
        """See :class:`cocogen.game.strategies.StrategyFamily`: positions are the data fractions."""
        profile = np.asarray(strategies, dtype=np.float64)
        if profile.shape != (self.size, 2):
            problem = FieldProblem("strategies", f"shape {profile.shape}", f"shape ({self.size}, 2)")
            raise ConfigurationError("a profile needs a data fraction and a compute level each", problems=[problem])
        fraction, compute = profile[:, 0], profile[:, 1]
        known = self.compute_levels == compute[:, None]
        if not known.any(axis=1).all():
            n = int(np.argmin(known.any(axis=1)))
            valid = "one of " + ", ".join(f"{level:.17g}" for level in self.compute_levels[n])
            problem = FieldProblem(f"strategies[{n}, 1]", repr(float(compute[n])), valid)
            raise ConfigurationError("there is no such compute level", problems=[problem])
        level = np.argmax(known, axis=1).astype(np.int64)
        most = self._segments.pick(self._segments.upper, level)
        playable = self._segments.feasible[np.arange(self.size), level]
        within = (fraction >= self.minimum_fraction * (1.0 - _ROUNDING)) & (fraction <= 1.0 + _ROUNDING)
        inside = within & playable & self.in_time(profile)
        if not inside.all():
            n = int(np.argmin(inside))
            limits = f"from {rounded_up(self.minimum_fraction)} to {rounded_down(float(most[n]))}"
            limits = limits if playable[n] else "nothing, past the deadline,"
            problem = FieldProblem(f"strategies[{n}, 0]", repr(float(fraction[n])), f"{limits} at {compute[n]:g} Hz")
            raise ConfigurationError("a data fraction is not feasible", problems=[problem])
        return np.clip(fraction, self.minimum_fraction, most), level

    def assemble(self, position: Array, level: IntArray) -> Array:
        """See :class:`cocogen.game.strategies.StrategyFamily`."""
        return np.stack([position, self.compute_levels[np.arange(self.size), level]], axis=1)


def _levels(value: ArrayLike, size: int) -> Array:
    try:
        levels = np.array(value, dtype=np.float64)
    except ValueError as error:
        problem = FieldProblem("compute_levels", "rows of different lengths", "as many levels for each organization")
        raise ConfigurationError("the compute levels are malformed", problems=[problem]) from error
    if levels.ndim == 1:
        levels = np.broadcast_to(levels, (size, levels.size))
    if levels.ndim != 2 or levels.shape[0] != size or levels.shape[1] == 0:
        problem = FieldProblem("compute_levels", f"shape {levels.shape}", f"shape ({size}, m), m at least 1")
        raise ConfigurationError("the compute levels are malformed", problems=[problem])
    wrong = ~np.isfinite(levels) | (levels <= 0.0)
    wrong[:, 1:] |= levels[:, 1:] <= levels[:, :-1]
    if wrong.any():
        n, index = (int(i) for i in np.argwhere(wrong)[0])
        problem = FieldProblem(f"compute_levels[{n}, {index}]", repr(float(levels[n, index])), "positive, increasing")
        raise ConfigurationError("the compute levels are malformed", problems=[problem])
    return frozen(np.ascontiguousarray(levels))
