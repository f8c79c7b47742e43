"""The verdict of an audit: what the auditor found, joined by what lies beside the ledger."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from chain.audit import CHECKS, audit_deployment, audit_export, incomplete
from chain.encoding.codec import decode, encode
from chain.errors.chain import ChainUnavailable
from chain.record.export import write_ledger
from chain.twin.ledger import MemoryProvider
from cocogen.errors import DatasetError
from cocogen.ledger import Contribution
from cocogen.operations import verdict as judging
from cocogen.operations.session import Session, open_consortium
from cocogen.operations.verdict import Verdict, audit, data_check, ledger_verdict

EVIDENCE = b"\xee" * 32
BLANK = Verdict.of(incomplete("nothing was read"))
PASSED = dataclasses.replace(
    BLANK, status="PASS", checks=tuple(dataclasses.replace(check, status="PASS", detail="") for check in BLANK.checks)
)


@pytest.fixture
def settled(deployed, memory) -> Iterator[Session]:
    """The clinics after one settled round, in which nothing was trained."""
    with open_consortium(deployed.workspace, memory) as consortium:
        ledger = consortium.ledger
        consortium.loop.bond()
        ledger.open_round()
        for n in range(len(consortium.resolved.names)):
            contribution = Contribution(10 + n, n, 0, EVIDENCE)
            ledger.submit(n, contribution, ledger.attest(n, contribution))
        ledger.record()
        ledger.wait_until(ledger.state().deadline + 1)
        ledger.settle()
        yield consortium


def statuses(verdict: Verdict) -> dict[str, str]:
    return {check.name: check.status for check in verdict.checks if check.status != "PASS"}


class TestConsortium:
    def test_an_honest_ledger_passes_and_says_who_paid_whom(self, settled):
        found = audit(settled, audit_deployment)
        assert found.status == "PASS"
        # in memory there is no code, no second node was asked, and nothing was attested
        assert statuses(found) == dict.fromkeys(("code", "cross-check", "evidence"), "SKIPPED")
        plain = found.plain()
        assert json.loads(json.dumps(plain)) == plain
        assert list(plain) == ["status", "origin", "checks", "accounting", "cannot_know", "wei_per_unit", "layout"]
        assert list(plain["checks"][0]) == ["id", "name", "status", "detail", "transaction", "question"]
        transfers = settled.ledger.outcomes()[0].transfers
        net = {name: int(each["net"]) for name, each in plain["accounting"]["organizations"].items()}
        assert net == dict(zip(settled.resolved.names, transfers, strict=True))

    def test_a_terms_file_that_is_not_the_agreed_one_fails_the_terms(self, settled, tmp_path):
        text = settled.workspace.terms.read_text()
        other = tmp_path / "other.toml"
        other.write_text(text.replace("profitability = 2400.0", "profitability = 2401.0"))
        found = audit(settled, audit_deployment, terms_file=other)
        assert (found.status, found.check("terms").status) == ("FAIL", "FAIL")
        assert "it differs in organization.north.profitability" in found.check("terms").detail

    @pytest.mark.parametrize(("change", "said"), [("altered", "was altered after"), ("gone", "cannot be read")])
    def test_the_copy_of_the_agreed_terms_must_be_the_agreed_one(self, settled, change, said):
        if change == "gone":
            settled.workspace.terms.unlink()
        else:
            settled.workspace.terms.write_text(settled.workspace.terms.read_text() + "\n")
        found = audit(settled, audit_deployment)
        assert found.status == "FAIL"
        assert said in found.check("terms").detail

    def test_a_terms_file_whose_data_are_elsewhere_is_incomplete(self, settled, monkeypatch):
        from cocogen.operations import agreement

        def elsewhere(*_):
            raise DatasetError("there is no file own.npz", hint="give its folder")

        monkeypatch.setattr(agreement, "rule_disagreements", elsewhere)
        found = audit(settled, audit_deployment)
        assert (found.status, found.check("terms").status) == ("INCOMPLETE", "INCOMPLETE")
        assert found.check("terms").detail == "there is no file own.npz; give its folder"

    def test_altered_files_of_the_consortium_fail_the_evidence(self, settled):
        path = settled.workspace.attested(1)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{}")
        found = audit(settled, audit_deployment)
        assert (found.status, found.check("evidence").status) == ("FAIL", "FAIL")
        assert "attested.json" in found.check("evidence").detail

    def test_no_such_contract_fails_the_code_and_has_no_layout(self, settled):
        settled.provider = MemoryProvider(8)
        found = audit(settled, audit_deployment)
        assert (found.status, found.check("code").status) == ("FAIL", "FAIL")
        assert (found.layout, found.wei_per_unit, found.accounting) == (None, None, None)
        assert found.check("data").status == "PASS"

    def test_a_ledger_that_cannot_be_read_is_a_reason_and_no_verdict(self, settled):
        def unreachable(*_, **__):
            raise ChainUnavailable("the node does not answer")

        with pytest.raises(ChainUnavailable):
            audit(settled, unreachable)

    def test_new_terms_without_a_rule_for_silence_fail(self, settled):
        terms = settled.resolved.settlement_terms()
        found = audit_deployment(settled.provider, terms, settled.deployment)
        assert found.present
        settlement = settled.resolved.settlement.model_copy(update={"absence": None})
        without = settled.resolved.model_copy(update={"settlement": settlement})
        assert ledger_verdict(found, settled.resolved).status == "PASS"
        assert "settlement.absence" in ledger_verdict(found, without).check("terms").detail

    def test_an_exported_ledger_has_the_same_verdict_of_a_file(self, settled, tmp_path):
        terms = settled.resolved.settlement_terms()
        record = settled.provider.inspect(terms, settled.deployment)
        write_ledger(record, tmp_path / "ledger.jsonl", artifact="")
        said: list[str] = []
        found = audit_export(tmp_path / "ledger.jsonl", terms, note=said.append)
        made = judging.audit_export(
            found,
            settled.resolved,
            settled.folders(),
            decode=lambda given: decode(encode(given)),
            terms_file=Path(str(settled.deployment.details["config"])),
            workspace=settled.workspace,
        )
        assert dataclasses.replace(made, origin="node").plain() == audit(settled, audit_deployment).plain()
        assert made.origin == "file"
        assert "another build of the contract" in said[0]


class TestVerdict:
    def test_of_a_report_alone_it_has_every_check_with_its_question(self):
        assert tuple(check.name for check in BLANK.checks) == CHECKS
        assert all(check.question.endswith("?") for check in BLANK.checks)
        assert BLANK.plain()["accounting"] is None
        assert BLANK.plain()["wei_per_unit"] is None

    def test_the_worst_check_decides_but_one_that_was_skipped(self):
        assert PASSED.with_check("data", "SKIPPED", "").status == "PASS"
        assert PASSED.with_check("data", "INCOMPLETE", "").status == "INCOMPLETE"
        failed = PASSED.with_check("data", "FAIL", "")
        assert failed.with_check("evidence", "INCOMPLETE", "").status == "FAIL"
        assert statuses(failed) == {"data": "FAIL"}

    def test_a_mismatch_of_the_terms_joins_what_failed_before(self):
        assert PASSED.with_terms("PASS", "") is PASSED
        found = PASSED.with_check("terms", "FAIL", "a liability is another").with_terms("INCOMPLETE", "no data")
        assert found.check("terms").detail == "a liability is another; no data"
        assert found.check("terms").status == found.status == "FAIL"
        assert PASSED.with_terms("INCOMPLETE", "no data").check("terms").detail == "no data"

    def test_data_that_are_not_there_count_only_if_somebody_said_where(self, deployed, monkeypatch):
        def absent(*_):
            raise DatasetError("there is no file own.npz")

        monkeypatch.setattr(judging, "measurement_disagreements", absent)
        assert [data_check(deployed.resolved, None, asked=asked)[0] for asked in (False, True)] == [
            "SKIPPED", "INCOMPLETE",
        ]  # fmt: skip
        monkeypatch.setattr(judging, "measurement_disagreements", lambda *_: ["organization.north.local"])
        assert data_check(deployed.resolved, None, asked=False) == (
            "FAIL", "the data contradict the terms in organization.north.local",
        )  # fmt: skip
