"""What silence saves in random markets: the rule in floats against the ledger's integers, and what is asked of it."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from chain.encoding.kernel import TRANSFER_DIVISOR, payoffs
from cocogen.experiments import deviation
from cocogen.experiments.claims import Verdict
from cocogen.experiments.markets import cocogen_market, tradefl_market
from cocogen.experiments.silent import SILENCE, transfers_without
from cocogen.experiments.study import measure


@pytest.fixture(scope="module")
def table():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(deviation, "tradefl_market", partial(tradefl_market, size=4))
        patch.setattr(deviation, "cocogen_market", partial(cocogen_market, size=4))
        yield measure(SILENCE, progress=lambda *step: None, seeds=3, entropy=0, points=5, jobs=1)


@pytest.mark.parametrize("masked", [True, False])
@pytest.mark.parametrize("seed", range(20))
def test_floats_settle_as_the_kernel_does(seed, masked):
    rng = np.random.default_rng(seed)
    size = int(rng.integers(2, 8))
    weights = rng.integers(0, 65_536, (size, size))
    weights = np.triu(weights, 1) + np.triu(weights, 1).T
    gamma = 10**35
    scores, stand_ins = (rng.integers(-1_000, 1_000, size) for _ in range(2))
    silent_ones = rng.random(size) < 0.4
    exact = payoffs(
        weights.tolist(),
        gamma,
        [None if gone else int(x) * 10**18 for gone, x in zip(silent_ones, scores, strict=True)],
        () if masked else [int(x) * 10**18 if gone else None for gone, x in zip(silent_ones, stand_ins, strict=True)],
    )
    rates = weights * (gamma * 1e18 / TRANSFER_DIVISOR)
    found = transfers_without(rates, scores.astype(float), silent_ones, None if masked else stand_ins.astype(float))
    np.testing.assert_allclose(found, np.array(exact, dtype=float), rtol=1e-9, atol=size)


def test_nobody_silent_is_the_redistribution_itself(make_game):
    game = make_game(4)
    scores = np.array([3.0, -1.0, 4.0, 1.0, -5.0])
    rates = game.redistribution.rates.symmetric()
    found = transfers_without(rates, scores, np.zeros(5, dtype=bool), scores)
    np.testing.assert_allclose(found, game.redistribution.rates.laplacian(scores))


@pytest.mark.parametrize("rule", ["planned", "least"])
@pytest.mark.parametrize("kind", ["one", "pair", "second"])
def test_no_transfer_is_saved_where_the_quorum_holds(table, rule, kind):
    for quorum in ("above", "at"):
        asked = table.where(rule=rule, kind=kind, quorum=quorum)
        assert asked.rows
        assert asked.numbers("relative").max() <= 1e-12
        assert (asked.numbers("models") > 0).all()


def test_a_failed_quorum_moves_nothing_and_gives_nobody_the_model(table):
    void = table.where(quorum="below")
    assert void.numbers("moved").max() == 0
    assert void.numbers("models").max() == 0
    assert void.where(kind="one").numbers("saved").max() > 0


def test_masked_payers_save_what_they_would_have_paid(table):
    assert table.where(rule="masked", kind="one", quorum="at").numbers("saved").max() > 0


def test_whoever_can_do_no_better_than_the_least_saves_under_planned_alone(table):
    assert table.where(rule="planned", kind="fallen", quorum="at").numbers("saved").max() > 0
    assert table.where(rule="least", kind="fallen", quorum="at").numbers("relative").max() <= 1e-12


def test_under_planned_nobody_gains_more_by_anothers_silence_than_under_masked(table):
    planned, masked = (table.where(rule=rule, kind="one", quorum="at") for rule in ("planned", "masked"))
    assert (planned.numbers("others") <= masked.numbers("others") + 1e-12).all()
    assert (planned.numbers("gaining") <= masked.numbers("gaining")).all()


def test_the_claims_hold_and_a_saving_would_be_seen(table):
    claims = {(claim.name, claim.parameters): claim for claim in SILENCE.judge(table)}
    verdicts = {name: {c.finding.verdict for (n, _), c in claims.items() if n == name} for name, _ in claims}
    assert verdicts["silence-saves-no-transfer"] == {Verdict.REPRODUCED}
    assert verdicts["pivotal-silence-voids"] == {Verdict.REPRODUCED}
    assert verdicts["least-leaves-nothing-to-save"] == {Verdict.REPRODUCED}
    # the same rule, asked of masked rows, must not pass
    masked = table.where(rule="masked").rows
    renamed = tuple((*row[:2], "planned", *row[3:]) for row in masked)
    rest = tuple(row for row in table.rows if row[2] != "planned")
    wrong = SILENCE.judge(type(table)(table.columns, renamed + rest))
    said = [c for c in wrong if c.name == "silence-saves-no-transfer" and '"planned"' in c.parameters]
    assert said
    assert all(c.finding.verdict is not Verdict.REPRODUCED for c in said)
