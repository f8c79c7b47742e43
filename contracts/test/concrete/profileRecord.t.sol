// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IConsortium} from "../../src/interfaces/IConsortium.sol";
import {Errors} from "../../src/libraries/Errors.sol";
import {ConsortiumFixture} from "../utils/ConsortiumFixture.sol";

contract ProfileRecordTest is ConsortiumFixture {
    function setUp() public override {
        super.setUp();
        depositAll(2);
    }

    function test_RevertGiven_NoRoundIsOpen() external {
        expectWrongPhase(IConsortium.Phase.Idle);
        open();
        submitAll();
        consortium.profileRecord();
        expectWrongPhase(IConsortium.Phase.Recorded);
        vm.warp(START + 30 days);
        consortium.payoffCalculate();
        expectWrongPhase(IConsortium.Phase.Calculated);
    }

    function test_RevertGiven_TheDeadlineIsNotOver() external {
        open();
        for (uint256 i; i < 3; ++i) {
            submit(i);
        }
        uint256 deadline = START + 1 days;
        for (uint256 time = deadline - 1; time <= deadline; ++time) {
            vm.warp(time);
            vm.expectRevert(abi.encodeWithSelector(Errors.TooEarly.selector, time, deadline + 1));
            consortium.profileRecord();
        }
        vm.warp(deadline + 1);
        consortium.profileRecord();
        expectPhase(IConsortium.Phase.Recorded);
    }

    function test_ItRecordsAtOnceWhenAllHaveContributed() external {
        open();
        submitAll();
        vm.warp(START + 100);
        bytes32 profileHash = consortium.round().roundHash;
        bytes32 ledger = keccak256(abi.encode(bytes32(0), uint256(1), profileHash));
        vm.expectEmit(address(consortium));
        emit IConsortium.ProfileRecorded(1, profileHash, 15);
        vm.prank(address(0xbeef));
        consortium.profileRecord();
        IConsortium.Round memory round = consortium.round();
        vm.assertEq(consortium.ledger(), ledger, "ledger");
        vm.assertEq(round.deadline, START + 100 + 2 days, "end of the dispute window");
        vm.assertEq(round.roundHash, profileHash, "round hash");
        expectPhase(IConsortium.Phase.Recorded);
    }

    function test_ItRecordsAtExactlyTheQuorum() external {
        // 75 % of four participants are three.
        open();
        for (uint256 i = 1; i < 4; ++i) {
            submit(i);
        }
        vm.warp(START + 1 days + 1);
        consortium.profileRecord();
        expectPhase(IConsortium.Phase.Recorded);
        vm.assertEq(consortium.round().submitted, 14, "submitted");
    }

    function test_ItVoidsBelowTheQuorum() external {
        open();
        submit(0);
        submit(3);
        uint256 time = START + 1 days + 1;
        vm.warp(time);
        vm.expectEmit(address(consortium));
        emit IConsortium.RoundVoided(1, "quorum");
        consortium.profileRecord();
        expectPhase(IConsortium.Phase.Idle);
        IConsortium.Round memory round = consortium.round();
        vm.assertEq(round.idleSince, time, "idle since");
        vm.assertEq(round.number, 1, "number");
        vm.assertEq(consortium.ledger(), 0, "ledger");
        uint256 balance = consortium.balanceOf(0);
        vm.prank(members[0]);
        consortium.withdraw(0, balance, payable(members[0]));
        vm.assertEq(consortium.balanceOf(0), 0, "balance");
    }

    function test_ItVoidsWhenNobodyHasContributed() external {
        IConsortium.Terms memory terms = agreed();
        terms.quorum = 1;
        consortium = deploy(records(members), triangle(4), terms);
        depositAll(1);
        open();
        vm.warp(START + 1 days + 1);
        consortium.profileRecord();
        expectPhase(IConsortium.Phase.Idle);
    }

    function test_ARelativeQuorumCountsParticipantsOnly() external {
        vm.prank(members[3]);
        consortium.exitRequest(3);
        open();
        submit(0);
        submit(1);
        vm.warp(START + 1 days + 1);
        // Two of three participants are below 75 %.
        consortium.profileRecord();
        expectPhase(IConsortium.Phase.Idle);
    }

    function expectWrongPhase(IConsortium.Phase actual) private {
        vm.expectRevert(abi.encodeWithSelector(Errors.WrongPhase.selector, actual, IConsortium.Phase.Open));
        consortium.profileRecord();
    }
}
