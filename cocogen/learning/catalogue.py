"""The names of the data sets, importable without torch or scikit-learn."""

from __future__ import annotations

__all__ = ["known_datasets"]


def known_datasets() -> tuple[str, ...]:
    """Names that ``learning.dataset`` may take."""
    return ("diagnostic",)
