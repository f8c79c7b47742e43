"""Which data sets the terms may name, importable without torch or scikit-learn."""

from __future__ import annotations

__all__ = ["is_path", "known_datasets"]


def known_datasets() -> tuple[str, ...]:
    """Names that ``learning.dataset`` may take, beside paths."""
    return ("diagnostic", "digits", "fashion-mnist", "cifar-10", "cifar-100")


def is_path(dataset: str) -> bool:
    """Whether ``learning.dataset`` is a path: it has a slash (a folder of images) or ends in ".npz" (a table)."""
    return "/" in dataset or "\\" in dataset or dataset.lower().endswith(".npz")
