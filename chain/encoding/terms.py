"""A consortium's terms as the contract holds them: integers, packed bytes, hash, and the contract's own limits.

The layouts are those of ``TermsBlob.sol`` and ``IConsortium.Terms``; ``termsHash`` covers neither chain nor address,
so that the parties agree before anything is deployed. Consortia of before there were stand-ins keep the layout and the
contracts of their time. Members are sorted by address, as the contract demands. Asset and
mode decide which of the four contracts holds them. How the integers come from the terms file is
``chain.encoding.codec``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from chain.abi import keccak256, words
from chain.encoding import kernel
from chain.errors.chain import ArgumentOutOfRange
from chain.errors.contract import (
    ArithmeticBound,
    MemberCountOutOfRange,
    MembersNotSorted,
    StandInOutOfRange,
    StandInsLengthInvalid,
    TermOutOfRange,
)
from chain.errors.disputes import WrongMode
from cocogen.ledger import ZERO_ADDRESS

__all__ = [
    "FIRST_LAYOUT",
    "LAYOUT",
    "MAX_MEMBERS",
    "MIN_MEMBERS",
    "PAIRWISE",
    "STAND_IN_LENGTH",
    "VECTOR",
    "EncodedMember",
    "EncodedTerms",
    "ScalarTerms",
    "check_terms",
    "contract_name",
]

MIN_MEMBERS = 2
MAX_MEMBERS = 120
"""Records and pair weights of 120 members fill a contract's 24,576 bytes of code."""
BALANCE_LIMIT = 1 << 127
"""All liabilities together, and all balances together, stay below this many wei."""
PAIRWISE, VECTOR = range(2)
FIRST_LAYOUT, LAYOUT = 1, 2
"""Versions of the contracts and of what the terms hash covers: without stand-ins, and with their hash behind that of
the triangle."""
STAND_IN_LENGTH = 16
"""Bytes of a packed stand-in: its score as a signed integer."""
HOUR = 3_600
YEAR = 365 * 24 * HOUR


@dataclass(frozen=True, slots=True)
class EncodedMember:
    """One member's record: EIP-55 address, caps (uint64), weight (uint64, 1e9 = 1), offset (int128, 1e18 = 1).

    In vector mode the weight is zero, and the member's largest debit in wei stands in the offset's place.
    """

    account: str
    data_cap: int
    generated_cap: int
    compute_cap: int
    weight: int
    offset: int

    @property
    def packed(self) -> bytes:
        """The 68 bytes of the record as the parties agree on it."""
        return (
            bytes.fromhex(self.account[2:])
            + b"".join(v.to_bytes(8, "big") for v in (self.data_cap, self.generated_cap, self.compute_cap, self.weight))
            + self.offset.to_bytes(16, "big", signed=True)
        )


@dataclass(frozen=True, slots=True)
class ScalarTerms:
    """The scalar terms in the order of ``IConsortium.Terms``, which is their order in the terms hash.

    Windows and gap in seconds, quorum in basis points, bond in wei, ``dispute_default`` 0 settle or 1 void, ``mode``
    0 pairwise or 1 vector; fixed point ``wad``: 1e18 = 1.
    """

    gamma_wad: int
    generated_weight_wad: int
    lambda_wad: int
    attester: str
    arbiter: str
    token: str
    submit_window: int
    dispute_window: int
    arbiter_window: int
    min_gap: int
    quorum: int
    min_members: int
    max_rounds: int
    dispute_bond: int
    dispute_default: int
    test: bool
    mode: int
    document_hash: bytes

    @property
    def values(self) -> tuple[int | bool | bytes | str, ...]:
        """The scalars as the contract's ``terms()`` returns them."""
        return tuple(getattr(self, name) for name in self.__dataclass_fields__)


