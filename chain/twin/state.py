"""What the twin of a consortium's contract knows: its terms, everybody's balance, the round.

The counterpart of ``ConsortiumState.sol``: the views, and the checks that several calls share. The calls that change
it are in ``chain.twin.machine``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from chain.abi import WORD, checksum_address, keccak256, words
from chain.encoding import signatures
from chain.encoding.states import DISPUTED, IDLE, NO_HASH, bits
from chain.encoding.terms import VECTOR, EncodedTerms, check_terms
from chain.errors.chain import ArgumentOutOfRange
from chain.errors.contract import NotMember, TooEarly, TooLate, UnknownMember, WrongPhase
from chain.errors.disputes import WrongMode
from chain.record.values import RoundView, StorageView

__all__ = [
    "UINT256",
    "TwinState",
    "require_bytes32",
    "require_uint",
]

UINT256 = 1 << 256


class TwinState:
    """One consortium's state; see :class:`chain.twin.machine.Twin` for the parameters.

    ``transfers`` are the round's signed transfers in vector mode, wei in contract order; None before they are in.
    """

    def __init__(
        self,
        terms: EncodedTerms,
        *,
        chain_id: int,
        address: str,
        verify: Callable[[bytes, bytes, str], bool],
        accepts: Callable[[str, int], bool],
        delivers: Callable[[str, int], int | None],
    ) -> None:
        check_terms(terms)
        count = len(terms.members)
        self.terms = terms
        self.address = checksum_address(address)
        self.domain = signatures.Domain(chain_id, self.address)
        self._verify = verify
        self._accepts = accepts
        self._delivers = delivers
        self._liabilities = terms.liabilities
        self.number = 0
        self.phase = IDLE
        self.deadline = 0
        self.idle_since = 0
        self.participants = 0
        self.submitted = 0
        self.round_hash = NO_HASH
        self.disputant = 0
        self.transfers: tuple[int, ...] | None = None
        self.accepted = 0
        self.solvent = 0
        self.exiting = 0
        self.total_balance = 0
        self.ledger = NO_HASH
        self.balances = [0] * count
        self.payoffs = [0] * count
        self.contributions = [(0, 0, 0)] * count

    @property
    def absent(self) -> int:
        """Bitmap of the round's participants who have not contributed, where the terms have stand-ins for them."""
        return self.participants & ~self.submitted if self.terms.stand_ins else 0

    @property
    def relay_from(self) -> int:
        """The time from which anyone may submit for a silent member, while a round is open."""
        window = self.terms.scalars.submit_window
        return self.deadline - window + window // 2

    def contribution_digest(self, index: int, data: int, generated: int, compute: int, evidence_hash: bytes) -> bytes:
        """Return the 32 bytes that the attester signs for a contribution to the current round."""
        self._require_index(index)
        return self.domain.digest(self._struct_hash(index, data, generated, compute, evidence_hash))

    def transfers_digest(self, transfers_hash: bytes, evidence_hash: bytes) -> bytes:
        """Return the 32 bytes that the attester signs for the transfers of the current round, vector mode.

        ``transfers_hash`` is :func:`chain.encoding.signatures.transfers_hash` of them.
        """
        self._require_vector()
        return self.domain.digest(
            signatures.transfers_struct_hash(self.terms.terms_hash, self.number, transfers_hash, evidence_hash)
        )

    def predict(self, contributions: Sequence[tuple[int, int, int] | None], absent: int = 0) -> tuple[int, ...]:
        """Return the payoffs in wei to which these contributions settle; WrongMode in vector mode.

        The members of the bitmap ``absent`` pay by their stand-ins, all others without a contribution are masked.
        """
        return self.terms.payoffs(contributions, absent)

    def _settled(self) -> tuple[int, ...]:
        """Return the payoffs of the round as it is recorded, pairwise mode."""
        present = bits(self.submitted, len(self.contributions))
        recorded = [c if p else None for c, p in zip(self.contributions, present, strict=True)]
        return self.predict(recorded, self.absent)

    def _dispute_needs(self, index: int) -> int:
        """Return what a member must hold while its dispute is open, wei: its bond, and what the round may still take.

        Of an absent member that is fixed once the profile is: what it owes by its stand-in.
        """
        bond = self.terms.scalars.dispute_bond
        if not self.absent >> index & 1:
            return self._liabilities[index] + bond
        return max(self._liabilities[index], bond - self._settled()[index])

    def storage(self, *, block: int = 0, assets: int | None = None) -> StorageView:
        """Return all views; ``assets`` defaults to the total balance, which is what the contract holds unforced."""
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
                disputant=self.disputant if self.phase == DISPUTED else 0,
                transfers_submitted=self.transfers is not None,
            ),
            accepted=self.accepted,
            solvent=self.solvent,
            exiting=self.exiting,
            balances=tuple(self.balances),
            payoffs=tuple(self.payoffs),
            contributions=tuple(self.contributions),
            total_balance=self.total_balance,
            ledger=self.ledger,
            assets=self.total_balance if assets is None else assets,
        )

    def _struct_hash(self, index: int, data: int, generated: int, compute: int, evidence_hash: bytes) -> bytes:
        member = self.terms.members[index].account
        return signatures.contribution_struct_hash(
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
        require_uint("index", index, UINT256)
        if index >= len(self.terms.members):
            raise UnknownMember(index, len(self.terms.members))

    def _require_member(self, index: int, sender: str) -> None:
        self._require_index(index)
        if checksum_address(sender) != self.terms.members[index].account:
            raise NotMember(index, checksum_address(sender))

    def _require_phase(self, expected: int) -> None:
        if self.phase != expected:
            raise WrongPhase(self.phase, expected)

    def _require_vector(self) -> None:
        if not self.terms.is_vector:
            raise WrongMode(self.terms.scalars.mode, VECTOR)

    def _require_from(self, time: int, allowed_from: int) -> None:
        if time < allowed_from:
            raise TooEarly(time, allowed_from)

    def _require_until(self, time: int) -> None:
        if time > self.deadline:
            raise TooLate(time, self.deadline)


def require_uint(name: str, value: int, limit: int) -> None:
    """Refuse what an unsigned integer below ``limit``, a power of two, cannot hold."""
    if not 0 <= value < limit:
        raise ArgumentOutOfRange(name, value, f"an integer from 0 to 2^{limit.bit_length() - 1} - 1")


def require_bytes32(name: str, value: bytes) -> None:
    """Refuse what is not 32 bytes long."""
    if len(value) != WORD:
        raise ArgumentOutOfRange(name, value, "32 bytes")
