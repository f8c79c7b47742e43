"""Did the submitted generator make the samples that came with it, and are they worth what they are credited at?

Both can be told without a member's data: the draws follow from the agreed seed, so the attester repeats them, and κ of
the panel is measured on its own samples (:mod:`cocogen.learning.generators.quality`). Left out: the shapes and ranges
of the samples (:mod:`cocogen.evidence.checks`), and whether anybody trained on them, which nothing proves.
"""

from __future__ import annotations

import numpy as np

from cocogen.errors import EvidenceRejected
from cocogen.evidence.bundle import Bundle
from cocogen.evidence.checks import Expectation
from cocogen.learning.generators.base import Generator
from cocogen.streams import Purpose, Streams

__all__ = ["LEAST_QUALITY_KEPT", "check_drawn", "check_worth"]

# Measured on honest rounds (docs/evidence.md), with a margin.
LEAST_QUALITY_KEPT = 0.5
_TOLERANCE = 1e-3


def check_drawn(bundle: Bundle, index: int, expected: Expectation, generator: Generator, streams: Streams) -> None:
    """Synthetic samples and panel are what the generator handed in draws from the streams of organization ``index``.

    Raises
    ------
    EvidenceRejected
        When a feature differs by more than floating point does between machines.
    """
    for purpose, what, samples in (
        (Purpose.SYNTHETIC, "synthetic samples", bundle.synthetic),
        (Purpose.PANEL, "panel", bundle.panel),
    ):
        rng = streams.get(purpose, expected.round, index)
        drawn = generator.sample(bundle.generator, samples.labels, rng)
        if not np.allclose(drawn, samples.features, rtol=_TOLERANCE, atol=_TOLERANCE):
            raise EvidenceRejected(
                expected.organization,
                f"its {what} are not what its generator draws from the agreed seed: they differ by up to "
                f"{float(np.abs(drawn - samples.features).max()):.3g}",
                hint="hand in what the generator made",
            )


def check_worth(bundle: Bundle, expected: Expectation, measured: float, credited: float, error: float) -> None:
    """The synthetic samples are still worth half of what they are credited at, as far as the holdout can tell.

    ``credited``: κ in force, which was measured on an earlier generator; ``measured``: κ of the one handed in, which
    :func:`check_drawn` has shown to be the one that made the samples. Both in [0.01, 1]. ``error``: standard error of
    ``credited``.

    Raises
    ------
    EvidenceRejected
        When the generator has lost more than half of that worth and one standard error.
    """
    if bundle.synthetic.labels.size and measured < LEAST_QUALITY_KEPT * credited - error:
        raise EvidenceRejected(
            expected.organization,
            f"its synthetic samples are worth {measured:g}, less than {LEAST_QUALITY_KEPT:g} of the {credited:g} "
            f"that they would be credited at, by more than the standard error {error:.2g} of that",
            hint="retrain the generator",
        )
