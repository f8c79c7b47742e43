from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cocogen.errors import ConfigurationError
from cocogen.game.effective import effective_samples, raw_samples

QUALITIES = st.floats(1e-6, 1.0)


@settings(max_examples=200, derandomize=True, deadline=None)
@given(effective=st.integers(0, 10**6), quality=QUALITIES)
def test_property_raw_samples_is_inverted_exactly(effective, quality):
    raw = raw_samples(effective, quality)
    assert effective_samples(raw, quality) == effective
    assert raw == 0 or effective_samples(raw - 1, quality) < effective


@settings(max_examples=200, derandomize=True, deadline=None)
@given(raw=st.floats(0.0, 1e6), quality=QUALITIES)
def test_property_effective_samples_is_the_exact_floor(raw, quality):
    count = effective_samples(raw, quality)
    assert count <= Fraction(raw) * Fraction(quality) < count + 1


def test_a_product_that_floats_round_up_is_not_counted():
    quality = 0.7  # its float lies below 7/10
    assert quality * 10 == 7.0
    assert effective_samples(10, quality) == 6


def test_perfect_quality_counts_every_sample():
    assert effective_samples(123, 1.0) == 123
    assert raw_samples(123, 1.0) == 123


@pytest.mark.parametrize("quality", [0.0, -0.1, 1.0000001, float("nan"), float("inf")])
def test_quality_out_of_range_is_refused(quality):
    with pytest.raises(ConfigurationError, match="quality"):
        effective_samples(1, quality)
    with pytest.raises(ConfigurationError, match="quality"):
        raw_samples(1, quality)


@pytest.mark.parametrize("count", [-1, float("nan"), float("inf")])
def test_counts_out_of_range_are_refused(count):
    with pytest.raises(ConfigurationError, match="raw"):
        effective_samples(count, 0.5)
    with pytest.raises(ConfigurationError, match="effective"):
        raw_samples(count, 0.5)
