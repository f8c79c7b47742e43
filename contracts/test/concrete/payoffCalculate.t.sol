// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IConsortium} from "../../src/interfaces/IConsortium.sol";
import {Errors} from "../../src/libraries/Errors.sol";
import {PlainKernel} from "../oracles/PlainKernel.sol";
import {ConsortiumFixture} from "../utils/ConsortiumFixture.sol";

contract PayoffCalculateTest is ConsortiumFixture {
    function test_RevertGiven_NothingIsRecorded() external {
        expectWrongPhase(IConsortium.Phase.Idle);
        depositAll(2);
        open();
        expectWrongPhase(IConsortium.Phase.Open);
        submitAll();
        consortium.profileRecord();
        vm.warp(START + 30 days);
        consortium.payoffCalculate();
        expectWrongPhase(IConsortium.Phase.Calculated);
    }

    function test_RevertGiven_TheDisputeWindowIsNotOver() external {
        reachRecorded();
        uint256 deadline = START + 2 days;
        for (uint256 time = deadline - 1; time <= deadline; ++time) {
            vm.warp(time);
            vm.expectRevert(abi.encodeWithSelector(Errors.TooEarly.selector, time, deadline + 1));
            consortium.payoffCalculate();
        }
        vm.warp(deadline + 1);
        consortium.payoffCalculate();
        expectPhase(IConsortium.Phase.Calculated);
    }

    function test_ItComputesThePayoffsOfThePlainOracle() external {
        reachRecorded();
        vm.warp(START + 2 days + 1);
        int256[] memory expected = expectedPayoffs(15);
        bytes32 payoffHash = keccak256(abi.encode(expected));
        bytes32 ledger = keccak256(abi.encode(consortium.ledger(), uint256(1), payoffHash));
        vm.expectEmit(address(consortium));
        emit IConsortium.PayoffCalculated(1, payoffHash, expected);
        vm.prank(address(0xbeef));
        consortium.payoffCalculate();
        vm.assertEq(consortium.ledger(), ledger, "ledger");
        uint256 moved;
        for (uint256 i; i < 4; ++i) {
            vm.assertEq(consortium.payoffOf(i), expected[i], "payoff");
            vm.assertEq(consortium.balanceOf(i), 2 * liability(i), "balance");
            if (expected[i] != 0) ++moved;
        }
        vm.assertEq(moved, 4, "every payoff of this profile differs from zero");
    }

    function test_ItLeavesOutWhoDidNotContribute() external {
        depositAll(2);
        vm.prank(members[0]);
        consortium.exitRequest(0);
        open();
        submit(1);
        submit(3);
        vm.warp(START + 1 days + 1);
        consortium.profileRecord();
        // Two of three are below the quorum of 75 %, so a lower one is needed to see the mask.
        expectPhase(IConsortium.Phase.Idle);

        IConsortium.Terms memory terms = agreed();
        terms.quorum = 5000;
        consortium = deploy(records(members), triangle(4), terms);
        depositAll(2);
        vm.prank(members[0]);
        consortium.exitRequest(0);
        open();
        submit(1);
        submit(3);
        vm.warp(START + 3 days);
        consortium.profileRecord();
        vm.warp(START + 9 days);
        consortium.payoffCalculate();
        int256[] memory expected = expectedPayoffs(10);
        for (uint256 i; i < 4; ++i) {
            vm.assertEq(consortium.payoffOf(i), expected[i], "payoff");
        }
        vm.assertEq(expected[0] | expected[2], 0, "the masked have none");
        vm.assertTrue(expected[1] != 0, "the others do");
    }

    function testFuzz_AnyProfileSettlesAsThePlainOracleDoes(uint64[12] memory amounts) external {
        depositAll(1);
        open();
        IConsortium.Contribution[] memory given = new IConsortium.Contribution[](4);
        int256[] memory scores = new int256[](4);
        bool[] memory all = new bool[](4);
        for (uint256 i; i < 4; ++i) {
            IConsortium.Member memory terms = termsOf(members[i], i);
            given[i].data = uint64(bound(amounts[i], 0, terms.dataCap));
            given[i].generated = uint64(bound(amounts[4 + i], 0, terms.generatedCap));
            given[i].compute = uint64(bound(amounts[8 + i], 0, terms.computeCap));
            submit(i, given[i]);
            (scores[i], all[i]) = (scoreOf(i, given[i]), true);
        }
        consortium.profileRecord();
        vm.warp(START + 3 days);
        consortium.payoffCalculate();
        int256[] memory expected = PlainKernel.transfers(GAMMA_WAD, weights(4), scores, all);
        for (uint256 i; i < 4; ++i) {
            vm.assertEq(consortium.payoffOf(i), expected[i], "payoff");
        }
        // With bonds of exactly the liabilities the round can still be settled.
        consortium.payoffTransfer();
    }

    function expectedPayoffs(uint256 contributors) private view returns (int256[] memory) {
        int256[] memory scores = new int256[](4);
        bool[] memory contributed = new bool[](4);
        for (uint256 i; i < 4; ++i) {
            scores[i] = scoreOf(i, contributionOf(i));
            contributed[i] = (contributors >> i) & 1 == 1;
        }
        return PlainKernel.transfers(GAMMA_WAD, weights(4), scores, contributed);
    }

    function expectWrongPhase(IConsortium.Phase actual) private {
        vm.expectRevert(abi.encodeWithSelector(Errors.WrongPhase.selector, actual, IConsortium.Phase.Recorded));
        consortium.payoffCalculate();
    }
}
