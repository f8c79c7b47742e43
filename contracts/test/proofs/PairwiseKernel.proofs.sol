// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {PairwiseKernel} from "../../src/libraries/PairwiseKernel.sol";

/// @title What halmos proves of the kernel, for all inputs within the stated widths
/// @notice Fuzzing tries; these hold. `script/formal` runs them, on the kernel itself, assembly included.
/// @dev Solvers do not find by themselves what a 256-bit division does. Each proof therefore returns early unless EVM's
/// SDIV keeps its definition (truncation toward zero) for the dividends at hand: it is odd, it keeps order, and it equals
/// DIV where nothing is negative. What else they take for granted are products, which have proofs of their own here.
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
        for (uint256 i; i < 3; ++i) {
            lowest[i] = offsets[i];
            largest[i] = lowest[i] + int256(uint256(reach[i]));
            scores[i] = lowest[i] + int256(uint256(given[i]));
            if (given[i] > reach[i]) return;
        }
        // So large that payoffs differ from zero: 32 bits alone are less than the kernel's unit.
        uint256 rate = uint256(incentive) << 120;
        for (uint256 i; i < 3; ++i) {
            for (uint256 j = i + 1; j < 3; ++j) {
                int256 ahead = largest[j] - lowest[i];
                int256 behind = largest[i] - lowest[j];
                if (divides(rate, weights[i + j - 1], scores[i], scores[j], ahead, behind) == 0) return;
            }
        }
        bytes memory triangle = abi.encodePacked(weights[0], weights[1], weights[2]);
        uint256[] memory worst = PairwiseKernel.liabilities(rate, contentOf(triangle), largest, lowest);
        int256[] memory payoffs = PairwiseKernel.transfers(rate, contentOf(triangle), scores, contributors);
        for (uint256 i; i < 3; ++i) {
            assert(-payoffs[i] <= int256(worst[i]));
        }
    }

    /// @notice Three members, 32-bit inputs: whoever of the others contributes or is absent, the first gets no more by
    /// silence than by contributing as much as its stand-in, or more.
    function check_SilenceNeverPaysTheFirst(
        uint32 incentive,
        uint16[3] calldata weights,
        int32[3] calldata scores,
        int32 standIn,
        uint8 contributors
    ) external pure {
        silenceNeverPays(0, incentive, weights, scores, standIn, contributors);
    }

    /// @notice The same of the second: one pair before it in the triangle, one behind.
    function check_SilenceNeverPaysTheSecond(
        uint32 incentive,
        uint16[3] calldata weights,
        int32[3] calldata scores,
        int32 standIn,
        uint8 contributors
    ) external pure {
        silenceNeverPays(1, incentive, weights, scores, standIn, contributors);
    }

    /// @notice The same of the third.
    function check_SilenceNeverPaysTheThird(
        uint32 incentive,
        uint16[3] calldata weights,
        int32[3] calldata scores,
        int32 standIn,
        uint8 contributors
    ) external pure {
        silenceNeverPays(2, incentive, weights, scores, standIn, contributors);
    }

    /// @notice Who contributes more than its stand-in by `more` gets from another at least what the stand-in would have
    /// got, and the sign of a product is that of the difference; 32-bit inputs, and differences of them.
    function check_ContributingMoreOwesLess(uint32 incentive, uint16 weight, uint40 more, int40 lead) external pure {
        unchecked {
            int256 rate = int256(uint256(weight) * (uint256(incentive) << 120));
            int256 owed = rate * lead;
            int256 got = rate * (int256(uint256(more)) - lead);
            assert(got >= -owed);
            assert(lead > 0 || owed <= 0);
            assert(lead <= 0 || owed >= 0);
            assert(owed < 2 ** 254 && owed > -(2 ** 254));
        }
    }

    /// @notice Who is `behind` another owes the product of a part of its share in the liability, and who is as much ahead
    /// owes nothing; 32-bit inputs, and differences of them.
    /// @dev Its share is that of `behind` and `slack` together, whatever it and the other contributed.
    function check_TheShareIsTheLargestDebt(
        uint32 incentive,
        uint16 weight,
        uint40 behind,
        uint40 slack
    ) external pure {
        unchecked {
            uint256 rate = uint256(weight) * (uint256(incentive) << 120);
            uint256 debt = rate * behind;
            uint256 rest = rate * slack;
            assert(debt < 2 ** 254);
            assert(rest < 2 ** 254);
            assert(rate * (uint256(behind) + slack) == debt + rest);
            assert(int256(rate) * -int256(uint256(behind)) == -int256(debt));
        }
    }

    /// @notice The kernel's product is that of the difference, since products distribute, wrapped or not.
    function check_ProductsDistribute(uint256 rate, uint16 weight, int256 x, int256 y) external pure {
        unchecked {
            int256 product = int256(uint256(weight)) * (int256(rate) * x - int256(rate) * y);
            assert(product == int256(uint256(weight) * rate) * (x - y));
        }
    }

    /// @dev 1 if division keeps its definition for what a pair owes each other and for the shares in both liabilities, and
    /// the products are what `check_TheShareIsTheLargestDebt` and `check_ProductsDistribute` prove them to be; else 0.
    /// Without branches, which would multiply paths.
    function divides(
        uint256 rate,
        uint16 weight,
        int256 x,
        int256 y,
        int256 ahead,
        int256 behind
    ) internal pure returns (uint256 ok) {
        int256 scale = SCALE;
        assembly ("memory-safe") {
            let product := mul(weight, sub(mul(rate, x), mul(rate, y)))
            rate := mul(weight, rate)
            // SDIV is odd, and no quotient leaves 128 bits.
            ok := eq(sdiv(sub(0, product), scale), sub(0, sdiv(product, scale)))
            ok := and(ok, lt(add(sdiv(product, scale), shl(128, 1)), shl(129, 1)))
            ok := and(ok, owes(sub(0, product), mul(rate, ahead), ahead, scale))
            ok := and(ok, owes(product, mul(rate, behind), behind, scale))

            // Who is behind owes at most its share, who is not owes nothing; SDIV keeps order, and equals DIV where
            // nothing is negative.
            function owes(debt, share, lead, divisor) -> holds {
                let quotient := sdiv(debt, divisor)
                let most := div(share, divisor)
                let some := and(iszero(slt(share, 0)), iszero(sgt(debt, share)))
                some := and(some, and(iszero(sgt(quotient, most)), lt(most, shl(128, 1))))
                let none := and(iszero(sgt(debt, 0)), iszero(sgt(quotient, 0)))
                holds := or(and(sgt(lead, 0), some), and(iszero(sgt(lead, 0)), none))
            }
        }
    }

    /// @dev `scores` of absent members are those of their stand-ins; that of `who` is what it contributes, if it does.
    function silenceNeverPays(
        uint256 who,
        uint32 incentive,
        uint16[3] calldata weights,
        int32[3] calldata scores,
        int32 standIn,
        uint8 contributors
    ) private pure {
        if (scores[who] < standIn) return;
        uint256 rate = uint256(incentive) << 120;
        int256[] memory mixed = new int256[](3);
        for (uint256 i; i < 3; ++i) {
            mixed[i] = scores[i];
            if (i != who && keepsOrder(rate, weights[i + who - 1], scores[who], standIn, scores[i]) == 0) return;
        }
        bytes memory triangle = abi.encodePacked(weights[0], weights[1], weights[2]);
        uint256 others = contributors & (7 ^ (1 << who));
        int256 most = settled(rate, triangle, mixed, others | (1 << who))[who];
        mixed[who] = standIn;
        assert(settled(rate, triangle, mixed, others)[who] <= most);
    }

    /// @dev Whoever of the three does not contribute is absent.
    function settled(
        uint256 rate,
        bytes memory triangle,
        int256[] memory scores,
        uint256 contributors
    ) private pure returns (int256[] memory payoffs) {
        payoffs = PairwiseKernel.transfers(rate, contentOf(triangle), scores, contributors);
        PairwiseKernel.charge(rate, contentOf(triangle), scores, contributors, 7 ^ contributors, payoffs);
    }

    /// @dev 1 if division keeps its definition for what a member gets from another when it contributes `own`, and for what
    /// it owes the other by its stand-in, and the products are what `check_ContributingMoreOwesLess`,
    /// `check_ProductsDistribute` and `check_ProductsAreOdd` prove them to be; else 0. Without branches.
    function keepsOrder(
        uint256 rate,
        uint16 weight,
        int256 own,
        int256 standIn,
        int256 other
    ) internal pure returns (uint256 ok) {
        int256 scale = SCALE;
        assembly ("memory-safe") {
            // What it gets from a contributor, and gives it: SDIV is odd, and no quotient leaves 128 bits.
            let got := mul(weight, sub(mul(rate, own), mul(rate, other)))
            let owed := mul(weight, sub(mul(rate, other), mul(rate, own)))
            ok := eq(sdiv(owed, scale), sub(0, sdiv(got, scale)))
            ok := and(ok, lt(add(sdiv(got, scale), shl(128, 1)), shl(129, 1)))
            // What it owes a contributor by its stand-in: SDIV keeps order and sign, and equals DIV where nothing is
            // negative.
            let lead := mul(rate, sub(other, standIn))
            owed := mul(weight, lead)
            ok := and(ok, lt(add(sdiv(owed, scale), shl(128, 1)), shl(129, 1)))
            ok := and(ok, iszero(slt(sdiv(got, scale), sub(0, sdiv(owed, scale)))))
            ok := and(ok, or(iszero(sgt(lead, 0)), eq(div(owed, scale), sdiv(owed, scale))))
            ok := and(ok, or(sgt(lead, 0), iszero(sgt(sdiv(owed, scale), 0))))
            // What it gets from an absent member.
            lead := mul(rate, sub(own, other))
            got := mul(weight, lead)
            ok := and(ok, or(iszero(sgt(lead, 0)), lt(div(got, scale), shl(128, 1))))
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
