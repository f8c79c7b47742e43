// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IConsortiumNative} from "../../src/interfaces/IConsortiumNative.sol";
import {IConsortium} from "../../src/interfaces/IConsortium.sol";
import {Errors} from "../../src/libraries/Errors.sol";
import {ConsortiumFixture} from "../utils/ConsortiumFixture.sol";

contract DepositSubmitTest is ConsortiumFixture {
    bytes32 private termsHash;

    function setUp() public override {
        super.setUp();
        termsHash = consortium.termsHash();
    }

    function test_RevertWhen_ThereIsNoSuchMember() external {
        expectFailure(members[0], 4, termsHash, 1 ether, abi.encodeWithSelector(Errors.UnknownMember.selector, 4, 4));
    }

    function test_RevertWhen_TheCallerIsNotTheMember() external {
        bytes memory reason = abi.encodeWithSelector(Errors.NotMember.selector, 0, members[1]);
        expectFailure(members[1], 0, "other terms", 0, reason);
    }

    function test_RevertWhen_TheTermsAreOthers() external {
        bytes memory reason = abi.encodeWithSelector(Errors.TermsMismatch.selector, bytes32("other"), termsHash);
        expectFailure(members[0], 0, "other", 0, reason);
    }

    function test_RevertWhen_TheBondIsTooSmall() external {
        uint256 needed = liability(0);
        bytes memory reason = abi.encodeWithSelector(Errors.BondTooSmall.selector, 0, needed - 1, needed);
        expectFailure(members[0], 0, termsHash, needed - 1, reason);
    }

    function test_RevertWhen_TheTotalReachesTheBound() external {
        uint256 held = liability(1);
        deposit(1, held);
        uint256 most = 2 ** 127 - held;
        bytes memory reason = abi.encodeWithSelector(Errors.TotalBalanceTooLarge.selector, 2 ** 127);
        expectFailure(members[0], 0, termsHash, most, reason);
        deposit(0, most - 1);
        vm.assertEq(consortium.totalBalance(), 2 ** 127 - 1, "total balance");
    }

    function test_TheFirstDepositAcceptsTheTerms() external {
        uint256 amount = liability(2) + 5;
        vm.deal(members[2], amount);
        vm.expectEmit(address(consortium));
        emit IConsortium.Accepted(2, members[2], termsHash);
        vm.expectEmit(address(consortium));
        emit IConsortium.Deposited(2, members[2], amount, amount);
        vm.prank(members[2]);
        IConsortiumNative(address(consortium)).depositSubmit{value: amount}(2, termsHash);
        vm.assertEq(consortium.balanceOf(2), amount, "balance");
        vm.assertEq(consortium.totalBalance(), amount, "total balance");
        vm.assertEq(address(consortium).balance, amount, "ether held");
        vm.assertEq(consortium.accepted(), 1 << 2, "accepted");
        vm.assertEq(consortium.solvent(), 1 << 2, "solvent");
    }

    function test_ALaterDepositIsNoSecondAcceptance() external {
        uint256 amount = liability(2);
        deposit(2, amount);
        vm.recordLogs();
        deposit(2, 0);
        deposit(2, 1);
        vm.assertEq(vm.getRecordedLogs().length, 2, "one event each");
        vm.assertEq(consortium.balanceOf(2), amount + 1, "balance");
    }

    function test_ATopUpCountsTogetherWithTheBalance() external {
        uint256 needed = liability(0);
        deposit(0, needed);
        vm.prank(members[0]);
        consortium.withdraw(0, 1, payable(members[0]));
        vm.assertEq(consortium.solvent(), 0, "insolvent after the withdrawal");
        bytes memory reason = abi.encodeWithSelector(Errors.BondTooSmall.selector, 0, needed - 1, needed);
        expectFailure(members[0], 0, termsHash, 0, reason);
        deposit(0, 1);
        vm.assertEq(consortium.solvent(), 1, "solvent again");
    }

    function test_ADepositInALiveRoundLeavesTheParticipants() external {
        for (uint256 i; i < 3; ++i) {
            deposit(i, liability(i));
        }
        open();
        deposit(3, liability(3));
        vm.assertEq(consortium.round().participants, 7, "participants");
        vm.assertEq(consortium.solvent(), 15, "solvent");
    }

    function test_EtherWithoutADepositIsRefused() external {
        vm.deal(address(this), 1 ether);
        (bool taken, ) = address(consortium).call{value: 1}("");
        vm.assertTrue(!taken, "plain transfer");
        (taken, ) = address(consortium).call{value: 1}(abi.encodeCall(IConsortium.profileRecord, ()));
        vm.assertTrue(!taken, "another function");
    }

    function expectFailure(address sender, uint256 index, bytes32 hash, uint256 value, bytes memory reason) private {
        vm.deal(sender, value);
        vm.expectRevert(reason);
        vm.prank(sender);
        IConsortiumNative(address(consortium)).depositSubmit{value: value}(index, hash);
    }
}
