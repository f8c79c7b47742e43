// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IConsortium} from "../../src/interfaces/IConsortium.sol";
import {Errors} from "../../src/libraries/Errors.sol";
import {ConsortiumFixture} from "../utils/ConsortiumFixture.sol";

contract DisputeRaiseTest is ConsortiumFixture {
    uint256 private constant BOND = 1 ether;
    uint256 private constant DEADLINE = START + 2 days;

    function setUp() public override {
        super.setUp();
        depositAll(2);
        // Members 0 and 1 can dispute, member 1 just so.
        deposit(0, 2 * BOND);
        deposit(1, BOND - liability(1));
        open();
    }

    function test_RevertWhen_ThereIsNoSuchMember() external {
        record();
        expectFailure(members[0], 4, REASON, abi.encodeWithSelector(Errors.UnknownMember.selector, 4, 4));
    }

    function test_RevertWhen_TheCallerIsNotTheMember() external {
        record();
        expectFailure(members[1], 0, REASON, abi.encodeWithSelector(Errors.NotMember.selector, 0, members[1]));
        expectFailure(ARBITER, 0, REASON, abi.encodeWithSelector(Errors.NotMember.selector, 0, ARBITER));
    }

    function test_RevertGiven_NoProfileIsRecorded() external {
        expectWrongPhase(IConsortium.Phase.Open);
        record();
        raise(1);
        expectWrongPhase(IConsortium.Phase.Disputed);
        rule(IConsortium.Ruling.Settle);
        consortium.payoffCalculate();
        expectWrongPhase(IConsortium.Phase.Calculated);
        consortium.payoffTransfer();
        expectWrongPhase(IConsortium.Phase.Idle);
    }

    function test_TheWindowIncludesItsDeadline() external {
        record();
        vm.warp(DEADLINE);
        raise(0);
        expectPhase(IConsortium.Phase.Disputed);
    }

    function test_TheSecondBeforeTheDeadlineIsInTime() external {
        record();
        vm.warp(DEADLINE - 1);
        raise(0);
        expectPhase(IConsortium.Phase.Disputed);
    }

    function test_RevertGiven_TheWindowIsOver() external {
        record();
        vm.warp(DEADLINE + 1);
        expectFailure(members[0], 0, REASON, abi.encodeWithSelector(Errors.TooLate.selector, DEADLINE + 1, DEADLINE));
    }

    function test_RevertGiven_TheMemberTakesNoPart() external {
        vm.warp(START + 30 days);
        consortium.profileRecord();
        vm.prank(members[0]);
        consortium.exitRequest(0);
        vm.warp(START + 60 days);
        open();
        for (uint256 i = 1; i < 4; ++i) {
            submit(i);
        }
        consortium.profileRecord();
        expectFailure(members[0], 0, REASON, abi.encodeWithSelector(Errors.NotParticipant.selector, 0, 2));
    }

    function test_RevertWhen_ThereIsNoReason() external {
        record();
        expectFailure(members[0], 0, 0, abi.encodeWithSelector(Errors.ReasonMissing.selector, 0));
    }

    function test_RevertGiven_TheBalanceDoesNotCoverTheBond() external {
        record();
        uint256 needed = liability(1) + BOND;
        vm.assertEq(consortium.balanceOf(1), needed, "exactly enough");
        vm.prank(members[1]);
        consortium.withdraw(1, 1, payable(members[1]));
        bytes memory reason = abi.encodeWithSelector(Errors.DisputeBondTooSmall.selector, 1, needed - 1, needed);
        expectFailure(members[1], 1, REASON, reason);
        deposit(1, 1);
        raise(1);
        expectPhase(IConsortium.Phase.Disputed);
    }

    function test_ARoundIsDisputedOnlyOnce() external {
        record();
        raise(0);
        rule(IConsortium.Ruling.Settle);
        expectFailure(members[1], 1, REASON, abi.encodeWithSelector(Errors.TooLate.selector, START, START - 1));
        consortium.payoffCalculate();
        expectPhase(IConsortium.Phase.Calculated);
    }

    function test_ItLocksTheBondAndNoMore() external {
        record();
        raise(0);
        uint256 available = consortium.balanceOf(0) - liability(0) - BOND;
        vm.assertGt(available, 0, "something is free");
        expectLocked(0, available + 1, available);
        withdraw(0, available);
        expectLocked(0, 1, 0);
        withdraw(0, 0);
        // Nobody else's bond is locked, though it is as large.
        withdraw(1, BOND);
        expectLocked(1, 1, 0);
    }

    function test_TheFirstMemberIsNotLockedByAnothersDispute() external {
        // The index of the disputant is zero in storage until somebody disputes.
        record();
        raise(1);
        withdraw(0, consortium.balanceOf(0) - liability(0));
        expectLocked(1, 1, 0);
    }

    function test_ItNamesTheDisputantAndStartsTheArbitersWindow() external {
        record();
        uint256 time = START + 100;
        vm.warp(time);
        bytes32 ledger = consortium.ledger();
        uint256 balance = consortium.balanceOf(1);
        vm.expectEmit(address(consortium));
        emit IConsortium.DisputeRaised(1, 1, members[1], REASON, time + 3 days);
        raise(1);
        IConsortium.Round memory round = consortium.round();
        vm.assertEq(round.deadline, time + 3 days, "deadline");
        vm.assertEq(round.disputant, 1, "disputant");
        vm.assertEq(round.submitted, 15, "submitted");
        expectPhase(IConsortium.Phase.Disputed);
        vm.assertEq(consortium.balanceOf(1), balance, "balance");
        vm.assertEq(consortium.ledger(), ledger, "ledger");
        vm.assertEq(consortium.payoffOf(1), 0, "payoff");
        rule(IConsortium.Ruling.Settle);
        vm.assertEq(consortium.round().disputant, 0, "nobody disputes any more");
    }

    function test_ItStopsTheRound() external {
        record();
        raise(0);
        vm.warp(START + 300 days);
        bytes4 selector = Errors.WrongPhase.selector;
        vm.expectRevert(abi.encodeWithSelector(selector, IConsortium.Phase.Disputed, IConsortium.Phase.Recorded));
        consortium.payoffCalculate();
        vm.expectRevert(abi.encodeWithSelector(selector, IConsortium.Phase.Disputed, IConsortium.Phase.Open));
        consortium.profileRecord();
        vm.expectRevert(abi.encodeWithSelector(selector, IConsortium.Phase.Disputed, IConsortium.Phase.Calculated));
        consortium.payoffTransfer();
        vm.expectRevert(abi.encodeWithSelector(selector, IConsortium.Phase.Disputed, IConsortium.Phase.Idle));
        vm.prank(attester);
        consortium.roundOpen();
    }

    function test_AParticipantWithoutAContributionMayDispute() external {
        for (uint256 i = 1; i < 4; ++i) {
            submit(i);
        }
        vm.warp(START + 1 days + 1);
        consortium.profileRecord();
        raise(0);
        vm.assertEq(consortium.round().submitted, 14, "submitted");
        expectPhase(IConsortium.Phase.Disputed);
    }

    function record() private {
        submitAll();
        consortium.profileRecord();
    }

    function withdraw(uint256 index, uint256 amount) private {
        vm.prank(members[index]);
        consortium.withdraw(index, amount, payable(members[index]));
    }

    function expectLocked(uint256 index, uint256 amount, uint256 available) private {
        vm.expectRevert(abi.encodeWithSelector(Errors.BondLocked.selector, index, amount, available));
        withdraw(index, amount);
    }

    function expectWrongPhase(IConsortium.Phase actual) private {
        bytes memory reason = abi.encodeWithSelector(Errors.WrongPhase.selector, actual, IConsortium.Phase.Recorded);
        expectFailure(members[0], 0, REASON, reason);
    }

    function expectFailure(address sender, uint256 index, bytes32 reasonHash, bytes memory reason) private {
        vm.expectRevert(reason);
        vm.prank(sender);
        consortium.disputeRaise(index, reasonHash);
    }
}
