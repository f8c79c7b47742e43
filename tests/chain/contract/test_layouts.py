"""Consortia of before there were stand-ins open, settle and audit; their contracts travel beside the present ones.

``tests/fixtures/first_layout`` holds a chain, its deployment record and its export as the last version with the first
layout wrote them: four members, one round settled after a dispute with member 2 masked, a second one open with one
contribution.
"""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from chain.artifacts import ARTIFACTS, CONTRACTS, load_artifact
from chain.audit import audit, audit_deployment
from chain.contract.bytecode import in_layout_of, shipped_artifact
from chain.encoding.codec import encode
from chain.encoding.terms import FIRST_LAYOUT, LAYOUT
from chain.errors.chain import ArtifactMismatch
from chain.errors.contract import TermsMismatch
from chain.open import open_ledger
from chain.record.export import SCHEMA_VERSION, LedgerFileInvalid, read_ledger, write_ledger
from cli.audit import print_audit
from cocogen.ledger import Contribution
from cocogen.operations.deployment import load_deployment
from cocogen.operations.verdict import ledger_verdict

FIXTURE = Path(__file__).resolve().parents[2] / "fixtures" / "first_layout"
SETTLED = (-65905646601052, -20812055390249, 0, 86717701991301)
EVIDENCE = b"\x05" * 32


@pytest.fixture(scope="module")
def terms(make_terms):
    return make_terms(4, dispute_bond=10**12)


@pytest.fixture
def exported(tmp_path):
    path = tmp_path / "ledger.jsonl"
    path.write_bytes(gzip.decompress((FIXTURE / "ledger.jsonl.gz").read_bytes()))
    return read_ledger(path)


@pytest.fixture
def provider(tmp_path):
    path = tmp_path / "chain.sqlite"
    path.write_bytes(gzip.decompress((FIXTURE / "chain.sqlite.gz").read_bytes()))
    opened = open_ledger(f"embedded:{path}", seed=7)
    yield opened
    opened.close()


@pytest.fixture
def deployment():
    return load_deployment(FIXTURE / "deployment.json")


def test_an_export_of_the_first_layout_audits_to_pass(exported, terms):
    report = audit(exported.record, terms)
    assert report.status == "PASS"
    assert {check.status for check in report.checks} == {"PASS", "SKIPPED"}
    deployed = in_layout_of(encode(terms), exported.record.runtime_code, exported.record.storage.terms_hash)
    assert deployed.layout == FIRST_LAYOUT
    assert exported.artifact == shipped_artifact(deployed).input_sha256


def test_the_verdict_names_a_contract_of_before_the_rule_for_silence(provider, deployment, terms, capsys):
    before = SimpleNamespace(settlement=SimpleNamespace(absence=None, wei_per_unit=terms.wei_per_unit))
    data = ledger_verdict(audit_deployment(provider, terms, deployment), before).plain()
    assert (data["status"], data["layout"]) == ("PASS", FIRST_LAYOUT)
    print_audit(data)
    last = capsys.readouterr().out.splitlines()[-1]
    assert last == "audit: PASS - a contract of before the rule for silence: the absent pay nothing"
    assert len(last) <= 80


def test_a_consortium_of_the_first_layout_opens_settles_and_audits_to_pass(provider, deployment, terms, tmp_path):
    ledger = provider.connect(terms, deployment)
    assert "0x" + ledger.decoded.terms_hash.hex() == deployment.terms_hash
    assert ledger.outcomes()[0].transfers == SETTLED
    assert ledger.outcomes()[0].absent == (False, False, True, False)
    contributions = [Contribution(50, 2, 1, EVIDENCE), Contribution(70, 5, 2, EVIDENCE), None]
    contributions.append(Contribution(90, 1, 0, EVIDENCE))
    for n in (1, 3):
        ledger.submit(n, contributions[n], ledger.attest(n, contributions[n]))
    ledger.wait_until(ledger.state().deadline + 1)
    ledger.record()
    ledger.wait_until(ledger.state().deadline + 1)
    assert ledger.settle().transfers == ledger.predict(contributions, absent=[2])
    ledger.withdraw(2, ledger.state().balances[2])

    record = provider.inspect(terms, deployment, receipts=True)
    assert audit(record, terms).status == "PASS"
    assert record.stand_ins_blob == b""
    write_ledger(record, tmp_path / "again.jsonl", artifact=load_artifact("ConsortiumNative").input_sha256)
    assert audit(read_ledger(tmp_path / "again.jsonl").record, terms, offline=True).status == "PASS"


