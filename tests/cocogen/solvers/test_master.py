from __future__ import annotations

import itertools
import os
from types import SimpleNamespace

import numpy as np
import pytest
import scipy.optimize
from hypothesis import given, settings
from hypothesis import strategies as st

from cocogen.errors import SolverError
from cocogen.solvers.master import Master


def _random_master(rng, size, levels, cuts):
    master = Master((size, levels))
    tables = []
    for _ in range(cuts):
        constant, worth = float(rng.normal()), rng.normal(size=(size, levels)) * 10.0 ** rng.integers(-3, 3)
        master.add(constant, worth)
        tables.append((constant, worth))
    return master, tables


def _under_all_cuts(tables, level):
    rows = np.arange(len(level))
    return min(constant + worth[rows, level].sum() for constant, worth in tables)


@settings(max_examples=80, derandomize=True, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    size=st.integers(1, 5),
    levels=st.integers(1, 4),
    cuts=st.integers(1, 6),
    shortfall=st.sampled_from([0.0, 1e-7, 1.0, 30.0]),
)
def test_property_no_levels_are_better_under_the_cuts(seed, size, levels, cuts, shortfall):
    rng = np.random.default_rng(seed)
    master, tables = _random_master(rng, size, levels, cuts)
    banned = rng.random((size, levels)) < 0.3
    banned[np.arange(size), rng.integers(0, levels, size)] = False
    master.exclude(np.arange(size), ~banned)
    vectors = [np.array(v) for v in itertools.product(range(levels), repeat=size)]
    allowed = [v for v in vectors if not banned[np.arange(size), v].any()]
    values = np.array([_under_all_cuts(tables, v) for v in allowed])
    incumbent = allowed[int(rng.integers(len(allowed)))]
    value = _under_all_cuts(tables, incumbent) - shortfall
    proposal, bound = master.best(incumbent, value, np.inf, 0.0)
    scale = max(1.0, abs(values).max(), values.max() - value)
    assert not banned[np.arange(size), proposal].any()
    assert values.max() - 1e-12 * scale <= bound <= values.max() + 1e-6 * scale
    assert _under_all_cuts(tables, proposal) >= values.max() - 1e-6 * scale


def test_a_bound_known_before_is_kept():
    master, tables = _random_master(np.random.default_rng(0), 4, 3, 2)
    level = np.zeros(4, dtype=np.int64)
    value = _under_all_cuts(tables, level)
    assert master.best(level, value, value + 1e-3, 0.0)[1] <= value + 1e-3


def test_a_gap_within_the_tolerance_is_not_searched(monkeypatch):
    monkeypatch.setattr(scipy.optimize, "milp", None)
    master, tables = _random_master(np.random.default_rng(0), 4, 3, 2)
    level = np.zeros(4, dtype=np.int64)
    value = _under_all_cuts(tables, level)
    proposal, bound = master.best(level, value, np.inf, 1e6)
    np.testing.assert_array_equal(proposal, level)
    assert bound >= max(_under_all_cuts(tables, np.array(v)) for v in itertools.product(range(3), repeat=4))


def test_the_newest_cut_alone_separates():
    master, tables = _random_master(np.random.default_rng(1), 4, 3, 3)
    level, bound = master.first()
    constant, worth = tables[-1]
    np.testing.assert_array_equal(level, worth.argmax(axis=1))
    assert bound == pytest.approx(constant + worth.max(axis=1).sum())


def test_a_master_that_highs_gives_up_is_an_error(monkeypatch):
    failed = SimpleNamespace(status=4, x=None, mip_dual_bound=None, message="out of memory")
    monkeypatch.setattr(scipy.optimize, "milp", lambda *_, **__: failed)
    master, tables = _random_master(np.random.default_rng(3), 4, 3, 2)
    level = np.zeros(4, dtype=np.int64)
    with pytest.raises(SolverError, match=r"2 cuts and .* open levels was not solved: out of memory"):
        master.best(level, _under_all_cuts(tables, level) - 100.0, np.inf, 0.0)


def test_interchangeable_organizations_are_one_group_for_the_search(monkeypatch):
    master, rng = Master((40, 3)), np.random.default_rng(1)
    for _ in range(2):
        master.add(float(rng.normal()), np.repeat(rng.normal(size=(2, 3)), 20, axis=0))
    level = np.zeros(40, dtype=np.int64)
    seen = []
    real = scipy.optimize.milp
    monkeypatch.setattr(scipy.optimize, "milp", lambda c, **given: seen.append(c.size) or real(c, **given))
    value = min(c + w[np.arange(40), level].sum() for c, w in zip(master._constants, master._worths, strict=True))
    proposal, bound = master.best(level, value - 100.0, np.inf, 0.0)
    assert seen[0] <= 1 + 2 * 3
    reached = min(c + w[np.arange(40), proposal].sum() for c, w in zip(master._constants, master._worths, strict=True))
    assert reached == pytest.approx(bound, rel=1e-6)
    best = max(
        min(
            c + (np.array([[a, b, 20 - a - b], [d, e, 20 - d - e]]) * w[[0, 20]]).sum()
            for c, w in zip(master._constants, master._worths, strict=True)
        )
        for a in range(21)
        for b in range(21 - a)
        for d in range(21)
        for e in range(21 - d)
    )
    assert bound == pytest.approx(best, rel=1e-6)


def test_what_highs_prints_does_not_reach_standard_output(capfd, monkeypatch):
    real = scipy.optimize.milp

    def talkative(*arguments, **given):
        os.write(1, b"solver chatter")
        return real(*arguments, **given)

    monkeypatch.setattr(scipy.optimize, "milp", talkative)
    master, tables = _random_master(np.random.default_rng(3), 4, 3, 2)
    level = np.zeros(4, dtype=np.int64)
    master.best(level, _under_all_cuts(tables, level) - 100.0, np.inf, 0.0)
    printed = capfd.readouterr()
    assert printed.out == ""
    assert "solver chatter" in printed.err
