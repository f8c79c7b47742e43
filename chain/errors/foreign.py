"""Errors that reach the user through the consortium's contract but are not its own.

They are those of the Solidity compiler (``Error(string)``, ``Panic(uint256)``), of OpenZeppelin's guards, and the
standard errors of ERC-20 tokens (ERC-6093), which a token raises when a member lets the consortium take its money.
Import them from ``chain.errors.chain``.
"""

from __future__ import annotations

from typing import Any

from chain.errors.reverts import ContractError

_PANICS = {
    0x00: "a failure that the compiler does not name",
    0x01: "a failed assertion",
    0x11: "an arithmetic overflow",
    0x12: "a division by zero",
    0x21: "an enumeration's value out of range",
    0x22: "badly encoded storage",
    0x31: "a pop from an empty array",
    0x32: "an array index out of bounds",
    0x41: "too much memory",
    0x51: "a call of an uninitialized function",
}


class RefusedWithReason(ContractError):
    """A contract that the call went through (a wallet, a token) refused it in words of its own."""

    abi = ("string",)
    declared = "Error"
    text = 'a contract on the way refused the call: "{reason}"'
    advice = "the words are those of a token or wallet contract: ask its operator"
    reason: str


class Panicked(ContractError):
    """A contract stopped at a check of the Solidity compiler; ``number`` is the compiler's."""

    declared = "Panic"
    text = "a contract on the way stopped at {meaning} (panic {number})"
    advice = "the consortium's own code cannot panic: look at the token or wallet contract that the call goes through"
    number: int

    def _shown(self) -> dict[str, Any]:
        return ContractError._shown(self) | {"meaning": _PANICS.get(self.number, "an unknown check")}


class ReentrancyGuardReentrantCall(ContractError):
    """A recipient or token called back into the contract (OpenZeppelin's guard)."""

    text = "the recipient called back into the contract while it was paying out"
    advice = "withdraw to an address that does not call the contract"


class InvalidShortString(ContractError):
    """A name of the EIP-712 domain is damaged (OpenZeppelin)."""

    text = "the contract's name is damaged"
    advice = "this is no contract of ours: check that the address and the artifact belong together"


class StringTooLong(ContractError):
    """A name of the EIP-712 domain is too long (OpenZeppelin)."""

    abi = ("string",)
    text = 'the name "{name}" is too long for the contract'
    advice = "this is no contract of ours: check that the address and the artifact belong together"
    name: str


class SafeERC20FailedOperation(ContractError):
    """The token did not do as it was told (OpenZeppelin)."""

    text = "the token {token} did not carry out a transfer"
    advice = "see that the token is not paused and that it holds nobody's account frozen"
    token: str


class ERC20InsufficientBalance(ContractError):
    """The token: the sender holds too little of it."""

    text = "{sender} holds {balance} of the token's units, but {needed} are needed"
    advice = "get the missing tokens first"
    sender: str
    balance: int
    needed: int


class ERC20InsufficientAllowance(ContractError):
    """The token: the spender may not take that much."""

    text = "{spender} may take {allowance} of the token's units, but {needed} are needed"
    advice = "approve {needed} units for {spender} first"
    spender: str
    allowance: int
    needed: int


class ERC20InvalidSender(ContractError):
    """The token takes nothing from this address."""

    text = "the token takes nothing from {sender}"
    advice = "use an account that the token lets transfer"
    sender: str


class ERC20InvalidReceiver(ContractError):
    """The token pays nothing to this address."""

    text = "the token pays nothing to {receiver}"
    advice = "name another recipient"
    receiver: str


class ERC20InvalidApprover(ContractError):
    """The token lets this address approve nobody."""

    text = "the token does not let {approver} approve anybody"
    advice = "use an account that the token lets transfer"
    approver: str


class ERC20InvalidSpender(ContractError):
    """The token lets nobody approve this address."""

    text = "the token does not let {spender} take anything"
    advice = "ask the token's operator whether contracts may hold it"
    spender: str
