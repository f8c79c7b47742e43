"""Differential privacy of an organization's update: clip it, add Gaussian noise, and account for what was spent.

What is protected is the classifier's update as it leaves the organization, against everybody including the attester:
no one else adds noise. The unit of privacy is the whole organization. Loss and gradient norms of its training log
would tell more about the data than the noisy update does, so they are withheld too. Left out, and outside of ε: the
generator, the synthetic samples and the panel that the evidence carries, label counts, and κ.
"""

from __future__ import annotations

import hashlib
import hmac
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import brentq
from scipy.special import erfcx, ndtr, ndtri_exp

from cocogen.errors import ConfigurationError
from cocogen.evidence.bundle import TrainingLog
from cocogen.learning.models.states import ModelState

__all__ = ["UpdatePrivacy", "noise_stream", "privacy_report", "spent_epsilon", "withheld"]

_IMPROBABLE = 1e-9


@dataclass(frozen=True, slots=True)
class UpdatePrivacy:
    """The Gaussian mechanism [1]_ on updates, as the terms say.

    ``clip``: longest update, C > 0, Euclidean norm of all parameters. ``noise_multiplier``: z > 0; every parameter
    gets independent noise of standard deviation σ = z · C. ``delta``: δ in (0, 1) at which ε is stated.

    References
    ----------
    .. [1] H. B. McMahan, D. Ramage, K. Talwar, L. Zhang, "Learning Differentially Private Recurrent Language Models",
       ICLR 2018; here each organization adds the noise itself, and nobody samples organizations.
    """

    clip: float
    noise_multiplier: float
    delta: float

    @property
    def deviation(self) -> float:
        """σ, standard deviation of the noise on each parameter."""
        return self.clip * self.noise_multiplier

    def protect(self, state: ModelState, base: ModelState, rng: np.random.Generator) -> ModelState:
        """The model base + min(1, C/‖u‖) u + N(0, σ² I) with u = state - base, float32; parameters draw in order."""
        norm = state.distance(base)
        factor = 1.0 if norm <= self.clip else self.clip / norm
        arrays = {}
        for name, array in state.items():
            update = factor * (array.astype(np.float64) - base[name])
            noise = rng.normal(scale=self.deviation, size=array.shape)
            arrays[name] = (base[name] + update + noise).astype(np.float32)
        return ModelState(arrays)

    def reach(self, parameters: int) -> float:
        """How far an honest protected update moves at most, but for one case in 10⁹: C + σ(√d + √(2 ln 10⁹)).

        The norm of d standard normal draws exceeds √d + t with probability at most exp(-t²/2).
        """
        return self.clip + self.deviation * (math.sqrt(parameters) + math.sqrt(-2.0 * math.log(_IMPROBABLE)))

    def expected_norm(self, norm: float, parameters: int) -> float:
        """√(min(C, norm)² + σ² d): how far a protected update of this ``norm`` moves, root mean square."""
        return math.hypot(min(self.clip, norm), self.deviation * math.sqrt(parameters))


def noise_stream(
    salt: bytes, terms_hash: bytes, round_number: int, base: str, data: int, raw: int
) -> np.random.Generator:
    """The organization's secret noise of an update: whoever knows its ``salt`` can take the noise away again.

    It is keyed by all that the update follows from: terms, round, digest (hexadecimal) of the ``base`` model, and how
    many real and synthetic samples are used. A repeated command draws the same noise, because fresh noise on the same
    update would have to be paid for in ε; two different updates never share noise, because their difference would show
    what it hides. Streams of the public seed would hide nothing. PCG64 is not a cryptographic
    generator; the guarantee is that of the mechanism with ideal noise.
    """
    numbers = b"".join(int(number).to_bytes(8, "big") for number in (round_number, data, raw))
    key = hmac.digest(salt, b"update noise" + terms_hash + bytes.fromhex(base) + numbers, hashlib.sha256)
    return np.random.default_rng(int.from_bytes(key, "big"))


def withheld(log: TrainingLog) -> TrainingLog:
    """The log with losses and gradient norms 0; counts stay, because credit rests on them."""
    zeros = (0.0,) * len(log.losses)
    return log.model_copy(update={"losses": zeros, "gradient_norms": zeros})


