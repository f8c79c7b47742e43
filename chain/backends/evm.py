"""The in-process Ethereum virtual machine under every local backend: one py-evm chain behind eth-tester's RPC surface.

Stock eth-tester is changed in the four places where it cannot serve a settlement that people walk through by hand:

- **Clock.** A block's time is its parent's plus one second; only :meth:`LocalEvm.mine_at` moves it further. Wall time
  plays no part, so a run is reproducible down to block hashes, and a deadline never passes while somebody types.
  Calls and gas estimates run under the *next* block's time: they answer what a transaction sent now would meet.
- **Transaction index.** Stock eth-tester finds a transaction by scanning blocks backwards, so reading the log of n
  blocks costs n² block loads. Here the chain's own index is asked, and log queries skip blocks by their bloom filter.
- **Reverts.** Revert data reaches web3 as a JSON-RPC error with ``data``, the way geth reports it, so one decoder
  serves local chains and real nodes.
- **Gas estimates** take one execution instead of a dozen.

Rules are Shanghai's, the oldest that the contracts are compiled for: code that runs here runs on every later fork.
Left out: where the key-value store lives (:mod:`chain.backends.embedded`, :mod:`chain.backends.tester`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from eth.abc import BlockHeaderAPI, ComputationAPI, DatabaseAPI, StateAPI, TransactionBuilderAPI
from eth.chains.base import MiningChain
from eth.constants import POST_MERGE_DIFFICULTY, POST_MERGE_MIX_HASH, POST_MERGE_NONCE, ZERO_ADDRESS
from eth.db.atomic import AtomicDB
from eth.exceptions import PyEVMError, Revert, VMError
from eth.exceptions import TransactionNotFound as UnknownTransaction
from eth.typing import AccountDetails
from eth.vm.forks.shanghai import ShanghaiVM
from eth.vm.spoof import SpoofTransaction
from eth_keys.datatypes import PrivateKey
from eth_tester import EthereumTester, PyEVMBackend
from eth_tester.backends.pyevm.main import GENESIS_GAS_LIMIT
from eth_tester.backends.pyevm.serializers import serialize_log, serialize_transaction, serialize_transaction_receipt
from eth_tester.exceptions import TransactionNotFound
from eth_tester.utils.filters import check_if_log_matches
from eth_typing import Address, BlockNumber, Hash32
from eth_utils.exceptions import ValidationError
from rlp.exceptions import RLPException
from trie.exceptions import MissingTrieNode
from web3 import EthereumTesterProvider
from web3.providers.eth_tester.middleware import DefaultTransactionFieldsMiddleware, ethereum_tester_middleware
from web3.types import RPCEndpoint, RPCResponse

from chain.abi import keccak256
from chain.backends.clock import GENESIS_TIME
from chain.errors.chain import IncompatibleChainFile

__all__ = ["CHAIN_ID", "FAUCET_BALANCE", "GENESIS_TIME", "ExecutionFailed", "LocalChain", "LocalEvm", "LocalProvider"]

CHAIN_ID = 131_277_322_940_537
"""The identifier of every local chain, eth-tester's own (its RPC surface reports no other)."""

FAUCET_BALANCE = 1 << 140
"""Wei that the genesis block gives to the faucet: thousands of times all that a consortium may hold (2^127)."""

FAUCET_KEY = PrivateKey(keccak256(b"CoCoGen local faucet"))

FAUCET = FAUCET_KEY.public_key.to_checksum_address()

# a storage write needs more than the 2,300 gas of the call stipend left (EIP-2200)
_ESTIMATE_MARGIN = 2_500


class ExecutionFailed(Exception):
    """A call or an estimate that the virtual machine did not complete; ``data`` is the revert data, possibly empty."""

    def __init__(self, message: str, data: bytes) -> None:
        super().__init__(message)
        self.data = data


