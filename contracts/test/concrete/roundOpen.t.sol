// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IConsortium} from "../../src/interfaces/IConsortium.sol";
import {Errors} from "../../src/libraries/Errors.sol";
import {ConsortiumFixture} from "../utils/ConsortiumFixture.sol";

contract RoundOpenTest is ConsortiumFixture {
    function test_RevertWhen_TheCallerIsNotTheAttester() external {
        vm.expectRevert(abi.encodeWithSelector(Errors.NotAttester.selector, members[0]));
        vm.prank(members[0]);
        consortium.roundOpen();
    }

    function test_RevertGiven_ALiveRound() external {
        depositAll(1);
        open();
        expectOpenFailure(wrongPhase(IConsortium.Phase.Open));
        submitAll();
        consortium.profileRecord();
        expectOpenFailure(wrongPhase(IConsortium.Phase.Recorded));
        vm.warp(uint256(consortium.round().deadline) + 1);
        consortium.payoffCalculate();
        expectOpenFailure(wrongPhase(IConsortium.Phase.Calculated));
    }

    function test_RevertGiven_NoRoundsLeft() external {
        depositAll(1);
        uint256 time = START;
        for (uint256 i; i < 3; ++i) {
            open();
            time += 30 days;
            vm.warp(time);
            consortium.profileRecord();
            time += 30 days;
            vm.warp(time);
        }
        expectOpenFailure(abi.encodeWithSelector(Errors.NoRoundsLeft.selector, 3));
    }

    function test_RevertGiven_TheGapIsNotOver() external {
        depositAll(1);
        open();
        uint256 end = START + 1 days + 1;
        vm.warp(end);
        consortium.profileRecord();
        uint256 from = end + 4 hours;
        vm.warp(from - 1);
        expectOpenFailure(abi.encodeWithSelector(Errors.TooEarly.selector, from - 1, from));
        vm.warp(from);
        open();
        vm.assertEq(consortium.round().number, 2, "round");
    }

    function test_RevertGiven_TooFewMembers() external {
        expectOpenFailure(abi.encodeWithSelector(Errors.NotEnoughMembers.selector, 0, 3));
        depositAll(1);
        for (uint256 i; i < 2; ++i) {
            vm.prank(members[i]);
            consortium.exitRequest(i);
        }
        expectOpenFailure(abi.encodeWithSelector(Errors.NotEnoughMembers.selector, 2, 3));
    }

    function test_ItTakesTheSolventMembersThatStay() external {
        depositAll(1);
        vm.prank(members[1]);
        consortium.exitRequest(1);
        vm.expectEmit(address(consortium));
        emit IConsortium.RoundOpened(1, 13, START + 1 days);
        open();
        IConsortium.Round memory round = consortium.round();
        vm.assertEq(round.number, 1, "number");
        vm.assertEq(round.deadline, START + 1 days, "deadline");
        vm.assertEq(round.idleSince, 0, "idle since");
        vm.assertEq(round.participants, 13, "participants");
        vm.assertEq(round.submitted, 0, "submitted");
        vm.assertEq(round.roundHash, 0, "round hash");
        expectPhase(IConsortium.Phase.Open);
    }

    function test_ItForgetsTheRoundBefore() external {
        reachCalculated();
        consortium.payoffTransfer();
        vm.assertEq(consortium.contributionOf(0).data, contributionOf(0).data, "kept while idle");
        depositAll(1);
        vm.warp(START + 30 days);
        open();
        IConsortium.Round memory round = consortium.round();
        vm.assertEq(round.submitted, 0, "submitted");
        vm.assertEq(round.roundHash, 0, "round hash");
        vm.assertEq(consortium.contributionOf(0).data, 0, "contribution");
    }

    function wrongPhase(IConsortium.Phase actual) private pure returns (bytes memory) {
        return abi.encodeWithSelector(Errors.WrongPhase.selector, actual, IConsortium.Phase.Idle);
    }

    function expectOpenFailure(bytes memory reason) private {
        vm.expectRevert(reason);
        vm.prank(attester);
        consortium.roundOpen();
    }
}
