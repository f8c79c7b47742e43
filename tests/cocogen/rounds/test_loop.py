"""The loop over the in-memory ledger: who gets which model, what counts, and what a round reports."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from chain.errors.chain import LedgerError
from chain.twin.ledger import MemoryProvider
from cocogen.errors import ConfigurationError, EvidenceRejected, WorkspaceError
from cocogen.evidence.local import Assignment, Local
from cocogen.operations.registration import Registration, measurement_disagreements, register, rule_disagreements
from cocogen.rounds.attested import Attested
from cocogen.rounds.loop import RoundLoop
from cocogen.rounds.workspace import Workspace
from cocogen.terms.consortium import Consortium
from cocogen.terms.resolved import ResolvedTerms
from cocogen.terms.sections import Incentive

SEED = 7


@pytest.fixture(scope="module")
def clinics(agree_on_clinics):
    return agree_on_clinics()


@pytest.fixture(scope="module")
def consortium(clinics) -> Consortium:
    return clinics.consortium


@pytest.fixture(scope="module")
def task(clinics) -> Local:
    return clinics.task


@pytest.fixture(scope="module")
def registration(clinics) -> Registration:
    return clinics.registration


@pytest.fixture
def loop(clinics, tmp_path) -> RoundLoop:
    return clinics.loop(tmp_path)


def test_resolved_terms_survive_json_to_the_last_bit(registration):
    resolved = registration.resolved
    again = ResolvedTerms.from_json(resolved.to_json())
    assert again == resolved
    assert again.document_hash == resolved.document_hash
    assert again.settlement_terms() == resolved.settlement_terms()


def test_the_document_hash_covers_every_number_of_every_organization(registration):
    resolved = registration.resolved
    content = json.loads(resolved.to_json())
    for field, value in content["organization"][2].items():
        if isinstance(value, float | int):
            altered = json.loads(resolved.to_json())
            altered["organization"][2][field] = value + 1
            assert ResolvedTerms.from_json(canonical(altered)).document_hash != resolved.document_hash


def canonical(content) -> str:
    return json.dumps(content, sort_keys=True, indent=1) + "\n"


@pytest.mark.parametrize(
    "rewrite",
    [
        lambda text: text.rstrip("\n"),
        lambda text: text + "\n",
        lambda text: text.replace("\n ", "\n  "),
        lambda text: json.dumps(json.loads(text), indent=1) + " ",
        lambda text: json.dumps(dict(reversed(json.loads(text).items())), indent=1) + "\n",
        lambda text: text.replace('"ceiling": 1.0', '"ceiling": 1.00'),
        lambda text: text.replace('"ceiling": 1.0', '"ceiling": 1'),
        lambda text: text.replace('"name": "north"', '"name": "n\\u006frth"'),
        lambda text: "\ufeff" + text,
        lambda text: text.replace("\n", "\r\n"),
    ],
)
def test_resolved_terms_that_are_not_their_own_text_are_refused(registration, rewrite):
    """They say the same and have the same document hash; their file has another."""
    text = registration.resolved.to_json()
    assert rewrite(text) != text
    with pytest.raises(ConfigurationError, match="not valid resolved terms"):
        ResolvedTerms.from_json(rewrite(text))


def test_the_line_that_is_written_otherwise_is_named(registration):
    text = registration.resolved.to_json()
    number = text.splitlines().index('  "ceiling": 1.0,') + 1
    with pytest.raises(ConfigurationError, match=rf"line {number}, '  \"ceiling\": 1.00,', is not"):
        ResolvedTerms.from_json(text.replace('"ceiling": 1.0', '"ceiling": 1.00'))


def test_resolved_terms_that_are_malformed_are_named(registration):
    content = json.loads(registration.resolved.to_json())
    del content["organization"][0]["local"]
    content["extra"] = 1
    with pytest.raises(ConfigurationError) as caught:
        ResolvedTerms.from_json(json.dumps(content), file="resolved.json")
    assert {problem.field for problem in caught.value.problems} == {"organization[0].local", "extra"}


def test_resolved_terms_with_a_mistyped_address_are_refused(registration):
    for path in (("organization", 1, "address"), ("attester",), ("arbiter",), ("settlement", "token")):
        content = json.loads(registration.resolved.to_json())
        place = content
        for step in path[:-1]:
            place = place[step]
        place[path[-1]] = "0xd8dA6BF26964aF9D7eEd9e03E53415D37aA96046"
        with pytest.raises(ConfigurationError, match="typing error") as caught:
            ResolvedTerms.from_json(json.dumps(content), file="resolved.json")
        assert len(caught.value.problems) == 1


def test_the_resolved_terms_agree_with_their_file_and_with_no_other(consortium, registration):
    assert registration.resolved.disagreements(consortium) == []
    assert "incentive" in registration.resolved.disagreements(consortium.with_incentive(1.0))


def test_the_agreed_incentive_leaves_everyone_at_least_its_outside_option(loop):
    loop.open()
    plan = loop.plan(1, loop.ledger.state().participants)
    assert plan.surplus.min() >= 0
    assert plan.epsilon <= 1e-6
    assert plan.epsilon_executed <= 1e-4


def test_a_played_round_settles_what_was_planned_to_the_wei(loop):
    report = loop.play()
    plan = report.plan
    assert report.status == "settled"
    assert [c.generated for c in report.contributions] == plan.profile.generated.tolist()
    assert report.transfers == loop.ledger.predict(report.contributions)
    assert sum(report.transfers) == 0
    payoffs = np.array(report.payoffs)
    # one effective sample of rounding on either side of every pair, and on the own cost
    assert np.abs(payoffs - plan.payoffs).max() < 2 * loop.ledger.decoded.rates.sum()


def test_a_member_that_is_left_out_keeps_the_model_it_has_and_pays_by_its_stand_in(loop):
    loop.open()
    loop.train()
    loop.attest()
    for n in range(5):
        loop.submit(n)
    loop.record(advance=True)
    loop.settle(advance=True)
    report = loop.report(1)
    assert report.contributions[5] is None
    assert report.payoffs[5] is None
    assert report.transfers[5] == loop.ledger.predict(report.contributions, [5])[5] < 0
    bases = [model.digest() for model in loop.history.base_models(2)]
    assert len(set(bases[:5])) == 1
    assert bases[5] == loop.resolved.model_digest
    assert bases[0] != bases[5]


def test_a_voided_round_releases_no_model_and_keeps_the_agreed_quality(loop):
    loop.open()
    loop.train()
    loop.attest()
    loop.submit(0)
    loop.record(advance=True)
    assert loop.ledger.outcomes()[-1].status == "voided"
    assert {model.digest() for model in loop.history.base_models(2)} == {loop.resolved.model_digest}
    agreed = [organization.quality for organization in loop.resolved.organization]
    assert loop.market(2).resources.quality.tolist() == agreed
    assert loop.report(1).payoffs == (None,) * 6
    assert loop.play().round == 2


def test_the_quality_that_was_measured_is_in_force_in_the_next_round(loop):
    loop.play()
    assert loop.market(2).resources.quality.tolist() == list(loop.history.attested(1).quality)


@pytest.mark.parametrize("stop", ["open", "train", "attest", "submit", "record", "settle"])
def test_playing_goes_on_wherever_a_round_was_left(loop, registration, task, tmp_path_factory, stop):
    loop.open()
    for step, call in (
        ("open", None),
        ("train", loop.train),
        ("attest", loop.attest),
        ("submit", lambda: [loop.submit(n) for n in range(3)]),
        ("record", lambda: [loop.submit(n) for n in range(3, 6)] and loop.record(advance=True)),
        ("settle", lambda: loop.settle(advance=True)),
    ):
        if call is not None:
            call()
        if step == stop:
            break
    report = loop.report(1) if stop == "settle" else loop.play()
    workspace = Workspace(tmp_path_factory.mktemp("other"))
    registration.shared.save(workspace.initial_model)
    ledger = MemoryProvider(SEED).deploy(registration.resolved.settlement_terms())
    straight = RoundLoop(registration.resolved, ledger, workspace, task=task)
    straight.bond()
    expected = straight.play()
    assert report.transfers == expected.transfers
    assert report.evaluation == expected.evaluation
    assert report.payoffs == expected.payoffs


def test_evidence_of_another_round_is_rejected_by_name(loop):
    loop.play()
    loop.open()
    loop.train()
    old = loop.workspace.bundle(1, "north").read_bytes()
    loop.workspace.bundle(2, "north").write_bytes(old)
    attested = loop.attest()
    assert list(attested.rejected) == ["north"]
    with pytest.raises(EvidenceRejected, match="north"):
        loop.submit(0)


def test_a_contribution_altered_after_the_signature_is_refused_before_it_is_sent(loop):
    loop.open()
    loop.train()
    loop.attest()
    attested = loop.history.attested(1)
    altered = list(attested.contributions)
    altered[0] = dataclasses.replace(altered[0], generated=altered[0].generated + 1)
    forged = dataclasses.replace(attested, contributions=tuple(altered))
    loop.workspace.write_json(loop.workspace.attested(1), forged.to_dict())
    with pytest.raises(WorkspaceError, match="the evidence of north says otherwise of what counts"):
        loop.submit(0)
    with pytest.raises(LedgerError, match="not signed by the attester"):
        loop.ledger.submit(0, altered[0], attested.signatures[0])
    assert not loop.ledger.state().submitted[0]


@pytest.mark.parametrize("field", ["contributions", "signatures", "quality", "evaluation", "documents", "rejected"])
def test_a_malformed_attestation_file_is_a_typed_error(loop, field):
    loop.open()
    loop.train()
    loop.attest()
    content = loop.workspace.read_json(loop.workspace.attested(1))
    Attested.from_dict(content, file=loop.workspace.attested(1))
    for broken in (None, [{"data": "x"}], 3):
        with pytest.raises(WorkspaceError, match="attestation file"):
            Attested.from_dict(content | {field: broken}, file=loop.workspace.attested(1))


def test_a_stated_address_that_is_not_the_account_is_a_configuration_error(consortium, task):
    first = consortium.organization[0].model_copy(update={"address": "0x" + "11" * 20})
    other = consortium.with_incentive(1.0).model_copy(update={"organization": (first, *consortium.organization[1:])})
    other._competition = consortium.competition
    with pytest.raises(ConfigurationError, match="north states address 0x11"):
        register(other, MemoryProvider(SEED), task)


def test_samples_beyond_the_plan_are_not_credited(loop):
    loop.open()
    plan = loop.plan(1, loop.ledger.state().participants)
    more = [Assignment(int(d), int(r) + 40) for d, r in zip(plan.profile.data, plan.profile.raw, strict=True)]
    bundles = loop.task.train(1, loop.history.base_models(1), more, loop.ledger.decoded.terms_hash, loop.ledger.sign)
    for bundle in bundles:
        bundle.save(loop.workspace.bundle(1, bundle.organization))
    attested = loop.attest()
    assert [c.generated for c in attested.contributions] == plan.profile.generated.tolist()


def test_a_round_whose_window_passed_without_anyone_is_recorded_and_reported(loop):
    loop.open()
    loop.ledger.advance(200_000)
    report = loop.play()
    assert report.status == "voided"
    assert report.evaluation == {}
    assert loop.play().status == "settled"


@pytest.mark.parametrize(
    ("field", "value"),
    [("score_weight", 5.0), ("score_offset", 1000.0), ("data_cap", 100_000), ("generated_cap", 7), ("compute_cap", 1)],
)
def test_resolved_terms_that_break_the_published_rule_disagree_with_the_file(consortium, task, field, value):
    stated = consortium.with_incentive(1.0)
    resolved = register(stated, MemoryProvider(SEED), task).resolved
    first = resolved.organization[0].model_copy(update={field: value})
    altered = resolved.model_copy(update={"organization": (first, *resolved.organization[1:])})
    assert len(altered.disagreements(stated)) == 1


@pytest.mark.parametrize(("field", "factor"), [("score_weight", 1.0001), ("score_offset", 1.0001), ("quality", 0.9)])
def test_scores_that_the_optimal_rule_does_not_give_disagree(consortium, registration, field, factor):
    resolved, decode = registration.resolved, MemoryProvider(SEED).decode
    assert consortium.incentive.redistribution == "optimal"
    assert rule_disagreements(resolved, decode) == []
    first = resolved.organization[0]
    first = first.model_copy(update={field: factor * getattr(first, field)})
    altered = resolved.model_copy(update={"organization": (first, *resolved.organization[1:])})
    assert altered.disagreements(consortium) == []
    assert rule_disagreements(altered, decode) != []


def test_measurements_that_the_data_contradict_are_named(consortium, registration):
    resolved = registration.resolved
    assert measurement_disagreements(resolved) == []
    first = resolved.organization[0].model_copy(
        update={"local": 400, "data_cap": 400, "label_mix": (5.0, -4.0), "heterogeneity": 0.95}
    )
    altered = resolved.model_copy(update={"organization": (first, *resolved.organization[1:]), "heterogeneity": 0.9})
    name = resolved.names[0]
    assert measurement_disagreements(altered) == [
        f"organization.{name}.local",
        f"organization.{name}.label_mix",
        f"organization.{name}.heterogeneity",
        "heterogeneity",
    ]


def test_the_rule_is_compared_in_any_unit_of_currency(consortium, registration):
    decode = MemoryProvider(SEED).decode
    tiny = 1e-9
    organizations = tuple(
        o.model_copy(
            update={
                "profitability": o.profitability * tiny,
                "generation_cost": o.generation_cost.model_copy(
                    update={"linear": o.generation_cost.linear * tiny, "quadratic": o.generation_cost.quadratic * tiny}
                ),
            }
        )
        for o in registration.resolved.organization
    )
    settlement = registration.resolved.settlement.model_copy(update={"wei_per_unit": 10**24})
    small = registration.resolved.model_copy(
        update={
            "organization": organizations,
            "settlement": settlement,
            "incentive": registration.resolved.incentive * tiny,
        }
    )
    assert rule_disagreements(small, decode) == []
    dearer = small.model_copy(update={"incentive": 1.2 * small.incentive})
    assert "incentive.strength" in rule_disagreements(dearer, decode)


def test_an_automatic_strength_must_be_the_one_that_the_search_finds(consortium, task):
    uniform = consortium.model_copy(update={"incentive": Incentive()})
    assert uniform.incentive.strength == "auto"
    resolved = register(consortium.with_incentive(1.0), MemoryProvider(SEED), task).resolved
    automatic = resolved.model_copy(update={"incentive_rule": Incentive()})
    assert rule_disagreements(automatic, MemoryProvider(SEED).decode) == ["incentive.strength"]


def test_a_stated_strength_must_be_the_resolved_one(consortium, task):
    stated = consortium.with_incentive(1.0)
    resolved = register(stated, MemoryProvider(SEED), task).resolved
    assert resolved.disagreements(stated) == []
    assert resolved.model_copy(update={"incentive": 3.0}).disagreements(stated) == ["incentive.strength"]
