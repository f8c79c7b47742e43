"""Real data, real training and the evidence of it: what an organization contributes and how the attester knows.

Only this package imports torch, and it does so below :mod:`cocogen.evidence`, its facade: importing the package
itself, or :mod:`cocogen.terms.datasets`, loads neither torch nor scikit-learn.
"""

from __future__ import annotations

from cocogen.terms.datasets import known_datasets

__all__ = ["known_datasets"]