def test_other_terms_than_those_of_the_first_layout_are_refused(provider, deployment, terms, exported):
    other = replace(terms, incentive=0.5)
    with pytest.raises(TermsMismatch):
        provider.connect(other, deployment)
    report = audit(exported.record, other)
    assert report.status == "FAIL"
    assert next(check for check in report.checks if check.name == "terms").status == "FAIL"


def test_terms_with_stand_ins_are_not_those_of_an_earlier_contract(provider, deployment, terms, exported):
    members = tuple(replace(member, stand_in=(0, 0, 0)) for member in terms.members)
    with pytest.raises(ArtifactMismatch):
        provider.connect(replace(terms, members=members), deployment)
    report = audit(exported.record, replace(terms, members=members))
    assert {check.name for check in report.checks if check.status == "FAIL"} >= {"code", "terms"}


def test_new_consortia_have_the_present_layout(terms):
    encoded = encode(terms)
    assert encoded.layout == LAYOUT
    assert shipped_artifact(encoded) == load_artifact("ConsortiumNative")
    assert shipped_artifact(encoded.in_layout(FIRST_LAYOUT)) != load_artifact("ConsortiumNative")


def test_a_ledger_without_code_tells_its_layout_by_its_terms_hash(terms):
    encoded = encode(terms)
    first = encoded.in_layout(FIRST_LAYOUT)
    assert in_layout_of(encoded, None, first.terms_hash).layout == FIRST_LAYOUT
    assert in_layout_of(encoded, None, encoded.terms_hash).layout == LAYOUT
    assert in_layout_of(encoded, None, b"\x01" * 32).layout == LAYOUT
    members = tuple(replace(member, stand_in=(1, 0, 0)) for member in terms.members)
    charged = encode(replace(terms, members=members))
    assert in_layout_of(charged, None, first.terms_hash) == charged


@pytest.mark.parametrize("version", ["0", "3", "true", '"1"', "1.0", "null"])
def test_other_schema_versions_are_refused_by_name(tmp_path, version):
    lines = gzip.decompress((FIXTURE / "ledger.jsonl.gz").read_bytes())
    path = tmp_path / "ledger.jsonl"
    path.write_bytes(lines.replace(b'"schema_version":1', b'"schema_version":' + version.encode(), 1))
    with pytest.raises(LedgerFileInvalid):
        read_ledger(path)


def test_the_first_schema_has_no_stand_ins_and_the_present_one_must_have_them(tmp_path):
    lines = gzip.decompress((FIXTURE / "ledger.jsonl.gz").read_bytes())
    path = tmp_path / "ledger.jsonl"
    for old, new, message in (
        (b'"schema_version":1', b'"schema_version":1,"stand_ins_blob":"0x"', "no field 'stand_ins_blob'"),
        (b'"schema_version":1', b'"schema_version":%d' % SCHEMA_VERSION, "stand_ins_blob is missing"),
    ):
        path.write_bytes(lines.replace(old, new, 1))
        with pytest.raises(LedgerFileInvalid, match=message):
            read_ledger(path)


def test_the_contracts_of_the_first_layout_are_what_was_deployed():
    assert {
        name: hashlib.sha256((ARTIFACTS / "1" / f"{name}.json").read_bytes()).hexdigest()[:16] for name in CONTRACTS
    } == {
        "ConsortiumNative": "c3718702715e992d",
        "ConsortiumERC20": "472df12f270ece64",
        "VectorConsortiumNative": "b5815511ddcc99a1",
        "VectorConsortiumERC20": "fc99e84b0f4e77ac",
    }
