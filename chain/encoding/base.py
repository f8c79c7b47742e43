"""What every ledger over the contract's integers does alike, in memory and on a chain.

Organizations keep the order of the terms file; the contract's order (by address) stays inside. Left out: operations
and where the state comes from (``chain.twin.ledger``, ``chain.contract.ledger``).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from typing import TypeVar

from chain.encoding import signatures
from chain.encoding.codec import decode, encode, predict
from chain.encoding.states import bits
from chain.encoding.terms import PAIRWISE, VECTOR, EncodedTerms, check_terms
from chain.errors.chain import ArgumentOutOfRange
from chain.errors.disputes import WrongMode
from cocogen.ledger import Contribution, DecodedTerms, SettlementTerms

__all__ = ["EncodedLedger", "EncodedProvider", "parts_of"]

_Value = TypeVar("_Value")


class EncodedProvider:
    """What the terms become, wherever a consortium is to live."""

    def decode(self, terms: SettlementTerms) -> DecodedTerms:
        """Return what the terms become on the ledger.

        Raises
        ------
        UnencodableTerms, ContractError
            They do not fit the contract's integers, or break one of its rules.
        """
        encoded = encode(terms)
        check_terms(encoded)
        return decode(encoded)


class EncodedLedger(ABC):
    """One consortium's terms, its order of members, and what is signed under its EIP-712 domain."""

    def __init__(self, terms: SettlementTerms, encoded: EncodedTerms, domain: signatures.Domain) -> None:
        self._terms = terms
        self._encoded = encoded
        self._decoded = decode(encoded)
        self._domain = domain

    @abstractmethod
    def _number(self) -> int:
        """The number of the current round."""

    @abstractmethod
    def _key(self, name: str) -> bytes:
        """The 32-byte key of an organization or role; MissingKey where it is not at hand."""

    @property
    def terms(self) -> SettlementTerms:
        """The terms as agreed."""
        return self._terms

    @property
    def encoded(self) -> EncodedTerms:
        """The terms as integers."""
        return self._encoded

    @property
    def decoded(self) -> DecodedTerms:
        """The floats that the integers stand for."""
        return self._decoded

    def attestation_digest(self, index: int, contribution: Contribution) -> bytes:
        """Return the 32 bytes that the attester signs for a contribution to the current round."""
        member = self._encoded.members[self._position(index)].account
        parts = (*parts_of(contribution), contribution.evidence_hash)
        return self._domain.digest(
            signatures.contribution_struct_hash(self._encoded.terms_hash, self._number(), member, *parts)
        )

    def attest(self, index: int, contribution: Contribution) -> bytes:
        """Return the attester's signature over a contribution to the current round.

        Raises
        ------
        MissingKey
            The terms name an attester whose key is not derived from the seed, or that is a contract wallet, whose
            owners sign.
        """
        return signatures.sign(self.attestation_digest(index, contribution), self._key("attester"))

    def is_attested(self, index: int, contribution: Contribution, attestation: bytes) -> bool:
        """Tell whether the attester signed a contribution to the current round; a contract is asked (EIP-1271)."""
        return self._is_signed(self._terms.attester, self.attestation_digest(index, contribution), attestation)

    def attest_transfers(self, transfers: Sequence[int], evidence_hash: bytes) -> bytes:
        """Return the attester's signature over the recorded round's transfers, wei per organization.

        Raises
        ------
        WrongMode
            In pairwise mode nobody signs transfers.
        ArgumentOutOfRange
            There is not one transfer for every organization.
        MissingKey
            As :meth:`attest` does.
        """
        if not self._encoded.is_vector:
            raise WrongMode(PAIRWISE, VECTOR)
        digest = signatures.transfers_hash(self._encoded.in_contract_order(transfers))
        parts = (self._encoded.terms_hash, self._number(), digest, evidence_hash)
        return signatures.sign(self._domain.digest(signatures.transfers_struct_hash(*parts)), self._key("attester"))

    def predict(self, contributions: Sequence[Contribution | None], absent: Collection[int] = ()) -> tuple[int, ...]:
        """Return the transfers in wei to which exactly these contributions settle.

        The organizations ``absent`` pay by their stand-ins, all others without a contribution are masked.

        Raises
        ------
        WrongMode
            In vector mode the attester signs the transfers.
        ArgumentOutOfRange
            An organization is said to be absent that contributes, or that there is not.
        """
        return predict(self._encoded, [None if c is None else parts_of(c) for c in contributions], absent)

    def evidence_digest(self, digest: bytes) -> bytes:
        """Return the 32 bytes that an organization signs for an evidence bundle's digest."""
        return self._domain.evidence_digest(digest)

    def sign(self, name: str, digest: bytes) -> bytes:
        """Return the signature of an evidence bundle's digest by the named organization or role.

        Raises
        ------
        MissingKey
            The terms give that name an address whose key is not derived from the seed.
        """
        return signatures.sign(self.evidence_digest(digest), self._key(name))

    def verify(self, address: str, digest: bytes, signature: bytes) -> bool:
        """Tell whether ``address`` signed an evidence bundle's digest; a contract wallet is asked itself (EIP-1271)."""
        return self._is_signed(address, self.evidence_digest(digest), signature)

    def _is_signed(self, address: str, digest: bytes, signature: bytes) -> bool:
        return signatures.verify(digest, signature, address)

    def _organization(self, index: int) -> int:
        if not 0 <= index < len(self._terms.members):
            raise ArgumentOutOfRange("organization", index, f"an index from 0 to {len(self._terms.members) - 1}")
        return index

    def _position(self, index: int) -> int:
        return self._encoded.positions[self._organization(index)]

    def _flags(self, bitmap: int) -> tuple[bool, ...]:
        return self._amounts(bits(bitmap, len(self._encoded.members)))

    def _amounts(self, by_position: Sequence[_Value]) -> tuple[_Value, ...]:
        return tuple(by_position[position] for position in self._encoded.positions)


def parts_of(contribution: Contribution) -> tuple[int, int, int]:
    """Data, effective generated samples and compute, as they are encoded."""
    return contribution.data, contribution.generated, contribution.compute
