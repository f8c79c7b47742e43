"""The contract's rules as Python errors: one class per Solidity custom error.

Each class is built from the same values in the same order as its counterpart in
``contracts/src/libraries/Errors.sol``, whichever ledger raises it: the in-memory twin directly, a chain through
:func:`chain.errors.reverts.decode_revert`. ``error.values`` is that tuple; integers are int, addresses EIP-55 text,
bytes32 bytes, and the names that TermOutOfRange and ArithmeticBound carry as bytes32 are str. Member indices are the
contract's. Disputes and signed transfers have theirs in ``chain.errors.disputes``.

Import them from ``chain.errors.chain``, which adds the errors of backends and codec.
"""

from __future__ import annotations

from typing import Any

from chain.errors.reverts import ContractError, named
from cocogen.files import duration
from cocogen.ledger import PHASES

_COMPONENTS = ("data", "generated", "compute")


class MemberCountOutOfRange(ContractError):
    """Too few or too many members."""

    text = "the terms name {count} members; a consortium has {minimum} to {maximum}"
    advice = "change the number of organizations in the terms file"
    count: int
    minimum: int
    maximum: int


class RecordsLengthInvalid(ContractError):
    """The packed records are not a whole number of 68-byte records."""

    text = "the packed member records have {length} bytes, which is no multiple of 68"
    advice = "encode the terms with chain.encoding.codec.encode"
    length: int


class TriangleLengthInvalid(ContractError):
    """The packed triangle does not hold one 16-bit weight per pair of members."""

    text = "the packed pair weights have {length} bytes, not {expected}"
    advice = "encode the terms with chain.encoding.codec.encode"
    length: int
    expected: int


class StandInsLengthInvalid(ContractError):
    """There is neither no stand-in at all nor one of 16 bytes for every member; in vector mode there is none."""

    text = "the packed stand-ins have {length} bytes, not 0 or {expected}"
    advice = "encode the terms with chain.encoding.codec.encode"
    length: int
    expected: int


class StandInOutOfRange(ContractError):
    """A stand-in's score is none that its member could reach within its caps."""

    abi = ("uint256", "int256", "int256", "int256")
    text = "the stand-in of member {index} scores {score}, outside {minimum} to {maximum}, which its caps allow"
    advice = "agree on a stand-in within the member's caps"
    index: int
    score: int
    minimum: int
    maximum: int


class MembersNotSorted(ContractError):
    """Member addresses must be non-zero and strictly ascending; ``index`` is the first that is not."""

    text = "the address of member {index} is zero, repeated, or not above the one before it"
    advice = "give every organization its own non-zero address"
    index: int


class TermOutOfRange(ContractError):
    """A scalar of the terms lies outside its range; ``field`` is its name in the contract."""

    abi = ("name", "uint256", "uint256", "uint256")
    text = "the terms' {field} is {value}, outside {minimum} to {maximum}"
    advice = "set {field} to a value from {minimum} to {maximum} (windows below one hour need test terms)"
    field: str
    value: int
    minimum: int
    maximum: int


class UnsupportedToken(ContractError):
    """A contract that settles in ether has no token; one that settles in a token needs one that has code and delivers
    exactly what is transferred."""

    text = "the token {token} cannot be settled in: it is no contract, or does not deliver exactly what is transferred"
    advice = "name a standard ERC-20 token on this chain that takes no fee, or none to settle in ether"
    token: str


class ArithmeticBound(ContractError):
    """A bound that keeps every settlement computable is broken: "score", "spread" or "liabilities"."""

    abi = ("name",)
    text = "the terms break the bound on the {bound}, so that some round could not be settled"
    advice = "lower the caps, the score weights, the incentive or wei_per_unit"
    bound: str


class TermsMismatch(ContractError):
    """The caller accepts other terms than the contract's."""

    text = "the deposit accepts terms {given}, but the contract holds {expected}"
    advice = "compare your terms file with the one that was deployed before you deposit"
    given: bytes
    expected: bytes


class UnknownMember(ContractError):
    """There is no member with this index."""

    text = "there is no member {index}; the consortium has {count}"
    advice = "name an index from 0 to one below {count}"
    index: int
    count: int


class NotMember(ContractError):
    """The caller is not this member."""

    text = "{caller} is not member {index}"
    advice = "use the key of that member (a contribution can be relayed by others in the second half of the window)"
    index: int
    caller: str


class NotAttester(ContractError):
    """Only the attester opens rounds."""

    text = "{caller} is not the attester, who alone opens rounds"
    advice = "open the round with the attester's key"
    caller: str


class BondTooSmall(ContractError):
    """The balance after a deposit would not cover the member's liability."""

    text = "the bond of member {index} would be {balance} wei, below its liability of {liability} wei"
    advice = "deposit so that the balance reaches at least {liability} wei"
    index: int
    balance: int
    liability: int


