#!/usr/bin/env bash
# Package    eth-tester 0.14.0b1 with py-evm 0.12.1b1 (PyPI)
# Expected   a transaction is found by its hash at a cost that does not grow with the chain: py-evm keeps an index
# Seen       the index is not asked: blocks are read one after the other from the newest backwards, so that the first
#            transaction of a chain of N blocks costs N blocks; receipts and logs are found the same way
# Source     https://github.com/ethereum/eth-tester, eth_tester/backends/pyevm/main.py (_get_transaction_by_hash), and
#            py-evm's Chain.get_canonical_transaction_index
# Matters    the logs of a thousand blocks took minutes; our chains look transactions up in py-evm's index
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check eth-tester==0.14.0b1 py-evm==0.12.1b1
env/bin/python - <<'PYTHON'
from eth_tester import EthereumTester, PyEVMBackend

tester = EthereumTester(PyEVMBackend())
first, second = tester.get_accounts()[:2]
transaction = tester.send_transaction({"from": first, "to": second, "value": 1, "gas": 21_000})
chain = tester.backend.chain

read = []
lookup = chain.get_canonical_block_by_number
chain.get_canonical_block_by_number = lambda number: read.append(number) or lookup(number)


def blocks_read() -> int:
    read.clear()
    assert tester.get_transaction_by_hash(transaction)["block_number"] == 1
    return len(read)


short = blocks_read()
tester.mine_blocks(60)
long = blocks_read()
print(f"blocks read to find the first transaction: {short} on a new chain, {long} after 60 more blocks")
assert chain.get_canonical_transaction_index(bytes.fromhex(transaction[2:])) == (1, 0)
assert long - short >= 60
PYTHON