class LocalChain(MiningChain):
    """A chain without consensus whose blocks follow one another at one-second steps."""

    chain_id = CHAIN_ID
    vm_configuration = ((BlockNumber(0), ShanghaiVM),)

    def create_header_from_parent(self, parent_header: BlockHeaderAPI, **header_params: Any) -> BlockHeaderAPI:
        """The next block's header: same gas limit, one second later unless the caller names a time."""
        fixed = {"gas_limit": parent_header.gas_limit, "timestamp": parent_header.timestamp + 1}
        return super().create_header_from_parent(parent_header, **{**fixed, **header_params})

    def get_transaction_builder(self) -> type[TransactionBuilderAPI]:
        """The transaction format of the rules in force (eth-tester asks the chain for it)."""
        return self.get_vm().get_transaction_builder()

    @classmethod
    def create(cls, database: DatabaseAPI) -> LocalChain:
        """Write block 0 into an empty database: one faucet account and nothing else."""
        parameters: dict[str, Any] = {
            "coinbase": ZERO_ADDRESS,
            "difficulty": POST_MERGE_DIFFICULTY,
            "extra_data": b"",
            "gas_limit": GENESIS_GAS_LIMIT,
            "mix_hash": POST_MERGE_MIX_HASH,
            "nonce": POST_MERGE_NONCE,
            "timestamp": GENESIS_TIME,
        }
        faucet = Address(FAUCET_KEY.public_key.to_canonical_address())
        state: dict[Address, AccountDetails] = {
            faucet: {"balance": FAUCET_BALANCE, "storage": {}, "code": b"", "nonce": 0}
        }
        cls.from_genesis(AtomicDB(database), parameters, state)
        return cls.reopen(database)

    @classmethod
    def reopen(cls, database: DatabaseAPI) -> LocalChain:
        """Continue from the canonical head that the database holds; ``CanonicalHeadNotFound`` if there is none."""
        return cls(AtomicDB(database))


