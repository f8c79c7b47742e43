"""The exact correspondence between raw synthetic samples and the effective samples that a contribution counts.

A generator of quality κ turns ``raw`` drawn samples into ⌊κ · raw⌋ effective ones. Planning, training, attesting and
auditing must all agree on that integer, so κ is taken as the exact rational number its float stands for and nothing
is rounded on the way. Left out: how κ is measured (``cocogen.learning``).
"""

from __future__ import annotations

import math
from fractions import Fraction

from cocogen.errors import ConfigurationError, FieldProblem

__all__ = ["effective_samples", "raw_samples"]


def effective_samples(raw: float, quality: float) -> int:
    """Count the effective samples in ``raw`` drawn ones: ⌊κ · raw⌋, exactly.

    Parameters
    ----------
    raw : int or float
        Synthetic samples, at least 0; a float is a planned, continuous amount and is taken at its exact value.
    quality : float
        κ, the measured quality of the generator, in (0, 1].

    Returns
    -------
    int
        Effective samples, at most ``raw``.

    Raises
    ------
    ConfigurationError
        When an argument is not finite or out of range.

    Examples
    --------
    >>> effective_samples(10, 0.75), effective_samples(10, 1.0), effective_samples(0, 0.5)
    (7, 10, 0)
    """
    return math.floor(_quality(quality) * _count("raw", raw))


def raw_samples(effective: int, quality: float) -> int:
    """Count the samples to draw for exactly ``effective`` effective ones: ⌈effective / κ⌉, the smallest such count.

    It inverts :func:`effective_samples`: for κ ≤ 1, ``effective_samples(raw_samples(e, κ), κ) == e``.

    Parameters
    ----------
    effective : int
        Effective samples, at least 0.
    quality : float
        κ, in (0, 1].

    Returns
    -------
    int
        Samples to draw.

    Raises
    ------
    ConfigurationError
        When an argument is not finite or out of range.

    Examples
    --------
    >>> raw_samples(7, 0.75), effective_samples(raw_samples(7, 0.3), 0.3)
    (10, 7)
    """
    return math.ceil(_count("effective", effective) / _quality(quality))


def _quality(quality: float) -> Fraction:
    if not 0.0 < quality <= 1.0:
        problem = FieldProblem("quality", repr(quality), "a number in (0, 1]")
        raise ConfigurationError("a generator's quality is out of range", problems=[problem])
    return Fraction(quality)


def _count(field: str, value: float) -> Fraction:
    if not 0 <= value < math.inf:
        problem = FieldProblem(field, repr(value), "a finite number of samples, at least 0")
        raise ConfigurationError("a number of samples is out of range", problems=[problem])
    return Fraction(value)
