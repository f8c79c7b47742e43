"""The only codec between the engine's floats and the contract's integers.

Encode first, then play: the terms are rounded to integers once, here, and the engine builds its game from what the
integers decode to, so the game and the contract are the same function. Every float is taken at its exact binary
value and every rounding is half to even on the exact rational, so any correct implementation gets the same bytes:
k_ij = round(65535·σ_ij/σ_max) with σ = (ρ + ρᵀ)/2, gammaWad = round(incentive·σ_max·wei_per_unit·1e18),
weight = round(w·1e9), offset = round(o·1e18). Sixteen bits
relative to the largest competition shift transfers by a few 1e-6. A stand-in becomes the score of its integers.

Where nobody competes (σ_max = 0) all pair weights and gammaWad are 0: the terms are valid, bonds are 0 and no round
moves money. In vector mode the attester signs the transfers: competition, incentive and scores have no place in the
contract, so they are not encoded, and decode to zero; the members' largest debits take the offsets' place.

The integer kernel itself is ``chain.encoding.kernel``; packing, hash and the contract's limits are
``chain.encoding.terms``.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import SupportsIndex

import numpy as np

from chain.abi import ADDRESS, checksum_address, is_address
from chain.encoding import kernel
from chain.encoding.terms import EncodedMember, EncodedTerms, ScalarTerms, check_terms
from chain.errors.chain import ArgumentOutOfRange, UnencodableTerms
from cocogen.errors import FieldProblem
from cocogen.ledger import DecodedTerms, Member, SettlementTerms

__all__ = ["EncodedMember", "EncodedTerms", "ScalarTerms", "check_terms", "decode", "encode", "predict"]

_DISPUTE_DEFAULTS = {"settle": 0, "void": 1}
_MODES = {"pairwise": 0, "vector": 1}


def encode(terms: SettlementTerms) -> EncodedTerms:
    """Round the terms to the contract's integers, members sorted by address.

    Raises
    ------
    UnencodableTerms
        A value is not finite, or does not fit its integer; all fields at fault are named. Whether the contract
        accepts the integers is another question: :func:`chain.encoding.terms.check_terms`.
    """
    problems = _Problems()
    members = [
        _encode_member(member, f"members[{n}] ({member.name})", terms.mode == "vector", problems)
        for n, member in enumerate(terms.members)
    ]
    _check_distinct(terms.members, problems)
    vector = terms.mode == "vector"
    doubled, unit = ([[0] * len(members)] * len(members), 1) if vector else _symmetric_competition(terms, problems)
    largest = max((value for row in doubled for value in row), default=0)
    wei_per_unit = problems.integer("wei_per_unit", terms.wei_per_unit, 256, minimum=1)
    rate = Fraction(0) if vector else problems.exact("incentive", terms.incentive) * Fraction(largest, unit)
    formula = "incentive · σ_max · wei_per_unit · 1e18"
    gamma_wad = problems.fit("incentive", rate * wei_per_unit * kernel.WAD, 160, formula)
    scalars = ScalarTerms(
        gamma_wad=gamma_wad,
        generated_weight_wad=problems.fixed("generated_weight", terms.generated_weight, kernel.WAD, 128),
        lambda_wad=problems.fixed("compute_weight", terms.compute_weight, kernel.WAD, 128),
        attester=problems.address("attester", terms.attester),
        arbiter=problems.address("arbiter", terms.arbiter),
        token=problems.address("token", terms.token),
        submit_window=problems.integer("submit_window", terms.submit_window, 32),
        dispute_window=problems.integer("dispute_window", terms.dispute_window, 32),
        arbiter_window=problems.integer("arbiter_window", terms.arbiter_window, 32),
        min_gap=problems.integer("minimum_gap", terms.minimum_gap, 32),
        quorum=problems.integer("quorum_bps", terms.quorum_bps, 16),
        min_members=problems.integer("minimum_members", terms.minimum_members, 8),
        max_rounds=problems.integer("maximum_rounds", terms.maximum_rounds, 32),
        dispute_bond=problems.integer("dispute_bond", terms.dispute_bond, 128),
        dispute_default=problems.choice("dispute_default", terms.dispute_default, _DISPUTE_DEFAULTS),
        test=bool(terms.test),
        mode=problems.choice("mode", terms.mode, _MODES),
        document_hash=problems.digest("document_hash", terms.document_hash),
    )
    stand_ins = _stand_ins(terms.members, members, scalars, problems)
    problems.raise_if_any()

    order = sorted(range(len(members)), key=lambda n: int(members[n].account, 16))
    positions = [0] * len(members)
    for position, organization in enumerate(order):
        positions[organization] = position
    return EncodedTerms(
        members=tuple(members[n] for n in order),
        pair_weights=tuple(
            tuple(_round_half_even(kernel.PAIR_WEIGHT_MAX * doubled[n][m], largest) if largest else 0 for m in order)
            for n in order
        ),
        scalars=scalars,
        positions=tuple(positions),
        names=tuple(member.name for member in terms.members),
        wei_per_unit=wei_per_unit,
        stand_ins=tuple(stand_ins[n] for n in order) if stand_ins else (),
    )


def decode(encoded: EncodedTerms) -> DecodedTerms:
    """Return the floats that the integers stand for, in the order of the terms file.

    Each is the float nearest to the exact rational: rates gammaWad·k/(65535·1e18·wei_per_unit), weights weight/1e9,
    offsets offset/1e18; all zero in vector mode.
    """
    order = encoded.positions
    unit = kernel.PAIR_WEIGHT_MAX * kernel.WAD * encoded.wei_per_unit
    gamma_wad = encoded.scalars.gamma_wad
    # Python's division of two integers rounds the exact quotient to the nearest float
    rates = [[gamma_wad * encoded.pair_weights[i][j] / unit for j in order] for i in order]
    members = [encoded.members[i] for i in order]
    return DecodedTerms(
        rates=np.array(rates, dtype=np.float64),
        score_weights=np.array([member.weight / kernel.WEIGHT_ONE for member in members], dtype=np.float64),
        score_offsets=np.array(
            [0.0 if encoded.is_vector else member.offset / kernel.WAD for member in members], dtype=np.float64
        ),
        generated_weight=encoded.scalars.generated_weight_wad / kernel.WAD,
        compute_weight=encoded.scalars.lambda_wad / kernel.WAD,
        wei_per_unit=encoded.wei_per_unit,
        liabilities=tuple(encoded.liabilities[i] for i in order),
        terms_hash=encoded.terms_hash,
        stand_in_scores=np.array([encoded.stand_ins[i] / kernel.WAD for i in order], dtype=np.float64)
        if encoded.stand_ins
        else None,
    )


def predict(
    encoded: EncodedTerms, contributions: Sequence[tuple[int, int, int] | None], absent: Collection[int] = ()
) -> tuple[int, ...]:
    """Return the transfers in wei for (data, generated, compute) per organization, both in the terms file's order.

    ``absent`` names the organizations that take part in the round without contributing: they pay by their stand-ins,
    where the terms have any. All others without a contribution (None) are masked.

    Raises
    ------
    WrongMode
        In vector mode transfers do not follow from contributions.
    ArgumentOutOfRange
        An organization is said to be absent that contributes, or that there is not.
    """
    silent = [n for n, parts in enumerate(contributions) if parts is None]
    for organization in absent:
        if organization not in silent:
            raise ArgumentOutOfRange("absent", organization, f"organizations without a contribution: {silent}")
    by_position = [contributions[organization] for organization in encoded.organizations]
    payoffs = encoded.payoffs(by_position, sum(1 << encoded.positions[organization] for organization in set(absent)))
    return tuple(payoffs[position] for position in encoded.positions)


@dataclass
class _Problems:
    """Converts single values and gathers every one that does not fit, so that the user sees all at once."""

    found: list[FieldProblem] = field(default_factory=list)

    def add(self, name: str, value: object, valid: str) -> None:
        self.found.append(FieldProblem(name, str(value), valid))

    def raise_if_any(self) -> None:
        if self.found:
            raise UnencodableTerms(self.found)

    def exact(self, name: str, value: float) -> Fraction:
        """Return the exact rational value of a finite float, or 0 with a problem."""
        if not math.isfinite(value):
            self.add(name, value, "a finite number")
            return Fraction(0)
        return Fraction(value)

    def fixed(self, name: str, value: float, one: int, bits: int, *, signed: bool = False) -> int:
        """Return ``value`` as a fixed-point integer in which ``one`` stands for 1."""
        return self.fit(
            name, self.exact(name, value) * one, bits, f"{name.rpartition('.')[2]} · {one:.0e}", signed=signed
        )

    def fit(self, name: str, value: Fraction, bits: int, formula: str, *, signed: bool = False) -> int:
        """Round half to even and require the result to fit ``bits`` bits."""
        rounded = round(value)
        low, high = (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if signed else (0, (1 << bits) - 1)
        if not low <= rounded <= high:
            self.add(name, f"{formula} = {rounded}", f"an integer from {low} to {high}")
            return 0
        return rounded

    def integer(
        self, name: str, value: SupportsIndex, bits: int, *, minimum: int = 0, maximum: int | None = None
    ) -> int:
        """Require a whole number from ``minimum`` to ``maximum``, by default 2^``bits`` − 1."""
        maximum = (1 << bits) - 1 if maximum is None else maximum
        try:
            number = value.__index__()
        except (AttributeError, TypeError):
            self.add(name, repr(value), "a whole number")
            return minimum
        if not minimum <= number <= maximum:
            self.add(name, number, f"a whole number from {minimum} to {maximum}")
            return minimum
        return number

    def address(self, name: str, value: str) -> str:
        if not is_address(value):
            self.add(name, repr(value), ADDRESS)
            return "0x" + "00" * 20
        return checksum_address(value)

    def choice(self, name: str, value: str, choices: dict[str, int]) -> int:
        if value not in choices:
            self.add(name, repr(value), "one of " + ", ".join(choices))
            return 0
        return choices[value]

    def digest(self, name: str, value: bytes) -> bytes:
        if not isinstance(value, bytes) or len(value) != 32:
            self.add(name, repr(value), "32 bytes")
            return bytes(32)
        return value


def _encode_member(member: Member, name: str, vector: bool, problems: _Problems) -> EncodedMember:
    if vector:
        weight, offset = 0, problems.integer(f"{name}.max_debit", member.max_debit, 127)
    else:
        weight = problems.fixed(f"{name}.score_weight", member.score_weight, kernel.WEIGHT_ONE, 64)
        offset = problems.fixed(f"{name}.score_offset", member.score_offset, kernel.WAD, 128, signed=True)
        if member.max_debit != 0:
            problems.add(
                f"{name}.max_debit", member.max_debit, "0 in pairwise mode, where the bond follows from the caps"
            )
    return EncodedMember(
        account=problems.address(f"{name}.address", member.address),
        data_cap=problems.integer(f"{name}.data_cap", member.data_cap, 64),
        generated_cap=problems.integer(f"{name}.generated_cap", member.generated_cap, 64),
        compute_cap=problems.integer(f"{name}.compute_cap", member.compute_cap, 64),
        weight=weight,
        offset=offset,
    )


def _stand_ins(
    agreed: Sequence[Member], members: Sequence[EncodedMember], scalars: ScalarTerms, problems: _Problems
) -> list[int]:
    """Return the score of each member's stand-in, in the order of the terms file; none if who is absent is masked."""
    if all(member.stand_in is None for member in agreed):
        return []
    scores = []
    for n, (member, encoded) in enumerate(zip(agreed, members, strict=True)):
        name = f"members[{n}] ({member.name}).stand_in"
        if scalars.mode == _MODES["vector"]:
            problems.add(name, member.stand_in, "None in vector mode, where payoffs do not follow from contributions")
            continue
        if member.stand_in is None or len(member.stand_in) != len(kernel.PARTS):
            valid = f"{len(kernel.PARTS)} whole numbers (data, generated, compute), since other members have a stand-in"
            problems.add(name, member.stand_in, valid)
            continue
        caps = (encoded.data_cap, encoded.generated_cap, encoded.compute_cap)
        data, generated, compute = (
            problems.integer(f"{name} ({part})", value, 64, maximum=cap)
            for part, value, cap in zip(kernel.PARTS, member.stand_in, caps, strict=True)
        )
        total = kernel.sum_of_parts(data, generated, compute, scalars.generated_weight_wad, scalars.lambda_wad)
        score = Fraction(kernel.score(total, encoded.weight, encoded.offset))
        scores.append(problems.fit(name, score, 128, "its score · 1e18", signed=True))
    return scores