class LocalEvm(PyEVMBackend):  # type: ignore[misc]  # eth-tester is untyped
    """eth-tester's py-evm backend over a chain that the caller opened."""

    def __init__(self, chain: LocalChain) -> None:
        self.chain = chain
        self.account_keys = (FAUCET_KEY,)
        self._assumed: dict[Address, int] = {}

    # -- time and blocks

    @property
    def head(self) -> BlockHeaderAPI:
        """The header of the last mined block."""
        return self.chain.get_canonical_head()

    def mine_at(self, timestamp: int) -> None:
        """Mine one empty block at ``timestamp`` (Unix seconds, later than the head's)."""
        self.chain.set_header_timestamp(timestamp)
        self.mine_blocks()

    def time_travel(self, to_timestamp: int) -> int:
        """The RPC form of :meth:`mine_at`: the head's time afterwards is exactly ``to_timestamp``."""
        self.mine_at(to_timestamp)
        return to_timestamp

    def mine_blocks(self, num_blocks: int = 1, coinbase: bytes = ZERO_ADDRESS) -> tuple[Hash32, ...]:
        """Mine; ``prevrandao`` is zero where stock eth-tester draws it at random, so that blocks are reproducible."""
        return tuple(self.chain.mine_block(coinbase=coinbase).hash for _ in range(num_blocks))

    # -- lookups by the chain's own index

    def _locate(self, transaction_hash: Hash32) -> tuple[Any, Any, int]:
        pending = self.chain.get_block()
        for index, transaction in enumerate(pending.transactions):
            if transaction.hash == transaction_hash:
                return pending, transaction, index
        try:
            number, index = self.chain.get_canonical_transaction_index(transaction_hash)
        except UnknownTransaction as error:
            raise TransactionNotFound(f"no transaction {'0x' + transaction_hash.hex()}") from error
        if number < pending.number:
            block = self.chain.get_canonical_block_by_number(BlockNumber(number))
            if index < len(block.transactions) and block.transactions[index].hash == transaction_hash:
                return block, block.transactions[index], index
        raise TransactionNotFound(f"no transaction {'0x' + transaction_hash.hex()} (its block was reverted)")

    def get_transaction_by_hash(self, transaction_hash: Hash32) -> dict[str, Any]:
        """See eth-tester."""
        block, transaction, index = self._locate(transaction_hash)
        return dict(serialize_transaction(block, transaction, index, block.number == self.chain.header.block_number))

    def get_transaction_receipt(self, transaction_hash: Hash32) -> dict[str, Any]:
        """See eth-tester."""
        block, transaction, index = self._locate(transaction_hash)
        receipts = block.get_receipts(self.chain.chaindb)
        pending = block.number == self.chain.header.block_number
        vm = self.chain.get_vm()
        return dict(serialize_transaction_receipt(block, receipts, transaction, index, pending, vm))

    def logs(self, first: int, last: int, addresses: Sequence[bytes]) -> Iterator[dict[str, Any]]:
        """Raw log entries of blocks ``first`` to ``last``; blocks whose bloom filter excludes ``addresses`` are
        skipped by their header alone (no filter for no addresses)."""
        for number in range(first, min(last, self.chain.header.block_number - 1) + 1):
            header = self.chain.get_canonical_block_header_by_number(BlockNumber(number))
            if header.bloom == 0 or (addresses and not any(_maybe_in(header.bloom, each) for each in addresses)):
                continue
            block = self.chain.get_canonical_block_by_number(BlockNumber(number))
            position = 0
            for index, receipt in enumerate(block.get_receipts(self.chain.chaindb)):
                for log in receipt.logs:
                    yield serialize_log(block, block.transactions[index], index, log, position, False)
                    position += 1

    # -- execution

    def _next_state(self) -> StateAPI:
        """The state on which the next block builds, under its time and with free gas."""
        state = self.chain.get_vm(self.chain.header.copy(base_fee_per_gas=0)).state
        for account, minimum in self._assumed.items():
            state.set_balance(account, max(minimum, state.get_balance(account)))
        return state

    def assume(self, address: str, minimum: int) -> None:
        """Let calls and estimates see at least ``minimum`` wei in an account (0x…); blocks are built without."""
        self._assumed[Address(bytes.fromhex(address[2:]))] = minimum

    def _spoofed(self, transaction: dict[str, Any], block_number: Any) -> SpoofTransaction:
        complete = {"gas": self.chain.header.gas_limit, **transaction}
        unsigned = self._get_normalized_and_unsigned_evm_transaction(complete, block_number)
        return SpoofTransaction(unsigned, from_=transaction["from"], max_fee_per_gas=0, max_priority_fee_per_gas=0)

    def call(self, transaction: dict[str, Any], block_number: Any = "latest") -> bytes:
        """The output of a call under the next block's time, or, for a block's number, on the state after that block
        under that block's time.

        Raises
        ------
        ExecutionFailed
            With the revert data.
        """
        spoofed = self._spoofed(_without_fees(transaction), block_number)
        if block_number in ("latest", "pending", "safe", "finalized"):
            state = self._next_state()
        else:
            number = BlockNumber(0 if block_number == "earliest" else block_number)
            header = self.chain.get_canonical_block_header_by_number(number)
            state = self.chain.get_vm(header.copy(base_fee_per_gas=0)).state
        computation = _attempt(state, spoofed)
        if computation.is_error:
            raise _failure(computation.error)
        return bytes(computation.output)

    def estimate_gas(self, transaction: dict[str, Any], block_number: Any = "latest") -> int:
        """Gas that a transaction in the next block needs, in gas units, rounded up.

        One execution with the block's whole gas shows the use before refunds and how deep calls nest; each level
        holds back a 64th of what is left (EIP-150), so 64/63 of the use per level is enough. Code that behaves
        otherwise when it has less gas is beyond this estimate, as it is beyond any.
        """
        spoofed = self._spoofed(_without_fees(transaction), block_number)
        computation = _attempt(self._next_state(), spoofed)
        if computation.is_error:
            raise _failure(computation.error)
        used, levels = spoofed.gas - computation.get_gas_remaining(), _levels(computation)
        return int(min(used * 64**levels // 63**levels + _ESTIMATE_MARGIN, self.chain.header.gas_limit))


class LocalTester(EthereumTester):  # type: ignore[misc]  # eth-tester is untyped
    """eth-tester's front end with log queries in one pass over the blocks."""

    backend: LocalEvm

    def get_logs(
        self, from_block: Any = None, to_block: Any = None, address: Any = None, topics: Any = None
    ) -> tuple[dict[str, Any], ...]:
        """See eth-tester; both bounds default to the latest block."""
        parameters = {"from_block": from_block, "to_block": to_block, "address": address, "topics": topics}
        self.validator.validate_inbound_filter_params(**parameters)
        first, last, addresses, raw_topics = self.normalizer.normalize_inbound_filter_params(**parameters)
        head = self.backend.head.block_number
        start, end = (each if isinstance(each, int) else 0 if each == "earliest" else head for each in (first, last))
        wanted = (addresses,) if isinstance(addresses, bytes) else tuple(addresses or ())
        return tuple(
            self.normalizer.normalize_outbound_log_entry(entry)
            for entry in self.backend.logs(start, end, wanted)
            if check_if_log_matches(entry, start, end, addresses, raw_topics)
        )


class _FromFaucet(DefaultTransactionFieldsMiddleware):
    """The faucet is the sender of calls that name none; the stock one finds it out with two requests a call."""

    def request_processor(self, method: RPCEndpoint, params: Any) -> Any:
        if method in ("eth_call", "eth_estimateGas", "eth_sendTransaction") and "from" not in params[0]:
            return method, [{**params[0], "from": FAUCET}, *params[1:]]
        return method, params


class LocalProvider(EthereumTesterProvider):
    """Hands failures of the local machine to web3 as the JSON-RPC errors that a node would send."""

    _middleware = (_FromFaucet, ethereum_tester_middleware)

    def make_request(self, method: RPCEndpoint, params: Any) -> RPCResponse:
        """One request; failures of execution carry their revert data in ``error.data`` (code 3, as geth)."""
        try:
            return super().make_request(method, params)
        except ExecutionFailed as error:
            return _error(3, f"execution reverted: {error}", "0x" + error.data.hex())
        except (ValidationError, VMError) as error:
            return _error(-32_000, str(error), None)
        except DAMAGE as error:
            raise damaged(error) from error


DAMAGE = (PyEVMError, RLPException, MissingTrieNode, KeyError, IndexError)
"""What py-evm raises when the data under it are not those that it wrote."""


def damaged(error: Exception) -> IncompatibleChainFile:
    """The typed error for :data:`DAMAGE`."""
    return IncompatibleChainFile(
        f"the chain's data are damaged: {type(error).__name__}: {error}", hint="restore the chain's file from a copy"
    )


def _error(code: int, message: str, data: str | None) -> RPCResponse:
    detail: dict[str, Any] = {"code": code, "message": message}
    if data is not None:
        detail["data"] = data
    return {"jsonrpc": "2.0", "id": 0, "error": detail}  # type: ignore[typeddict-item]


def _attempt(state: StateAPI, transaction: Any) -> ComputationAPI:
    snapshot = state.snapshot()
    try:
        return state.apply_transaction(transaction)
    finally:
        state.revert(snapshot)


def _levels(computation: ComputationAPI) -> int:
    """How deep calls nest below this one."""
    return max((1 + _levels(child) for child in computation.children), default=0)


def _failure(error: VMError) -> ExecutionFailed:
    if isinstance(error, Revert):
        data = bytes(error.args[0]) if error.args else b""
        return ExecutionFailed("the contract refused the call", data)
    return ExecutionFailed(f"{type(error).__name__}: {error}", b"")


def _without_fees(transaction: dict[str, Any]) -> dict[str, Any]:
    fees = ("gas_price", "max_fee_per_gas", "max_priority_fee_per_gas")
    return {name: value for name, value in transaction.items() if name not in fees}


def _maybe_in(bloom: int, value: bytes) -> bool:
    """Whether a log's bloom filter may hold ``value`` (Yellow Paper, Eq. (24)-(28): three 11-bit positions)."""
    digest = keccak256(value)
    return all(bloom >> (int.from_bytes(digest[i : i + 2], "big") & 2047) & 1 for i in (0, 2, 4))
