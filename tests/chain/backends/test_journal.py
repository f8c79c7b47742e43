"""What is written down before it is sent survives every end of a process, and nothing else passes for it."""

from __future__ import annotations

import json
import threading
from dataclasses import replace

import pytest
from filelock import FileLock

from chain.backends.journal import Intent, Journal
from cocogen.errors import WorkspaceError
from cocogen.files import whole_file

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
    journal.release()
    assert list(path.parent.iterdir()) == [], "looking writes nothing, and neither does it when nothing was sent"
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


def test_another_price_keeps_the_hashes_of_the_command_before(path):
    again = replace(INTENT, hashes=("0x" + "5e" * 32,), time=INTENT.time + 60)
    both = replace(again, hashes=(*INTENT.hashes, *again.hashes))
    journal = Journal(path)
    journal.write(INTENT)
    assert journal.write(again) == both
    assert journal.write(again) == both
    assert Journal(path).intents == (both,)


def test_another_amount_is_no_version_though_the_data_are_the_same(path):
    more = replace(INTENT, amount=INTENT.amount + 1, hashes=("0x" + "5e" * 32,))
    journal = Journal(path)
    journal.write(INTENT)
    assert journal.write(more) == more
    journal.forget([more])
    assert Journal(path).intents == (INTENT,)


@pytest.mark.parametrize("change", ["write", "done", "forget", "release"])
def test_no_change_loses_what_another_process_wrote_since_the_file_was_read(path, change):
    journal, mine, other = Journal(path), replace(INTENT, nonce=9), replace(INTENT, nonce=10)
    journal.deferred = change == "release"
    journal.write(mine)
    if journal.deferred:
        journal.done(mine)
    assert journal.intents == (mine,)
    Journal(path).write(other)
    steps = {"write": lambda: journal.write(INTENT), "done": lambda: journal.done(mine)}
    steps |= {"forget": lambda: journal.forget([mine]), "release": journal.release}
    steps[change]()
    left = (mine, other, INTENT) if change == "write" else (other,)
    assert Journal(path).intents == journal.intents == left


def test_two_commands_change_the_file_one_after_the_other(path, monkeypatch):
    one, other, changed = Journal(path), Journal(path), threading.Event()
    mine, foreign = replace(INTENT, nonce=9), replace(INTENT, nonce=10)
    one.write(mine)
    started = threading.Event()

    def write() -> None:
        started.set()
        other.write(foreign)
        changed.set()

    rival = threading.Thread(target=write)

    def late(*arguments, **options):
        if not rival.ident:
            rival.start()
            assert started.wait(10)
            assert not changed.wait(0.2), "the other one waits for its turn"
        return whole_file(*arguments, **options)

    monkeypatch.setattr("chain.backends.journal.whole_file", late)
    one.forget([mine])
    rival.join(10)
    assert changed.is_set()
    assert Journal(path).intents == (foreign,)


def test_place_that_another_command_holds_for_too_long_is_said(path, monkeypatch):
    monkeypatch.setattr("chain.backends.journal._PATIENCE", 0.01)
    with FileLock(f"{path}.lock"), pytest.raises(WorkspaceError, match="cannot be written") as error:
        Journal(path).write(INTENT)
    assert "hangs" in error.value.hint
    assert not path.exists()


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
    assert list(tmp_path.iterdir()) == []
