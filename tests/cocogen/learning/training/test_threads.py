from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from threading import Event

import pytest
import torch

from cocogen.learning.training.threads import available_threads, map_on_threads, one_thread


@pytest.fixture(autouse=True)
def _three_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


def test_one_thread_gives_the_others_back_and_tells_how_many_there_are() -> None:
    with one_thread(), one_thread():
        assert torch.get_num_threads() == 1
        assert available_threads() == 3
    assert torch.get_num_threads() == available_threads() == 3


def test_results_are_in_order_and_every_item_has_one_thread_of_torch() -> None:
    barrier = threading.Barrier(2, timeout=60)  # passes only where two are at work at once

    def function(item: int, _stop: Event) -> tuple[int, int]:
        barrier.wait()
        return item, torch.get_num_threads()

    assert map_on_threads(function, range(6), 2) == [(item, 1) for item in range(6)]


def test_the_first_exception_in_order_is_raised_and_the_rest_is_stopped_or_not_begun() -> None:
    begun, stopped = [], []

    def function(item: int, stop: Event) -> None:
        begun.append(item)
        if item == 0:
            raise ValueError(item)
        if stop.wait(60):
            stopped.append(item)
        raise KeyError(item)

    with pytest.raises(ValueError, match="0"):
        map_on_threads(function, range(50), 2)
    assert sorted(stopped) == sorted(item for item in begun if item)
    assert len(begun) <= 3


def test_ctrl_c_stops_what_is_under_way_and_begins_nothing_further() -> None:
    events = []

    def function(item: int, stop: Event) -> None:
        events.append(stop)
        if item == 0:
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
        assert stop.wait(60)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # jobs in the background ignore it
    try:
        with pytest.raises(KeyboardInterrupt):
            map_on_threads(function, range(50), 2)
    finally:
        signal.signal(signal.SIGINT, before)
    assert all(event.is_set() for event in events)
    assert 1 <= len(events) <= 2
    assert torch.get_num_threads() == 3
