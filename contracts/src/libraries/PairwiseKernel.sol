// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title Scores, and the budget-balanced transfers between every pair of members
/// @notice For i < j, r_ij = trunc(k_ij · gammaWad · (X_i − X_j) / (65535 · 1e36)) goes from j to i (TradeFL, Eq. (9),
/// generalised to weighted scores). Truncation toward zero is odd, so the transfers sum to zero whatever the order.
/// @dev The pair loops are assembly: with checked arithmetic they cost eight times as much gas. They rely on
/// 2^16 · gammaWad · (max X − min X) < 2^255, which the constructor checks over all scores that the caps allow: every
/// product below then fits a signed word. gammaWad · X alone may not, but it wraps, and the difference is exact.
library PairwiseKernel {
    /// @dev 65535 (the largest pair weight) · 1e18 (gammaWad) · 1e18 (scores).
    uint256 private constant SCALE = 65535e36;

    /// @dev 1 in the fixed point of the score weights.
    uint256 private constant WEIGHT_ONE = 1e9;

    /// @dev 1 in the fixed point of scores, in which samples are counted.
    uint256 private constant WAD = 1e18;

    /// @dev Bytes of a contributor in the working list of `transfers`: gammaWad · X, place in its weight row, payoff.
    uint256 private constant ENTRY = 0x60;

    /// @notice Contribution of real samples, effective synthetic samples and compute, 1e18 = one real sample.
    /// @dev Below 2^194, so it cannot overflow.
    function quantity(
        uint256 data,
        uint256 generated,
        uint256 compute,
        uint256 generatedWeightWad,
        uint256 lambdaWad
    ) internal pure returns (uint256) {
        unchecked {
            return data * WAD + generatedWeightWad * generated + lambdaWad * compute;
        }
    }

    /// @notice Score X = offset + trunc(quantity · weight / 1e9), 1e18 = 1.
    /// @dev Exact where `isScoreBounded` holds at the member's caps and the quantity is within them.
    function score(uint256 quantity_, uint256 weight, int256 offset) internal pure returns (int256) {
        unchecked {
            return offset + int256((quantity_ * weight) / WEIGHT_ONE);
        }
    }

    /// @notice Whether |X| < 2^127 for every quantity up to `largest`.
    function isScoreBounded(uint256 largest, uint256 weight, int256 offset) internal pure returns (bool) {
        if (offset <= -(2 ** 127)) return false;
        // Above, the product could wrap; and 2^192 / 1e9 is already past the bound.
        if (weight != 0 && largest >= 2 ** 192) return false;
        return score(largest, weight, offset) < 2 ** 127;
    }

    /// @notice Whether 2^16 · gammaWad · spread < 2^255.
    function isSpreadBounded(uint256 gammaWad, uint256 spread) internal pure returns (bool) {
        return gammaWad == 0 || spread <= (2 ** 239 - 1) / gammaWad;
    }

    /// @notice The payoff of every member, wei, negative for those who pay; zero for those not in `contributors`.
    /// @param gammaWad incentive · σ_max · wei per unit · 1e18
    /// @param triangle memory address of the pair weights
    /// @param scores X of every member; those of non-contributors are ignored
    /// @param contributors bitmap of the members who contributed
    function transfers(
        uint256 gammaWad,
        uint256 triangle,
        int256[] memory scores,
        uint256 contributors
    ) internal pure returns (int256[] memory payoffs) {
        uint256 count = scores.length;
        payoffs = new int256[](count);
        assembly ("memory-safe") {
            let first := mload(0x40)
            let end := first
            for {
                let i := 0
            } lt(i, count) {
                i := add(i, 1)
            } {
                if and(shr(i, contributors), 1) {
                    mstore(end, mul(gammaWad, mload(add(add(scores, 0x20), shl(5, i)))))
                    mstore(add(end, 0x20), shl(1, i))
                    mstore(add(end, 0x40), 0)
                    end := add(end, ENTRY)
                }
            }
            for {
                let p := first
            } lt(p, end) {
                p := add(p, ENTRY)
            } {
                let y := mload(p)
                let place := mload(add(p, 0x20))
                let i := shr(1, place)
                // Where the weight of (i, 0) would be if the row were complete.
                let row := sub(add(triangle, shl(1, mul(i, count))), add(mul(i, add(i, 1)), add(place, 2)))
                let sum := mload(add(p, 0x40))
                for {
                    let q := add(p, ENTRY)
                } lt(q, end) {
                    q := add(q, ENTRY)
                } {
                    let weight := shr(240, mload(add(row, mload(add(q, 0x20)))))
                    let transfer := sdiv(mul(weight, sub(y, mload(q))), SCALE)
                    sum := add(sum, transfer)
                    let debtor := add(q, 0x40)
                    mstore(debtor, sub(mload(debtor), transfer))
                }
                mstore(add(add(payoffs, 0x20), shl(5, i)), sum)
            }
        }
    }

    /// @notice Adds to the payoffs what absent members owe by their stand-ins: max(0, r_ma) goes from every absent a to
    /// every contributor m, nothing from one absent member to another. So who is absent never gets more than for
    /// contributing as much as its stand-in, whatever the others do, and its liability bounds what it pays.
    /// @param gammaWad incentive · σ_max · wei per unit · 1e18
    /// @param triangle memory address of the pair weights
    /// @param scores X of every member; of an absent one, its stand-in's
    /// @param contributors bitmap of the members who contributed
    /// @param absent bitmap of the members who pay by their stand-ins; no contributor is in it
    /// @param payoffs of every member, wei; changed in place
    function charge(
        uint256 gammaWad,
        uint256 triangle,
        int256[] memory scores,
        uint256 contributors,
        uint256 absent,
        int256[] memory payoffs
    ) internal pure {
        assembly ("memory-safe") {
            // The weight of a pair of different members, whichever is named first.
            function weightOf(first, size, i, j) -> weight {
                if gt(i, j) {
                    weight := i
                    i := j
                    j := weight
                }
                let row := sub(shl(1, mul(i, size)), mul(i, add(i, 1)))
                weight := shr(240, mload(add(add(first, row), shl(1, sub(sub(j, i), 1)))))
            }
            for {
                let a := 0
            } lt(a, mload(scores)) {
                a := add(a, 1)
            } {
                if and(shr(a, absent), 1) {
                    for {
                        let m := 0
                    } lt(m, mload(scores)) {
                        m := add(m, 1)
                    } {
                        if and(shr(m, contributors), 1) {
                            // Offsets first, addresses later: without the IR the stack has no room for both.
                            let from := shl(5, add(a, 1))
                            let to := shl(5, add(m, 1))
                            let ahead := mul(gammaWad, sub(mload(add(scores, to)), mload(add(scores, from))))
                            if sgt(ahead, 0) {
                                ahead := div(mul(weightOf(triangle, mload(scores), a, m), ahead), SCALE)
                                to := add(payoffs, to)
                                mstore(to, add(mload(to), ahead))
                                from := add(payoffs, from)
                                mstore(from, sub(mload(from), ahead))
                            }
                        }
                    }
                }
            }
        }
    }

    /// @notice The most that a round can take from each member: it contributes nothing, all others their caps.
    /// @param gammaWad incentive · σ_max · wei per unit · 1e18
    /// @param triangle memory address of the pair weights
    /// @param largest X of every member at its caps
    /// @param offsets X of every member that contributes nothing
    function liabilities(
        uint256 gammaWad,
        uint256 triangle,
        int256[] memory largest,
        int256[] memory offsets
    ) internal pure returns (uint256[] memory worst) {
        uint256 size = largest.length * 0x20;
        worst = new uint256[](largest.length);
        assembly ("memory-safe") {
            let next := triangle
            for {
                let i := 0x20
            } iszero(gt(i, size)) {
                i := add(i, 0x20)
            } {
                let largestI := mload(add(largest, i))
                let offsetI := mload(add(offsets, i))
                let sum := mload(add(worst, i))
                for {
                    let j := add(i, 0x20)
                } iszero(gt(j, size)) {
                    j := add(j, 0x20)
                } {
                    let rate := mul(shr(240, mload(next)), gammaWad)
                    next := add(next, 2)
                    let ahead := sub(mload(add(largest, j)), offsetI)
                    if sgt(ahead, 0) {
                        sum := add(sum, div(mul(rate, ahead), SCALE))
                    }
                    ahead := sub(largestI, mload(add(offsets, j)))
                    if sgt(ahead, 0) {
                        let other := add(worst, j)
                        mstore(other, add(mload(other), div(mul(rate, ahead), SCALE)))
                    }
                }
                mstore(add(worst, i), sum)
            }
        }
    }
}
