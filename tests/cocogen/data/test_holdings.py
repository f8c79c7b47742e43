from __future__ import annotations

import numpy as np

from cocogen.data.holdings import Holdings
from cocogen.data.sources.split import SplitSource
from cocogen.streams import Streams
from cocogen.terms.sections import Learning


def test_holdings_are_a_source_of_the_same_samples_and_copy_none() -> None:
    source = SplitSource(Learning(dataset="digits"), 3, Streams(3, 0))
    held = Holdings.of(source)
    again = Holdings.of(held)
    assert (held.shape, held.counts.tolist()) == (source.shape, source.counts.tolist())
    assert [held.of_member(n).digest() for n in range(3)] == [source.of_member(n).digest() for n in range(3)]
    assert [part.digest() for part in held.of_attester()] == [part.digest() for part in source.of_attester()]
    assert all(np.shares_memory(held.own[n].features, again.own[n].features) for n in range(3))
    assert np.shares_memory(held.test.features, again.of_attester().test.features)
