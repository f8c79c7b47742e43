"""The mistakes that charging absent members by their stand-ins invites; the tests must notice each."""

from __future__ import annotations

from mutants import CHECK, CORE, KERNEL, STATE, Mutant, concrete

__all__ = ["ABSENCE"]

ABSENCE: tuple[Mutant, ...] = (
    concrete(
        "an absent member receives, too",
        KERNEL,
        """                            if sgt(ahead, 0) {
                                ahead := div(""",
        """                            if 1 {
                                ahead := sdiv(""",
        "absence",
    ),
    concrete(
        "an absent member pays twice",
        CORE,
        "            emit Absent(_number, absent);",
        "            PairwiseKernel.charge(GAMMA_WAD, triangle, scores, submitted, absent, payoffs);\n"
        "            emit Absent(_number, absent);",
        "absence",
    ),
    concrete(
        "two absent members pay each other",
        CORE,
        "charge(GAMMA_WAD, triangle, scores, submitted, absent, payoffs);",
        "charge(GAMMA_WAD, triangle, scores, submitted | absent, absent, payoffs);",
        "absence",
    ),
    concrete(
        "an absent member pays by another's stand-in",
        CORE,
        "scores[i] = StandIns.decode(standIns, i);",
        "scores[i] = StandIns.decode(standIns, i == 0 ? 1 : i - 1);",
        "absence",
    ),
    concrete(
        "the solvent bit of an absent member is stale after a settlement",
        CORE,
        "solvent_ = solvent_.set(i, balance >= TermsBlob.decodeLiability(record));",
        "if (!_awaited.has(i)) solvent_ = solvent_.set(i, balance >= TermsBlob.decodeLiability(record));",
        "absence",
    ),
    concrete(
        "the solvent bit is stale after a bond is forfeited",
        CORE,
        "_solvent = _solvent.set(disputant, balance >= TermsBlob.decodeLiability(record));",
        "",
        "absence",
    ),
    concrete(
        "an absent member is not debited",
        CORE,
        "uint120 settling = _settling();",
        "uint120 settling = _submitted();",
        "absence",
    ),
    concrete(
        "what an absent member owes is not kept",
        CORE,
        "uint120 settling = submitted | absent;",
        "uint120 settling = submitted;",
        "absence",
    ),
    concrete("nobody is told who is absent", CORE, "            emit Absent(_number, absent);", "", "absence"),
    concrete(
        "who takes no part is charged",
        STATE,
        "STAND_INS == address(0) ? 0 : _awaited;",
        "STAND_INS == address(0) ? 0 : uint120(uint256(~_submitted()) & ((1 << MEMBER_COUNT) - 1));",
        "absence",
    ),
    concrete(
        "the weight of another pair is charged",
        KERNEL,
        "                if gt(i, j) {",
        "                if 0 {",
        "absence",
    ),
    concrete(
        "an absent member needs its liability and the bond to appeal",
        CORE,
        "if (!_absent().has(index)) return liability + DISPUTE_BOND;",
        "if (!_absent().has(index) || true) return liability + DISPUTE_BOND;",
        "absence",
    ),
    concrete(
        "an absent member appeals without the dispute bond",
        CORE,
        "needed = uint256(-payoffs[index]) + DISPUTE_BOND;",
        "needed = uint256(-payoffs[index]);",
        "absence",
    ),
    concrete(
        "the liability can be withdrawn while an absent member disputes",
        CORE,
        "if (needed < liability) needed = liability;",
        "",
        "absence",
    ),
    concrete(
        "what is below the liability cannot even be asked for",
        CORE,
        "balance > locked ? balance - locked : 0;",
        "balance - locked;",
        "absence",
    ),
    concrete(
        "a pending payoff of an absent member does not show",
        STATE,
        "_phase == Phase.Calculated && _settling().has(index) ?",
        "_phase == Phase.Calculated && _submitted().has(index) ?",
        "absence",
    ),
    concrete(
        "the terms hash does not cover the stand-ins",
        STATE,
        "keccak256(abi.encode(keccak256(records), keccak256(triangle), keccak256(standIns), agreed));",
        "keccak256(abi.encode(keccak256(records), keccak256(triangle), keccak256(bytes('')), agreed));",
        "constructor",
    ),
    concrete(
        "a stand-in below what its member can score passes",
        CHECK,
        "score >= offsets[i] && score <= largest[i],",
        "score <= largest[i],",
        "constructor",
    ),
    concrete(
        "a stand-in above what its member can score passes",
        CHECK,
        "score >= offsets[i] && score <= largest[i],",
        "score >= offsets[i],",
        "constructor",
    ),
    concrete(
        "some stand-ins are missing",
        CHECK,
        "scores.length == 0 || scores.length == expected,",
        "scores.length <= expected,",
        "constructor",
    ),
)
