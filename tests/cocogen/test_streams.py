from __future__ import annotations

import numpy as np

from cocogen.streams import Purpose, Streams


def test_every_argument_selects_another_stream() -> None:
    streams = [
        Streams(1, 0).get(Purpose.PANEL, 1, 0),
        Streams(2, 0).get(Purpose.PANEL, 1, 0),
        Streams(1, 1).get(Purpose.PANEL, 1, 0),
        Streams(1, 0).get(Purpose.SYNTHETIC, 1, 0),
        Streams(1, 0).get(Purpose.PANEL, 2, 0),
        Streams(1, 0).get(Purpose.PANEL, 1, 1),
        Streams(1, 0).shared(Purpose.PANEL),
    ]
    assert len({rng.integers(2**62) for rng in streams}) == len(streams)


def test_a_stream_starts_anew_at_each_call() -> None:
    streams = Streams(1, 0)
    streams.get(Purpose.PANEL).random(100)
    assert streams.get(Purpose.PANEL).random() == Streams(1, 0).get(Purpose.PANEL).random()


def test_shared_streams_do_not_depend_on_the_split() -> None:
    assert Streams(1, 0).shared(Purpose.FOLDS).random() == Streams(1, 4).shared(Purpose.FOLDS).random()


def test_purposes_are_distinct() -> None:
    assert np.unique([int(p) for p in Purpose]).size == len(Purpose)
