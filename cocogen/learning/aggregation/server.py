"""From the average of the accepted classifiers to the next shared one: the server's optimizer of the terms.

What an optimizer remembers is a :class:`~cocogen.learning.models.states.ModelState` that travels with the shared model:
it is saved, hashed and handed out with it, so that a killed process or an auditor continues from the same place.
Left out: the average itself (:func:`cocogen.learning.models.states.average`), and who takes part in it
(:mod:`cocogen.evidence.attester`). The generator is always averaged.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cocogen.errors import LearningError
from cocogen.learning.models.states import ModelState, SharedModel

__all__ = ["ServerOptimizer", "newest"]

_STEPS = "steps"


@dataclass(frozen=True, slots=True)
class ServerOptimizer:
    """Takes the average of the updates as a pseudo-gradient [1]_.

    1. Δ_t = (Σ_n w_n θ_n / Σ_n w_n) - θ_t, how far the average lies from the shared classifier θ_t.
    2. m_t = β_1 m_{t-1} + Δ_t ("momentum", FedAvgM [2]_), or m_t = β_1 m_{t-1} + (1 - β_1) Δ_t ("adam", FedAdam).
    3. v_t = β_2 v_{t-1} + (1 - β_2) Δ_t² ("adam"), v_0 = τ², elementwise.
    4. θ_{t+1} = θ_t + η m_t ("momentum"), or θ_t + η m_t / (√v_t + τ) ("adam").

    "average" is FedAvg: θ_{t+1} = θ_t + Δ_t, and nothing to remember. As in [1]_, adam corrects no bias.

    Parameters
    ----------
    kind : which of them.
    learning_rate : η > 0.
    momentum, second_moment : β_1 and β_2, in [0, 1).
    adaptivity : τ > 0.

    References
    ----------
    .. [1] S. Reddi et al., "Adaptive Federated Optimization", 2021, Algorithm 2.
    .. [2] H. Hsu, H. Qi, M. Brown, "Measuring the Effects of Non-Identical Data Distribution for Federated Visual
       Classification", 2019.
    """

    kind: Literal["average", "momentum", "adam"] = "average"
    learning_rate: float = 1.0
    momentum: float = 0.9
    second_moment: float = 0.99
    adaptivity: float = 1e-3

    def step(self, current: ModelState, mean: ModelState, server: ModelState) -> tuple[ModelState, ModelState]:
        """The next classifier, and what is remembered, from the ``current`` one and the ``mean`` of the updated ones.

        ``server``: what the last step left, nothing before the first. Computed in float64, kept in float32.

        Raises
        ------
        LearningError
            When ``server`` is not what this optimizer leaves for this classifier.
        """
        if self.kind == "average":
            return mean, server
        self._check(current, server)
        remembered = {_STEPS: server.get(_STEPS, np.zeros(1, dtype=np.float32)) + 1}
        updated = {}
        for name, value in current.items():
            change = mean[name].astype(np.float64) - value
            first = self.momentum * server.get(f"first/{name}", np.zeros_like(value)).astype(np.float64)
            if self.kind == "momentum":
                first, scale = first + change, np.ones_like(change)
            else:
                first = first + (1.0 - self.momentum) * change
                before = server.get(f"second/{name}", np.full_like(value, self.adaptivity**2)).astype(np.float64)
                second = self.second_moment * before + (1.0 - self.second_moment) * np.square(change)
                remembered[f"second/{name}"] = second.astype(np.float32)
                scale = np.sqrt(second) + self.adaptivity
            remembered[f"first/{name}"] = first.astype(np.float32)
            updated[name] = (value + self.learning_rate * first / scale).astype(np.float32)
        return ModelState(updated), ModelState(remembered)

    def _check(self, current: ModelState, server: ModelState) -> None:
        moments = ("first",) if self.kind == "momentum" else ("first", "second")
        wanted: dict[str, tuple[int, ...]] = {f"{m}/{name}": a.shape for m in moments for name, a in current.items()}
        if server and dict(server.layout) != {_STEPS: (1,), **wanted}:
            raise LearningError(
                f"the server's state {server!r} is not one of {self.kind!r} for this classifier",
                hint="continue with the model file and the terms that the run began with",
            )


def newest(models: Sequence[SharedModel]) -> SharedModel:
    """The model of most server steps, the first of equals: where organizations hold models of different rounds, the
    server steps from the last one."""
    taken: list[NDArray[np.float32]] = [model.server.get(_STEPS, np.zeros(1, dtype=np.float32)) for model in models]
    return models[int(np.argmax([float(steps[0]) for steps in taken]))]
