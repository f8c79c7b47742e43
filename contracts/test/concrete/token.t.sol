// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IConsortium} from "../../src/interfaces/IConsortium.sol";
import {IConsortiumERC20} from "../../src/interfaces/IConsortiumERC20.sol";
import {Errors} from "../../src/libraries/Errors.sol";
import {FailingToken, FeeToken, HookedToken, SilentToken, Token} from "../mocks/Tokens.sol";
import {HostileMember} from "../mocks/Wallets.sol";
import {ConsortiumFixture} from "../utils/ConsortiumFixture.sol";

contract TokenTest is ConsortiumFixture {
    address payable private constant SAVINGS = payable(address(0x5a5));

    function setUp() public override {
        start(new Token());
    }

    function test_ItTakesExactlyTheAmount() external {
        uint256 amount = liability(2) + 5;
        bytes32 termsHash = consortium.termsHash();
        endow(members[2], amount + 7);
        vm.expectEmit(address(consortium));
        emit IConsortium.Accepted(2, members[2], termsHash);
        vm.expectEmit(address(consortium));
        emit IConsortium.Deposited(2, members[2], amount, amount);
        tryDeposit(2, termsHash, amount);
        vm.assertEq(consortium.balanceOf(2), amount, "balance");
        vm.assertEq(consortium.totalBalance(), amount, "total balance");
        vm.assertEq(holdings(address(consortium)), amount, "tokens held");
        vm.assertEq(holdings(members[2]), 7, "tokens left");
        vm.assertEq(consortium.solvent(), 4, "solvent");
        vm.assertEq(consortium.terms().token, address(token), "token");
    }

    function test_RevertWhen_AConditionOfTheDepositIsNotMet() external {
        bytes32 termsHash = consortium.termsHash();
        uint256 needed = liability(0);
        endow(members[0], 10 * needed);
        vm.expectRevert(abi.encodeWithSelector(Errors.UnknownMember.selector, 4, 4));
        IConsortiumERC20(address(consortium)).depositSubmit(4, termsHash, needed);
        vm.expectRevert(abi.encodeWithSelector(Errors.NotMember.selector, 0, address(this)));
        IConsortiumERC20(address(consortium)).depositSubmit(0, termsHash, needed);
        vm.expectRevert(abi.encodeWithSelector(Errors.TermsMismatch.selector, bytes32("other"), termsHash));
        tryDeposit(0, "other", needed);
        vm.expectRevert(abi.encodeWithSelector(Errors.BondTooSmall.selector, 0, needed - 1, needed));
        tryDeposit(0, termsHash, needed - 1);
        vm.expectRevert(abi.encodeWithSelector(Errors.TotalBalanceTooLarge.selector, 2 ** 127));
        tryDeposit(0, termsHash, 2 ** 127);
    }

    function test_RevertWhen_EtherComesWithIt() external {
        bytes memory data = abi.encodeCall(IConsortiumERC20.depositSubmit, (0, consortium.termsHash(), 1 ether));
        endow(members[0], 1 ether);
        vm.deal(members[0], 1);
        vm.prank(members[0]);
        (bool success, ) = address(consortium).call{value: 1}(data);
        vm.assertTrue(!success, "ether with a deposit");
        vm.deal(address(this), 1);
        (success, ) = address(consortium).call{value: 1}("");
        vm.assertTrue(!success, "ether alone");
    }

    function test_RevertGiven_TooLittleAllowanceOrTooFewTokens() external {
        uint256 amount = liability(0);
        bytes32 termsHash = consortium.termsHash();
        bytes memory reason = abi.encodeWithSelector(Errors.TransferFailed.selector, address(consortium), amount);
        endow(members[0], amount - 1);
        token.mint(members[0], 1);
        vm.expectRevert(reason);
        tryDeposit(0, termsHash, amount);
        vm.prank(members[0]);
        token.approve(address(consortium), amount);
        vm.prank(members[0]);
        token.transfer(SAVINGS, 1);
        vm.expectRevert(reason);
        tryDeposit(0, termsHash, amount);
        token.mint(members[0], 1);
        tryDeposit(0, termsHash, amount);
        vm.assertEq(consortium.balanceOf(0), amount, "balance");
    }

    function test_ATokenThatReturnsNothingIsTaken() external {
        start(new SilentToken());
        depositAll(2);
        uint256 balance = consortium.balanceOf(1);
        withdraw(1, balance, SAVINGS);
        vm.assertEq(holdings(SAVINGS), balance, "paid");
    }

    function test_RevertGiven_ATokenThatDeliversAnotherAmount() external {
        for (int256 fee = -1; fee < 2; fee += 2) {
            start(new FeeToken(fee));
            bytes32 termsHash = consortium.termsHash();
            uint256 amount = liability(0);
            endow(members[0], amount);
            vm.expectRevert(abi.encodeWithSelector(Errors.UnsupportedToken.selector, address(token)));
            tryDeposit(0, termsHash, amount);
        }
    }

    function test_RevertGiven_ATokenThatFails() external {
        FailingToken failing = new FailingToken();
        start(failing);
        depositAll(2);
        bytes32 termsHash = consortium.termsHash();
        uint256 balance = consortium.balanceOf(0);
        endow(members[0], 5);
        for (uint256 i = 1; i < 3; ++i) {
            failing.set(FailingToken.Failure(i));
            vm.expectRevert(abi.encodeWithSelector(Errors.TransferFailed.selector, address(consortium), 5));
            tryDeposit(0, termsHash, 5);
            vm.expectRevert(abi.encodeWithSelector(Errors.TransferFailed.selector, SAVINGS, 5));
            withdraw(0, 5, SAVINGS);
        }
        vm.assertEq(consortium.balanceOf(0), balance, "balance");
        vm.assertEq(consortium.solvent(), 15, "solvent");
        settle();
        failing.set(FailingToken.Failure.None);
        balance = consortium.balanceOf(0);
        withdraw(0, balance, SAVINGS);
        vm.assertEq(holdings(SAVINGS), balance, "paid once the token works again");
    }

    function test_AnAccountThatIsToldGainsNothing() external {
        (HookedToken hooked, HostileMember hostile, uint256 index) = startHostile();
        bytes[] memory attacks = new bytes[](4);
        uint256 balance = consortium.balanceOf(index);
        attacks[0] = abi.encodeCall(IConsortium.withdraw, (index, 1, payable(address(hostile))));
        attacks[1] = abi.encodeCall(IConsortium.withdraw, (index, balance, SAVINGS));
        attacks[2] = abi.encodeCall(IConsortiumERC20.depositSubmit, (index, consortium.termsHash(), 0));
        attacks[3] = abi.encodeCall(IConsortiumERC20.depositSubmit, (index, consortium.termsHash(), 1));
        hostile.configure(address(consortium), false, attacks);
        hooked.register(address(hostile), true, true);

        deposit(index, 9);
        vm.assertEq(hostile.tried(), 4, "attacks tried while the tokens come in");
        vm.assertEq(consortium.balanceOf(index), balance + 9, "balance");
        hostile.act(abi.encodeCall(IConsortium.withdraw, (index, 9, payable(address(hostile)))), 0);
        vm.assertEq(hostile.tried(), 8, "attacks tried while they go out");
        vm.assertEq(hostile.passed(), 0, "attacks passed");
        vm.assertEq(holdings(address(hostile)), 9, "paid once");
        vm.assertEq(consortium.balanceOf(index), balance, "balance");
        vm.assertEq(holdings(address(consortium)), consortium.totalBalance(), "tokens held");
    }

    function test_ARecipientThatRefusesBlocksOnlyItself() external {
        (HookedToken hooked, HostileMember hostile, uint256 index) = startHostile();
        hostile.configure(address(consortium), true, new bytes[](0));
        hooked.register(address(hostile), false, true);
        uint256 balance = consortium.balanceOf(index);
        vm.expectRevert(abi.encodeWithSelector(Errors.TransferFailed.selector, address(hostile), balance));
        withdraw(index, balance, payable(address(hostile)));
        settle();
        balance = consortium.balanceOf(index);
        withdraw(index, balance, SAVINGS);
        vm.assertEq(holdings(SAVINGS), balance, "paid to another address");
    }

    function test_ATokenWhoseCodeIsGoneMovesNothing() external {
        depositAll(2);
        bytes32 termsHash = consortium.termsHash();
        uint256 balance = consortium.balanceOf(0);
        endow(members[0], 5);
        bytes memory code = address(token).code;
        vm.etch(address(token), "");
        vm.expectRevert();
        tryDeposit(0, termsHash, 5);
        vm.expectRevert(abi.encodeWithSelector(Errors.TransferFailed.selector, SAVINGS, balance));
        withdraw(0, balance, SAVINGS);
        settle();
        vm.etch(address(token), code);
        balance = consortium.balanceOf(0);
        withdraw(0, balance, SAVINGS);
        vm.assertEq(holdings(SAVINGS), balance, "paid once the code is back");
    }

    function test_WhatArrivesWithoutADepositIsInert() external {
        depositAll(2);
        uint256 balance = consortium.balanceOf(0);
        token.mint(address(consortium), 7 ether);
        vm.deal(address(consortium), 3 ether);
        vm.expectRevert(abi.encodeWithSelector(Errors.WithdrawalExceedsBalance.selector, 0, balance + 1, balance));
        withdraw(0, balance + 1, SAVINGS);
        withdraw(0, balance, SAVINGS);
        vm.assertEq(holdings(SAVINGS), balance, "paid");
        vm.assertEq(holdings(address(consortium)), consortium.totalBalance() + 7 ether, "tokens held");
        // Nor does it spoil the next deposit.
        deposit(0, balance);
        vm.assertEq(consortium.balanceOf(0), balance, "balance");
    }

    function testFuzz_WhatGoesInComesOut(uint96 amount, uint256 seed) external {
        depositAll(1);
        uint256 all = consortium.balanceOf(1) + amount;
        deposit(1, amount);
        uint256 first = bound(seed, 0, all);
        withdraw(1, first, SAVINGS);
        withdraw(1, all - first, SAVINGS);
        vm.assertEq(holdings(SAVINGS), all, "paid");
        vm.assertEq(holdings(address(consortium)), consortium.totalBalance(), "tokens held");
    }

    function start(Token token_) private {
        vm.warp(START);
        token = token_;
        attester = vm.addr(ATTESTER_KEY);
        members = accounts(4);
        consortium = deploy(records(members), triangle(4), agreed());
    }

    function startHostile() private returns (HookedToken hooked, HostileMember hostile, uint256 index) {
        hooked = new HookedToken();
        hostile = new HostileMember();
        start(Token(address(hooked)));
        address[] memory list = accounts(4);
        list[3] = address(hostile);
        sort(list);
        members = list;
        consortium = deploy(records(members), triangle(4), agreed());
        while (members[index] != address(hostile)) {
            ++index;
        }
        depositAll(3);
    }

    function tryDeposit(uint256 index, bytes32 termsHash, uint256 amount) private {
        vm.prank(members[index]);
        IConsortiumERC20(address(consortium)).depositSubmit(index, termsHash, amount);
    }

    function withdraw(uint256 index, uint256 amount, address payable to) private {
        vm.prank(members[index]);
        consortium.withdraw(index, amount, to);
    }

    /// @dev A whole round of whoever is solvent, without the token.
    function settle() private {
        open();
        submitAll();
        consortium.profileRecord();
        vm.warp(START + 30 days);
        consortium.payoffCalculate();
        vm.assertTrue(consortium.payoffOf(0) != 0, "something moves");
        consortium.payoffTransfer();
        expectPhase(IConsortium.Phase.Idle);
    }
}

contract VectorTokenTest is ConsortiumFixture {
    function setUp() public override {
        (token, vector) = (new Token(), true);
        super.setUp();
    }

    function test_SignedTransfersSettleInTokens() external {
        depositAll(2);
        open();
        submitAll();
        consortium.profileRecord();
        int256[] memory transfers = transfersOf(15);
        submit(transfers);
        vm.warp(START + 30 days);
        consortium.payoffCalculate();
        consortium.payoffTransfer();
        uint256 balance = consortium.balanceOf(3);
        vm.assertEq(int256(balance), int256(2 * liability(3)) + transfers[3], "balance");
        vm.prank(members[3]);
        consortium.withdraw(3, balance, payable(members[3]));
        vm.assertEq(holdings(members[3]), balance, "paid");
    }
}
