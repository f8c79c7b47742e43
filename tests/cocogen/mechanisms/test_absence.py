"""Stand-ins follow from the terms, are in what members accept, and nobody can alter them unseen."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from chain.twin.ledger import MemoryProvider
from cocogen.errors import ConfigurationError
from cocogen.experiments.markets import tradefl_market
from cocogen.mechanisms.absence import least_strategies, stand_ins
from cocogen.operations.registration import register, rule_disagreements
from cocogen.terms.market import market
from cocogen.terms.resolved import ResolvedTerms

pytestmark = pytest.mark.heavy  # agreeing on terms trains

SEED = 7
BEFORE = Path(__file__).parents[2] / "fixtures" / "resolved-before-stand-ins.json"


def stating(rule: str) -> tuple[str, str]:
    return "[settlement]", f'[settlement]\nabsence = "{rule}"'


@pytest.fixture(scope="module")
def planned(agree_on_clinics):
    return agree_on_clinics(stating("planned"))


@pytest.fixture(scope="module")
def least(agree_on_clinics):
    return agree_on_clinics(stating("least"))


@pytest.fixture(scope="module")
def masked(agree_on_clinics):
    return agree_on_clinics(stating("masked"))


def decode(terms):
    return MemoryProvider(SEED).decode(terms)


def with_stand_in(resolved: ResolvedTerms, n: int, stand_in) -> ResolvedTerms:
    given = [o.stand_in for o in resolved.organization]
    given[n] = stand_in
    return resolved.with_stand_ins(given)


def test_planned_stands_in_with_what_the_first_round_asks_for(planned, tmp_path):
    resolved = planned.registration.resolved
    profile = planned.loop(tmp_path).plan(1, [True] * 6).profile
    expected = list(zip(profile.data.tolist(), profile.generated.tolist(), [0] * 6, strict=True))
    assert [o.stand_in for o in resolved.organization] == expected
    assert [o.stand_in[0] for o in resolved.organization] == [o.local for o in resolved.organization]
    assert sum(generated for _, generated, _ in expected) > 0


def test_least_stands_in_with_all_real_data_and_nothing_generated(least):
    assert [o.stand_in for o in least.registration.resolved.organization] == [
        (o.local, 0, 0) for o in least.registration.resolved.organization
    ]


def test_masked_terms_have_no_stand_ins(masked):
    resolved = masked.registration.resolved
    assert {o.stand_in for o in resolved.organization} == {None}
    assert resolved.masks
    assert MemoryProvider(SEED).decode(resolved.settlement_terms()).stand_in_scores is None


def test_the_least_of_data_fractions_is_the_least_share_at_the_lowest_level():
    made = tradefl_market(np.random.default_rng(0), size=4)
    game = made.game(1e-9)
    least = least_strategies(game)
    assert (least[:, 0] == made.minimum_fraction).all()
    for n in range(4):
        feasible = game.family.segments.feasible[n]
        lowest = np.asarray(game.family.compute_levels)[n][np.argmax(feasible)]
        assert least[n, 1] == lowest


@pytest.mark.parametrize("name", ["cocogen", "vcfl", "wco", "radg"])
def test_where_nothing_is_redistributed_nobody_has_a_stand_in(agree_on_clinics, name):
    agreed = agree_on_clinics(stating("planned"), ('mechanism = "cocogen+"', f'mechanism = "{name}"'))
    resolved = agreed.registration.resolved
    assert {o.stand_in for o in resolved.organization} == {None}
    assert resolved.disagreements(agreed.consortium) == []
    assert rule_disagreements(resolved, decode) == []
    assert ResolvedTerms.from_json(resolved.to_json()) == resolved


@pytest.mark.parametrize("rule", ["planned", "least", "masked"])
def test_resolved_terms_hold_the_rule_and_agree_with_their_file(request, rule):
    agreed = request.getfixturevalue(rule)
    resolved = agreed.registration.resolved
    assert resolved.settlement.absence == rule
    assert resolved.disagreements(agreed.consortium) == []
    assert rule_disagreements(resolved, decode) == []
    again = ResolvedTerms.from_json(resolved.to_json())
    assert again == resolved
    assert again.document_hash == resolved.document_hash
    assert [m.stand_in for m in again.settlement_terms().members] == [o.stand_in for o in resolved.organization]


def test_the_digest_on_the_ledger_covers_rule_and_stand_ins(planned, least, masked):
    resolved = planned.registration.resolved
    first = resolved.organization[0].stand_in
    altered = with_stand_in(resolved, 0, (first[0], first[1] - 1, first[2]))
    digests = {r.document_hash for r in (resolved, altered, *(a.registration.resolved for a in (least, masked)))}
    assert len(digests) == 4


@pytest.mark.parametrize("change", [(-1, 0, 0), (0, -1, 0), (0, 1, 0), (0, -60, 0), (0, 0, 1)])
def test_an_altered_stand_in_is_noticed(planned, change):
    resolved = planned.registration.resolved
    altered = with_stand_in(
        resolved, 1, tuple(a + b for a, b in zip(resolved.organization[1].stand_in, change, strict=True))
    )
    found = altered.disagreements(planned.consortium) or rule_disagreements(altered, decode)
    assert found == ["organization.harbor (stand-in)"]


def test_the_least_stand_in_admits_no_other(least):
    altered = with_stand_in(least.registration.resolved, 2, (70, 1, 0))
    assert altered.disagreements(least.consortium) == ["organization.riverside (stand-in)"]
    assert rule_disagreements(altered, decode) == ["organization.riverside (stand-in)"]


def test_a_stand_in_under_terms_that_mask_is_noticed(masked):
    altered = with_stand_in(masked.registration.resolved, 0, (105, 0, 0))
    assert altered.disagreements(masked.consortium) == ["organization.north (stand-in)"]
    assert rule_disagreements(altered, decode) == ["organization.north (stand-in)"]


def test_another_rule_than_the_files_is_noticed(planned, masked):
    assert "settlement" in masked.registration.resolved.disagreements(planned.consortium)


def test_a_plan_that_lies_on_an_integer_may_be_rounded_either_way(planned, monkeypatch):
    import cocogen.mechanisms.absence as module

    resolved = planned.registration.resolved
    quality = np.array([o.quality for o in resolved.organization])
    state = market(resolved, decode(resolved.settlement_terms()), quality)
    whole = np.array([o.stand_in[1] for o in resolved.organization]) / quality
    monkeypatch.setattr(module, "_strategies", lambda absence, market: whole)
    low, high = module.possible_stand_ins("planned", state)
    assert [b[1] - a[1] for a, b in zip(low, high, strict=True)] == [1] * 6
    assert stand_ins("planned", state)[0][0] == 105


DAMAGE = {
    "missing": (lambda o: o.pop("stand_in"), "required"),
    "beyond the cap": (lambda o: o.update(stand_in=[105, 301, 0]), "at most the caps"),
    "negative": (lambda o: o.update(stand_in=[105, -1, 0]), "greater than or equal to 0"),
    "not whole": (lambda o: o.update(stand_in=[105, 1.5, 0]), "valid integer"),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_malformed_stand_ins_are_named(planned, kind):
    content = json.loads(planned.registration.resolved.to_json())
    damage, words = DAMAGE[kind]
    damage(content["organization"][0])
    with pytest.raises(ConfigurationError, match=words) as caught:
        ResolvedTerms.from_json(json.dumps(content, sort_keys=True, indent=1) + "\n")
    assert caught.value.problems[0].field.startswith("organization[0].stand_in")


def test_resolved_terms_of_before_there_were_stand_ins_mean_masked_and_keep_their_digest():
    text = BEFORE.read_text()
    resolved = ResolvedTerms.from_json(text)
    assert resolved.settlement.absence is None
    assert resolved.masks
    assert resolved.to_json() == text
    assert {member.stand_in for member in resolved.settlement_terms().members} == {None}
    assert rule_disagreements(resolved, decode) == []


def test_what_was_agreed_before_there_were_stand_ins_agrees_with_its_file(masked):
    resolved = masked.registration.resolved
    before = resolved.model_copy(update={"settlement": resolved.settlement.model_copy(update={"absence": None})})
    assert before.disagreements(masked.consortium) == []
    assert "absence" not in before.to_json()


def test_an_absence_that_there_is_not_is_a_configuration_error(agree_on_clinics):
    with pytest.raises(ConfigurationError, match=r"settlement\.absence"):
        agree_on_clinics(stating("forgiven"))


def test_registering_twice_gives_the_same_stand_ins(planned):
    again = register(planned.consortium, MemoryProvider(SEED), planned.task).resolved
    assert again == planned.registration.resolved
