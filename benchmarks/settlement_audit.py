"""How long an audit of a whole life takes: many rounds of many organizations, every signature real.

The ledger is played on the contract's twin, exported to a file and audited from that file alone, as a third party
would: reading, checks 2 to 9, nothing skipped but the code (a ledger in memory has none) and the second node.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

from benchmarks import harness
from chain.artifacts import load_artifact
from chain.audit import audit
from chain.encoding import signatures
from chain.encoding.codec import encode
from chain.keys.keystores import development_key
from chain.record.export import read_ledger, write_ledger
from chain.record.values import MEMORY_CHAIN_ID, Event, LedgerEvent, LedgerRecord
from chain.twin.machine import Twin
from cocogen.ledger import ZERO_ADDRESS, Member, SettlementTerms

__all__ = ["measure_audit", "played_ledger", "terms_of"]

_SEED = 20
_ADDRESS = "0x52908400098527886E0F7030069857D2E4169EE7"


def terms_of(rounds: int, members: int) -> SettlementTerms:
    """Terms for ``members`` organizations with offsets, weights and competition of the usual sizes."""
    random = Random(_SEED)
    competition = [[0.0] * members for _ in range(members)]
    for n in range(members):
        for m in range(n):
            competition[n][m] = competition[m][n] = random.uniform(0.001, 0.1)
    return SettlementTerms(
        members=tuple(
            Member(
                name=f"o{n}",
                address=signatures.address_of(development_key(_SEED, f"o{n}")),
                data_cap=1_000 + n,
                generated_cap=500,
                compute_cap=0,
                score_weight=1.0,
                score_offset=-float(random.randrange(500)),
            )
            for n in range(members)
        ),
        competition=tuple(map(tuple, competition)),
        incentive=0.37,
        wei_per_unit=10**15,
        attester=signatures.address_of(development_key(_SEED, "attester")),
        arbiter=signatures.address_of(development_key(_SEED, "arbiter")),
        document_hash=bytes(range(32)),
        quorum_bps=6_000,
        maximum_rounds=rounds,
    )


def played_ledger(terms: SettlementTerms) -> LedgerRecord:
    """Play all rounds of ``terms`` on the twin, every member contributing in each."""
    random = Random(_SEED)
    encoded = encode(terms)
    scalars = encoded.scalars
    twin = Twin(encoded, chain_id=MEMORY_CHAIN_ID, address=_ADDRESS)
    secret = development_key(_SEED, "attester")
    log = _Log()
    for index, member in enumerate(encoded.members):
        amount = (scalars.max_rounds + 1) * encoded.liabilities[index]
        log.call(member.account, twin.deposit_submit, index, encoded.terms_hash, value=amount)
    for _ in range(scalars.max_rounds):
        log.time += scalars.min_gap
        log.call(scalars.attester, twin.round_open)
        for index, member in enumerate(encoded.members):
            parts = (random.randint(0, member.data_cap), random.randint(0, member.generated_cap), 0)
            evidence = random.randbytes(32)
            signature = signatures.sign(twin.contribution_digest(index, *parts, evidence), secret)
            log.call(member.account, twin.contribution_submit, index, *parts, evidence, signature)
        log.time = max(log.time, twin.deadline)
        log.call(scalars.arbiter, twin.profile_record)
        log.time = max(log.time, twin.deadline)
        log.call(scalars.arbiter, twin.payoff_calculate)
        log.call(scalars.arbiter, twin.payoff_transfer)
    return LedgerRecord(
        chain_id=MEMORY_CHAIN_ID,
        address=_ADDRESS,
        runtime_code=None,
        blob_address=ZERO_ADDRESS,
        terms_blob=encoded.blob,
        created_block=0,
        created_transaction=None,
        attester_is_contract=False,
        events=tuple(log.events),
        storage=twin.storage(block=log.block),
    )


class _Log:
    """One block, one second and one transaction a call."""

    def __init__(self) -> None:
        self.time = 1_700_000_000
        self.block = 0
        self.events: list[LedgerEvent] = []

    def call(self, sender: str, function: Callable[..., tuple[Event, ...]], *arguments: Any, value: int = 0) -> None:
        self.time += 1
        self.block += 1
        paid = {"value": value} if value else {}
        for position, event in enumerate(function(*arguments, sender=sender, time=self.time, **paid)):
            place = (self.block, self.time, f"operation {self.block}", position)
            self.events.append(LedgerEvent(event.name, event.args, *place, sender, value))


def measure_audit(rounds: int, members: int) -> dict[str, Any]:
    """Play, export, read and audit; seconds of processor and wall time of reading and auditing, megabytes of the file.

    Raises
    ------
    RuntimeError
        The honest ledger does not pass: the figures would mean nothing.
    """
    terms = terms_of(rounds, members)
    with tempfile.TemporaryDirectory(prefix="cocogen-") as folder:
        file = Path(folder) / "ledger.jsonl"
        write_ledger(played_ledger(terms), file, artifact=load_artifact("ConsortiumNative").input_sha256)
        begin = time.perf_counter(), time.process_time()
        record = read_ledger(file).record
        read = time.perf_counter(), time.process_time()
        report = audit(record, terms, offline=True)
        end = time.perf_counter(), time.process_time()
        size = file.stat().st_size / 1e6
    if report.status != "PASS":
        raise RuntimeError(f"the audit of an honest ledger says {report.status}: {report.checks}")
    return {
        "rounds": rounds,
        "members": members,
        "signatures": sum(event.name == "ContributionSubmitted" for event in record.events),
        "file_mb": size,
        "read_s": read[0] - begin[0],
        "audit_s": end[0] - read[0],
        "wall_s": end[0] - begin[0],
        "cpu_s": end[1] - begin[1],
        "peak_mb": harness.resident_peak_mb(),
    }
