"""Threads of local training: one for each organization's small matrices, the others for other organizations.

Left out: what is computed, and processes (the test folds of :mod:`cocogen.operations.study`, the nodes of Flower).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Event
from typing import TypeVar

import torch
from threadpoolctl import threadpool_limits

__all__ = ["available_threads", "map_on_threads", "one_thread", "share_cores"]

Item = TypeVar("Item")
Result = TypeVar("Result")

_outside: int | None = None


@contextmanager
def one_thread() -> Iterator[None]:
    """Run torch and the linear algebra of scikit-learn on one thread and give the others back afterwards.

    Batches here are small: a second thread costs more than it gains (ten times as much on a busy machine), and the
    rounding of a sum, hence the accuracies of a seed, would depend on the number of cores.
    """
    global _outside  # as torch's own number is, which holds for the process
    before, outside = torch.get_num_threads(), _outside
    _outside = available_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(1):
            yield
    finally:
        torch.set_num_threads(before)
        _outside = outside


def available_threads() -> int:
    """How many threads torch has outside of :func:`one_thread`: the cores, unless the caller or ``OMP_NUM_THREADS``
    set less."""
    return torch.get_num_threads() if _outside is None else _outside


def share_cores(threads: int) -> None:
    """Let this process have so many threads of torch for good, because other processes have the rest."""
    torch.set_num_threads(threads)


def map_on_threads(
    function: Callable[[Item, Event], Result],
    items: Sequence[Item],
    threads: int,
    advance: Callable[[], None] = lambda: None,
) -> list[Result]:
    """``function`` of every item, in order, ``threads`` at once, each on one thread of torch; ``advance`` is called, by
    the caller's thread, after each of them in order.

    The exception of the first item in order that has one is raised, as a loop would. Then, and on Ctrl-C, what has not
    begun is left, and the event that ``function`` is given is set: whatever is under way should look at it and raise.
    """
    stop = Event()
    with one_thread(), ThreadPoolExecutor(threads) as pool:
        try:
            futures = [pool.submit(function, item, stop) for item in items]
            results = []
            for future in futures:
                results.append(future.result())
                advance()
            return results
        except BaseException:
            stop.set()
            pool.shutdown(wait=True, cancel_futures=True)
            raise
