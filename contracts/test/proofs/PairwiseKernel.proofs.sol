// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {PairwiseKernel} from "../../src/libraries/PairwiseKernel.sol";

/// @title What halmos proves of the kernel, for all inputs within the stated widths
/// @notice Fuzzing tries; these hold. `script/formal` runs them, on the kernel itself, assembly included.
/// @dev Solvers do not find by themselves what a 256-bit division does. Each proof therefore returns early unless EVM's
/// SDIV keeps its definition (truncation toward zero) for the dividends at hand: it is odd, it keeps order, and it equals
/// DIV where nothing is negative. Nothing else is taken for granted: the identities of products have proofs of their own.
contract PairwiseKernelProofs {
    int256 private constant SCALE = 65535e36;

    /// @notice One pair at full width: what the one receives the other pays, whoever comes first.
    /// @dev The kernel sees gammaWad and X in their product alone, so that a rate of one and words of 256 bits stand for
    /// every rate and every score.
    function check_OnePairIsOddAndSumsToZero(uint16 weight, int256 x, int256 y) external pure {
        unchecked {
            int256 product = int256(uint256(weight)) * (x - y);
            int256 opposite = int256(uint256(weight)) * (y - x);
            if (product == type(int256).min || opposite != -product) return;
            if ((-product) / SCALE != -(product / SCALE)) return;
            int256[] memory payoffs = pair(weight, x, y);
            int256[] memory exchanged = pair(weight, y, x);
            assert(payoffs[0] == product / SCALE);
            assert(payoffs[0] == -payoffs[1]);
            assert(payoffs[0] == -exchanged[0]);
            assert(payoffs[1] == -exchanged[1]);
        }
    }

    /// @notice Products are odd at full width, wrapped or not: no input was left out above but the one dividend.
    function check_ProductsAreOdd(uint16 weight, int256 x, int256 y) external pure {
        unchecked {
            assert(int256(uint256(weight)) * (y - x) == -(int256(uint256(weight)) * (x - y)));
        }
    }

    /// @notice At full width, and within the bound that the constructor checks, no product of a pair leaves the word.
    /// @dev `magnitude`, of which 17 bits are dropped, stands for every |gammaWad · (X_i − X_j)| below 2^239.
    function check_TheConstructorsBoundKeepsProductsInTheWord(uint16 weight, uint256 magnitude) external pure {
        unchecked {
            assert(uint256(weight) * (magnitude >> 17) < 2 ** 255);
        }
    }

    /// @notice Three members, 32-bit inputs: nobody pays more than its liability, whoever contributes how much.
    function check_NobodyPaysMoreThanItsLiability(
        uint32 incentive,
        uint16[3] calldata weights,
        int32[3] calldata offsets,
        uint32[3] calldata reach,
        uint32[3] calldata given,
        uint8 contributors
    ) external pure {
        int256[] memory lowest = new int256[](3);
        int256[] memory largest = new int256[](3);
        int256[] memory scores = new int256[](3);
        uint256 holds = 1;
        for (uint256 i; i < 3; ++i) {
            lowest[i] = offsets[i];
            largest[i] = lowest[i] + int256(uint256(reach[i]));
            scores[i] = lowest[i] + int256(uint256(given[i]));
            holds &= atMost(given[i], reach[i]);
        }
        // So large that payoffs differ from zero: 32 bits alone are less than the kernel's unit.
        uint256 rate = uint256(incentive) << 120;
        for (uint256 i; i < 3; ++i) {
            for (uint256 j; j < 3; ++j) {
                if (i == j) continue;
                holds &= divides(rate, weights[i + j - 1], scores[i], scores[j], largest[j] - lowest[i]);
            }
        }
        if (holds == 0) return;
        bytes memory triangle = abi.encodePacked(weights[0], weights[1], weights[2]);
        uint256[] memory worst = PairwiseKernel.liabilities(rate, contentOf(triangle), largest, lowest);
        int256[] memory payoffs = PairwiseKernel.transfers(rate, contentOf(triangle), scores, contributors);
        for (uint256 i; i < 3; ++i) {
            assert(-payoffs[i] <= int256(worst[i]));
        }
    }

    /// @notice The product of a pair's debt is at most that of its share in the liability; 32-bit inputs.
    /// @dev With `behind` = x_j − x_i and `ahead` = largest_j − offset_i = behind + slack.
    function check_TheShareIsTheLargestDebt(uint32 incentive, uint16 weight, int64 behind, uint32 slack) external pure {
        unchecked {
            int256 rate = int256(uint256(weight)) * int256(uint256(incentive) << 120);
            int256 extra = rate * int256(uint256(slack));
            assert(extra >= 0);
            assert(rate * (int256(behind) + int256(uint256(slack))) == rate * int256(behind) + extra);
        }
    }

    /// @dev 1 if division keeps its definition for the debt of one pair and its share in the liability, and the products
    /// are what `check_TheShareIsTheLargestDebt` proves them to be; else 0. Without branches, which would multiply paths.
    function divides(uint256 rate, uint16 weight, int256 x, int256 y, int256 ahead) private pure returns (uint256 ok) {
        int256 scale = SCALE;
        assembly ("memory-safe") {
            let product := mul(weight, sub(mul(rate, x), mul(rate, y)))
            let debt := sub(0, product)
            let share := mul(mul(weight, rate), ahead)
            let isShare := iszero(slt(share, 0))
            let covered := and(isShare, iszero(sgt(debt, share)))
            // Who is behind owes at most its share; who is not owes nothing.
            ok := or(and(sgt(ahead, 0), covered), and(iszero(sgt(ahead, 0)), iszero(sgt(debt, 0))))
            // SDIV is odd, keeps order and sign, and equals DIV where nothing is negative.
            ok := and(ok, eq(sdiv(debt, scale), sub(0, sdiv(product, scale))))
            ok := and(ok, or(sgt(debt, 0), iszero(sgt(sdiv(debt, scale), 0))))
            ok := and(ok, or(iszero(covered), iszero(sgt(sdiv(debt, scale), div(share, scale)))))
            ok := and(ok, or(iszero(isShare), lt(div(share, scale), shl(128, 1))))
        }
    }

    function atMost(uint256 value, uint256 limit) private pure returns (uint256 holds) {
        assembly ("memory-safe") {
            holds := iszero(gt(value, limit))
        }
    }

    function pair(uint16 weight, int256 x, int256 y) private pure returns (int256[] memory) {
        int256[] memory scores = new int256[](2);
        (scores[0], scores[1]) = (x, y);
        return PairwiseKernel.transfers(1, contentOf(abi.encodePacked(weight)), scores, 3);
    }

    function contentOf(bytes memory data) private pure returns (uint256 content) {
        assembly ("memory-safe") {
            content := add(data, 0x20)
        }
    }
}
