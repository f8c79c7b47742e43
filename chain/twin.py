"""The contract's state machine in Python: the in-memory ledger, the oracle of the tests and the heart of the audit.

``Twin`` does what ``ConsortiumCore.sol`` does, call by call: the same preconditions in the same order, the same typed
errors with the same values, the same events with the same arguments, the same integers. Indices, bitmaps and tuples
are in contract order (members sorted by address), amounts wei, times Unix seconds. A call either happens whole or
raises and changes nothing.

``Idle → Open → Recorded → Calculated → Idle``; a round below quorum goes from Open straight to Idle.

Left out: gas, transactions, reentrancy (Python has no other contracts), and wallets that are contracts, for which the
hooks ``verify`` and ``accepts`` stand in.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from chain import attestation
from chain.abi import WORD, checksum_address, is_address, keccak256, words
from chain.errors import (
    AlreadyExiting,
    AlreadySubmitted,
    ArgumentOutOfRange,
    BondLocked,
    BondTooSmall,
    CapExceeded,
    EvidenceMissing,
    InvalidRecipient,
    InvalidSignature,
    NoRoundsLeft,
    NotAttester,
    NotEnoughMembers,
    NotExiting,
    NotMember,
    NotParticipant,
    TermsMismatch,
    TooEarly,
    TooLate,
    TotalBalanceTooLarge,
    TransferFailed,
    UnknownMember,
    WithdrawalExceedsBalance,
    WrongPhase,
)
from chain.record import Event, EventValue, RoundView, StorageView
from chain.terms import BALANCE_LIMIT, EncodedTerms, check_terms
from cocogen.ledger import ZERO_ADDRESS

__all__ = ["CALCULATED", "IDLE", "NO_HASH", "OPEN", "RECORDED", "Twin", "bits"]

IDLE, OPEN, RECORDED, CALCULATED = range(4)
NO_HASH = bytes(WORD)
QUORUM_REASON = b"quorum".ljust(WORD, b"\0")

_ALL_BASIS_POINTS = 10_000
_UINT64 = 1 << 64
_UINT256 = 1 << 256


def bits(bitmap: int, count: int) -> tuple[bool, ...]:
    """Return the flags of members 0 … count − 1 in a bitmap."""
    return tuple(bool(bitmap >> index & 1) for index in range(count))


def payoff_hash(payoffs: Sequence[int]) -> bytes:
    """Return keccak256(abi.encode(payoffs)) for an int256[]."""
    return keccak256(words(WORD, len(payoffs), *payoffs))


class Twin:
    """One consortium's contract.

    Parameters
    ----------
    terms
        What the constructor of the contract is given.
    chain_id, address
        The EIP-712 domain; ``address`` also refuses to be the recipient of a withdrawal.
    verify
        Decides whether a signature over a 32-byte digest is that of an address: ``(digest, signature, address)``.
        The default knows private-key accounts only.
    accepts
        Decides whether a recipient takes a payment: ``(address, wei)``. The default says yes.

    Raises
    ------
    MemberCountOutOfRange, MembersNotSorted, TermOutOfRange, UnsupportedToken, ArithmeticBound
        As the contract's constructor does.
    """

    def __init__(
        self,
        terms: EncodedTerms,
        *,
        chain_id: int,
        address: str,
        verify: Callable[[bytes, bytes, str], bool] = attestation.verify,
        accepts: Callable[[str, int], bool] = lambda _to, _amount: True,
    ) -> None:
        check_terms(terms)
        count = len(terms.members)
        self.terms = terms
        self.address = checksum_address(address)
        self.domain = attestation.Domain(chain_id, self.address)
        self._verify = verify
        self._accepts = accepts
        self._liabilities = terms.liabilities
        self.number = 0
        self.phase = IDLE
        self.deadline = 0
        self.idle_since = 0
        self.participants = 0
        self.submitted = 0
        self.round_hash = NO_HASH
        self.accepted = 0
        self.solvent = 0
        self.exiting = 0
        self.total_balance = 0
        self.ledger = NO_HASH
        self.balances = [0] * count
        self.payoffs = [0] * count
        self.contributions = [(0, 0, 0)] * count

    def deposit_submit(
        self, index: int, terms_hash: bytes, *, sender: str, time: int, value: int = 0
    ) -> tuple[Event, ...]:
        """Accept the terms and add ``value`` wei to the member's bond."""
        del time
        _uint("amount", value, _UINT256)
        self._require_member(index, sender)
        if terms_hash != self.terms.terms_hash:
            raise TermsMismatch(terms_hash, self.terms.terms_hash)
        balance = self.balances[index] + value
        if balance < self._liabilities[index]:
            raise BondTooSmall(index, balance, self._liabilities[index])
        total = self.total_balance + value
        if total >= BALANCE_LIMIT:
            raise TotalBalanceTooLarge(total)

        member = self.terms.members[index].account
        self.balances[index] = balance
        self.total_balance = total
        self.solvent |= 1 << index
        deposited = Event("Deposited", {"index": index, "member": member, "amount": value, "balance": balance})
        if self.accepted >> index & 1:
            return (deposited,)
        self.accepted |= 1 << index
        return Event("Accepted", {"index": index, "member": member, "termsHash": terms_hash}), deposited

    def round_open(self, *, sender: str, time: int) -> tuple[Event, ...]:
        """Open the next round with every member who is solvent and not exiting."""
        scalars = self.terms.scalars
        if checksum_address(sender) != scalars.attester:
            raise NotAttester(checksum_address(sender))
        self._require_phase(IDLE)
        if self.number >= scalars.max_rounds:
            raise NoRoundsLeft(scalars.max_rounds)
        if self.number:
            _require_from(time, self.idle_since + scalars.min_gap)
        participants = self.solvent & ~self.exiting
        if participants.bit_count() < scalars.min_members:
            raise NotEnoughMembers(participants.bit_count(), scalars.min_members)

        self.number += 1
        self.phase = OPEN
        self.deadline = time + scalars.submit_window
        self.participants = participants
        self.submitted = 0
        self.round_hash = NO_HASH
        self.contributions = [(0, 0, 0)] * len(self.contributions)
        args: dict[str, EventValue] = {"round": self.number, "participants": participants, "deadline": self.deadline}
        return (Event("RoundOpened", args),)

    def contribution_submit(
        self,
        index: int,
        data: int,
        generated: int,
        compute: int,
        evidence_hash: bytes,
        attester_signature: bytes,
        *,
        sender: str,
        time: int,
    ) -> tuple[Event, ...]:
        """Take an attested contribution, from its member or, in the second half of the window, from anyone."""
        for name, value in (("data", data), ("generated", generated), ("compute", compute)):
            _uint(name, value, _UINT64)
        if len(evidence_hash) != WORD:
            raise ArgumentOutOfRange("evidence_hash", evidence_hash, "32 bytes")
        self._require_index(index)
        self._require_phase(OPEN)
        if time > self.deadline:
            raise TooLate(time, self.deadline)
        if not self.participants >> index & 1:
            raise NotParticipant(index, self.number)
        member = self.terms.members[index]
        if checksum_address(sender) != member.account and time < self.relay_from:
            raise NotMember(index, checksum_address(sender))
        if self.submitted >> index & 1:
            raise AlreadySubmitted(index, self.number)
        if evidence_hash == NO_HASH:
            raise EvidenceMissing(index)
        caps = (member.data_cap, member.generated_cap, member.compute_cap)
        for component, (value, cap) in enumerate(zip((data, generated, compute), caps, strict=True)):
            if value > cap:
                raise CapExceeded(index, component, value, cap)
        struct_hash = self._struct_hash(index, data, generated, compute, evidence_hash)
        attester = self.terms.scalars.attester
        if not self._verify(self.domain.digest(struct_hash), attester_signature, attester):
            raise InvalidSignature(attester)

        self.contributions[index] = (data, generated, compute)
        self.submitted |= 1 << index
        self.round_hash = keccak256(words(self.round_hash, index, struct_hash))
        args: dict[str, EventValue] = {
            "round": self.number,
            "index": index,
            "member": member.account,
            "data": data,
            "generated": generated,
            "compute": compute,
            "evidenceHash": evidence_hash,
            "attesterSignature": attester_signature,
        }
        return (Event("ContributionSubmitted", args),)

    def profile_record(self, *, sender: str, time: int) -> tuple[Event, ...]:
        """Freeze the round's contributions, or void the round when too few have contributed."""
        del sender
        self._require_phase(OPEN)
        if self.submitted != self.participants:
            _require_from(time, self.deadline + 1)

        scalars = self.terms.scalars
        if self.submitted.bit_count() * _ALL_BASIS_POINTS < self.participants.bit_count() * scalars.quorum:
            self._become_idle(time)
            return (Event("RoundVoided", {"round": self.number, "reason": QUORUM_REASON}),)
        self.phase = RECORDED
        self.deadline = time + scalars.dispute_window
        self._extend_ledger(self.round_hash)
        args: dict[str, EventValue] = {
            "round": self.number,
            "profileHash": self.round_hash,
            "submitted": self.submitted,
        }
        return (Event("ProfileRecorded", args),)

    def payoff_calculate(self, *, sender: str, time: int) -> tuple[Event, ...]:
        """Compute the round's payoffs once the dispute window is over."""
        del sender
        self._require_phase(RECORDED)
        _require_from(time, self.deadline + 1)

        payoffs = self.predict(
            [self.contributions[i] if self.submitted >> i & 1 else None for i in range(len(self.contributions))]
        )
        self.payoffs = list(payoffs)
        self.phase = CALCULATED
        digest = payoff_hash(payoffs)
        self._extend_ledger(digest)
        return (Event("PayoffCalculated", {"round": self.number, "payoffHash": digest, "payoffs": payoffs}),)

    def payoff_transfer(self, *, sender: str, time: int) -> tuple[Event, ...]:
        """Move the payoffs into the balances; the round is over."""
        del sender
        self._require_phase(CALCULATED)

        for index, payoff in enumerate(self.payoffs):
            self.balances[index] += payoff
            self.payoffs[index] = 0
            self._update_solvent(index)
        self._become_idle(time)
        return (Event("PayoffTransferred", {"round": self.number, "ledger": self.ledger}),)

    def withdraw(self, index: int, amount: int, to: str, *, sender: str, time: int) -> tuple[Event, ...]:
        """Pay out of a member's balance whatever no live round can still take."""
        del time
        _uint("amount", amount, _UINT256)
        if not is_address(to):
            raise ArgumentOutOfRange("to", to, "an address: 0x and 40 hexadecimal digits")
        self._require_member(index, sender)
        recipient = checksum_address(to)
        if recipient in (ZERO_ADDRESS, self.address):
            raise InvalidRecipient(recipient)
        balance = self.balances[index]
        if amount > balance:
            raise WithdrawalExceedsBalance(index, amount, balance)
        if self.phase != IDLE and self.participants >> index & 1:
            available = balance - self._liabilities[index]
            if amount > available:
                raise BondLocked(index, amount, available)
        if not self._accepts(recipient, amount):
            raise TransferFailed(recipient, amount)

        self.balances[index] -= amount
        self.total_balance -= amount
        self._update_solvent(index)
        args: dict[str, EventValue] = {
            "index": index,
            "to": recipient,
            "amount": amount,
            "balance": self.balances[index],
        }
        return (Event("Withdrawn", args),)

    def exit_request(self, index: int, *, sender: str, time: int) -> tuple[Event, ...]:
        """Stay out of the next rounds."""
        del time
        self._require_member(index, sender)
        if self.exiting >> index & 1:
            raise AlreadyExiting(index)
        self.exiting |= 1 << index
        return (Event("ExitRequested", {"index": index}),)

    def exit_cancel(self, index: int, *, sender: str, time: int) -> tuple[Event, ...]:
        """Take part again."""
        del time
        self._require_member(index, sender)
        if not self.exiting >> index & 1:
            raise NotExiting(index)
        self.exiting &= ~(1 << index)
        return (Event("ExitCancelled", {"index": index}),)

    @property
    def relay_from(self) -> int:
        """The time from which anyone may submit for a silent member, while a round is open."""
        window = self.terms.scalars.submit_window
        return self.deadline - window + window // 2

    def contribution_digest(self, index: int, data: int, generated: int, compute: int, evidence_hash: bytes) -> bytes:
        """Return the 32 bytes that the attester signs for a contribution to the current round."""
        self._require_index(index)
        return self.domain.digest(self._struct_hash(index, data, generated, compute, evidence_hash))

    def predict(self, contributions: Sequence[tuple[int, int, int] | None]) -> tuple[int, ...]:
        """Return the payoffs in wei to which these contributions settle (None: masked)."""
        return self.terms.payoffs(contributions)

    def storage(self, *, block: int = 0, ether: int | None = None) -> StorageView:
        """Return all views; ``ether`` defaults to the total balance, which is what the contract holds unforced."""
        return StorageView(
            block=block,
            terms=self.terms.scalars.values,
            terms_hash=self.terms.terms_hash,
            liabilities=self._liabilities,
            round=RoundView(
                number=self.number,
                phase=self.phase,
                deadline=self.deadline,
                idle_since=self.idle_since,
                participants=self.participants,
                submitted=self.submitted,
                round_hash=self.round_hash,
            ),
            accepted=self.accepted,
            solvent=self.solvent,
            exiting=self.exiting,
            balances=tuple(self.balances),
            payoffs=tuple(self.payoffs),
            contributions=tuple(self.contributions),
            total_balance=self.total_balance,
            ledger=self.ledger,
            ether=self.total_balance if ether is None else ether,
        )

    def _struct_hash(self, index: int, data: int, generated: int, compute: int, evidence_hash: bytes) -> bytes:
        member = self.terms.members[index].account
        return attestation.contribution_struct_hash(
            self.terms.terms_hash, self.number, member, data, generated, compute, evidence_hash
        )

    def _update_solvent(self, index: int) -> None:
        covered = self.accepted >> index & 1 and self.balances[index] >= self._liabilities[index]
        self.solvent = self.solvent & ~(1 << index) | (1 << index if covered else 0)

    def _become_idle(self, time: int) -> None:
        self.phase = IDLE
        self.idle_since = time

    def _extend_ledger(self, entry: bytes) -> None:
        self.ledger = keccak256(words(self.ledger, self.number, entry))

    def _require_index(self, index: int) -> None:
        _uint("index", index, _UINT256)
        if index >= len(self.terms.members):
            raise UnknownMember(index, len(self.terms.members))

    def _require_member(self, index: int, sender: str) -> None:
        self._require_index(index)
        if checksum_address(sender) != self.terms.members[index].account:
            raise NotMember(index, checksum_address(sender))

    def _require_phase(self, expected: int) -> None:
        if self.phase != expected:
            raise WrongPhase(self.phase, expected)


def _require_from(time: int, allowed_from: int) -> None:
    if time < allowed_from:
        raise TooEarly(time, allowed_from)


def _uint(name: str, value: int, limit: int) -> None:
    if not 0 <= value < limit:
        raise ArgumentOutOfRange(name, value, f"an integer from 0 to 2^{limit.bit_length() - 1} - 1")
