"""Signatures of contract wallets (EIP-1271): only the wallet itself, asked on a node, can say whether one is valid.

Such an answer holds for the block at which it was given: owners change. Left out: signatures of private keys
(``chain.encoding.signatures``), and how a wallet's owners make theirs.
"""

from __future__ import annotations

from typing import Any

from web3 import Web3

from chain.abi import WORD, keccak256, words
from chain.backends.failures import node_errors
from chain.errors.chain import UnknownRevert
from chain.errors.reverts import ContractError

__all__ = ["MAGIC_VALUE", "is_contract", "question", "wallet_accepts"]

_SELECTOR = keccak256(b"isValidSignature(bytes32,bytes)")[:4]

MAGIC_VALUE = _SELECTOR.ljust(WORD, b"\0")
"""The 32 bytes with which a wallet says yes."""


def question(digest: bytes, signature: bytes) -> bytes:
    """Return the data of the call that asks a wallet whether ``signature`` over the 32-byte ``digest`` is its own."""
    padded = signature + bytes(-len(signature) % WORD)
    return _SELECTOR + words(digest, 2 * WORD, len(signature)) + padded


def is_contract(web3: Web3, address: str, *, block: int | None = None) -> bool:
    """Tell whether there is code at ``address``, at the latest block unless ``block`` names an earlier one."""
    with node_errors():
        return bool(web3.eth.get_code(Web3.to_checksum_address(address), "latest" if block is None else block))


def wallet_accepts(web3: Web3, wallet: str, digest: bytes, signature: bytes, *, block: int | None = None) -> bool:
    """Ask the contract at ``wallet`` whether ``signature`` over the 32-byte ``digest`` is its own.

    A wallet that reverts, or answers anything but the magic value, says no, as it does to the consortium's contract.

    Raises
    ------
    LedgerError
        The node cannot answer, for instance because it no longer has the state of ``block``.
    """
    call: Any = {"to": Web3.to_checksum_address(wallet), "data": "0x" + question(digest, signature).hex()}
    try:
        with node_errors():
            answer = bytes(web3.eth.call(call, "latest" if block is None else block))
    except (ContractError, UnknownRevert):
        return False
    return answer[:WORD] == MAGIC_VALUE
