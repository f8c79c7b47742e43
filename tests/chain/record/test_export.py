"""The exported ledger: what is written reads back equal, and whatever is not exactly this format is refused."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from chain.artifacts import load_artifact
from chain.audit import audit
from chain.record.export import FORMAT, MAX_LINE, SCHEMA_VERSION, LedgerFileInvalid, read_ledger, write_ledger
from chain.record.plain import EXACT
from chain.record.values import BlockView, LedgerRecord
from chain.twin.ledger import MemoryProvider
from cocogen.errors import AuditError, WorkspaceError
from cocogen.ledger import Contribution, SettlementTerms

ARTIFACT = load_artifact("ConsortiumNative").input_sha256


@pytest.fixture(scope="module")
def terms(make_terms) -> SettlementTerms:
    return make_terms(3)


@pytest.fixture(scope="module")
def record(terms) -> LedgerRecord:
    """One settled round; code, blocks and receipts as a chain would have them, so that every field has a value."""
    ledger = MemoryProvider(7).deploy(terms)
    for n, liability in enumerate(ledger.decoded.liabilities):
        ledger.deposit(n, 3 * liability + 1)
    ledger.open_round()
    for n in range(3):
        contribution = Contribution(100 - 50 * n, 10 * n, n, b"\xee" * 32)
        ledger.submit(n, contribution, ledger.attest(n, contribution))
    ledger.record()
    ledger.wait_until(ledger.state().deadline + 1)
    ledger.settle()
    plain = ledger.collect()
    events = tuple(replace(event, gas=50_000, status=1, attested=True) for event in plain.events)
    events = (*events[:-1], replace(events[-1], sender=None, value=None, gas=None, status=None))
    numbers = sorted({event.block for event in events})
    blocks = tuple(BlockView(n, next(e.time for e in events if e.block == n), bytes([n]) * 32) for n in numbers)
    return replace(plain, events=events, blocks=blocks, runtime_code=b"\x60\x80", created_transaction="0x" + "ab" * 32)


@pytest.fixture
def file(record, tmp_path) -> Path:
    path = tmp_path / "ledger.jsonl"
    write_ledger(record, path, artifact=ARTIFACT)
    return path


def lines_of(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_bytes().splitlines()]


def rewritten(file: Path, change: Callable[[list[dict[str, Any]]], None]) -> Path:
    """Change the lines as a forger would: the footer fits them again."""
    lines = lines_of(file)
    change(lines)
    body = b"".join(json.dumps(line, separators=(",", ":")).encode() + b"\n" for line in lines[:-1])
    footer = {**lines[-1], "sha256": hashlib.sha256(body).hexdigest()}
    file.write_bytes(body + json.dumps(footer, separators=(",", ":")).encode() + b"\n")
    return file


def refused(file: Path) -> LedgerFileInvalid:
    with pytest.raises(LedgerFileInvalid) as caught:
        read_ledger(file)
    return caught.value


class TestRoundTrip:
    def test_what_is_written_reads_back_equal(self, record, file):
        exported = read_ledger(file)
        assert exported.record == record
        assert exported.artifact == ARTIFACT
        assert (exported.events, exported.blocks) == (len(record.events), len(record.blocks))

    def test_a_ledger_without_events_code_and_creation(self, tmp_path, record):
        empty = replace(record, events=(), blocks=(), runtime_code=None, created_transaction=None)
        write_ledger(empty, tmp_path / "empty.jsonl", artifact=ARTIFACT)
        assert read_ledger(tmp_path / "empty.jsonl").record == empty

    def test_the_same_ledger_gives_the_same_bytes(self, record, file, tmp_path):
        again = tmp_path / "again.jsonl"
        written = write_ledger(read_ledger(file).record, again, artifact=ARTIFACT)
        assert again.read_bytes() == file.read_bytes()
        body = b"".join(file.read_bytes().splitlines(keepends=True)[:-1])
        assert written.sha256 == hashlib.sha256(body).hexdigest() == lines_of(file)[-1]["sha256"]

    def test_the_lines_come_in_their_order(self, record, file):
        lines = lines_of(file)
        kinds = [line["kind"] for line in lines]
        assert kinds == [
            *("header", *["event"] * len(record.events), *["block"] * len(record.blocks)),
            *("storage", "footer"),
        ]
        assert (lines[0]["format"], lines[0]["schema_version"], lines[0]["artifact"]) == (
            FORMAT,
            SCHEMA_VERSION,
            ARTIFACT,
        )
        assert lines[0]["terms_hash"] == "0x" + record.storage.terms_hash.hex()

    def test_every_integer_survives_readers_that_know_only_floats(self, record, file):
        def numbers(value: Any) -> list[int]:
            if isinstance(value, dict):
                return [n for item in value.values() for n in numbers(item)]
            if isinstance(value, list):
                return [n for item in value for n in numbers(item)]
            return [value] if isinstance(value, int) and not isinstance(value, bool) else []

        found = [number for line in lines_of(file) for number in numbers(line)]
        assert found
        assert all(abs(number) <= EXACT and int(float(number)) == number for number in found)
        assert any(isinstance(balance, str) for balance in lines_of(file)[-2]["balances"])

    @pytest.mark.parametrize("value", [EXACT, EXACT + 1, -EXACT, -EXACT - 1, 0, (1 << 255) - 1, -(1 << 255)])
    def test_integers_at_the_edges(self, record, tmp_path, value):
        path = tmp_path / "edges.jsonl"
        edge = replace(record, storage=replace(record.storage, payoffs=(value, 0, 0)))
        write_ledger(edge, path, artifact=ARTIFACT)
        assert read_ledger(path).record == edge
        assert isinstance(lines_of(path)[-2]["payoffs"][0], str) == (abs(value) > EXACT)

    def test_progress_is_told(self, file):
        told: list[tuple[str, int, int]] = []
        read_ledger(file, progress=lambda *step: told.append(step))
        size = file.stat().st_size
        assert told[0][0] == "reading the ledger"
        assert 0 < told[0][1] <= told[0][2] == size


class TestWriting:
    def test_a_folder_that_is_not_there(self, record, tmp_path):
        with pytest.raises(WorkspaceError, match="cannot be written"):
            write_ledger(record, tmp_path / "nowhere" / "ledger.jsonl", artifact=ARTIFACT)

    def test_a_failure_leaves_the_old_file_and_nothing_else(self, record, file, monkeypatch):
        before = file.read_bytes()

        def full(descriptor: int) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(WorkspaceError, match="No space left on device"):
            write_ledger(replace(record, events=()), file, artifact=ARTIFACT)
        assert file.read_bytes() == before
        assert list(file.parent.iterdir()) == [file]


class TestFilesThatCannotBeRead:
    def test_they_leave_an_audit_incomplete(self):
        assert issubclass(LedgerFileInvalid, AuditError)
        assert LedgerFileInvalid.exit_code == 5

    def test_no_such_file(self, tmp_path):
        error = refused(tmp_path / "absent.jsonl")
        assert error.line == 0
        assert "No such file" in str(error)

    def test_a_folder(self, tmp_path):
        assert "directory" in str(refused(tmp_path))

    def test_an_empty_file(self, tmp_path):
        path = tmp_path / "empty.jsonl"
        path.write_bytes(b"")
        assert "cut off" in str(refused(path))

    def test_any_truncation(self, file):
        content = file.read_bytes()
        for length in [*range(0, len(content), 211), len(content) - 1]:
            file.write_bytes(content[:length])
            assert "cut off" in str(refused(file)) or length == 0

    def test_a_missing_line_in_the_middle(self, file):
        lines = file.read_bytes().splitlines(keepends=True)
        for skipped in range(1, len(lines) - 1):
            file.write_bytes(b"".join(lines[:skipped] + lines[skipped + 1 :]))
            error = refused(file)
            assert error.line == len(lines) - 1

    def test_any_flipped_byte(self, file):
        content = file.read_bytes()
        for at in range(0, len(content), 61):
            file.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
            refused(file)

    def test_more_after_the_footer(self, file):
        count = len(lines_of(file))
        file.write_bytes(file.read_bytes() + b"{}\n")
        error = refused(file)
        assert error.line == count + 1
        assert "after the footer" in str(error)

    def test_a_line_without_end(self, tmp_path):
        path = tmp_path / "long.jsonl"
        with path.open("wb") as hole:
            # sparse: takes no space on the disk, and only the allowed part is ever read
            hole.truncate(1 << 30)
        error = refused(path)
        assert (error.line, str(MAX_LINE) in str(error)) == (1, True)

    @pytest.mark.parametrize(
        ("line", "reason"),
        [
            (b"\xef\xbb\xbf{}\n", "byte order mark"),
            (b"\xff\n", "not UTF-8"),
            (b"\n", "not JSON"),
            (b"{\n", "not JSON"),
            (b"[]\n", "not a JSON object"),
            (b'"event"\n', "not a JSON object"),
            (b"[" * 100_000 + b"\n", "more than 400 lists and objects"),
            (b'{"a":' * 100_000 + b"\n", "more than 400 lists and objects"),
            (b"[" * 400 + b"\n", "not JSON"),
            (b'{"a":NaN}\n', "'NaN' is not an integer"),
            (b'{"a":-Infinity}\n', "'-Infinity' is not an integer"),
            (b'{"a":1.0}\n', "'1.0' is not an integer"),
            (b'{"a":1e5}\n', "'1e5' is not an integer"),
            (b'{"a":9007199254740992}\n', "beyond 2^53 - 1"),
            (b'{"a":' + b"9" * 1_000_000 + b"}\n", "beyond 2^53 - 1"),
            (b'{"a":1,"b":2,"a":1}\n', "'a' stands there twice"),
            (b'{"a":{"x":1,"x":1}}\n', "'x' stands there twice"),
            (b'{"kind":"event"}\n', "a line of kind 'event' first"),
            (b'{"kind":["header"]}\n', "a line of kind ['header'] first"),
            (b'{"kind":"footer"}\n', "a line of kind 'footer' first"),
            (b'{"kind":"header"}\n', "its format is None"),
            (b'{"kind":"header","format":"other"}\n', "its format is 'other'"),
            (b'{"kind":"header","format":"cocogen-ledger","schema_version":3}\n', "schema_version is 3"),
            (b'{"kind":"header","format":"cocogen-ledger","schema_version":true}\n', "schema_version is True"),
        ],
        ids=lambda value: value if isinstance(value, str) else "",
    )
    def test_a_first_line_that_is_none(self, tmp_path, line, reason):
        path = tmp_path / "odd.jsonl"
        path.write_bytes(line + b"{}\n")
        error = refused(path)
        assert error.line == 1
        assert f"{path}:1: " in str(error)
        assert reason in str(error)
        assert error.hint

    @pytest.mark.parametrize(
        ("order", "line"),
        [
            (["header", "header"], 2),
            (["header", "block", "event"], 3),
            (["header", "storage", "event"], 3),
            (["header", "storage", "storage"], 3),
            (["header", "storage", "block"], 3),
            (["header", "event", "footer"], 3),
        ],
    )
    def test_lines_out_of_order(self, file, order, line):
        by_kind = {json.loads(content)["kind"]: content for content in file.read_bytes().splitlines(keepends=True)}
        file.write_bytes(b"".join(by_kind[kind] for kind in order))
        error = refused(file)
        assert error.line == line
        assert "a line of kind" in str(error)


WRONG = [
    # kind of line, path to the field, value, what is said
    ("header", ["chain_id"], "31337", "not an integer"),
    ("header", ["chain_id"], True, "not an integer"),
    ("header", ["chain_id"], None, "not an integer"),
    ("header", ["address"], "0x00", "not an address"),
    ("header", ["address"], "0x52908400098527886e0f7030069857d2e4169ee7", "not an address with its checksum"),
    ("header", ["blob_address"], None, "not an address"),
    ("header", ["runtime_code"], "0xzz", "hexadecimal"),
    ("header", ["runtime_code"], "0xABCD", "lower case"),
    ("header", ["terms_blob"], "0x123", "hexadecimal"),
    ("header", ["terms_blob"], "00", "hexadecimal"),
    ("header", ["attester_is_contract"], 0, "not true or false"),
    ("header", ["artifact"], 5, "not text"),
    ("header", ["terms_hash"], "0x" + "00" * 32, "not the storage's"),
    ("header", ["artifact"], "a\x1b[2J", "not text of printable characters"),
    ("header", ["artifact"], "\ud800", "not text of printable characters"),
    ("header", ["created_transaction"], 5, "not 0x and 64"),
    ("header", ["created_transaction"], "0x" + "ab" * 31, "not 0x and 64"),
    ("header", ["created_block"], -1, "created_block is -1, below 0"),
    ("header", ["chain_id"], -1, "below 0"),
    ("header", ["chain_id"], str(1 << 256), "beyond 2^256 - 1"),
    ("event", ["transaction"], "0x" + "AB" * 32, "lower case"),
    ("event", ["transaction"], "0x" + "ab" * 32 + "\n", "not 0x and 64"),
    ("event", ["transaction"], "0xab\x1b[2J\x1b[32m audit: PASS\x1b[8m", "not 0x and 64"),
    ("event", ["transaction"], "\ud800", "not 0x and 64"),
    ("event", ["transaction"], None, "not 0x and 64"),
    ("event", ["transaction"], "operation 01", "not 0x and 64"),
    ("event", ["transaction"], "operation -1", "not 0x and 64"),
    ("event", ["transaction"], "operation \u0661", "not 0x and 64"),
    ("event", ["block"], -1, "below 0"),
    ("event", ["time"], -1, "below 0"),
    ("block", ["number"], "-9007199254740992", "below 0"),
    ("storage", ["block"], -1, "below 0"),
    ("event", ["name"], "Upgraded", "no event 'Upgraded'"),
    ("event", ["name"], 5, "not text"),
    ("event", ["args"], None, "not an object"),
    ("event", ["args"], {}, "missing"),
    ("event", ["args", "index"], "1", "not an integer"),
    ("event", ["args", "index"], "1" * 79, "not an integer"),
    ("event", ["args", "index"], "01234567890123456789", "not an integer"),
    ("event", ["args", "index"], "9007199254740991", "not an integer"),
    ("event", ["args", "member"], "0x" + "00" * 19, "not an address"),
    ("event", ["args", "termsHash"], "0x00", "1 bytes, not 32"),
    ("event", ["block"], [], "not an integer"),
    ("event", ["value"], {}, "not an integer"),
    ("event", ["sender"], "me", "not an address"),
    ("event", ["attested"], "yes", "not true or false"),
    ("block", ["hash"], 5, "hexadecimal"),
    ("block", ["time"], "now", "not an integer"),
    ("storage", ["terms"], [], "not an object"),
    ("storage", ["terms", "attester"], 5, "not an address"),
    ("storage", ["terms", "test"], 1, "not true or false"),
    ("storage", ["round"], None, "not an object"),
    ("storage", ["round", "round_hash"], None, "hexadecimal"),
    ("storage", ["balances"], 5, "not a list"),
    ("storage", ["balances", 0], None, "balances[0] is None"),
    ("storage", ["contributions", 0], [1, 2], "contributions[0] has 2 entries, not 3"),
    ("footer", ["events"], 1, "the footer's events"),
    ("footer", ["blocks"], "5", "the footer's blocks"),
]


class TestWrongFields:
    @pytest.mark.parametrize(("kind", "path", "value", "reason"), WRONG)
    def test_a_wrong_value_is_named_with_its_line(self, file, kind, path, value, reason):
        lines = lines_of(file)
        at = next(n for n, line in enumerate(lines) if line["kind"] == kind)

        def change(lines: list[dict[str, Any]]) -> None:
            target: Any = lines[at]
            for step in path[:-1]:
                target = target[step]
            target[path[-1]] = value

        error = refused(rewritten(file, change))
        assert reason in str(error)
        assert error.line == (len(lines) if path == ["terms_hash"] else at + 1)
        assert len(str(error)) < 400 + len(str(file))

    @pytest.mark.parametrize("kind", ["header", "event", "block", "storage", "footer"])
    def test_missing_and_unknown_fields(self, file, kind):
        original = file.read_bytes()
        at = next(n for n, line in enumerate(lines_of(file)) if line["kind"] == kind)
        for name in [*lines_of(file)[at], "surprise"]:
            file.write_bytes(original)

            def change(lines: list[dict[str, Any]], name: str = name) -> None:
                if name == "surprise":
                    lines[at][name] = 1
                else:
                    del lines[at][name]

            if kind == "footer" and name == "sha256":
                lines = file.read_bytes().splitlines(keepends=True)
                footer = {k: v for k, v in json.loads(lines[-1]).items() if k != "sha256"}
                file.write_bytes(b"".join(lines[:-1]) + json.dumps(footer).encode() + b"\n")
                assert "sha256" in str(refused(file))
            else:
                assert refused(rewritten(file, change)).line == at + 1

    def test_hostile_text_is_shown_in_ascii(self, file):
        def change(lines: list[dict[str, Any]]) -> None:
            lines[1]["name"] = "\x1b[31m\ud800" + "x" * 10_000

        message = str(refused(rewritten(file, change)))
        assert message.isascii()
        assert "\x1b" not in message
        assert len(message) < 1_000


CHANGES = [
    ("Deposited", "amount", 5, "balances"),
    ("RoundOpened", "deadline", 5, "limits"),
    ("ContributionSubmitted", "data", 5, "signatures"),
    ("ContributionSubmitted", "evidenceHash", "0x" + "ab" * 32, "signatures"),
    ("ProfileRecorded", "profileHash", "0x" + "ab" * 32, "settlement"),
    ("PayoffCalculated", "payoffs", [1, -1, 0], "settlement"),
    ("PayoffTransferred", "ledger", "0x" + "ab" * 32, "settlement"),
]
"""Event, argument, another value, and the check that must fail."""


class TestTamperedFiles:
    """A forger who fixes the footer passes the reader, and fails the audit at the same check as in memory."""

    @pytest.fixture
    def honest(self, record, tmp_path) -> Path:
        path = tmp_path / "honest.jsonl"
        events = tuple(replace(event, attested=None) for event in record.events)
        write_ledger(replace(record, events=events, runtime_code=None), path, artifact=ARTIFACT)
        return path

    def test_the_honest_file_passes(self, honest, terms):
        assert audit(read_ledger(honest).record, terms).status == "PASS"

    @pytest.mark.parametrize(("name", "argument", "value", "check"), CHANGES)
    def test_an_event(self, honest, terms, name, argument, value, check):
        def change(lines: list[dict[str, Any]]) -> None:
            next(line for line in lines if line.get("name") == name)["args"][argument] = value

        report = audit(read_ledger(rewritten(honest, change)).record, terms)
        assert check in {c.name for c in report.checks if c.status == "FAIL"}

    @pytest.mark.parametrize(
        ("field", "value", "check"),
        [
            ("balances", [0, 0, 0], "balances"),
            ("assets", 0, "balances"),
            ("ledger", "0x" + "ab" * 32, "settlement"),
            ("accepted", 0, "events"),
            ("liabilities", [0, 0, 0], "terms"),
        ],
    )
    def test_the_storage(self, honest, terms, field, value, check):
        report = audit(read_ledger(rewritten(honest, lambda lines: lines[-2].update({field: value}))).record, terms)
        assert check in {c.name for c in report.checks if c.status == "FAIL"}