class TotalBalanceTooLarge(ContractError):
    """All balances together would reach 2^127."""

    text = "all balances together would be {total} wei; the contract holds less than 2^127"
    advice = "deposit less"
    total: int


class WrongPhase(ContractError):
    """The call belongs to another phase of the round."""

    abi = ("uint8", "uint8")
    text = "the round is {actual_name}, but this call needs it {expected_name}"
    advice = "look at the state of the ledger: the round may have moved on"
    actual: int
    expected: int

    def _shown(self) -> dict[str, Any]:
        names = {"actual_name": named(PHASES, self.actual), "expected_name": named(PHASES, self.expected)}
        return ContractError._shown(self) | names


class TooEarly(ContractError):
    """The block time is before the earliest time of this call."""

    text = "this is allowed in {gap} (it is {time}, allowed from {allowedFrom} on, Unix seconds)"
    advice = "wait, or pass the time on a local chain (--advance, or `cocogen chain advance`)"
    time: int
    allowedFrom: int  # noqa: N815 - the field's name in Solidity

    def _shown(self) -> dict[str, Any]:
        return ContractError._shown(self) | {"gap": duration(self.allowedFrom - self.time)}


class TooLate(ContractError):
    """The block time is after the deadline of this call."""

    text = "the deadline passed {gap} ago (it is {time}, the deadline was {deadline}, Unix seconds)"
    advice = "the window is over: take the round's next step (whoever has not contributed is left out of it)"
    time: int
    deadline: int

    def _shown(self) -> dict[str, Any]:
        return ContractError._shown(self) | {"gap": duration(self.time - self.deadline)}


class NotEnoughMembers(ContractError):
    """Too few members are solvent and not exiting."""

    text = "{solvent} members are bonded and staying; a round needs {minimum}"
    advice = "have the missing members deposit at least their liability"
    solvent: int
    minimum: int


class NoRoundsLeft(ContractError):
    """All agreed rounds have been opened."""

    text = "all {maximum} agreed rounds have been opened"
    advice = "withdraw the bonds, and deploy new terms to go on"
    maximum: int


class NotParticipant(ContractError):
    """The member takes no part in this round."""

    text = "member {index} takes no part in round {round}"
    advice = "be bonded, and not exiting, when the next round opens"
    index: int
    round: int


class CapExceeded(ContractError):
    """A contribution exceeds the member's cap; ``component`` is 0 data, 1 generated, 2 compute."""

    abi = ("uint256", "uint8", "uint256", "uint256")
    text = "member {index} contributes {value} of {component_name}, above its cap of {cap}"
    advice = "attest at most the cap of the terms"
    index: int
    component: int
    value: int
    cap: int

    def _shown(self) -> dict[str, Any]:
        return ContractError._shown(self) | {"component_name": named(_COMPONENTS, self.component)}


class AlreadySubmitted(ContractError):
    """The member's contribution to this round is already there."""

    text = "the contribution of member {index} to round {round} is already there"
    advice = "nothing to do: a contribution is made once a round"
    index: int
    round: int


class EvidenceMissing(ContractError):
    """A contribution needs the digest of its evidence."""

    text = "the contribution of member {index} names no evidence"
    advice = "give the non-zero 32-byte digest of the evidence bundle"
    index: int


class InvalidSignature(ContractError):
    """The signature is not the attester's over this contribution, or over these transfers."""

    text = "the attestation is not signed by the attester {expected} for exactly these values and this round"
    advice = "have the attester sign the contribution to the current round, or its transfers"
    expected: str


class BondLocked(ContractError):
    """A withdrawal would leave less than what a live round may still take."""

    text = "member {index} asks for {amount} wei, but only {available} wei are free while the round lives"
    advice = "withdraw at most {available} wei, or wait until the round is settled"
    index: int
    amount: int
    available: int


class WithdrawalExceedsBalance(ContractError):
    """A withdrawal exceeds the balance."""

    text = "member {index} asks for {amount} wei of a balance of {balance} wei"
    advice = "withdraw at most {balance} wei"
    index: int
    amount: int
    balance: int


class InvalidRecipient(ContractError):
    """The recipient is the zero address or the contract itself."""

    text = "{to} cannot receive a withdrawal"
    advice = "name an address of your own"
    to: str


class TransferFailed(ContractError):
    """The recipient did not take the ether, or the token did not move: to the contract, on a deposit."""

    text = "{amount} wei did not get to {to}"
    advice = "withdraw to another address; for a deposit see that enough tokens are there and approved"
    to: str
    amount: int


class AlreadyExiting(ContractError):
    """The member has already announced its exit."""

    text = "member {index} has already announced its exit"
    advice = "withdraw once the current round is settled"
    index: int


class NotExiting(ContractError):
    """The member has not announced an exit."""

    text = "member {index} has not announced an exit"
    advice = "nothing to cancel"
    index: int
