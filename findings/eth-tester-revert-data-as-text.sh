#!/usr/bin/env bash
# Package    eth-tester 0.14.0b1 with py-evm 0.12.1b1 (PyPI)
# Expected   a call that reverts with data (a Solidity custom error) raises an exception that carries these bytes
# Seen       TransactionFailed carries one text, the Python literal of the bytes ("b'\\xde\\xad…'"), and no bytes
# Source     https://github.com/ethereum/eth-tester ("Custom Exceptions" in the README names TransactionFailed and says
#            nothing of its content)
# Matters    custom errors cannot be told apart, nor their values read, before the text is turned back into bytes; we
#            take the revert data from py-evm's computation instead
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check eth-tester==0.14.0b1 py-evm==0.12.1b1
env/bin/python - <<'PYTHON'
import ast

from eth_tester import EthereumTester, PyEVMBackend
from eth_tester.exceptions import TransactionFailed

chain = EthereumTester(PyEVMBackend())
sender = chain.get_accounts()[0]
# store 0xdeadbeef in memory and revert with these four bytes; before it, the constructor that returns this code
reverts = "63deadbeef60e01b60005260046000fd"
constructor = f"0x6f{reverts}60005260106010f3"
made = chain.send_transaction({"from": sender, "data": constructor, "gas": 200_000})
contract = chain.get_transaction_receipt(made)["contract_address"]
try:
    chain.call({"from": sender, "to": contract, "gas": 100_000})
except TransactionFailed as error:
    (content,) = error.args
print("raised with", repr(content))
assert isinstance(content, str)
assert ast.literal_eval(content) == bytes.fromhex("deadbeef")
PYTHON
