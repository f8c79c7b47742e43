// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IConsortium} from "../../src/interfaces/IConsortium.sol";
import {Errors} from "../../src/libraries/Errors.sol";
import {PlainKernel} from "../oracles/PlainKernel.sol";
import {ConsortiumFixture} from "../utils/ConsortiumFixture.sol";

contract DisputeResolveTest is ConsortiumFixture {
    /// @dev Two wei more than three can share.
    uint128 private constant BOND = 3e17 + 2;
    uint256 private constant DEADLINE = START + 3 days;

    function setUp() public override {
        super.setUp();
        redeploy(1, 7500);
    }

    function test_RevertGiven_ThereIsNoDispute() external {
        expectWrongPhase(IConsortium.Phase.Idle);
        open();
        expectWrongPhase(IConsortium.Phase.Open);
        submitAll();
        consortium.profileRecord();
        expectWrongPhase(IConsortium.Phase.Recorded);
        vm.warp(START + 30 days);
        consortium.payoffCalculate();
        expectWrongPhase(IConsortium.Phase.Calculated);
    }

    function test_RevertWhen_ThereIsNoSuchRuling() external {
        dispute(0);
        expectFailure(ARBITER, 3, abi.encodeWithSelector(Errors.RulingOutOfRange.selector, 3, 2));
        expectFailure(ARBITER, 255, abi.encodeWithSelector(Errors.RulingOutOfRange.selector, 255, 2));
        vm.warp(DEADLINE + 1);
        expectFailure(address(this), 3, abi.encodeWithSelector(Errors.RulingOutOfRange.selector, 3, 2));
    }

    function test_UpToTheDeadlineOnlyTheArbiterRules() external {
        dispute(0);
        for (uint256 time = DEADLINE - 1; time <= DEADLINE; ++time) {
            vm.warp(time);
            for (uint8 ruling; ruling < 3; ++ruling) {
                expectFailure(members[0], ruling, abi.encodeWithSelector(Errors.NotArbiter.selector, members[0]));
                expectFailure(attester, ruling, abi.encodeWithSelector(Errors.NotArbiter.selector, attester));
            }
        }
        rule(IConsortium.Ruling.Settle);
        expectPhase(IConsortium.Phase.Recorded);
    }

    function test_AfterTheDeadlineAnyoneBringsAboutTheDefaultOnly() external {
        for (uint8 byDefault; byDefault < 2; ++byDefault) {
            vm.warp(START);
            redeploy(byDefault, 7500);
            dispute(0);
            uint256 total = consortium.totalBalance();
            uint256 balance = consortium.balanceOf(0);
            vm.warp(DEADLINE + 1);
            for (uint8 ruling; ruling < 3; ++ruling) {
                if (ruling == byDefault) continue;
                bytes memory reason = abi.encodeWithSelector(Errors.NotDefaultRuling.selector, ruling, byDefault);
                expectFailure(ARBITER, ruling, reason);
                expectFailure(address(0xbeef), ruling, reason);
            }
            vm.expectEmit(address(consortium));
            emit IConsortium.DisputeResolved(1, 0, byDefault, 0);
            vm.prank(address(0xbeef));
            consortium.disputeResolve(byDefault);
            expectPhase(byDefault == 0 ? IConsortium.Phase.Recorded : IConsortium.Phase.Idle);
            vm.assertEq(consortium.balanceOf(0), balance, "nothing is forfeited");
            vm.assertEq(consortium.totalBalance(), total, "total balance");
        }
    }

    function test_SettleLetsTheContributionsStand() external {
        dispute(2);
        vm.warp(START + 100);
        vm.expectEmit(address(consortium));
        emit IConsortium.DisputeResolved(1, 2, 0, 0);
        rule(IConsortium.Ruling.Settle);
        expectPhase(IConsortium.Phase.Recorded);
        vm.assertEq(consortium.round().deadline, START + 99, "the window is over");
        uint256 free = consortium.balanceOf(2) - liability(2);
        vm.prank(members[2]);
        consortium.withdraw(2, free, payable(members[2]));
        vm.expectRevert(abi.encodeWithSelector(Errors.TooLate.selector, START + 100, START + 99));
        raise(1);

        int256[] memory expected = payoffsOf(15);
        consortium.payoffCalculate();
        for (uint256 i; i < 4; ++i) {
            vm.assertEq(consortium.payoffOf(i), expected[i], "payoff");
        }
        consortium.payoffTransfer();
        expectPhase(IConsortium.Phase.Idle);
    }

    function test_VoidEndsTheRoundWithoutPayoffs() external {
        dispute(1);
        bytes32 ledger = consortium.ledger();
        uint256[] memory before = balances();
        uint256 time = START + 200;
        vm.warp(time);
        vm.expectEmit(address(consortium));
        emit IConsortium.DisputeResolved(1, 1, 1, 0);
        vm.expectEmit(address(consortium));
        emit IConsortium.RoundVoided(1, "dispute");
        rule(IConsortium.Ruling.Void);
        expectPhase(IConsortium.Phase.Idle);
        vm.assertEq(consortium.round().idleSince, time, "idle since");
        vm.assertEq(consortium.ledger(), ledger, "ledger");
        vm.assertEq(balances(), before, "balances");
        for (uint256 i; i < 4; ++i) {
            vm.prank(members[i]);
            consortium.withdraw(i, before[i], payable(members[i]));
        }
        vm.assertEq(consortium.totalBalance(), 0, "all bonds are free");
    }

    function test_ForfeitSharesTheBondAmongTheOtherContributors() external {
        dispute(2);
        uint256[] memory expected = balances();
        uint256 total = consortium.totalBalance();
        uint256 share = BOND / 3;
        vm.assertEq(BOND % 3, 2, "there is a remainder");
        for (uint256 i; i < 4; ++i) {
            if (i != 2) expected[i] += share;
        }
        expected[2] -= 3 * share;
        vm.expectEmit(address(consortium));
        emit IConsortium.DisputeResolved(1, 2, 2, 3 * share);
        rule(IConsortium.Ruling.SettleAndForfeit);
        vm.assertEq(balances(), expected, "balances");
        vm.assertEq(consortium.totalBalance(), total, "total balance");
        vm.assertEq(consortium.solvent(), 15, "solvent");
        expectPhase(IConsortium.Phase.Recorded);
        int256[] memory payoffs = payoffsOf(15);
        consortium.payoffCalculate();
        consortium.payoffTransfer();
        for (uint256 i; i < 4; ++i) {
            vm.assertEq(int256(consortium.balanceOf(i)), int256(expected[i]) + payoffs[i], "settled as well");
        }
    }

    function test_ForfeitLeavesTheDisputantItsLiability() external {
        open();
        submitAll();
        consortium.profileRecord();
        uint256 needed = liability(0) + BOND;
        uint256 excess = consortium.balanceOf(0) - needed;
        vm.prank(members[0]);
        consortium.withdraw(0, excess, payable(members[0]));
        raise(0);
        rule(IConsortium.Ruling.SettleAndForfeit);
        vm.assertEq(consortium.balanceOf(0), liability(0) + 2, "the liability, and what could not be shared");
    }

    function test_AMaskedDisputantPaysAllContributors() external {
        open();
        for (uint256 i = 1; i < 4; ++i) {
            submit(i);
        }
        vm.warp(START + 1 days + 1);
        consortium.profileRecord();
        raise(0);
        uint256[] memory expected = balances();
        for (uint256 i = 1; i < 4; ++i) {
            expected[i] += BOND / 3;
        }
        expected[0] -= 3 * uint256(BOND / 3);
        rule(IConsortium.Ruling.SettleAndForfeit);
        vm.assertEq(balances(), expected, "balances");
    }

    function test_AMaskedMemberReceivesNothing() external {
        redeploy(1, 5000);
        open();
        submit(1);
        submit(3);
        vm.warp(START + 1 days + 1);
        consortium.profileRecord();
        raise(1);
        uint256[] memory expected = balances();
        expected[1] -= BOND;
        expected[3] += BOND;
        vm.expectEmit(address(consortium));
        emit IConsortium.DisputeResolved(1, 1, 2, BOND);
        rule(IConsortium.Ruling.SettleAndForfeit);
        vm.assertEq(balances(), expected, "the one other contributor gets it all");
    }

    function test_WithoutAnotherContributorNothingIsForfeited() external {
        redeploy(1, 2500);
        open();
        submit(3);
        vm.warp(START + 1 days + 1);
        consortium.profileRecord();
        raise(3);
        uint256[] memory before = balances();
        vm.expectEmit(address(consortium));
        emit IConsortium.DisputeResolved(1, 3, 2, 0);
        rule(IConsortium.Ruling.SettleAndForfeit);
        vm.assertEq(balances(), before, "balances");
        expectPhase(IConsortium.Phase.Recorded);
    }

    function test_TheBondOf120MembersIsSharedAmong119() external {
        members = accounts(120);
        redeploy(1, 7500);
        dispute(119);
        uint256[] memory expected = balances();
        uint256 share = BOND / 119;
        for (uint256 i; i < 119; ++i) {
            expected[i] += share;
        }
        expected[119] -= 119 * share;
        rule(IConsortium.Ruling.SettleAndForfeit);
        vm.assertEq(balances(), expected, "balances");
    }

    function test_ABondOfNothingIsForfeitedAsNothing() external {
        IConsortium.Terms memory terms = agreed();
        terms.disputeBond = 0;
        consortium = deploy(records(members), triangle(4), terms);
        depositAll(1);
        dispute(0);
        uint256[] memory before = balances();
        rule(IConsortium.Ruling.SettleAndForfeit);
        vm.assertEq(balances(), before, "balances");
    }

    /// @dev Everybody can afford a dispute.
    function redeploy(uint8 byDefault, uint16 quorum) private {
        IConsortium.Terms memory terms = agreed();
        (terms.disputeBond, terms.disputeDefault, terms.quorum) = (BOND, byDefault, quorum);
        consortium = deploy(records(members), triangle(members.length), terms);
        for (uint256 i; i < members.length; ++i) {
            deposit(i, 2 * liability(i) + BOND);
        }
    }

    function dispute(uint256 index) private {
        open();
        submitAll();
        consortium.profileRecord();
        raise(index);
    }

    function balances() private view returns (uint256[] memory list) {
        list = new uint256[](members.length);
        for (uint256 i; i < list.length; ++i) {
            list[i] = consortium.balanceOf(i);
        }
    }

    function payoffsOf(uint256 contributors) private view returns (int256[] memory) {
        int256[] memory scores = new int256[](4);
        bool[] memory contributed = new bool[](4);
        for (uint256 i; i < 4; ++i) {
            scores[i] = scoreOf(i, contributionOf(i));
            contributed[i] = (contributors >> i) & 1 == 1;
        }
        return PlainKernel.transfers(GAMMA_WAD, weights(4), scores, contributed);
    }

    function expectWrongPhase(IConsortium.Phase actual) private {
        bytes memory reason = abi.encodeWithSelector(Errors.WrongPhase.selector, actual, IConsortium.Phase.Disputed);
        expectFailure(ARBITER, 0, reason);
    }

    function expectFailure(address sender, uint8 ruling, bytes memory reason) private {
        vm.expectRevert(reason);
        vm.prank(sender);
        consortium.disputeResolve(ruling);
    }
}
