"""The chain in memory, and opening backends and ledgers by name."""

from __future__ import annotations

import subprocess
import sys

import pytest
from eth_utils import to_checksum_address

from chain.backends import open_backend
from chain.backends.evm import CHAIN_ID, FAUCET_BALANCE
from chain.contract.provider import ChainProvider
from chain.errors.chain import TransactionRejected
from chain.open import LEDGERS, open_ledger
from chain.twin.ledger import MemoryProvider
from cocogen.errors import ConfigurationError

PAYEE = to_checksum_address("0x" + "cd" * 20)


def test_backend_describes_itself(tester):
    assert (tester.kind, tester.location, tester.local) == ("tester", "tester", True)
    assert tester.chain_id == tester.web3.eth.chain_id == CHAIN_ID


def test_nothing_is_shared_between_two_chains_in_memory():
    with open_backend("tester") as first, open_backend("tester") as second:
        first.fund(PAYEE, 5)
        assert second.web3.eth.get_balance(PAYEE) == 0


def test_fund_fills_up_to_the_minimum_and_no_further(tester):
    tester.fund(PAYEE, 100)
    assert tester.web3.eth.get_balance(PAYEE) == 100
    height = tester.web3.eth.block_number
    tester.fund(PAYEE.lower(), 60)
    assert tester.web3.eth.get_balance(PAYEE) == 100
    assert tester.web3.eth.block_number == height


def test_fund_beyond_the_faucet_is_rejected(tester):
    with pytest.raises(TransactionRejected, match="balance"):
        tester.fund(PAYEE, FAUCET_BALANCE + 1)


def test_call_and_estimate_run_under_the_next_blocks_time(tester):
    # runtime: TIMESTAMP PUSH0 MSTORE PUSH1 32 PUSH0 RETURN
    runtime = bytes.fromhex("425f5260205ff3")
    eth = tester.web3.eth
    clock = {"to": deploy(tester, runtime)}
    created = eth.block_number
    assert int.from_bytes(eth.call(clock), "big") == tester.now() + 1
    tester.wait_until(tester.now() + 1000)
    assert int.from_bytes(eth.call(clock), "big") == tester.now() + 1
    assert int.from_bytes(eth.call(clock, created), "big") == eth.get_block(created)["timestamp"]


def deploy(backend, runtime):
    size = f"{len(runtime):02x}"
    creation = bytes.fromhex(f"60{size}600a5f3960{size}5ff3") + runtime
    eth = backend.web3.eth
    return eth.get_transaction_receipt(eth.send_transaction({"from": eth.accounts[0], "data": creation}))[
        "contractAddress"
    ]


def test_estimate_is_enough_for_calls_within_calls_and_not_much_more(tester):
    # forty storage writes, behind three contracts that each forward the call and revert when it fails
    target = deploy(tester, b"".join(bytes([0x60, 1, 0x60, slot, 0x55]) for slot in range(40)))
    for _ in range(3):
        target = deploy(tester, bytes.fromhex(f"5f5f5f5f5f73{target[2:]}5af16022575f5ffd5b00"))
    eth = tester.web3.eth
    call = {"from": eth.accounts[0], "to": target}
    gas = eth.estimate_gas(call)
    receipt = eth.get_transaction_receipt(eth.send_transaction({**call, "gas": gas}))
    assert receipt["status"] == 1
    assert receipt["gasUsed"] > 40 * 20_000
    assert gas < 1.06 * receipt["gasUsed"]


@pytest.mark.parametrize("specification", ["geth", "embedded", "embedded:", "", "tester:x", "ws://localhost:8545"])
def test_unknown_backend_names_the_valid_ones(specification):
    with pytest.raises(ConfigurationError) as error:
        open_backend(specification)
    assert "embedded:PATH" in str(error.value)
    assert '"tester"' in str(error.value)
    assert repr(specification) in str(error.value)


@pytest.mark.parametrize("specification", ["geth", "embedded:", "", "memory:1", "tester:x", "anvil:x"])
def test_unknown_ledger_names_the_valid_ones(specification):
    with pytest.raises(ConfigurationError) as error:
        open_ledger(specification, seed=1)
    assert all(name in str(error.value) for name in LEDGERS)


def test_open_ledger_opens_every_kind(tmp_path):
    for specification, provider_class in [
        ("memory", MemoryProvider),
        ("tester", ChainProvider),
        (f"embedded:{tmp_path / 'chain.sqlite'}", ChainProvider),
    ]:
        provider = open_ledger(specification, seed=3)
        assert isinstance(provider, provider_class)
        assert provider.account("attester") == MemoryProvider(3).account("attester")
        provider.close()


@pytest.mark.parametrize("value", ["-1", "1001", "one", "1.5", "", "²"])
def test_number_of_confirmations_that_makes_no_sense_is_named(value, monkeypatch):
    monkeypatch.setenv("COCOGEN_CONFIRMATIONS", value)
    with pytest.raises(ConfigurationError, match=r"COCOGEN_CONFIRMATIONS = .*0 to 1000"):
        open_ledger("http://127.0.0.1:1", seed=1)


def test_confirmations_are_those_of_the_environment(start_anvil, monkeypatch):
    url = start_anvil("--chain-id", "5551").url
    for value, expected in ((None, 1), ("0", 0), ("12", 12)):
        if value is not None:
            monkeypatch.setenv("COCOGEN_CONFIRMATIONS", value)
        provider = open_ledger(url, seed=1)
        assert provider.backend.confirmations == expected
        provider.close()


def test_memory_ledger_needs_no_web3():
    script = (
        "import sys; from chain.open import open_ledger; open_ledger('memory', seed=1).account('x')\n"
        "print([name for name in ('web3', 'eth_tester', 'eth', 'eth_account') if name in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
