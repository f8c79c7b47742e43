// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IConsortium} from "../../src/interfaces/IConsortium.sol";
import {Errors} from "../../src/libraries/Errors.sol";
import {ConsortiumFixture} from "../utils/ConsortiumFixture.sol";

contract ExitTest is ConsortiumFixture {
    function test_RevertWhen_ThereIsNoSuchMember() external {
        bytes memory reason = abi.encodeWithSelector(Errors.UnknownMember.selector, 4, 4);
        vm.expectRevert(reason);
        consortium.exitRequest(4);
        vm.expectRevert(reason);
        consortium.exitCancel(4);
    }

    function test_RevertWhen_TheCallerIsNotTheMember() external {
        bytes memory reason = abi.encodeWithSelector(Errors.NotMember.selector, 0, address(this));
        vm.expectRevert(reason);
        consortium.exitRequest(0);
        vm.expectRevert(reason);
        consortium.exitCancel(0);
    }

    function test_ARequestMarksAndACancellationUnmarks() external {
        vm.expectEmit(address(consortium));
        emit IConsortium.ExitRequested(1);
        request(1);
        vm.assertEq(consortium.exiting(), 2, "exiting");
        vm.expectRevert(abi.encodeWithSelector(Errors.AlreadyExiting.selector, 1));
        request(1);
        request(3);
        vm.expectEmit(address(consortium));
        emit IConsortium.ExitCancelled(1);
        cancel(1);
        vm.assertEq(consortium.exiting(), 8, "exiting");
        vm.expectRevert(abi.encodeWithSelector(Errors.NotExiting.selector, 1));
        cancel(1);
    }

    function test_ARequestTakesEffectWithTheNextRound() external {
        depositAll(2);
        open();
        request(0);
        submitAll();
        consortium.profileRecord();
        vm.assertEq(consortium.round().submitted, 15, "still in this round");
        vm.warp(START + 30 days);
        consortium.payoffCalculate();
        request(1);
        consortium.payoffTransfer();
        cancel(1);
        depositAll(2);
        vm.warp(START + 60 days);
        open();
        vm.assertEq(consortium.round().participants, 14, "out of the next, until it cancels");
    }

    function request(uint256 index) private {
        vm.prank(members[index]);
        consortium.exitRequest(index);
    }

    function cancel(uint256 index) private {
        vm.prank(members[index]);
        consortium.exitCancel(index);
    }
}
