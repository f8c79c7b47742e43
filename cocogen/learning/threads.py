"""One thread for the small matrices of local training."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from threadpoolctl import threadpool_limits

__all__ = ["one_thread"]


@contextmanager
def one_thread() -> Iterator[None]:
    """Run torch and the linear algebra of scikit-learn on one thread and give the others back afterwards.

    Batches here are small: a second thread costs more than it gains (ten times as much on a busy machine), and the
    rounding of a sum, hence the accuracies of a seed, would depend on the number of cores.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(1):
            yield
    finally:
        torch.set_num_threads(before)
