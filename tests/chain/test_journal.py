"""What is written down before it is sent survives every end of a process, and nothing else passes for it."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from chain.journal import Intent, Journal
from cocogen.errors import WorkspaceError

INTENT = Intent(
    operation="depositSubmit",
    account="0x" + "1a" * 20,
    chain_id=5551,
    contract="0x" + "2b" * 20,
    amount=10**20 + 9,
    call="0x" + "3c" * 32,
    nonce=4,
    time=1_700_000_000,
    hashes=("0x" + "4d" * 32,),
)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "sent.json"


def test_what_was_written_is_there_for_the_next_process_until_it_is_forgotten(path):
    journal = Journal(path)
    assert journal.intents == ()
    assert not path.exists(), "looking writes nothing"
    journal.write(INTENT)
    assert Journal(path).intents == (INTENT,)
    journal.forget([INTENT])
    assert Journal(path).intents == ()


def test_another_version_takes_the_place_of_the_first_and_keeps_its_hash(path):
    raised = replace(INTENT, hashes=(*INTENT.hashes, "0x" + "5e" * 32))
    other = replace(INTENT, nonce=5)
    journal = Journal(path)
    for intent in (INTENT, other, raised):
        journal.write(intent)
    assert Journal(path).intents == (other, raised)


def test_what_was_mined_supersedes_all_that_had_its_nonce(path):
    journal, never = Journal(path), replace(INTENT, operation="withdraw", call="0x" + "6f" * 32)
    elsewhere = replace(never, chain_id=1)
    for intent in (never, elsewhere, INTENT):
        journal.write(intent)
    journal.done(INTENT)
    assert Journal(path).intents == (elsewhere,)


def test_what_was_mined_stays_until_it_has_been_shown(path):
    journal, later = Journal(path), replace(INTENT, nonce=9)
    journal.deferred = True
    journal.write(INTENT)
    journal.done(INTENT)
    assert Journal(path).intents == (INTENT,)
    Journal(path).write(later)
    journal.release()
    assert Journal(path).intents == (later,), "what another process wrote meanwhile is kept"


def test_without_a_file_it_ends_with_the_process():
    journal = Journal()
    journal.write(INTENT)
    assert journal.intents == (INTENT,)
    assert Journal().intents == ()


@pytest.mark.parametrize(
    "change",
    [
        {"nonce": -1},
        {"nonce": "4"},
        {"amount": -1},
        {"account": "0x12"},
        {"account": "0xd8dA6BF26964aF9D7eEd9e03E53415D37aA96046"},
        {"hashes": ["0x12"]},
        {"call": "3c" * 32},
        {"chain_id": 1 << 256},
        {"note": "more"},
    ],
    ids=str,
)
def test_file_that_is_no_such_record_stops_whoever_would_send(path, change):
    journal = Journal(path)
    journal.write(INTENT)
    content = json.loads(path.read_text())
    content["transactions"][0] |= change
    path.write_text(json.dumps(content))
    with pytest.raises(WorkspaceError, match=r"sent\.json") as error:
        _ = Journal(path).intents
    assert "see on the chain" in error.value.hint


@pytest.mark.parametrize("content", ["{", "[]", '{"schema_version": 2, "transactions": []}', "\xff"])
def test_text_that_is_no_record_stops_whoever_would_send(path, content):
    path.write_text(content, encoding="latin-1")
    with pytest.raises(WorkspaceError, match="cannot be read"):
        _ = Journal(path).intents


def test_place_that_cannot_be_written_is_said_before_anything_is_sent(tmp_path):
    with pytest.raises(WorkspaceError, match="cannot be written"):
        Journal(tmp_path / "none" / "sent.json").write(INTENT)
