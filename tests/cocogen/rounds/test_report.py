"""What a round was worth is said only of rounds in which money moved."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from cocogen.ledger import Contribution, RoundOutcome
from cocogen.rounds.report import settled_payoffs

GIVEN = Contribution(10, 5, 0, b"\x01" * 32)


@pytest.mark.parametrize(
    ("status", "contributions"),
    [
        ("open", (GIVEN, GIVEN, GIVEN)),
        ("recorded", (GIVEN, GIVEN, GIVEN)),
        ("disputed", (GIVEN, GIVEN, None)),
        ("calculated", (GIVEN, GIVEN, None)),
        ("voided", (GIVEN, GIVEN, GIVEN)),
        ("settled", (GIVEN, None, None)),
        ("settled", (None, None, None)),
    ],
)
def test_a_round_that_is_not_settled_between_two_has_no_payoffs(status, contributions):
    outcome = RoundOutcome(1, status, (True,) * 3, contributions, (0,) * 3)
    nothing = SimpleNamespace()  # whoever looked at the terms would fail
    assert settled_payoffs(nothing, nothing, np.full(3, 0.5), outcome) == (None,) * 3


def test_transfers_count_in_currency_and_whoever_was_absent_has_no_payoff(agree_on_clinics, tmp_path):
    loop = agree_on_clinics().loop(tmp_path)
    resolved, decoded = loop.resolved, loop.ledger.decoded
    given = tuple(
        None if n == 5 else Contribution(o.local, 0, 0, b"\x01" * 32) for n, o in enumerate(resolved.organization)
    )
    unit = decoded.wei_per_unit

    def payoffs(*transfers: int) -> tuple[float | None, ...]:
        outcome = RoundOutcome(1, "settled", (True,) * 6, given, transfers)
        return settled_payoffs(resolved, decoded, resolved.quality, outcome)

    plain, paid = payoffs(0, 0, 0, 0, 0, 0), payoffs(3 * unit, -unit, 0, 0, 0, -2 * unit)
    assert plain[5] is paid[5] is None
    assert np.array(paid[:5]) - np.array(plain[:5]) == pytest.approx([3, -1, 0, 0, 0])