@dataclass(frozen=True)
class EncodedTerms:
    """Terms ready to be deployed.

    ``members`` are in contract order (ascending addresses); ``positions[n]`` is the contract index of the n-th
    organization of the terms file and ``names[n]`` its name. ``pair_weights`` is k, the full symmetric matrix in
    contract order with a zero diagonal; all zero in vector mode. ``wei_per_unit`` (wei per unit of currency) is part of
    gammaWad only. ``stand_ins`` are the scores (1e18 = 1) by which members pay for rounds that they are absent from, in
    contract order; empty where who is absent is masked. ``layout`` is :data:`LAYOUT`, or :data:`FIRST_LAYOUT` for a
    consortium of its time.
    """

    members: tuple[EncodedMember, ...]
    pair_weights: tuple[tuple[int, ...], ...]
    scalars: ScalarTerms
    positions: tuple[int, ...]
    names: tuple[str, ...]
    wei_per_unit: int
    stand_ins: tuple[int, ...] = ()
    layout: int = LAYOUT

    @cached_property
    def organizations(self) -> tuple[int, ...]:
        """The inverse of ``positions``: the organization at each contract index."""
        inverse = [0] * len(self.positions)
        for organization, position in enumerate(self.positions):
            inverse[position] = organization
        return tuple(inverse)

    @property
    def contract_name(self) -> str:
        """The contract that these terms are deployed in."""
        return contract_name(self.scalars.token, self.scalars.mode)

    @property
    def is_vector(self) -> bool:
        """Whether the attester signs the transfers."""
        return self.scalars.mode == VECTOR

    def in_contract_order(self, values: Sequence[int]) -> tuple[int, ...]:
        """Return one value per organization of the terms file in the order of the contract's members.

        Raises
        ------
        ArgumentOutOfRange
            There are more or fewer values than organizations.
        """
        if len(values) != len(self.organizations):
            raise ArgumentOutOfRange("values", len(values), f"one value for each of {len(self.organizations)} members")
        return tuple(values[organization] for organization in self.organizations)

    @cached_property
    def records(self) -> bytes:
        """The packed member records that the constructor takes, 68 bytes each."""
        return b"".join(member.packed for member in self.members)

    @cached_property
    def triangle(self) -> bytes:
        """The packed pair weights that the constructor takes: k_ij for i < j, row by row, two bytes each.

        Empty in vector mode.
        """
        if self.is_vector:
            return b""
        return b"".join(weight.to_bytes(2, "big") for i, row in enumerate(self.pair_weights) for weight in row[i + 1 :])

    @cached_property
    def blob(self) -> bytes:
        """The code of the contract that stores the terms: STOP, records each with its liability, triangle."""
        stored = (
            member.packed + liability.to_bytes(16, "big")
            for member, liability in zip(self.members, self.liabilities, strict=True)
        )
        return b"\0" + b"".join(stored) + self.triangle

    @cached_property
    def packed_stand_ins(self) -> bytes:
        """The packed stand-in scores that the constructor takes, 16 bytes each; empty where who is absent is masked."""
        return b"".join(score.to_bytes(STAND_IN_LENGTH, "big", signed=True) for score in self.stand_ins)

    @cached_property
    def terms_hash(self) -> bytes:
        """The 32-byte hash that every deposit accepts and every attestation names."""
        parts = [self.records, self.triangle, *([self.packed_stand_ins] if self.layout >= LAYOUT else [])]
        return keccak256(words(*map(keccak256, parts), *self.scalars.values))

    @property
    def stand_ins_blob(self) -> bytes:
        """The code of the contract that stores the stand-ins: STOP, then they; empty where there is none."""
        return b"\0" + self.packed_stand_ins if self.stand_ins else b""

    def hashed_as(self, terms_hash: bytes) -> EncodedTerms:
        """Return the same terms in the layout in which they have this hash; as they are where there is none."""
        for layout in (LAYOUT,) if self.stand_ins else (LAYOUT, FIRST_LAYOUT):
            if self.in_layout(layout).terms_hash == terms_hash:
                return self.in_layout(layout)
        return self

    def in_layout(self, layout: int) -> EncodedTerms:
        """Return the same terms as a contract of ``layout`` holds them.

        Raises
        ------
        ArgumentOutOfRange
            The first layout has no place for stand-ins.
        """
        if layout < LAYOUT and self.stand_ins:
            raise ArgumentOutOfRange("layout", layout, f"{LAYOUT}: these terms have stand-ins for absent members")
        return self if layout == self.layout else replace(self, layout=layout)

    @cached_property
    def largest_scores(self) -> tuple[int, ...]:
        """X of each member at its caps (1e18 = one real sample)."""
        return tuple(self.score(i, m.data_cap, m.generated_cap, m.compute_cap) for i, m in enumerate(self.members))

    @cached_property
    def liabilities(self) -> tuple[int, ...]:
        """L_i, wei: the most that a round can take from each member, in contract order; agreed in vector mode."""
        if self.is_vector:
            return tuple(member.offset for member in self.members)
        offsets = [member.offset for member in self.members]
        return kernel.liabilities(self.pair_weights, self.scalars.gamma_wad, offsets, self.largest_scores)

    def score(self, index: int, data: int, generated: int, compute: int) -> int:
        """Return X of a member's contribution (1e18 = one real sample)."""
        scalars, member = self.scalars, self.members[index]
        parts = kernel.sum_of_parts(data, generated, compute, scalars.generated_weight_wad, scalars.lambda_wad)
        return kernel.score(parts, member.weight, member.offset)

    def scores(self, contributions: Sequence[tuple[int, int, int] | None]) -> tuple[int | None, ...]:
        """Return X of each member's (data, generated, compute), None where it is masked, in contract order."""
        return tuple(None if parts is None else self.score(i, *parts) for i, parts in enumerate(contributions))

    def payoffs(self, contributions: Sequence[tuple[int, int, int] | None], absent: int = 0) -> tuple[int, ...]:
        """Return the transfers in wei, in contract order, that these contributions settle to.

        ``absent`` is the bitmap of the participants who have not contributed: they pay by their stand-ins, where the
        terms have any. Whoever else has not contributed (None) is masked.

        Raises
        ------
        WrongMode
            In vector mode transfers do not follow from contributions.
        """
        if self.is_vector:
            raise WrongMode(VECTOR, PAIRWISE)
        paying = [score if absent >> index & 1 else None for index, score in enumerate(self.stand_ins)]
        return kernel.payoffs(self.pair_weights, self.scalars.gamma_wad, self.scores(contributions), paying)


