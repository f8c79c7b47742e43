"""Where a consortium's contract was created, as the chain shows it, against what the deployment record says.

The record lies on somebody's disk, and a chain can take the block of a deployment back: then the transaction is mined
again in another block, still under way, or gone.
"""

from __future__ import annotations

from typing import Any

import rlp
from eth_typing import HexStr
from web3 import Web3
from web3.exceptions import BlockNotFound, TransactionNotFound

from chain.abi import checksum_address, keccak256
from chain.backends.base import Backend
from chain.backends.failures import node_errors
from chain.errors.chain import ChainUnavailable, DeploymentRecordWrong, WrongChain
from cocogen.errors import LedgerError
from cocogen.ledger import Deployment, Whereabouts

__all__ = ["check_creation", "created_address", "is_creation", "whereabouts"]


def created_address(sender: str, nonce: int) -> str:
    """Return where a creation with this nonce puts its contract, whatever a node says."""
    return checksum_address(keccak256(rlp.encode([bytes.fromhex(sender[2:]), nonce]))[-20:])


def is_creation(backend: Backend, address: str, block: int, transaction: str | None) -> bool | None:
    """Tell whether ``transaction`` of ``block`` created the contract at ``address``; None where the node cannot tell.

    A transaction to another contract (a factory) is believed. Without one, any of the block that created it will do.
    """
    with node_errors():
        try:
            mined: Any = backend.web3.eth.get_block(block, full_transactions=True)["transactions"]
        except BlockNotFound:
            return False
    found = [each for each in mined if transaction in (None, "0x" + bytes(each["hash"]).hex())]
    for each in found:
        by_factory = bool(each.get("to")) and transaction is not None
        if by_factory or (not each.get("to") and created_address(each["from"], each["nonce"]) == address):
            return True
    if transaction is not None:
        return False
    try:
        with node_errors():
            return False if backend.web3.eth.get_code(Web3.to_checksum_address(address), block - 1) else None
    except LedgerError:
        return None


def check_creation(backend: Backend, deployment: Deployment) -> None:
    """See that the contract was created where the deployment record says.

    Raises
    ------
    WrongChain
        The record names another chain.
    DeploymentRecordWrong
        It was created elsewhere.
    """
    if deployment.chain_id != backend.chain_id:
        raise WrongChain(
            f"the deployment record names chain {deployment.chain_id}, {backend.location} is chain {backend.chain_id}",
            hint="restore deployment.json from a copy, or connect to the chain that it names",
        )
    transaction = _transaction(deployment)
    if is_creation(backend, deployment.address, deployment.block, transaction) is not False:
        return
    block = _mined_in(backend, transaction)
    where = f"; the transaction {transaction} is in block {block}" if block is not None else ""
    raise DeploymentRecordWrong(
        f"the deployment record says that {deployment.address} was created in block {deployment.block}"
        f"{f' by the transaction {transaction}' if transaction else ''}, which is not so{where}",
        hint="restore deployment.json from a copy; after a reorganization `cocogen deploy` corrects it",
    )


def whereabouts(backend: Backend, deployment: Deployment) -> Whereabouts:
    """Find out what became of a deployment.

    Raises
    ------
    WrongChain
        The record names another chain.
    ChainUnavailable
        The node has not come to the record's block.
    """
    if deployment.chain_id != backend.chain_id:
        raise WrongChain(
            f"the consortium is deployed on chain {deployment.chain_id}; {backend.location} is {backend.chain_id}",
            hint=f"connect to the chain of the deployment record: {deployment.backend}",
        )
    transaction = _transaction(deployment)
    with node_errors():
        block = _mined_in(backend, transaction)
        if backend.web3.eth.get_code(Web3.to_checksum_address(deployment.address)):
            return Whereabouts("there", block)
        if transaction is not None and block is None and _is_known(backend, transaction):
            return Whereabouts("pending")
        head = backend.web3.eth.block_number
    if head < deployment.block:
        raise ChainUnavailable(
            f"the node has come to block {head} only; the consortium is deployed in block {deployment.block}",
            hint="wait until it has caught up; on a chain that was begun anew choose another folder with --workspace",
        )
    return Whereabouts("gone")


def _transaction(deployment: Deployment) -> str | None:
    transaction = deployment.details.get("transaction")
    return None if transaction is None else str(transaction)


def _mined_in(backend: Backend, transaction: str | None) -> int | None:
    if transaction is None:
        return None
    try:
        return int(backend.web3.eth.get_transaction_receipt(HexStr(transaction))["blockNumber"])
    except (TransactionNotFound, ValueError):
        return None


def _is_known(backend: Backend, transaction: str) -> bool:
    try:
        backend.web3.eth.get_transaction(HexStr(transaction))
    except (TransactionNotFound, ValueError):
        return False
    return True
