// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {PairwiseKernel} from "../../src/libraries/PairwiseKernel.sol";
import {PlainKernel} from "../oracles/PlainKernel.sol";
import {TestBase} from "../utils/Vm.sol";

contract PairwiseKernelTest is TestBase {
    /// @dev One random market within the bounds that the constructor checks.
    struct Market {
        uint256 count;
        uint256 gammaWad;
        uint16[][] weights;
        bytes triangle;
        int256[] offsets;
        int256[] largest;
        int256[] scores;
        bool[] contributed;
        uint256 contributors;
        bool[] silent;
        uint256 absent;
        int256[] standIns;
    }

    function testFuzz_TransfersEqualThePlainOracle(uint256 seed) external pure {
        Market memory market = draw(seed);
        vm.assertEq(transfers(market), oracle(market), "transfers");
    }

    function testFuzz_TransfersSumToZero(uint256 seed) external pure {
        int256[] memory payoffs = transfers(draw(seed));
        int256 sum;
        for (uint256 i; i < payoffs.length; ++i) {
            sum += payoffs[i];
        }
        vm.assertEq(sum, 0, "sum");
    }

    function testFuzz_NonContributorsNeitherPayNorReceive(uint256 seed) external pure {
        Market memory market = draw(seed);
        int256[] memory payoffs = transfers(market);
        for (uint256 i; i < market.count; ++i) {
            if (!market.contributed[i]) vm.assertEq(payoffs[i], 0, "payoff of a non-contributor");
        }
    }

    function testFuzz_ChargesEqualThePlainOracle(uint256 seed) external pure {
        Market memory market = draw(seed);
        int256[] memory expected = oracle(market);
        PlainKernel.charge(
            market.gammaWad,
            market.weights,
            market.scores,
            market.contributed,
            market.silent,
            market.standIns,
            expected
        );
        int256[] memory payoffs = settled(market);
        vm.assertEq(payoffs, expected, "payoffs");
        uint256[] memory worst = liabilities(market);
        int256 sum;
        for (uint256 i; i < market.count; ++i) {
            sum += payoffs[i];
            if (payoffs[i] < 0) vm.assertLe(uint256(-payoffs[i]), worst[i], "debt");
            if (market.silent[i]) vm.assertTrue(payoffs[i] <= 0, "an absent member receives");
            if (!market.silent[i] && !market.contributed[i]) vm.assertEq(payoffs[i], 0, "who is masked");
        }
        vm.assertEq(sum, 0, "sum");
    }

    /// @dev I15.
    function testFuzz_SilenceNeverPaysMoreThanDelivering(uint256 seed, uint256 who) external pure {
        Market memory market = draw(seed);
        who = bound(who, 0, market.count - 1);
        (market.contributors, market.absent) = (market.contributors & ~(1 << who), market.absent | (1 << who));
        int256 silent = settled(market)[who];
        (market.contributors, market.absent) = (market.contributors | (1 << who), market.absent & ~(1 << who));
        uint256 more = uint256(market.largest[who] - market.standIns[who]);
        market.scores[who] = market.standIns[who] + int256(random(seed, 900) % (more + 1));
        vm.assertTrue(silent <= settled(market)[who], "silence pays");
    }

    function testFuzz_LiabilitiesEqualThePlainOracle(uint256 seed) external pure {
        Market memory market = draw(seed);
        vm.assertEq(
            liabilities(market),
            PlainKernel.liabilities(market.gammaWad, market.weights, market.largest, market.offsets),
            "liabilities"
        );
    }

    function testFuzz_NobodyPaysMoreThanItsLiability(uint256 seed) external pure {
        Market memory market = draw(seed);
        int256[] memory payoffs = transfers(market);
        uint256[] memory worst = liabilities(market);
        for (uint256 i; i < market.count; ++i) {
            if (payoffs[i] < 0) vm.assertLe(uint256(-payoffs[i]), worst[i], "debt");
        }
    }

    function testFuzz_TheLiabilityIsTightWithoutOffsets(uint256 seed, uint256 who) external pure {
        Market memory market = draw(seed);
        who = bound(who, 0, market.count - 1);
        for (uint256 i; i < market.count; ++i) {
            market.offsets[i] = 0;
            if (market.largest[i] < 0) market.largest[i] = -market.largest[i];
            market.scores[i] = i == who ? int256(0) : market.largest[i];
        }
        market.contributors = (1 << market.count) - 1;
        vm.assertEq(-transfers(market)[who], int256(liabilities(market)[who]), "debt");
    }

    function testFuzz_APayoffDoesNotFallWithTheOwnScore(uint256 seed, uint256 who) external pure {
        Market memory market = draw(seed);
        who = bound(who, 0, market.count - 1);
        int256 before = transfers(market)[who];
        market.scores[who] = market.largest[who];
        vm.assertTrue(transfers(market)[who] >= before, "payoff fell");
    }

    /// @dev I14: members in another order get the same payoffs in that order.
    function testFuzz_PermutingMembersPermutesPayoffs(uint256 seed, uint256 order) external pure {
        Market memory market = draw(seed);
        uint256[] memory place = permutation(market.count, order);
        int256[] memory payoffs = transfers(market);
        Market memory permuted = draw(seed);
        permuted.contributors = 0;
        for (uint256 i; i < market.count; ++i) {
            permuted.scores[place[i]] = market.scores[i];
            if (market.contributed[i]) permuted.contributors |= 1 << place[i];
            for (uint256 j; j < market.count; ++j) {
                permuted.weights[place[i]][place[j]] = market.weights[i][j];
            }
        }
        permuted.triangle = PlainKernel.pack(permuted.weights);
        int256[] memory others = transfers(permuted);
        for (uint256 i; i < market.count; ++i) {
            vm.assertEq(others[place[i]], payoffs[i], "payoff");
        }
    }

    function testFuzz_ExchangingTwoScoresExchangesTheSign(
        uint256 gamma,
        uint16 weight,
        int120 x,
        int120 y
    ) external pure {
        gamma = bound(gamma, 0, 2 ** 110);
        bytes memory triangle = abi.encodePacked(weight);
        int256[] memory scores = new int256[](2);
        (scores[0], scores[1]) = (x, y);
        int256[] memory payoffs = PairwiseKernel.transfers(gamma, content(triangle), scores, 3);
        (scores[0], scores[1]) = (y, x);
        int256[] memory exchanged = PairwiseKernel.transfers(gamma, content(triangle), scores, 3);
        vm.assertEq(payoffs[0], -exchanged[0], "first");
        vm.assertEq(payoffs[1], -exchanged[1], "second");
    }

    function testFuzz_ASharedOffsetThatWrapsChangesNothing(uint256 seed, uint160 gamma) external pure {
        Market memory market = draw(seed);
        market.gammaWad = gamma;
        for (uint256 i; i < market.count; ++i) {
            market.scores[i] %= 2 ** 64;
        }
        int256[] memory payoffs = transfers(market);
        for (uint256 i; i < market.count; ++i) {
            market.scores[i] += 2 ** 126;
        }
        vm.assertEq(transfers(market), payoffs, "transfers");
    }

    function testFuzz_NoContributorOrOneMovesNothing(uint256 seed, uint256 who) external pure {
        Market memory market = draw(seed);
        int256[] memory none = new int256[](market.count);
        market.contributors = 0;
        vm.assertEq(transfers(market), none, "nobody");
        market.contributors = 1 << bound(who, 0, market.count - 1);
        vm.assertEq(transfers(market), none, "one");
    }

    function testFuzz_ScoreEqualsThePlainOracle(
        uint64[3] memory amounts,
        uint128[2] memory rates,
        uint64 weight,
        int120 offset
    ) external pure {
        rates[0] = uint128(bound(rates[0], 0, 2 ** 96));
        rates[1] = uint128(bound(rates[1], 0, 2 ** 96));
        uint256 quantity = PairwiseKernel.quantity(amounts[0], amounts[1], amounts[2], rates[0], rates[1]);
        vm.assertEq(
            PairwiseKernel.score(quantity, weight, offset),
            PlainKernel.score(
                [uint256(amounts[0]), amounts[1], amounts[2]],
                [uint256(rates[0]), rates[1]],
                weight,
                offset
            ),
            "score"
        );
    }

    function test_QuantityIsExactAtTheMaximumOfEveryType() external pure {
        uint256 most = type(uint64).max;
        uint256 rate = type(uint128).max;
        uint256 expected = most * 1e18 + rate * most + rate * most;
        vm.assertEq(PairwiseKernel.quantity(most, most, most, rate, rate), expected, "quantity");
        vm.assertLt(expected, 2 ** 194, "the documented bound");
    }

    function test_TheScoreBoundIsExact() external pure {
        int256 limit = 2 ** 127;
        // Weight 1e9 is 1, so the score is offset + quantity.
        vm.assertTrue(PairwiseKernel.isScoreBounded(2 ** 127 - 1, 1e9, 0), "largest score allowed");
        vm.assertTrue(!PairwiseKernel.isScoreBounded(2 ** 127, 1e9, 0), "one more");
        vm.assertTrue(PairwiseKernel.isScoreBounded(0, 1e9, -limit + 1), "smallest score allowed");
        vm.assertTrue(!PairwiseKernel.isScoreBounded(0, 1e9, -limit), "one less");
        vm.assertTrue(!PairwiseKernel.isScoreBounded(2 ** 193, type(uint64).max, -limit + 1), "a product that wraps");
        vm.assertTrue(!PairwiseKernel.isScoreBounded(2 ** 192, 1, -limit + 1), "the smallest weight");
        vm.assertTrue(PairwiseKernel.isScoreBounded(2 ** 194 - 1, 0, 0), "no weight");
    }

    function testFuzz_TheSpreadBoundIsExact(uint160 gamma, uint256 spread) external pure {
        spread = bound(spread, 0, 2 ** 128);
        // 16 + 160 + 129 bits do not fit a word: compare the high and the low part.
        uint256 high = (uint256(gamma) >> 80) * spread;
        uint256 low = (uint256(gamma) & (2 ** 80 - 1)) * spread;
        bool expected = (high + (low >> 80)) < 2 ** 159;
        vm.assertTrue(PairwiseKernel.isSpreadBounded(gamma, spread) == expected, "bound");
    }

    function test_TheSpreadBoundAtItsEdge() external pure {
        vm.assertTrue(PairwiseKernel.isSpreadBounded(2 ** 112, 2 ** 127 - 1), "just below");
        vm.assertTrue(!PairwiseKernel.isSpreadBounded(2 ** 112, 2 ** 127), "at the bound");
        vm.assertTrue(PairwiseKernel.isSpreadBounded(0, 2 ** 128), "no incentive");
    }

    function transfers(Market memory market) private pure returns (int256[] memory) {
        return PairwiseKernel.transfers(market.gammaWad, content(market.triangle), market.scores, market.contributors);
    }

    /// @dev Transfers among the contributors, and what the absent owe them.
    function settled(Market memory market) private pure returns (int256[] memory payoffs) {
        payoffs = transfers(market);
        int256[] memory scores = new int256[](market.count);
        for (uint256 i; i < market.count; ++i) {
            scores[i] = (market.absent >> i) & 1 == 1 ? market.standIns[i] : market.scores[i];
        }
        PairwiseKernel.charge(
            market.gammaWad,
            content(market.triangle),
            scores,
            market.contributors,
            market.absent,
            payoffs
        );
    }

    function liabilities(Market memory market) private pure returns (uint256[] memory) {
        return PairwiseKernel.liabilities(market.gammaWad, content(market.triangle), market.largest, market.offsets);
    }

    function oracle(Market memory market) private pure returns (int256[] memory) {
        return PlainKernel.transfers(market.gammaWad, market.weights, market.scores, market.contributed);
    }

    /// @dev Widths vary from a few bits to the bound, so that truncation and full width both occur.
    function draw(uint256 seed) private pure returns (Market memory market) {
        uint256 count = 2 + (random(seed, 0) % 8);
        uint256 width = 1 + (random(seed, 1) % 126);
        market.count = count;
        market.gammaWad = random(seed, 2) % (2 ** (239 - width - 2));
        if (market.gammaWad > type(uint160).max) market.gammaWad = type(uint160).max;
        market.weights = new uint16[][](count);
        for (uint256 i; i < count; ++i) {
            market.weights[i] = new uint16[](count);
        }
        for (uint256 i; i < count; ++i) {
            for (uint256 j = i + 1; j < count; ++j) {
                uint16 weight = uint16(random(seed, 100 + i * count + j));
                (market.weights[i][j], market.weights[j][i]) = (weight, weight);
            }
        }
        market.triangle = PlainKernel.pack(market.weights);
        market.offsets = new int256[](count);
        market.largest = new int256[](count);
        market.scores = new int256[](count);
        market.contributed = new bool[](count);
        market.silent = new bool[](count);
        market.standIns = new int256[](count);
        for (uint256 i; i < count; ++i) {
            int256 offset = int256(random(seed, 300 + i) % 2 ** width) - int256(2 ** width / 2);
            uint256 reach = random(seed, 400 + i) % (2 ** width / 2 + 1);
            market.offsets[i] = offset;
            market.largest[i] = offset + int256(reach);
            market.scores[i] = offset + int256(random(seed, 500 + i) % (reach + 1));
            if (random(seed, 600 + i) % 4 != 0) {
                market.contributed[i] = true;
                market.contributors |= 1 << i;
            } else if (random(seed, 700 + i) % 3 != 0) {
                market.silent[i] = true;
                market.absent |= 1 << i;
            }
            market.standIns[i] = offset + int256(random(seed, 800 + i) % (reach + 1));
        }
    }

    /// @dev Every order is possible (Fisher and Yates).
    function permutation(uint256 count, uint256 seed) private pure returns (uint256[] memory place) {
        place = new uint256[](count);
        for (uint256 i; i < count; ++i) {
            uint256 other = random(seed, i) % (i + 1);
            place[i] = place[other];
            place[other] = i;
        }
    }

    function random(uint256 seed, uint256 salt) private pure returns (uint256) {
        return uint256(keccak256(abi.encode(seed, salt)));
    }

    function content(bytes memory data) private pure returns (uint256 start) {
        assembly ("memory-safe") {
            start := add(data, 0x20)
        }
    }
}
