"""Every leaf of an exported ledger is flipped: whatever passes an offline audit stands in the list of docs/audit.md."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from chain.audit import audit
from chain.record.export import LedgerFileInvalid, read_ledger, write_ledger
from chain.record.values import LedgerRecord
from chain.twin.ledger import MemoryProvider
from cocogen.ledger import Contribution

DOCUMENT = Path(__file__).parents[3] / "docs" / "audit.md"
OTHER = "0x52908400098527886E0F7030069857D2E4169EE7"
ANOTHER = "0x8617E340B3D01FA5F11F306F4090FD50E238070D"
HEX = "0123456789abcdef"
SIGNED = ("ContributionSubmitted", "TransfersSubmitted")

LINES = re.compile(r"^\| `((?:header|event|block|storage|[A-Z]\w+)\.\w+)` \|", re.MULTILINE)


def listed() -> set[str]:
    """The fields of which the document says that no check of a file can see them."""
    return set(LINES.findall(DOCUMENT.read_text()))


def flips(value: Any) -> Iterator[Any]:
    """Yield other values of a leaf: of the same kind, and none at all where there is one."""
    if isinstance(value, bool):
        yield not value
    elif isinstance(value, int):
        yield from (value + 1, value - 1)
    elif value is None:
        yield from (True, 1, OTHER)
    elif re.fullmatch(r"-?[0-9]{16,}", value):
        yield from (str(int(value) + 1), str(int(value) - 1))
    elif re.fullmatch(r"0x[0-9a-fA-F]{40}", value) and value != value.lower():
        yield OTHER if value != OTHER else ANOTHER
    elif value.startswith("0x") and len(value) > 2:
        yield from (value[:-1] + HEX[HEX.index(value[-1]) ^ 1], "0x" + HEX[HEX.index(value[2]) ^ 1] + value[3:])
    else:
        yield value + "0"
    if value is not None:
        yield None


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield from leaves(value[key], (*path, key))
    else:
        yield path


def name_of(line: dict[str, Any], path: tuple[Any, ...]) -> str:
    if path[0] == "args":
        return f"{line['name']}.{path[1]}"
    return f"{line['kind']}.{path[0]}"


class Exported:
    """An exported ledger as lines, any one leaf of which can be flipped before it is read and judged again."""

    def __init__(self, record: LedgerRecord, terms: Any, file: Path) -> None:
        self.terms, self.file = terms, file
        write_ledger(record, file, artifact="ab" * 32)
        self.lines = [json.loads(line) for line in file.read_text().splitlines()]
        self.encoded = [self._line(line) for line in self.lines]

    @staticmethod
    def _line(content: dict[str, Any]) -> bytes:
        return json.dumps(content, separators=(",", ":")).encode() + b"\n"

    def flipped(self) -> Iterator[tuple[str, int, tuple[Any, ...], Any]]:
        for at, line in enumerate(self.lines):
            for path in leaves(line):
                inner: Any = line
                for key in path:
                    inner = inner[key]
                for value in flips(inner):
                    yield name_of(line, path), at, path, value

    def status(self, at: int, path: tuple[Any, ...], value: Any) -> str:
        """What an offline audit says of the file with this other value, its footer made anew."""
        line = json.loads(self.encoded[at])
        inner = line
        for key in path[:-1]:
            inner = inner[key]
        inner[path[-1]] = value
        body = [*self.encoded[:at], self._line(line), *self.encoded[at + 1 :]]
        if at < len(body) - 1:
            footer = {**self.lines[-1], "sha256": hashlib.sha256(b"".join(body[:-1])).hexdigest()}
            body[-1] = self._line(footer)
        self.file.write_bytes(b"".join(body))
        try:
            record = read_ledger(self.file).record
        except LedgerFileInvalid:
            return "refused"
        return audit(record, self.terms, offline=True).status


@pytest.fixture
def exported(recorded, tmp_path) -> Exported:
    return Exported(recorded.done, recorded.encoded, tmp_path / "ledger.jsonl")


def passed(exported: Exported, step: int, first: int = 0) -> tuple[set[str], int]:
    found, tried = set(), 0
    for place, (name, at, path, value) in enumerate(exported.flipped()):
        if place % step != first:
            continue
        tried += 1
        if exported.status(at, path, value) == "PASS":
            found.add(name)
    return found, tried


def test_an_honest_file_passes(exported):
    record = read_ledger(exported.file).record
    assert audit(record, exported.terms, offline=True).status == "PASS"


def test_a_sample_of_all_flips_passes_only_where_the_document_says_so(exported):
    found, tried = passed(exported, step=31)
    assert found <= listed()
    assert tried > 50


@pytest.mark.deep
@pytest.mark.parametrize("first", range(6))
def test_no_flip_at_all_passes_unless_the_document_says_so(exported, first):
    found, tried = passed(exported, 6, first)
    assert found <= listed()
    assert tried > 300


@pytest.mark.slow
def test_every_listed_field_really_passes(exported, recorded):
    """The list is no longer than it has to be: for each entry some flip does pass."""
    found: set[str] = set()
    wanted = listed()
    for name, at, path, value in exported.flipped():
        if name in wanted - found and exported.status(at, path, value) == "PASS":
            found.add(name)
    # an answer for a signature that is a key's own, where the attester has code: nobody needs it
    claimed = replace(recorded.done, attester_is_contract=True)
    key_signed = Exported(claimed, recorded.encoded, exported.file.with_name("claimed.jsonl"))
    at = next(n for n, line in enumerate(key_signed.lines) if line.get("name") in SIGNED)
    assert key_signed.status(at, ("attested",), True) == "PASS"
    assert key_signed.status(at, ("attested",), False) == "FAIL"
    # of a ledger in memory, see below
    assert found | {"event.attested", "event.time"} == wanted


@pytest.mark.slow
def test_an_answer_of_a_contract_that_nobody_asked_is_refused(exported):
    for at, line in enumerate(exported.lines):
        if line["kind"] == "event":
            assert exported.status(at, ("attested",), True) == "FAIL"


def test_half_a_call_or_half_a_receipt_is_refused(exported):
    at = next(n for n, line in enumerate(exported.lines) if line.get("name") == "RoundOpened")
    for field in ("sender", "value", "gas", "status"):
        assert exported.status(at, (field,), None) == "FAIL"


def test_flips_of_a_ledger_in_memory(make_terms, tmp_path):
    terms = make_terms(3)
    ledger = MemoryProvider(7).deploy(terms)
    for n, liability in enumerate(ledger.decoded.liabilities):
        ledger.deposit(n, 2 * liability)
    ledger.open_round()
    for n in range(3):
        contribution = Contribution(1 + n, 2, 0, b"\x05" * 32)
        ledger.submit(n, contribution, ledger.attest(n, contribution))
    ledger.record()
    ledger.wait_until(ledger.state().deadline + 1)
    ledger.settle()
    exported = Exported(ledger.collect(), ledger.encoded, tmp_path / "ledger.jsonl")
    found, _ = passed(exported, step=7)
    assert "event.time" in found
    assert found <= listed()
