"""The contract's state machine in Python: the in-memory ledger, the oracle of the tests and the heart of the audit.

``Twin`` does what ``ConsortiumCore.sol`` does, call by call: the same preconditions in the same order, the same typed
errors with the same values, the same events with the same arguments, the same integers. Indices, bitmaps and tuples
are in contract order (members sorted by address), amounts wei of ether or smallest units of the token, times Unix
seconds. A call either happens whole or raises and changes nothing.

``Idle → Open → Recorded (→ Disputed → Recorded) → Calculated → Idle``; a round that is voided (below quorum, by a
ruling, or in vector mode without transfers) goes straight to Idle.

Left out: gas, transactions, reentrancy (Python has no other contracts), and what other contracts decide (wallets,
payees, the token), for which the hooks ``verify``, ``accepts`` and ``delivers`` stand in. State and views are in
``chain.twin.state``, members' own doings in ``chain.twin.bonds``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from chain.abi import WORD, checksum_address, keccak256, words
from chain.encoding import signatures
from chain.encoding.states import CALCULATED, DISPUTED, FORFEIT, IDLE, NO_HASH, OPEN, RECORDED, VOID
from chain.encoding.terms import BALANCE_LIMIT, EncodedTerms
from chain.errors.chain import ArgumentOutOfRange
from chain.errors.contract import (
    AlreadySubmitted,
    CapExceeded,
    EvidenceMissing,
    InvalidSignature,
    NoRoundsLeft,
    NotAttester,
    NotEnoughMembers,
    NotMember,
    NotParticipant,
)
from chain.errors.disputes import (
    DisputeBondTooSmall,
    NotArbiter,
    NotDefaultRuling,
    ReasonMissing,
    RulingOutOfRange,
    TransferOutOfRange,
    TransfersAlreadySubmitted,
    TransfersEvidenceMissing,
    TransfersLengthInvalid,
    TransfersMissing,
    TransfersUnbalanced,
)
from chain.record.values import Event, EventValue
from chain.twin.bonds import TwinBonds
from chain.twin.state import require_bytes32, require_uint

__all__ = ["Twin"]

_ALL_BASIS_POINTS = 10_000
_UINT8 = 1 << 8
_UINT64 = 1 << 64
_INT256 = 1 << 255


class Twin(TwinBonds):
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
    delivers
        Terms with a token: how much arrives when a member deposits, or None when the token does not move:
        ``(address, units)``. The default is a token that delivers exactly what is transferred.

    Raises
    ------
    MemberCountOutOfRange, MembersNotSorted, TermOutOfRange, ArithmeticBound
        As the contract's constructor does.
    """

    def __init__(
        self,
        terms: EncodedTerms,
        *,
        chain_id: int,
        address: str,
        verify: Callable[[bytes, bytes, str], bool] = signatures.verify,
        accepts: Callable[[str, int], bool] = lambda _to, _amount: True,
        delivers: Callable[[str, int], int | None] = lambda _from, amount: amount,
    ) -> None:
        super().__init__(terms, chain_id=chain_id, address=address, verify=verify, accepts=accepts, delivers=delivers)

    def round_open(self, *, sender: str, time: int) -> tuple[Event, ...]:
        """Open the next round with every member who is solvent and not exiting."""
        scalars = self.terms.scalars
        if checksum_address(sender) != scalars.attester:
            raise NotAttester(checksum_address(sender))
        self._require_phase(IDLE)
        if self.number >= scalars.max_rounds:
            raise NoRoundsLeft(scalars.max_rounds)
        if self.number:
            self._require_from(time, self.idle_since + scalars.min_gap)
        participants = self.solvent & ~self.exiting
        if participants.bit_count() < scalars.min_members:
            raise NotEnoughMembers(participants.bit_count(), scalars.min_members)

        self.number += 1
        self.phase = OPEN
        self.deadline = time + scalars.submit_window
        self.participants = participants
        self.submitted = 0
        self.transfers = None
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
            require_uint(name, value, _UINT64)
        require_bytes32("evidence_hash", evidence_hash)
        self._require_index(index)
        self._require_phase(OPEN)
        self._require_until(time)
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
        self._require_attested(struct_hash, attester_signature)

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
            self._require_from(time, self.deadline + 1)

        scalars = self.terms.scalars
        if self.submitted.bit_count() * _ALL_BASIS_POINTS < self.participants.bit_count() * scalars.quorum:
            return self._void("quorum", time)
        self.phase = RECORDED
        self.deadline = time + (scalars.submit_window if self.terms.is_vector else scalars.dispute_window)
        self._extend_ledger(self.round_hash)
        args: dict[str, EventValue] = {
            "round": self.number,
            "profileHash": self.round_hash,
            "submitted": self.submitted,
        }
        return (Event("ProfileRecorded", args),)

    def transfers_submit(
        self,
        transfers: Sequence[int],
        evidence_hash: bytes,
        attester_signature: bytes,
        *,
        sender: str,
        time: int,
    ) -> tuple[Event, ...]:
        """Vector mode: take the round's transfers, wei in contract order, that the attester signed; from anyone."""
        del sender
        for transfer in transfers:
            if not -_INT256 <= transfer < _INT256:
                raise ArgumentOutOfRange("transfers", transfer, "integers from -2^255 to 2^255 - 1")
        require_bytes32("evidence_hash", evidence_hash)
        self._require_vector()
        self._require_phase(RECORDED)
        if self.transfers is not None:
            raise TransfersAlreadySubmitted(self.number)
        self._require_until(time)
        if len(transfers) != len(self.terms.members):
            raise TransfersLengthInvalid(len(transfers), len(self.terms.members))
        if evidence_hash == NO_HASH:
            raise TransfersEvidenceMissing(self.number)
        for index, transfer in enumerate(transfers):
            present = self.submitted >> index & 1
            minimum, maximum = (-self._liabilities[index], BALANCE_LIMIT - 1) if present else (0, 0)
            if not minimum <= transfer <= maximum:
                raise TransferOutOfRange(index, transfer, minimum, maximum)
        if sum(transfers) != 0:
            raise TransfersUnbalanced(sum(transfers))
        digest = signatures.transfers_hash(transfers)
        self._require_attested(
            signatures.transfers_struct_hash(self.terms.terms_hash, self.number, digest, evidence_hash),
            attester_signature,
        )

        self.transfers = tuple(transfers)
        self.deadline = time + self.terms.scalars.dispute_window
        args: dict[str, EventValue] = {
            "round": self.number,
            "transfersHash": digest,
            "transfers": self.transfers,
            "evidenceHash": evidence_hash,
            "attesterSignature": attester_signature,
            "deadline": self.deadline,
        }
        return (Event("TransfersSubmitted", args),)

    def dispute_raise(self, index: int, reason_hash: bytes, *, sender: str, time: int) -> tuple[Event, ...]:
        """Dispute the recorded round within its window; locks the member's dispute bond."""
        require_bytes32("reason_hash", reason_hash)
        self._require_member(index, sender)
        self._require_phase(RECORDED)
        self._require_until(time)
        if not self.participants >> index & 1:
            raise NotParticipant(index, self.number)
        if self.terms.is_vector and self.transfers is None:
            raise TransfersMissing(self.number)
        if reason_hash == NO_HASH:
            raise ReasonMissing(index)
        needed = self._dispute_needs(index)
        if self.balances[index] < needed:
            raise DisputeBondTooSmall(index, self.balances[index], needed)

        self.phase = DISPUTED
        self.deadline = time + self.terms.scalars.arbiter_window
        self.disputant = index
        args: dict[str, EventValue] = {
            "round": self.number,
            "index": index,
            "member": self.terms.members[index].account,
            "reasonHash": reason_hash,
            "deadline": self.deadline,
        }
        return (Event("DisputeRaised", args),)

    def dispute_resolve(self, ruling: int, *, sender: str, time: int) -> tuple[Event, ...]:
        """End the dispute: as the arbiter with any ruling, after its window as anyone with the terms' default."""
        require_uint("ruling", ruling, _UINT8)
        self._require_phase(DISPUTED)
        if ruling > FORFEIT:
            raise RulingOutOfRange(ruling, FORFEIT)
        scalars = self.terms.scalars
        if time <= self.deadline:
            if checksum_address(sender) != scalars.arbiter:
                raise NotArbiter(checksum_address(sender))
        elif ruling != scalars.dispute_default:
            raise NotDefaultRuling(ruling, scalars.dispute_default)

        args: dict[str, EventValue] = {
            "round": self.number,
            "index": self.disputant,
            "ruling": ruling,
            "forfeited": self._forfeit() if ruling == FORFEIT else 0,
        }
        resolved = Event("DisputeResolved", args)
        if ruling == VOID:
            return resolved, *self._void("dispute", time)
        self.phase = RECORDED
        # the window is over: nobody disputes again, and the payoffs can be calculated at once
        self.deadline = time - 1
        return (resolved,)

    def payoff_calculate(self, *, sender: str, time: int) -> tuple[Event, ...]:
        """Compute the round's payoffs once the dispute window is over; in vector mode they are the transfers."""
        del sender
        self._require_phase(RECORDED)
        self._require_from(time, self.deadline + 1)

        if not self.terms.is_vector:
            payoffs = self._settled()
        elif self.transfers is not None:
            payoffs = self.transfers
        else:
            return self._void("transfers", time)
        self.payoffs = list(payoffs)
        self.phase = CALCULATED
        digest = signatures.transfers_hash(payoffs)
        self._extend_ledger(digest)
        calculated = Event("PayoffCalculated", {"round": self.number, "payoffHash": digest, "payoffs": payoffs})
        if not self.absent:
            return (calculated,)
        return Event("Absent", {"round": self.number, "bitmap": self.absent}), calculated

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

    def _forfeit(self) -> int:
        """Share the disputant's bond among the other contributors.

        Nobody's solvency changes but that of a disputant who is absent: it may hold less than its liability and bond.
        """
        others = [i for i in range(len(self.balances)) if self.submitted >> i & 1 and i != self.disputant]
        if not others:
            return 0
        share = self.terms.scalars.dispute_bond // len(others)
        for index in others:
            self.balances[index] += share
        forfeited = share * len(others)
        self.balances[self.disputant] -= forfeited
        self._update_solvent(self.disputant)
        return forfeited

    def _void(self, reason: str, time: int) -> tuple[Event, ...]:
        self._become_idle(time)
        return (Event("RoundVoided", {"round": self.number, "reason": reason.encode().ljust(WORD, b"\0")}),)

    def _require_attested(self, struct_hash: bytes, attester_signature: bytes) -> None:
        attester = self.terms.scalars.attester
        if not self._verify(self.domain.digest(struct_hash), attester_signature, attester):
            raise InvalidSignature(attester)
