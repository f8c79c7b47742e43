"""The one boundary at which a node's failures become typed errors.

Every backend hands web3 the same thing (revert data in ``error.data``), web3 raises its own exceptions, and
:func:`node_errors` turns those into the classes of :mod:`chain.errors.chain`: whichever chain refused a call, and
whether the refusal came from a call, an estimate or a mined transaction, the caller sees one exception.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from web3.exceptions import (
    BadFunctionCallOutput,
    BadResponseFormat,
    BlockNotFound,
    ContractLogicError,
    TransactionNotFound,
    Web3RPCError,
)

from chain.errors.chain import ChainUnavailable, NoContract, TransactionRejected, UnknownRevert
from chain.errors.reverts import decode_revert

__all__ = ["node_errors", "node_message"]


@contextmanager
def node_errors() -> Iterator[None]:
    """Turn web3's exceptions inside the block into typed ones.

    Raises
    ------
    ContractError
        The contract refused: one class per Solidity custom error.
    UnknownRevert
        It reverted with anything else (a panic, no data).
    TransactionRejected
        The node did not take the transaction at all: too little ether for value and gas, a wrong nonce.
    NoContract
        The call returned nothing because no contract lives at the address.
    ChainUnavailable
        The node does not have a block or transaction that it had, or should have, or answers what makes no sense.
    """
    try:
        yield
    except ContractLogicError as error:
        data = _revert_data(error)
        raise decode_revert(data) or UnknownRevert(data) from error
    except BadFunctionCallOutput as error:
        raise NoContract(f"the call was not answered by the contract: {error}", hint="check the address") from error
    except (BlockNotFound, TransactionNotFound) as error:
        what = "block" if isinstance(error, BlockNotFound) else "transaction"
        raise ChainUnavailable(
            f"the node does not have the {what}: {error}",
            hint="it may be catching up, or the chain may just have been reorganized: run the same command again",
        ) from error
    except BadResponseFormat as error:
        raise _nonsense(error) from error
    except Web3RPCError as error:
        raise TransactionRejected(
            f"the node refused the request: {node_message(error)}",
            hint="see that the account holds enough ether for value and gas, and has no other transaction under way",
        ) from error
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        # what web3 and we run into when an answer lacks a field, or holds a value of another kind
        raise _nonsense(error) from error


def _nonsense(error: Exception) -> ChainUnavailable:
    return ChainUnavailable(
        f"the node's answer makes no sense: {type(error).__name__}: {str(error)[:200]}",
        hint="use another node",
    )


def _revert_data(error: ContractLogicError) -> bytes:
    data = error.data
    if not isinstance(data, str) or not data.startswith("0x"):
        return b""
    try:
        return bytes.fromhex(data[2:])
    except ValueError:
        return b""


def node_message(error: Web3RPCError) -> str:
    """What the node itself said."""
    detail = (error.rpc_response or {}).get("error", {})
    return str(detail.get("message", error)) if isinstance(detail, dict) else str(detail)
