"""The mistakes that charging absent members by their stand-ins invites; the tests must notice each."""

from __future__ import annotations

from mutants import CHECK, KERNEL, STATE, Mutant, concrete

__all__ = ["ABSENCE"]

ABSENCE: tuple[Mutant, ...] = (
    concrete(
        "an absent member receives, too",
        "absence",
        """                            if sgt(ahead, 0) {
                                ahead := div(""",
        """                            if 1 {
                                ahead := sdiv(""",
        path=KERNEL,
    ),
    concrete(
        "an absent member pays twice",
        "absence",
        "            emit Absent(_number, absent);",
        "            PairwiseKernel.charge(GAMMA_WAD, triangle, scores, submitted, absent, payoffs);\n"
        "            emit Absent(_number, absent);",
    ),
    concrete(
        "two absent members pay each other",
        "absence",
        "charge(GAMMA_WAD, triangle, scores, submitted, absent, payoffs);",
        "charge(GAMMA_WAD, triangle, scores, submitted | absent, absent, payoffs);",
    ),
    concrete(
        "an absent member pays by another's stand-in",
        "absence",
        "scores[i] = StandIns.decode(standIns, i);",
        "scores[i] = StandIns.decode(standIns, i == 0 ? 1 : i - 1);",
    ),
    concrete(
        "the solvent bit of an absent member is stale after a settlement",
        "absence",
        "solvent_ = solvent_.set(i, balance >= TermsBlob.decodeLiability(record));",
        "if (!_awaited.has(i)) solvent_ = solvent_.set(i, balance >= TermsBlob.decodeLiability(record));",
    ),
    concrete(
        "the solvent bit is stale after a bond is forfeited",
        "absence",
        "_solvent = _solvent.set(disputant, balance >= TermsBlob.decodeLiability(record));",
    ),
    concrete(
        "an absent member is not debited",
        "absence",
        "uint120 settling = _settling();",
        "uint120 settling = _submitted();",
    ),
    concrete(
        "what an absent member owes is not kept",
        "absence",
        "uint120 settling = submitted | absent;",
        "uint120 settling = submitted;",
    ),
    concrete("nobody is told who is absent", "absence", "            emit Absent(_number, absent);"),
    concrete(
        "who takes no part is charged",
        "absence",
        "STAND_INS == address(0) ? 0 : _awaited;",
        "STAND_INS == address(0) ? 0 : uint120(uint256(~_submitted()) & ((1 << MEMBER_COUNT) - 1));",
        path=STATE,
    ),
    concrete(
        "the weight of another pair is charged",
        "absence",
        "                if gt(i, j) {",
        "                if 0 {",
        path=KERNEL,
    ),
    concrete(
        "an absent member needs its liability and the bond to appeal",
        "absence",
        "if (!_absent().has(index)) return liability + DISPUTE_BOND;",
        "if (!_absent().has(index) || true) return liability + DISPUTE_BOND;",
    ),
    concrete(
        "an absent member appeals without the dispute bond",
        "absence",
        "needed = uint256(-payoffs[index]) + DISPUTE_BOND;",
        "needed = uint256(-payoffs[index]);",
    ),
    concrete(
        "the liability can be withdrawn while an absent member disputes",
        "absence",
        "if (needed < liability) needed = liability;",
    ),
    concrete(
        "what is below the liability cannot even be asked for",
        "absence",
        "balance > locked ? balance - locked : 0;",
        "balance - locked;",
    ),
    concrete(
        "a pending payoff of an absent member does not show",
        "absence",
        "_phase == Phase.Calculated && _settling().has(index) ?",
        "_phase == Phase.Calculated && _submitted().has(index) ?",
        path=STATE,
    ),
    concrete(
        "the terms hash does not cover the stand-ins",
        "constructor",
        "keccak256(abi.encode(keccak256(records), keccak256(triangle), keccak256(standIns), agreed));",
        "keccak256(abi.encode(keccak256(records), keccak256(triangle), keccak256(bytes('')), agreed));",
        path=STATE,
    ),
    concrete(
        "a stand-in below what its member can score passes",
        "constructor",
        "score >= offsets[i] && score <= largest[i],",
        "score <= largest[i],",
        path=CHECK,
    ),
    concrete(
        "a stand-in above what its member can score passes",
        "constructor",
        "score >= offsets[i] && score <= largest[i],",
        "score >= offsets[i],",
        path=CHECK,
    ),
    concrete(
        "some stand-ins are missing",
        "constructor",
        "scores.length == 0 || scores.length == expected,",
        "scores.length <= expected,",
        path=CHECK,
    ),
)
