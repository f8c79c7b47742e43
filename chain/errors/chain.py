"""Every reason for which a settlement fails, as typed errors.

::

    LedgerError                      (cocogen.errors)
    ├── ContractError                a contract says no; one class per Solidity error
    │   ├── MemberCountOutOfRange … NotExiting          the consortium's rules
    │   ├── WrongMode … NotDefaultRuling                its rules on disputes and signed transfers
    │   └── RefusedWithReason … ERC20InvalidSpender     the compiler's, the libraries' and the token's
    ├── UnencodableTerms             the terms do not fit the contract's integers
    ├── ArgumentOutOfRange           an argument does not fit the type that a call gives it
    ├── InsufficientTokens           a depositor holds too few tokens
    ├── MissingKey                   a signature is asked of an address whose key is not at hand
    ├── TooLittleEther               an account cannot pay what it is to send
    ├── FeeTooHigh                   a node asks more for gas than the user allows
    ├── WalletMustSend               a transaction is asked of a contract wallet; it says which
    ├── AlreadySent                  an earlier command sent the same and could not say what became of it
    ├── MalformedSignature           bytes that are no signature
    └── backends: ChainUnavailable, ChainLocked, IncompatibleChainFile, NoContract, ArtifactMismatch, WrongChain,
        NodeNotInstalled, NotALocalChain, TransactionPending, TransactionRejected, TransactionReplaced,
        TransactionTimeout, TransactionUnconfirmed, RequestUnanswered, UnknownRevert
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from cocogen.errors import FieldProblem, KeyUnavailable, LedgerError, TermsDoNotFit


class UnencodableTerms(TermsDoNotFit):
    """The terms do not fit the contract's integers; ``problems`` names every field at fault."""

    def __init__(self, problems: Sequence[FieldProblem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.lines), hint="change the named fields of the terms")

    @property
    def lines(self) -> tuple[str, ...]:
        """The message, and a line for each problem."""
        return ("the terms cannot be written into the contract:", *(f"  {problem}" for problem in self.problems))


class ArgumentOutOfRange(LedgerError):
    """An argument of a call does not fit the type that the contract gives it (it could not even be sent)."""

    def __init__(self, name: str, value: object, valid: str) -> None:
        self.name = name
        self.value = value
        super().__init__(f"{name} is {value!r}", hint=f"give {valid}")


class InsufficientTokens(LedgerError):
    """A depositor holds fewer of the token's smallest units than it wants to deposit."""

    def __init__(self, token: str, owner: str, held: int, needed: int) -> None:
        self.token = token
        self.owner = owner
        self.held = held
        self.needed = needed
        super().__init__(
            f"{owner} holds {held} units of the token {token}, but the deposit takes {needed}",
            hint=f"send {needed - held} more units of the token to {owner}, or deposit less",
        )


class MissingKey(KeyUnavailable):
    """A signature or transaction is asked of an address whose key is not at hand; ``wallet`` tells that the address is
    a contract, which has none."""

    def __init__(self, address: str, role: str, *, wallet: bool = False, hint: str = "") -> None:
        self.address = address
        self.role = role
        hint = hint or "development accounts are derived from the seed: leave the address out of the terms to use them"
        if wallet:
            hint = "it is a contract wallet (EIP-1271): have its owners sign, and hand their signature in"
        super().__init__(
            f"there is no key for {role}{f' at {address}' if address else ' and no address in the terms'}",
            hint=hint,
            wallet=wallet,
        )


class TooLittleEther(LedgerError):
    """An account does not hold what a transaction moves and its gas; nothing was sent.

    ``fee``: what the gas can cost at most, in wei; 0 where that is not known yet.
    """

    def __init__(self, address: str, balance: int, value: int, fee: int = 0) -> None:
        held, moved, gas = (f"{Decimal(wei).scaleb(-18).normalize():f} ether" for wei in (balance, value, fee))
        for_gas = f"up to {gas} for gas" if fee else "the gas" if value else "gas"
        super().__init__(
            f"{address} holds {held} and has to pay {f'{moved} and {for_gas}' if value else for_gas}; nothing was sent",
            hint="send ether to that account first, on this chain",
        )


class FeeTooHigh(LedgerError):
    """A node asks more for the gas of a transaction than the user allows; nothing was sent."""

    def __init__(self, fee: int, limit: int) -> None:
        self.fee = fee
        self.limit = limit
        super().__init__(
            f"the transaction could cost {fee} wei of gas money, more than the {limit} wei allowed; nothing was sent",
            hint="see whether the node tells the truth about gas prices; COCOGEN_FEE_LIMIT (wei) allows more",
        )


class WalletMustSend(LedgerError):
    """A transaction of a contract wallet, which only its owners can send: it would pass now. ``details`` holds it."""

    def __init__(self, name: str, wallet: str, to: str, value: int, data: str) -> None:
        self.details = {"from": wallet, "to": to, "value": str(value), "data": data}
        self._lines = (
            f"{name} at {wallet} is a contract wallet; let its owners send this transaction from it, "
            "it would pass now:",
            f"  to     {to}",
            f"  value  {value} wei",
            f"  data   {data}",
        )
        super().__init__(
            "\n".join(self._lines), hint="once it is mined, go on; `cocogen status` says where the consortium stands"
        )

    @property
    def lines(self) -> tuple[str, ...]:
        """The message, and a line for each part of the transaction."""
        return self._lines


class MalformedSignature(LedgerError):
    """Bytes that are no signature of the accepted form."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason, hint="ask for a new 65-byte signature (r, s, v)")


class ChainUnavailable(LedgerError):
    """The node or the chain file cannot be reached, read or written."""


class RequestUnanswered(ChainUnavailable):
    """The node is there, but this request brought no proper answer in time; a narrower one may."""


class NodeNotInstalled(ChainUnavailable):
    """A private node was asked for whose program is not on this machine."""


class ChainLocked(LedgerError):
    """Another process holds the embedded chain's file."""


class IncompatibleChainFile(LedgerError):
    """The file is no embedded chain of this version."""


class NoContract(LedgerError):
    """There is no code at the deployment's address."""


class DeploymentRecordWrong(LedgerError):
    """The deployment record says what the chain contradicts: the ledger may be sound, the file is not."""


class ArtifactMismatch(LedgerError):
    """The code at the deployment's address is not the shipped contract."""


class WrongChain(LedgerError):
    """The node serves another chain than the deployment names."""


class NotALocalChain(LedgerError):
    """Only a local chain can be funded or have its clock moved."""


class TransactionRejected(LedgerError):
    """The node refused a transaction, or what was asked about it: too little ether, a wrong nonce, an own limit."""


class TransactionPending(LedgerError):
    """The account has earlier transactions under way; sending another could do the same thing twice."""


class TransactionReplaced(LedgerError):
    """Another transaction of the account took the place (the nonce) of this one, which did nothing."""


class TransactionTimeout(LedgerError):
    """A transaction was not mined in time."""


class TransactionUnconfirmed(TransactionTimeout):
    """A transaction is in a block, where it took effect or failed, but too few blocks followed in time."""


class UnknownRevert(LedgerError):
    """A contract reverted with data that is no known error; ``data`` holds it."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        selector = f"an error that is none of the contract's (selector 0x{data[:4].hex()})" if data else "no reason"
        super().__init__(
            f"the call was refused with {selector}",
            hint="this is not one of the contract's rules: check that address and artifact belong together, and that "
            "token and wallets are what they should be",
        )
