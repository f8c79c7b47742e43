"""The pairwise settlement kernel in Python integers, bit for bit the contract's (``PairwiseKernel.sol``).

Scores, transfers and liabilities are functions of whole numbers only, so that everybody computes the same wei. In
the notation of the design: S_i = data·1e18 + generatedWeightWad·generated + lambdaWad·compute,
X_i = offset_i + S_i·weight_i / 1e9, Y_i = gammaWad·X_i, r_ij = trunc0(k_ij·(Y_i − Y_j) / (65535·1e36)), R_i = Σ_j r_ij.
With weight 1e9 and offset 0, R is TradeFL's Eq. (9). Truncation toward zero is odd, so Σ R_i = 0 exactly and in any
order of summation; each R_i differs from the exact rational by less than N − 1 wei.

Who is absent pays every contributor m what it would have owed with its stand-in's score X_a, max(0, r_ma), and receives
nothing; nothing moves between two who are absent. So R_a(silent) ≤ R_a(delivering any score ≥ X_a), whatever the
others do, and a contributor gets from an absent member exactly what it would have got from its stand-in.

Left out: where the integers come from (``chain.encoding.codec``) and what is done with the transfers
(``chain.twin.machine``).
"""

from __future__ import annotations

from collections.abc import Sequence

__all__ = [
    "PAIR_WEIGHT_MAX",
    "PARTS",
    "SCORE_LIMIT",
    "SPREAD_LIMIT",
    "TRANSFER_DIVISOR",
    "WAD",
    "WEIGHT_ONE",
    "liabilities",
    "payoffs",
    "score",
    "sum_of_parts",
    "trunc0",
]

PARTS = ("data", "generated", "compute")
"""What a contribution consists of, in the order of the contract."""
WAD = 10**18
"""Fixed point of scores: one real sample."""
WEIGHT_ONE = 10**9
"""Fixed point of score weights."""
PAIR_WEIGHT_MAX = 65_535
"""k of the pair with the largest competition σ_max."""
TRANSFER_DIVISOR = PAIR_WEIGHT_MAX * WAD * WAD
"""Takes k·gammaWad·X to wei."""
SCORE_LIMIT = 1 << 127
"""Every reachable score X lies strictly between −2^127 and 2^127."""
SPREAD_LIMIT = 1 << 255
"""2^16 · gammaWad · (largest − smallest reachable score) stays strictly below this, so no pair term overflows."""


def trunc0(numerator: int, denominator: int) -> int:
    """Divide toward zero, as Solidity's signed ``/`` and the EVM's SDIV do; ``denominator`` > 0."""
    return numerator // denominator if numerator >= 0 else -(-numerator // denominator)


def sum_of_parts(data: int, generated: int, compute: int, generated_weight_wad: int, lambda_wad: int) -> int:
    """Return S, the weighted sum of a contribution's parts, 1e18 = one real sample."""
    return data * WAD + generated_weight_wad * generated + lambda_wad * compute


def score(parts: int, weight: int, offset: int) -> int:
    """Return X = offset + S·weight / 1e9 (1e18 = one real sample) for S = ``parts`` ≥ 0 and ``weight`` ≥ 0."""
    return offset + parts * weight // WEIGHT_ONE


def payoffs(
    pair_weights: Sequence[Sequence[int]],
    gamma_wad: int,
    scores: Sequence[int | None],
    absent: Sequence[int | None] = (),
) -> tuple[int, ...]:
    """Return the transfers R in wei, positive when received; they sum to 0.

    ``pair_weights`` is k, symmetric N×N; ``scores[i]`` is X_i, or None for a member who has not contributed.
    ``absent[i]`` is then its stand-in's score, by which it pays, or None where it is masked: it neither pays nor
    receives, and nobody is compared with it. No ``absent`` at all: whoever has not contributed is masked.
    """
    result = [0] * len(scores)
    present = [(i, gamma_wad * x) for i, x in enumerate(scores) if x is not None]
    for position, (i, own) in enumerate(present):
        row = pair_weights[i]
        for j, other in present[position + 1 :]:
            transfer = trunc0(row[j] * (own - other), TRANSFER_DIVISOR)
            result[i] += transfer
            result[j] -= transfer
    for a, stand_in in enumerate(absent):
        if stand_in is None:
            continue
        owed = gamma_wad * stand_in
        for m, other in present:
            if other > owed:
                transfer = pair_weights[a][m] * (other - owed) // TRANSFER_DIVISOR
                result[m] += transfer
                result[a] -= transfer
    return tuple(result)


def liabilities(
    pair_weights: Sequence[Sequence[int]], gamma_wad: int, offsets: Sequence[int], best_scores: Sequence[int]
) -> tuple[int, ...]:
    """Return L_i in wei: the most that member i can be made to pay in a round, whatever anyone reports.

    ``pair_weights`` is k with a zero diagonal, ``best_scores[j]`` is X_j at j's caps.
    L_i = Σ_{j≠i} max(0, trunc0(gammaWad·k_ij·(Xmax_j − offset_i) / …)): member i contributes nothing while the others
    reach their caps. A pair whose best score lies below i's offset adds nothing, because masking j takes that credit
    away. Theorem: R_i ≥ −L_i for any reports within the caps and any mask.
    """
    return tuple(
        sum(
            gamma_wad * weight * (best - offset) // TRANSFER_DIVISOR
            for weight, best in zip(pair_weights[i], best_scores, strict=True)
            if best > offset
        )
        for i, offset in enumerate(offsets)
    )
