"""SCAFFOLD: control variates that keep local training from drifting towards each organization's own optimum.

Every organization n has a control variate c_n, an estimate of its gradient; the consortium has c, their average. Local
steps follow g_n(θ) - c_n + c, which is the gradient of all where both estimates hold. By option II of the paper c_n
follows from what is handed in anyway: where training began, where it ended, and in how many steps. So nobody sends a
control variate: the organization and the attester compute the same one from the same evidence, to the bit. c travels
with the shared model, in the place where a server's optimizer keeps what it remembers.
Left out: the corrected steps (:mod:`cocogen.learning.training.local`), and which evidence counts
(:mod:`cocogen.rounds.variates`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from cocogen.errors import LearningError
from cocogen.learning.models.states import ModelState, SharedModel, average, unpack

__all__ = ["Variate", "remembered", "shared_variate"]

_PART, _STEPS = "variate", "steps"


@dataclass(frozen=True, slots=True)
class Variate:
    """What SCAFFOLD [1]_ keeps of one organization n: its control variate and what that counts for.

    ``state``: c_n, float32 in the layout of the classifier, empty before the first training; that is c_n = 0.
    ``weight``: attested samples, data + generated, of the contribution that c_n comes from; 0 before.

    References
    ----------
    .. [1] S. P. Karimireddy et al., "SCAFFOLD: Stochastic Controlled Averaging for Federated Learning", ICML 2020,
       Algorithm 1, option II.
    """

    state: ModelState = field(default_factory=lambda: ModelState({}))
    weight: int = 0

    def correction(self, base: SharedModel) -> ModelState:
        """The difference c - c_n, which local training from ``base`` adds to every gradient; c is that of ``base``.

        Raises
        ------
        LearningError
            When either is not a control variate of this classifier.
        """
        shared, own = shared_variate(base), self._own(base)
        return ModelState({name: shared[name] - own[name] for name in shared})

    def renewed(self, base: SharedModel, trained: ModelState, steps: int, learning_rate: float, weight: int) -> Variate:
        """After ``steps`` = K local steps of size ``learning_rate`` = η from ``base`` = x to ``trained`` = y.

        c_n ← c_n - c + (x - y) / (K η), computed in float64. It is the mean of the K gradients, because each step moved
        by -η (g - c_n + c). Without steps nothing was learned, and everything stays.

        Raises
        ------
        LearningError
            When a part is not of the layout of the classifier.
        """
        if steps == 0:
            return self
        shared, own = shared_variate(base), self._own(base)
        _check_layout("trained classifier", trained, base.classifier)
        arrays: dict[str, NDArray[np.float32]] = {}
        for name, start in base.classifier.items():
            moved = start.astype(np.float64) - trained[name]
            gradient = own[name].astype(np.float64) - shared[name] + moved / (steps * learning_rate)
            arrays[name] = gradient.astype(np.float32)
        return Variate(ModelState(arrays), weight)

    def _own(self, base: SharedModel) -> ModelState:
        if not self.state:
            return _zeros(base.classifier)
        _check_layout("control variate", self.state, base.classifier)
        return self.state


def shared_variate(base: SharedModel) -> ModelState:
    """The shared control variate c of a model, in the layout of its classifier; 0 before the first round.

    Raises
    ------
    LearningError
        When the model remembers something else, such as the steps of a server's optimizer.
    """
    if not base.server:
        return _zeros(base.classifier)
    state = unpack(_PART, base.server)
    _check_layout("shared control variate", state, base.classifier)
    return state


def remembered(variates: Sequence[Variate], before: ModelState) -> ModelState:
    """What the next shared model remembers: c = Σ_n w_n c_n / Σ_n w_n over all organizations, w_n being the weights.

    Organizations that were absent count with the c_n and the weight of their last contribution; those that have never
    contributed count for nothing. With equal weights, and once everybody has contributed, this is the paper's
    c ← c + (1/N) Σ_{n present} (Δ c_n), because that keeps c at (1/N) Σ_n c_n. Weights are ours: the classifiers are
    averaged with them, and with 1/N the model would settle where the *unweighted* sum of gradients vanishes, however
    little an organization contributed. ``before``: what the last shared model remembered.

    Raises
    ------
    LearningError
        When no weight is positive.
    """
    counted = [variate for variate in variates if variate.weight > 0]
    mean = average([variate.state for variate in counted], [variate.weight for variate in counted])
    # Organizations may hold models of different rounds: the number of steps tells which is the newest.
    steps = before.get(_STEPS, np.zeros(1, dtype=np.float32)) + np.float32(1)
    return ModelState({**{f"{_PART}/{name}": array for name, array in mean.items()}, _STEPS: steps})


def _zeros(classifier: ModelState) -> ModelState:
    return ModelState({name: np.zeros_like(array) for name, array in classifier.items()})


def _check_layout(what: str, state: ModelState, classifier: ModelState) -> None:
    if state.layout != classifier.layout:
        raise LearningError(
            f"the {what} {state!r} does not fit the classifier {classifier!r}",
            hint="continue with the model file and the terms that the run began with",
        )
