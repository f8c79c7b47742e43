// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IConsortium} from "../../src/interfaces/IConsortium.sol";
import {IConsortiumNative} from "../../src/interfaces/IConsortiumNative.sol";
import {Errors} from "../../src/libraries/Errors.sol";
import {HostileMember} from "../mocks/Wallets.sol";
import {ConsortiumFixture} from "../utils/ConsortiumFixture.sol";

contract WithdrawTest is ConsortiumFixture {
    address payable private constant SAVINGS = payable(address(0x5a5));

    HostileMember private hostile;
    uint256 private hostileIndex;

    function setUp() public override {
        vm.warp(START);
        attester = vm.addr(ATTESTER_KEY);
        hostile = new HostileMember();
        address[] memory list = accounts(4);
        list[3] = address(hostile);
        sort(list);
        members = list;
        while (members[hostileIndex] != address(hostile)) {
            ++hostileIndex;
        }
        consortium = deploy(records(members), triangle(4), agreed());
        depositAll(3);
    }

    function test_RevertWhen_ThereIsNoSuchMember() external {
        expectFailure(members[0], 4, 1, SAVINGS, abi.encodeWithSelector(Errors.UnknownMember.selector, 4, 4));
    }

    function test_RevertWhen_TheCallerIsNotTheMember() external {
        bytes memory reason = abi.encodeWithSelector(Errors.NotMember.selector, 0, members[1]);
        expectFailure(members[1], 0, 1, SAVINGS, reason);
    }

    function test_RevertWhen_TheRecipientIsZeroOrTheContract() external {
        bytes memory reason = abi.encodeWithSelector(Errors.InvalidRecipient.selector, address(0));
        expectFailure(members[0], 0, type(uint256).max, payable(address(0)), reason);
        reason = abi.encodeWithSelector(Errors.InvalidRecipient.selector, address(consortium));
        expectFailure(members[0], 0, type(uint256).max, payable(address(consortium)), reason);
    }

    function test_RevertWhen_TheAmountExceedsTheBalance() external {
        uint256 balance = consortium.balanceOf(0);
        expectExceeds(balance + 1, balance);
        expectExceeds(type(uint256).max, balance);
        // Nobody reaches another's money or ether forced upon the contract.
        vm.deal(address(consortium), address(consortium).balance + 7 ether);
        expectExceeds(balance + 1, balance);
    }

    function test_RevertGiven_ALiveRoundNeedsTheBond() external {
        open();
        expectLocked();
        submitAll();
        consortium.profileRecord();
        expectLocked();
        vm.warp(START + 30 days);
        consortium.payoffCalculate();
        expectLocked();
        consortium.payoffTransfer();
        uint256 balance = consortium.balanceOf(0);
        withdraw(0, balance, SAVINGS);
        vm.assertEq(consortium.balanceOf(0), 0, "everything once idle");
    }

    function test_AMemberOutsideTheRoundWithdrawsEverything() external {
        vm.prank(members[0]);
        consortium.exitRequest(0);
        open();
        withdraw(0, consortium.balanceOf(0), SAVINGS);
        vm.assertEq(consortium.balanceOf(0), 0, "balance");
    }

    function test_AMemberThatExitsDuringTheRoundStaysBound() external {
        open();
        vm.prank(members[0]);
        consortium.exitRequest(0);
        uint256 needed = liability(0);
        bytes memory reason = abi.encodeWithSelector(Errors.BondLocked.selector, 0, 3 * needed, 2 * needed);
        expectFailure(members[0], 0, 3 * needed, SAVINGS, reason);
    }

    function test_ItPaysExactlyTheAmount() external {
        uint256 balance = consortium.balanceOf(0);
        uint256 total = consortium.totalBalance();
        vm.expectEmit(address(consortium));
        emit IConsortium.Withdrawn(0, SAVINGS, 5, balance - 5);
        withdraw(0, 5, SAVINGS);
        vm.assertEq(SAVINGS.balance, 5, "paid");
        vm.assertEq(consortium.balanceOf(0), balance - 5, "balance");
        vm.assertEq(consortium.totalBalance(), total - 5, "total balance");
        withdraw(0, 0, SAVINGS);
        vm.assertEq(SAVINGS.balance, 5, "nothing");
    }

    function test_ItKeepsTheSolventBitCurrent() external {
        uint256 balance = consortium.balanceOf(0);
        uint256 needed = liability(0);
        withdraw(0, balance - needed, SAVINGS);
        vm.assertEq(consortium.solvent(), 15, "exactly the liability");
        withdraw(0, 1, SAVINGS);
        vm.assertEq(consortium.solvent(), 14, "a wei less");
        vm.assertEq(consortium.accepted(), 15, "the terms stay accepted");
    }

    function test_ARefusingRecipientBlocksNobodyAndNothing() external {
        hostile.configure(address(consortium), true, new bytes[](0));
        uint256 balance = consortium.balanceOf(hostileIndex);
        bytes memory toItself = abi.encodeCall(
            IConsortium.withdraw,
            (hostileIndex, balance, payable(address(hostile)))
        );
        vm.expectRevert(abi.encodeWithSelector(Errors.TransferFailed.selector, address(hostile), balance));
        hostile.act(toItself, 0);
        vm.assertEq(consortium.balanceOf(hostileIndex), balance, "balance");
        open();
        submitAll();
        consortium.profileRecord();
        vm.warp(START + 30 days);
        consortium.payoffCalculate();
        consortium.payoffTransfer();
        balance = consortium.balanceOf(hostileIndex);
        hostile.act(abi.encodeCall(IConsortium.withdraw, (hostileIndex, balance, SAVINGS)), 0);
        vm.assertEq(SAVINGS.balance, balance, "paid to another address");
    }

    function test_AReentrantRecipientGainsNothing() external {
        uint256 balance = consortium.balanceOf(hostileIndex);
        bytes[] memory attacks = new bytes[](3);
        attacks[0] = abi.encodeCall(IConsortium.withdraw, (hostileIndex, 1, payable(address(hostile))));
        attacks[1] = abi.encodeCall(IConsortium.withdraw, (hostileIndex, balance, SAVINGS));
        attacks[2] = abi.encodeCall(IConsortiumNative.depositSubmit, (hostileIndex, consortium.termsHash()));
        hostile.configure(address(consortium), false, attacks);
        uint256 part = balance / 2;
        hostile.act(abi.encodeCall(IConsortium.withdraw, (hostileIndex, part, payable(address(hostile)))), 0);
        vm.assertEq(hostile.tried(), 3, "attacks tried");
        vm.assertEq(hostile.passed(), 0, "attacks passed");
        vm.assertEq(address(hostile).balance, part, "paid once");
        vm.assertEq(consortium.balanceOf(hostileIndex), balance - part, "balance");
    }

    function test_TheBooksAreCurrentWhileTheRecipientRuns() external {
        uint256 balance = consortium.balanceOf(hostileIndex);
        bytes[] memory attacks = new bytes[](1);
        // Legitimate, and harmless because the withdrawal is booked before the ether leaves.
        attacks[0] = abi.encodeCall(IConsortium.exitRequest, (hostileIndex));
        hostile.configure(address(consortium), false, attacks);
        hostile.act(abi.encodeCall(IConsortium.withdraw, (hostileIndex, balance, payable(address(hostile)))), 0);
        vm.assertEq(hostile.passed(), 1, "exit requested");
        vm.assertEq((consortium.solvent() >> hostileIndex) & 1, 0, "solvent");
        vm.assertEq(address(consortium).balance, consortium.totalBalance(), "ether held");
    }

    function testFuzz_WhatGoesInComesOut(uint96 amount, uint256 seed) external {
        uint256 start = consortium.balanceOf(1);
        deposit(1, amount);
        uint256 first = bound(seed, 0, start + amount);
        withdraw(1, first, SAVINGS);
        withdraw(1, start + amount - first, SAVINGS);
        vm.assertEq(SAVINGS.balance, start + amount, "paid");
        vm.assertEq(address(consortium).balance, consortium.totalBalance(), "ether held");
    }

    function withdraw(uint256 index, uint256 amount, address payable to) private {
        vm.prank(members[index]);
        consortium.withdraw(index, amount, to);
    }

    /// @dev Member 0 holds three times its liability or more; all above one time is free.
    function expectLocked() private {
        uint256 needed = liability(0);
        uint256 available = consortium.balanceOf(0) - needed;
        bytes memory reason = abi.encodeWithSelector(Errors.BondLocked.selector, 0, available + 1, available);
        expectFailure(members[0], 0, available + 1, SAVINGS, reason);
        withdraw(0, 1, SAVINGS);
    }

    function expectExceeds(uint256 amount, uint256 balance) private {
        bytes memory reason = abi.encodeWithSelector(Errors.WithdrawalExceedsBalance.selector, 0, amount, balance);
        expectFailure(members[0], 0, amount, SAVINGS, reason);
    }

    function expectFailure(
        address sender,
        uint256 index,
        uint256 amount,
        address payable to,
        bytes memory reason
    ) private {
        vm.expectRevert(reason);
        vm.prank(sender);
        consortium.withdraw(index, amount, to);
    }
}