def contract_name(token: str, mode: int) -> str:
    """Return the name of the contract, and of its artifact, for terms with this token (zero: ether) and mode."""
    return ("Vector" if mode == VECTOR else "") + "Consortium" + ("Native" if token == ZERO_ADDRESS else "ERC20")


def check_terms(terms: EncodedTerms) -> None:
    """Refuse the terms that the contract's constructor refuses, with the same error, in the same order.

    Only a chain knows whether there is a token at an address: where there is none, the constructor refuses the terms
    with UnsupportedToken.

    Raises
    ------
    MemberCountOutOfRange, MembersNotSorted, StandInsLengthInvalid, TermOutOfRange, ArithmeticBound, StandInOutOfRange
        See ``chain.errors.chain``.
    """
    count = len(terms.members)
    if not MIN_MEMBERS <= count <= MAX_MEMBERS:
        raise MemberCountOutOfRange(count, MIN_MEMBERS, MAX_MEMBERS)
    previous = 0
    for index, member in enumerate(terms.members):
        account = int(member.account, 16)
        if account <= previous:
            raise MembersNotSorted(index)
        previous = account
    length, expected = len(terms.packed_stand_ins), 0 if terms.is_vector else STAND_IN_LENGTH * count
    if length not in (0, expected):
        raise StandInsLengthInvalid(length, expected)
    _check_scalars(terms.scalars, count)
    _check_bounds(terms)


def _check_scalars(scalars: ScalarTerms, count: int) -> None:
    shortest = 1 if scalars.test else HOUR
    _within("attester", int(scalars.attester, 16), 1, (1 << 160) - 1)
    _within("arbiter", int(scalars.arbiter, 16), 1, (1 << 160) - 1)
    _within("submitWindow", scalars.submit_window, shortest, YEAR)
    _within("disputeWindow", scalars.dispute_window, shortest, YEAR)
    _within("arbiterWindow", scalars.arbiter_window, shortest, YEAR)
    _within("minGap", scalars.min_gap, shortest, YEAR)
    _within("quorum", scalars.quorum, 1, 10_000)
    _within("minMembers", scalars.min_members, MIN_MEMBERS, count)
    _within("maxRounds", scalars.max_rounds, 1, (1 << 32) - 1)
    _within("disputeDefault", scalars.dispute_default, 0, 1)
    own = VECTOR if scalars.mode == VECTOR else PAIRWISE
    _within("mode", scalars.mode, own, own)
    _within("documentHash", int.from_bytes(scalars.document_hash, "big"), 1, (1 << 256) - 1)


def _within(field: str, value: int, minimum: int, maximum: int) -> None:
    if not minimum <= value <= maximum:
        raise TermOutOfRange(field, value, minimum, maximum)


def _check_bounds(terms: EncodedTerms) -> None:
    if terms.is_vector:
        _within("gammaWad", terms.scalars.gamma_wad, 0, 0)
        for member in terms.members:
            _within("weight", member.weight, 0, 0)
            # the contract reads a negative debit as a huge unsigned one
            _within("maxDebit", member.offset % (1 << 256), 0, BALANCE_LIMIT - 1)
    else:
        _check_scores(terms)
    if sum(terms.liabilities) >= BALANCE_LIMIT:
        raise ArithmeticBound("liabilities")


def _check_scores(terms: EncodedTerms) -> None:
    offsets = [member.offset for member in terms.members]
    if any(offset <= -kernel.SCORE_LIMIT for offset in offsets) or max(terms.largest_scores) >= kernel.SCORE_LIMIT:
        raise ArithmeticBound("score")
    spread = max(terms.largest_scores) - min(offsets)
    if (terms.scalars.gamma_wad * spread) << 16 >= kernel.SPREAD_LIMIT:
        raise ArithmeticBound("spread")
    for index, score in enumerate(terms.stand_ins):
        if not offsets[index] <= score <= terms.largest_scores[index]:
            raise StandInOutOfRange(index, score, offsets[index], terms.largest_scores[index])