def _check_distinct(members: Sequence[Member], problems: _Problems) -> None:
    owners: dict[str, int] = {}
    for n, member in enumerate(members):
        owner = owners.setdefault(str(member.address).lower(), n)
        if owner != n:
            valid = f"another address than that of members[{owner}] ({members[owner].name})"
            problems.add(f"members[{n}] ({member.name}).address", member.address, valid)


def _symmetric_competition(terms: SettlementTerms, problems: _Problems) -> tuple[list[list[int]], int]:
    """Return σ = (ρ + ρᵀ)/2 exactly, as integer numerators over one common denominator.

    Every float is an integer over a power of two, so a common denominator exists; integers are several times faster
    here than rationals that cancel after every step. No rows where ρ is no competition matrix.
    """
    rho, count = terms.competition, len(terms.members)
    if len(rho) != count or any(len(row) != count for row in rho):
        problems.add("competition", f"{len(rho)} rows", f"a {count} × {count} matrix, one row per member")
        return [], 1
    sound = True
    for n, row in enumerate(rho):
        for m, value in enumerate(row):
            if not 0.0 <= value <= 1.0 or (n == m and value != 0.0):
                valid = "0 on the diagonal" if n == m else "a number from 0 to 1"
                problems.add(f"competition[{n}][{m}] ({terms.members[n].name}, {terms.members[m].name})", value, valid)
                sound = False
    if not sound:
        return [], 1
    ratios = [[float(value).as_integer_ratio() for value in row] for row in rho]
    common = max((denominator for row in ratios for _, denominator in row), default=1)
    scaled = [[numerator * (common // denominator) for numerator, denominator in row] for row in ratios]
    return [[scaled[n][m] + scaled[m][n] for m in range(count)] for n in range(count)], 2 * common


def _round_half_even(numerator: int, denominator: int) -> int:
    """Round a quotient of non-negative integers to the nearest integer, ties to even."""
    quotient, rest = divmod(numerator, denominator)
    return quotient + (2 * rest > denominator or (2 * rest == denominator and quotient % 2 == 1))