def spent_epsilon(privacy: UpdatePrivacy, rounds: int, *, replacement: bool = False) -> float:
    """ε at δ that an organization has spent on its updates of ``rounds`` rounds, exactly.

    Every round is one Gaussian mechanism on all of its data. Nothing is subsampled, so T of them are one with noise
    z/√T, whose trade-off between ε and δ is known in closed form [1]_ [2]_: with μ = √T/z

        δ(ε) = Φ(μ/2 - ε/μ) - exp(ε) Φ(-μ/2 - ε/μ),

    and no smaller ε holds at this δ. By default neighbours differ in whether the organization's update counts or is
    0, the convention of federated learning (sensitivity C). With ``replacement`` its data may be any other data
    (sensitivity 2C), which is what an observer who knows that it takes part is held against: the same noise then
    protects half as well. What is trained in a round may depend on the rounds before.

    Raises
    ------
    ConfigurationError
        Fewer than 0 rounds, δ outside of (0, 1), or no noise.

    References
    ----------
    .. [1] B. Balle, Y.-X. Wang, "Improving the Gaussian Mechanism for Differential Privacy: Analytical Calibration and
       Optimal Denoising", ICML 2018, Theorem 8.
    .. [2] J. Dong, A. Roth, W. J. Su, "Gaussian Differential Privacy", JRSS B 84(1), 2022, Corollary 2.4 and 3.3.
    """
    if rounds < 0:
        raise ConfigurationError(f"nothing is spent in {rounds} rounds", hint="give at least 0 rounds")
    if not (0.0 < privacy.delta < 1.0 and 0.0 < privacy.noise_multiplier < math.inf):
        raise ConfigurationError(
            f"noise multiplier {privacy.noise_multiplier} at δ = {privacy.delta} has no ε",
            hint="give a positive multiplier, and δ between 0 and 1",
        )
    if rounds == 0:
        return 0.0
    mu = math.sqrt(rounds) / privacy.noise_multiplier * (2.0 if replacement else 1.0)
    # In t = ε/μ - μ/2 nothing cancels, however large ε is.
    least, target = -mu / 2.0, math.log(privacy.delta)
    if _log_delta(least, mu) <= target:
        return 0.0
    # δ(ε) < Φ(-t), so that the wanted t is below the quantile; a little further the sign is certain.
    most = -float(ndtri_exp(target)) + 1e-9
    step = brentq(lambda t: _log_delta(t, mu) - target, least, max(most, least + 1e-9), xtol=1e-14, rtol=1e-15)
    return float(mu * (step + mu / 2.0))


def _log_delta(t: float, mu: float) -> float:
    """Log δ at ε = μ(t + μ/2), at least 0: log of Φ(-t) - φ(t) R(t + μ) with Mills' ratio R = Φ(-·)/φ(·)."""
    if t < -1.0:
        return math.log(float(ndtr(-t)) - math.exp(-t * t / 2.0) * _mills(t + mu) / math.sqrt(2.0 * math.pi))
    return math.log(_mills(t) - _mills(t + mu)) - t * t / 2.0 - math.log(2.0 * math.pi) / 2.0


def _mills(x: float) -> float:
    return math.sqrt(math.pi / 2.0) * float(erfcx(x / math.sqrt(2.0)))


def privacy_report(privacy: UpdatePrivacy, handed_in: Mapping[str, int]) -> dict[str, Any]:
    """What a run spent, as plain JSON values: ε of one round, and of each organization over all.

    ``handed_in``: bundles that left each organization. One that the attester rejects has been seen, hence counts.
    """
    spent = {rounds: spent_epsilon(privacy, rounds) for rounds in {1, *handed_in.values()}}
    replaced = {rounds: spent_epsilon(privacy, rounds, replacement=True) for rounds in {1, *handed_in.values()}}
    return {
        "clip": privacy.clip,
        "noise_multiplier": privacy.noise_multiplier,
        "delta": privacy.delta,
        "epsilon_round": spent[1],
        "epsilon_round_replacement": replaced[1],
        "epsilon": {name: spent[rounds] for name, rounds in handed_in.items()},
        "epsilon_replacement": {name: replaced[rounds] for name, rounds in handed_in.items()},
    }
