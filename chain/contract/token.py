"""Typed client of the ERC-20 token in which a consortium settles: what a deposit needs of it.

Amounts are the token's smallest units. What a token returns is not believed: some return nothing at all, and whether a
deposit arrived in full is checked by the consortium's contract. Left out: the deposit itself
(``chain.contract.client``), and how members come by their tokens.
"""

from __future__ import annotations

from typing import Any

from web3 import Web3
from web3.types import TxParams

from chain.backends.base import Backend
from chain.backends.failures import node_errors
from chain.contract.price import Purpose
from chain.contract.transactions import Mined, Sender, send_transaction
from chain.errors.chain import InsufficientTokens, NoContract, UnknownRevert
from chain.errors.contract import UnsupportedToken
from chain.errors.reverts import ContractError

__all__ = ["Token"]


def _function(name: str, inputs: tuple[str, ...], output: str, mutability: str) -> dict[str, Any]:
    return {
        "type": "function",
        "name": name,
        "inputs": [{"name": f"argument{i}", "type": kind} for i, kind in enumerate(inputs)],
        "outputs": [{"name": "", "type": output}],
        "stateMutability": mutability,
    }


_ABI = [
    _function("balanceOf", ("address",), "uint256", "view"),
    _function("allowance", ("address", "address"), "uint256", "view"),
    _function("approve", ("address", "uint256"), "bool", "nonpayable"),
]


class Token:
    """The token at ``address``. Nothing is checked on construction.

    Parameters
    ----------
    backend
        The chain.
    address
        The token's address.
    timeout
        Seconds to wait for a transaction to be mined.
    """

    def __init__(self, backend: Backend, address: str, *, timeout: float = 120.0) -> None:
        self.backend = backend
        self.address = Web3.to_checksum_address(address)
        self._timeout = timeout
        self._contract = backend.web3.eth.contract(address=self.address, abi=_ABI)

    def balance(self, owner: str, *, block: int | None = None) -> int:
        """What ``owner`` holds, at the latest block unless ``block`` names an earlier one."""
        return self._view("balanceOf", owner, block=block)

    def allowance(self, owner: str, spender: str) -> int:
        """How much ``spender`` may take from ``owner``."""
        return self._view("allowance", owner, spender)

    def approve(self, spender: str, amount: int, *, account: Sender, purpose: Purpose | None = None) -> Mined:
        """Let ``spender`` take ``amount`` from the account, and no more; ``purpose``: what that is for."""
        data = self._contract.encode_abi("approve", args=[spender, amount])
        call: TxParams = {"to": self.address, "data": data, "value": Web3.to_wei(0, "wei")}
        return send_transaction(self.backend, call, account, "approve", self._timeout, purpose=purpose)[0]

    def allow(self, spender: str, amount: int, *, account: Sender, purpose: Purpose | None = None) -> None:
        """See to it that ``spender`` can take ``amount`` from the account; sends nothing where it already can.

        An allowance that is too small is set to zero first: some tokens (USDT) change none that is not. ``purpose``:
        what it is for, with the gas of what follows.

        Raises
        ------
        InsufficientTokens
            The account holds less than that; nothing was sent.
        UnsupportedToken
            There is no token at the address.
        """
        held = self.balance(account.address)
        if held < amount:
            raise InsufficientTokens(self.address, account.address, held, amount)
        allowed = self.allowance(account.address, spender)
        if allowed < amount:
            if allowed:
                self.approve(spender, 0, account=account, purpose=purpose)
            self.approve(spender, amount, account=account, purpose=purpose)

    def _view(self, function: str, *arguments: str, block: int | None = None) -> int:
        where: Any = "latest" if block is None else block
        try:
            with node_errors():
                return int(self._contract.functions[function](*arguments).call(block_identifier=where))
        except (ContractError, NoContract, UnknownRevert) as error:
            raise UnsupportedToken(self.address) from error
