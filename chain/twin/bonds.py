"""The part of the contract's twin in which members look after themselves: bonds, withdrawals, exits.

The counterpart of ``depositSubmit``, ``withdraw``, ``exitRequest`` and ``exitCancel`` in ``ConsortiumCore.sol``. Left
out: the round (``chain.twin.machine``).
"""

from __future__ import annotations

from chain.abi import ADDRESS, checksum_address, is_address
from chain.encoding.states import DISPUTED, IDLE
from chain.encoding.terms import BALANCE_LIMIT
from chain.errors.chain import ArgumentOutOfRange
from chain.errors.contract import (
    AlreadyExiting,
    BondLocked,
    BondTooSmall,
    InvalidRecipient,
    NotExiting,
    TermsMismatch,
    TotalBalanceTooLarge,
    TransferFailed,
    UnsupportedToken,
    WithdrawalExceedsBalance,
)
from chain.record.values import Event, EventValue
from chain.twin.state import UINT256, TwinState, require_uint
from cocogen.ledger import ZERO_ADDRESS

__all__ = ["TwinBonds"]


class TwinBonds(TwinState):
    """What members do for themselves; see :class:`chain.twin.machine.Twin`."""

    def deposit_submit(
        self, index: int, terms_hash: bytes, *, sender: str, time: int, value: int = 0
    ) -> tuple[Event, ...]:
        """Accept the terms and add ``value``, wei or units of the token, to the member's bond."""
        del time
        require_uint("amount", value, UINT256)
        self._require_member(index, sender)
        if terms_hash != self.terms.terms_hash:
            raise TermsMismatch(terms_hash, self.terms.terms_hash)
        balance = self.balances[index] + value
        if balance < self._liabilities[index]:
            raise BondTooSmall(index, balance, self._liabilities[index])
        total = self.total_balance + value
        if total >= BALANCE_LIMIT:
            raise TotalBalanceTooLarge(total)
        if self.terms.scalars.token != ZERO_ADDRESS:
            received = self._delivers(checksum_address(sender), value)
            if received is None:
                raise TransferFailed(self.address, value)
            if received != value:
                raise UnsupportedToken(self.terms.scalars.token)

        member = self.terms.members[index].account
        self.balances[index] = balance
        self.total_balance = total
        self.solvent |= 1 << index
        deposited = Event("Deposited", {"index": index, "member": member, "amount": value, "balance": balance})
        if self.accepted >> index & 1:
            return (deposited,)
        self.accepted |= 1 << index
        return Event("Accepted", {"index": index, "member": member, "termsHash": terms_hash}), deposited

    def withdraw(self, index: int, amount: int, to: str, *, sender: str, time: int) -> tuple[Event, ...]:
        """Pay out of a member's balance whatever no live round can still take."""
        del time
        require_uint("amount", amount, UINT256)
        if not is_address(to):
            raise ArgumentOutOfRange("to", to, ADDRESS)
        self._require_member(index, sender)
        recipient = checksum_address(to)
        if recipient in (ZERO_ADDRESS, self.address):
            raise InvalidRecipient(recipient)
        balance = self.balances[index]
        if amount > balance:
            raise WithdrawalExceedsBalance(index, amount, balance)
        if self.phase != IDLE and self.participants >> index & 1:
            available = self.withdrawable(index)
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

    def withdrawable(self, index: int) -> int:
        """Return what no live round can still take from a member's balance, wei."""
        if self.phase == IDLE or not self.participants >> index & 1:
            return self.balances[index]
        disputing = self.phase == DISPUTED and index == self.disputant
        locked = self._dispute_needs(index) if disputing else self._liabilities[index]
        # an absent member's forfeited bond may have taken it below its liability
        return max(0, self.balances[index] - locked)

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
