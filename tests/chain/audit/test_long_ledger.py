"""A long ledger, as the benchmark measures it, audited from its file: correctness at a size that the others lack."""

from __future__ import annotations

from dataclasses import replace

import pytest

from chain.audit import audit
from chain.record.export import read_ledger, write_ledger

settlement_audit = pytest.importorskip("benchmarks.settlement_audit", reason="run python -m pytest in the repository")


@pytest.mark.slow
def test_a_long_ledger_passes_and_one_wei_in_it_does_not(tmp_path):
    terms = settlement_audit.terms_of(60, 30)
    record = settlement_audit.played_ledger(terms)
    write_ledger(record, tmp_path / "ledger.jsonl", artifact="")
    assert read_ledger(tmp_path / "ledger.jsonl").record == record
    report = audit(record, terms)
    assert report.status == "PASS"
    assert report.accounting.rounds == 60
    assert [check.detail for check in report.checks if check.name == "signatures"] == [
        "1800 signatures of the attester"
    ]
    position = next(i for i in reversed(range(len(record.events))) if record.events[i].name == "PayoffCalculated")
    event = record.events[position]
    payoffs = (event.args["payoffs"][0] + 1, event.args["payoffs"][1] - 1, *event.args["payoffs"][2:])
    forged = replace(event, args={**event.args, "payoffs": payoffs})
    events = (*record.events[:position], forged, *record.events[position + 1 :])
    failed = {check.name for check in audit(replace(record, events=events), terms).checks if check.status == "FAIL"}
    assert failed == {"settlement", "transfers"}


@pytest.mark.slow
def test_the_measurement_counts_what_it_measures():
    found = settlement_audit.measure_audit(3, 5)
    assert (found["rounds"], found["members"], found["signatures"]) == (3, 5, 15)
    assert min(found[name] for name in ("file_mb", "read_s", "audit_s", "wall_s", "cpu_s", "peak_mb")) > 0
