"""The persistent chain: one file that outlives its processes, however they end."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
from eth_utils import to_checksum_address

from chain.backends import open_backend
from chain.backends.embedded import EmbeddedBackend
from chain.backends.evm import GENESIS_TIME
from chain.backends.store import APPLICATION_ID, SCHEMA_VERSION
from chain.errors.chain import ArgumentOutOfRange, ChainLocked, ChainUnavailable, IncompatibleChainFile

PAYEE = to_checksum_address("0x" + "ab" * 20)
ETHER = 10**18
FORK = multiprocessing.get_context("fork")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "chain.sqlite"


def pay(backend, count=1):
    for _ in range(count):
        backend.fund(PAYEE, backend.web3.eth.get_balance(PAYEE) + ETHER)


def blocks(backend):
    """Height, time, hash and the payee's balance in ether: what must survive a process."""
    head = backend.web3.eth.get_block("latest")
    return head["number"], head["timestamp"], head["hash"].hex(), backend.web3.eth.get_balance(PAYEE) // ETHER


class TestPersistence:
    def test_chain_survives_its_process(self, path):
        script = (
            "from pathlib import Path; from chain.backends.embedded import EmbeddedBackend; import sys\n"
            "with EmbeddedBackend(Path(sys.argv[1])) as backend:\n"
            f"    backend.fund({PAYEE!r}, 3 * {ETHER})\n"
            "    backend.advance(1000)\n"
            "    print(backend.now(), backend.web3.eth.get_block('latest')['hash'].hex())\n"
        )
        run = subprocess.run([sys.executable, "-c", script, path], capture_output=True, text=True, check=True)
        now, head = run.stdout.split()
        with EmbeddedBackend(path) as backend:
            assert blocks(backend) == (2, int(now), head, 3)
            assert backend.now() == GENESIS_TIME + 1 + 1000
            pay(backend)
            assert blocks(backend)[0::3] == (3, 4)

    def test_historical_states_receipts_and_nonces_survive(self, path):
        with EmbeddedBackend(path) as backend:
            pay(backend, 3)
            transaction = backend.web3.eth.get_block(2)["transactions"][0]
        with EmbeddedBackend(path) as backend:
            eth = backend.web3.eth
            assert eth.get_balance(PAYEE, 1) == ETHER
            assert eth.get_transaction_receipt(transaction)["blockNumber"] == 2
            assert eth.get_transaction(transaction)["nonce"] == 1
            assert eth.get_transaction_count(eth.accounts[0]) == 3

    def test_same_transactions_give_the_same_blocks_in_every_file_and_in_memory(self, path):
        heads = []
        for chain in (f"embedded:{path}", f"embedded:{path}2", "tester"):
            with open_backend(chain) as backend:
                pay(backend, 2)
                backend.advance(77)
                pay(backend)
                heads.append(blocks(backend))
        assert heads[0] == heads[1] == heads[2]

    def test_empty_file_becomes_a_chain(self, path):
        path.touch()
        with EmbeddedBackend(path) as backend:
            assert backend.web3.eth.block_number == 0

    def test_location_reopens_the_same_chain_from_anywhere(self, path, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        with EmbeddedBackend(Path("chain.sqlite")) as backend:
            pay(backend)
            location = backend.location
        monkeypatch.chdir("/")
        with open_backend(location) as backend:
            assert blocks(backend)[0] == 1

    def test_reverted_blocks_stay_reverted(self, path):
        with EmbeddedBackend(path) as backend:
            pay(backend)
            snapshot = backend.web3.provider.make_request("evm_snapshot", [])["result"]
            pay(backend)
            gone = backend.web3.eth.get_block("latest")["transactions"][0]
            backend.web3.provider.make_request("evm_revert", [snapshot])
        with EmbeddedBackend(path) as backend:
            assert blocks(backend)[0::3] == (1, 1)
            assert backend.web3.provider.make_request("eth_getTransactionByHash", ["0x" + gone.hex()])["result"] is None

    def test_closed_chain_says_so_and_closes_twice(self, path):
        backend = EmbeddedBackend(path)
        backend.close()
        backend.close()
        with pytest.raises(ChainUnavailable, match="closed"):
            _ = backend.web3


class TestClock:
    def test_blocks_follow_at_one_second_whatever_the_wall_clock_says(self, path):
        with EmbeddedBackend(path) as backend:
            assert backend.now() == GENESIS_TIME
            pay(backend, 2)
            assert backend.now() == GENESIS_TIME + 2

    def test_advance_moves_the_clock_for_later_processes_too(self, path):
        with EmbeddedBackend(path) as backend:
            backend.advance(86_400)
        with EmbeddedBackend(path) as backend:
            assert backend.now() == GENESIS_TIME + 86_400
            pay(backend)
            assert backend.now() == GENESIS_TIME + 86_401

    def test_wait_until_makes_the_next_transaction_see_exactly_that_time(self, path):
        with EmbeddedBackend(path) as backend:
            backend.wait_until(GENESIS_TIME + 500)
            pay(backend)
            assert backend.now() == GENESIS_TIME + 500

    def test_wait_until_a_past_or_the_next_time_mines_nothing(self, path):
        with EmbeddedBackend(path) as backend:
            for timestamp in (0, GENESIS_TIME, GENESIS_TIME + 1):
                backend.wait_until(timestamp)
            assert backend.web3.eth.block_number == 0

    def test_advance_by_nothing_mines_nothing(self, path):
        with EmbeddedBackend(path) as backend:
            backend.advance(0)
            assert backend.web3.eth.block_number == 0

    @pytest.mark.parametrize("seconds", [-1, 1 << 40])
    def test_advance_refuses_to_go_back_or_past_the_end_of_time(self, path, seconds):
        with EmbeddedBackend(path) as backend:
            with pytest.raises(ArgumentOutOfRange):
                backend.advance(seconds)
            assert backend.web3.eth.block_number == 0


def _pay_forever(path, reports):
    with EmbeddedBackend(path) as backend:
        while True:
            pay(backend)
            reports.send(backend.web3.eth.block_number)


def _die_in_commit(path, statement):
    """Pay once, then kill this process when sqlite is about to run ``statement`` of the second payment's commit."""
    backend = EmbeddedBackend(path)
    pay(backend)

    class Deadly:
        def __init__(self, connection):
            self._connection = connection

        def execute(self, sql, *arguments):
            if sql.startswith(statement):
                os.kill(os.getpid(), signal.SIGKILL)
            return self._connection.execute(sql, *arguments)

        def executemany(self, sql, rows):
            if sql.startswith(statement):
                for row in list(rows)[:2]:
                    self._connection.execute(sql, row)
                os.kill(os.getpid(), signal.SIGKILL)
            return self._connection.executemany(sql, rows)

    backend._store._connection = Deadly(backend._store._connection)
    pay(backend)


class TestKill:
    def test_kill_at_any_moment_leaves_a_whole_number_of_blocks(self, path):
        total = 0
        for attempt in range(8):
            receiver, sender = FORK.Pipe(duplex=False)
            child = FORK.Process(target=_pay_forever, args=(path, sender))
            child.start()
            sender.close()
            reported = receiver.recv()
            time.sleep(0.007 * attempt)
            os.kill(child.pid, signal.SIGKILL)
            child.join()
            try:
                while True:
                    reported = receiver.recv()
            except EOFError:
                pass
            with EmbeddedBackend(path) as backend:
                height, now, _, paid = blocks(backend)
                assert height == paid == now - GENESIS_TIME
                assert reported <= height <= reported + 1
                assert height > total
                pay(backend)
                total = height + 1

    @pytest.mark.parametrize("statement", ["BEGIN", "INSERT", "DELETE", "COMMIT"])
    def test_kill_inside_the_commit_takes_the_block_back_whole(self, path, statement):
        child = FORK.Process(target=_die_in_commit, args=(path, statement))
        child.start()
        child.join()
        assert child.exitcode == -signal.SIGKILL
        with EmbeddedBackend(path) as backend:
            assert blocks(backend)[0::3] == (1, 1)
            pay(backend)
            assert blocks(backend)[0::3] == (2, 2)

    def test_failure_inside_the_process_falls_back_to_the_last_block(self, path, monkeypatch):
        with EmbeddedBackend(path) as backend:
            pay(backend)
            with monkeypatch.context() as patch:
                patch.setattr(type(backend._store), "commit", _interrupt)
                with pytest.raises(KeyboardInterrupt):
                    pay(backend)
            assert blocks(backend)[0::3] == (1, 1)
            pay(backend)
            assert blocks(backend)[0::3] == (2, 2)


def _interrupt(_store):
    raise KeyboardInterrupt


def _hold(path, ready, seconds):
    with EmbeddedBackend(path):
        ready.send(os.getpid())
        time.sleep(seconds)


class TestLock:
    def test_second_opening_names_file_and_holder(self, path):
        with EmbeddedBackend(path), pytest.raises(ChainLocked, match=f"{path}.*process {os.getpid()}"):
            EmbeddedBackend(path)

    def test_another_process_is_kept_out_until_the_first_closes(self, path):
        receiver, sender = FORK.Pipe(duplex=False)
        child = FORK.Process(target=_hold, args=(path, sender, 0.4))
        child.start()
        pid = receiver.recv()
        with pytest.raises(ChainLocked, match=str(pid)):
            EmbeddedBackend(path)
        with EmbeddedBackend(path, lock_timeout=20) as backend:
            assert backend.web3.eth.block_number == 0
        child.join()

    def test_lock_ends_with_a_killed_process(self, path):
        receiver, sender = FORK.Pipe(duplex=False)
        child = FORK.Process(target=_hold, args=(path, sender, 60))
        child.start()
        receiver.recv()
        os.kill(child.pid, signal.SIGKILL)
        child.join()
        EmbeddedBackend(path).close()

    def test_failed_opening_lets_go_of_the_lock(self, path):
        path.write_text("something else")
        for _ in range(2):
            with pytest.raises(IncompatibleChainFile):
                EmbeddedBackend(path)


def _edit(path, *statements):
    with sqlite3.connect(path) as connection:
        for statement in statements:
            connection.execute(statement)
    connection.close()


class TestForeignFile:
    def test_file_of_another_kind_is_refused_untouched(self, path):
        path.write_text("a letter, 80 characters of it " * 40)
        before = path.read_bytes()
        with pytest.raises(IncompatibleChainFile, match=r"chain\.sqlite"):
            EmbeddedBackend(path)
        assert path.read_bytes() == before

    def test_database_of_another_program_is_refused_untouched(self, path):
        _edit(path, "CREATE TABLE invoices (number INTEGER)")
        before = path.read_bytes()
        with pytest.raises(IncompatibleChainFile, match="another program"):
            EmbeddedBackend(path)
        assert path.read_bytes() == before

    def test_newer_schema_is_refused_with_both_versions(self, path):
        EmbeddedBackend(path).close()
        _edit(path, f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
        with pytest.raises(IncompatibleChainFile, match=f"version {SCHEMA_VERSION + 1}.*version {SCHEMA_VERSION}"):
            EmbeddedBackend(path)

    def test_chain_with_other_parameters_is_refused(self, path):
        EmbeddedBackend(path).close()
        _edit(path, "UPDATE parameter SET value = '1' WHERE name = 'chain_id'")
        with pytest.raises(IncompatibleChainFile, match="chain_id"):
            EmbeddedBackend(path)

    def test_damaged_file_is_refused(self, path):
        with EmbeddedBackend(path) as backend:
            pay(backend, 5)
        content = bytearray(path.read_bytes())
        content[4096 * 2 : 4096 * 5] = b"\xa5" * (4096 * 3)
        path.write_bytes(content)
        with pytest.raises(IncompatibleChainFile):
            EmbeddedBackend(path)

    def test_file_without_its_latest_block_is_refused(self, path):
        with EmbeddedBackend(path) as backend:
            pay(backend)
            head = bytes(backend.web3.eth.get_block("latest")["hash"])
        _edit(path, f"DELETE FROM entry WHERE key = x'{head.hex()}'")
        with pytest.raises(IncompatibleChainFile, match="latest block"):
            EmbeddedBackend(path)

    def test_chain_file_names_itself_to_sqlite(self, path):
        EmbeddedBackend(path).close()
        connection = sqlite3.connect(path)
        assert connection.execute("PRAGMA application_id").fetchone() == (APPLICATION_ID,)
        connection.close()


class TestUnusableFile:
    def test_missing_folder_is_named(self, tmp_path):
        with pytest.raises(ChainUnavailable, match="nowhere"):
            EmbeddedBackend(tmp_path / "nowhere" / "chain.sqlite")

    def test_folder_in_place_of_the_file_is_named(self, path):
        path.mkdir()
        with pytest.raises(ChainUnavailable, match=r"chain\.sqlite"):
            EmbeddedBackend(path)

    @pytest.mark.parametrize(
        ("close_tap", "open_tap", "reason"),
        [
            ("PRAGMA query_only = 1", "PRAGMA query_only = 0", "readonly"),
            ("PRAGMA max_page_count = 1", "PRAGMA max_page_count = 100000", "full"),
        ],
        ids=["read-only file", "full disk"],
    )
    def test_write_that_fails_is_typed_and_the_chain_goes_on_once_it_can(self, path, close_tap, open_tap, reason):
        with EmbeddedBackend(path) as backend:
            pay(backend)
            connection = backend._store._connection
            connection.execute(close_tap)
            with pytest.raises(ChainUnavailable, match=reason):
                pay(backend, 400)
            connection.execute(open_tap)
            height, _, _, paid = blocks(backend)
            assert height == paid
            pay(backend)
            assert blocks(backend)[0::3] == (height + 1, paid + 1)
