// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IConsortium} from "../../src/interfaces/IConsortium.sol";
import {Errors} from "../../src/libraries/Errors.sol";
import {PlainKernel} from "../oracles/PlainKernel.sol";
import {ConsortiumFixture} from "../utils/ConsortiumFixture.sol";
import {Vm} from "../utils/Vm.sol";

contract AbsenceTest is ConsortiumFixture {
    /// @dev Less than the liabilities, which are some 0.1 ether.
    uint128 private constant BOND = 0.01 ether;

    uint128 private bond = BOND;

    function setUp() public override {
        charging = true;
        super.setUp();
    }

    function agreed() internal view override returns (IConsortium.Terms memory terms) {
        terms = super.agreed();
        (terms.quorum, terms.disputeBond) = (2500, bond);
    }

    function test_ItChargesWhatThePlainOracleDoes() external {
        for (uint256 contributors = 1; contributors < 15; ++contributors) {
            consortium = deploy(records(members), triangle(4), agreed());
            settleFrom(contributors);
            int256[] memory expected = expectedPayoffs(contributors, 15);
            for (uint256 i; i < 4; ++i) {
                vm.assertEq(consortium.payoffOf(i), expected[i], "payoff");
            }
        }
    }

    function test_ItPaysContributorsWhatTheStandInsWouldHave() external {
        settleFrom(11);
        uint256 paying;
        for (uint256 i; i < 4; ++i) {
            if (i == 2) continue;
            // The pair alone, with the stand-in in the absent member's place.
            int256[] memory scores = new int256[](4);
            bool[] memory pair = new bool[](4);
            (scores[2], scores[i]) = (standIn(2), scoreOf(i, contributionOf(i)));
            (pair[2], pair[i]) = (true, true);
            int256 owed = PlainKernel.transfers(GAMMA_WAD, weights(4), scores, pair)[i];
            int256 masked = expectedPayoffs(11, 0)[i];
            vm.assertEq(consortium.payoffOf(i) - masked, owed > 0 ? owed : int256(0), "received from the absent");
            if (owed > 0) ++paying;
        }
        vm.assertGt(paying, 1, "more than one is owed something");
        vm.assertTrue(consortium.payoffOf(2) < 0, "the absent member pays");
    }

    function test_ItSaysWhoIsAbsentBeforeThePayoffs() external {
        recordFrom(9);
        vm.warp(START + 9 days);
        vm.recordLogs();
        consortium.payoffCalculate();
        Vm.Log[] memory logs = vm.getRecordedLogs();
        vm.assertEq(logs.length, 2, "events");
        vm.assertEq(logs[0].topics[0], keccak256("Absent(uint256,uint256)"), "first");
        vm.assertEq(logs[0].topics[1], bytes32(uint256(1)), "round");
        vm.assertEq(abi.decode(logs[0].data, (uint256)), 6, "bitmap");
        vm.assertEq(logs[1].topics[0], IConsortium.PayoffCalculated.selector, "second");
    }

    function test_ItPaysAnAbsentMemberNothing() external {
        // Its stand-in is ahead of everybody else.
        depositAll(2);
        open();
        for (uint256 i; i < 3; ++i) {
            submit(i, IConsortium.Contribution(0, 0, 0));
        }
        vm.warp(START + 1 days + 1);
        consortium.profileRecord();
        vm.warp(START + 9 days);
        consortium.payoffCalculate();
        vm.assertEq(consortium.payoffOf(3), 0, "payoff");
        vm.assertEq(consortium.payoffOf(0) + consortium.payoffOf(1) + consortium.payoffOf(2), 0, "the others");
        vm.assertTrue(consortium.payoffOf(0) != 0, "who settle as if masked");
    }

    function test_NothingMovesBetweenTwoWhoAreAbsent() external {
        settleFrom(9);
        int256 alone = expectedPayoffs(9, 2)[1];
        int256 other = expectedPayoffs(9, 4)[2];
        vm.assertTrue(alone < 0 && other < 0, "both owe something");
        vm.assertEq(consortium.payoffOf(1), alone, "one");
        vm.assertEq(consortium.payoffOf(2), other, "the other");
    }

    function test_WhoTakesNoPartIsNotAbsent() external {
        depositAll(2);
        vm.prank(members[1]);
        consortium.exitRequest(1);
        open();
        submit(0);
        submit(3);
        vm.warp(START + 1 days + 1);
        consortium.profileRecord();
        vm.warp(START + 9 days);
        vm.expectEmit(address(consortium));
        emit IConsortium.Absent(1, 4);
        consortium.payoffCalculate();
        vm.assertEq(consortium.payoffOf(1), 0, "payoff");
        consortium.payoffTransfer();
        vm.assertEq(consortium.balanceOf(1), 2 * liability(1), "balance");
        vm.assertEq(consortium.solvent() & 2, 2, "solvent");
    }

    function test_AFullRoundNamesNobody() external {
        recordFrom(15);
        vm.warp(START + 9 days);
        vm.recordLogs();
        consortium.payoffCalculate();
        vm.assertEq(vm.getRecordedLogs().length, 1, "events");
    }

    function testFuzz_SilenceNeverPays(uint64[12] memory amounts, uint256 who, uint256 others) external {
        who = bound(who, 0, 3);
        others = bound(others, 0, 15) | (1 << ((who + 1) % 4));
        int256 silent = play(amounts, others & ~(1 << who))[who];
        // At least as much as its stand-in, in every part.
        IConsortium.Member memory terms = termsOf(members[who], who);
        amounts[who] = uint64(bound(amounts[who], terms.dataCap / 2, terms.dataCap));
        amounts[4 + who] = uint64(bound(amounts[4 + who], terms.generatedCap / 3, terms.generatedCap));
        int256 delivering = play(amounts, others | (1 << who))[who];
        vm.assertTrue(silent <= delivering, "silence pays");
        vm.assertTrue(silent <= 0, "silence is paid");
    }

    function test_ItDebitsTheAbsentOnce() external {
        settleFrom(11);
        int256[] memory expected = expectedPayoffs(11, 15);
        uint256 total = consortium.totalBalance();
        consortium.payoffTransfer();
        uint256 sum;
        for (uint256 i; i < 4; ++i) {
            vm.assertEq(int256(consortium.balanceOf(i)), int256(2 * liability(i)) + expected[i], "balance");
            vm.assertEq(consortium.payoffOf(i), 0, "payoff");
            sum += consortium.balanceOf(i);
        }
        vm.assertEq(sum, total, "sum of balances");
        // Nothing is left of it for the next round, in which everybody contributes the same.
        vm.warp(START + 30 days);
        depositAll(1);
        open();
        for (uint256 i; i < 4; ++i) {
            submit(i, IConsortium.Contribution(0, 0, 0));
        }
        consortium.profileRecord();
        uint256 balance = consortium.balanceOf(2);
        vm.warp(START + 60 days);
        consortium.payoffCalculate();
        int256 payoff = consortium.payoffOf(2);
        consortium.payoffTransfer();
        vm.assertEq(int256(consortium.balanceOf(2)), int256(balance) + payoff, "the second round");
    }

    function test_ItRebuildsTheSolventBitOfTheAbsent() external {
        uint256 owed = uint256(-expectedPayoffs(11, 15)[2]);
        for (uint256 missing; missing < 2; ++missing) {
            vm.warp(START);
            consortium = deploy(records(members), triangle(4), agreed());
            recordFrom(11);
            withdraw(2, liability(2) - owed + missing);
            vm.warp(START + 9 days);
            consortium.payoffCalculate();
            vm.assertEq(consortium.solvent() & 4, 4, "before");
            consortium.payoffTransfer();
            vm.assertEq(consortium.balanceOf(2), liability(2) - missing, "balance");
            vm.assertEq(consortium.solvent() & 4, missing == 0 ? 4 : 0, "solvent");
        }
    }

    function test_ARoundBelowQuorumChargesNobody() external {
        depositAll(2);
        open();
        vm.warp(START + 1 days + 1);
        consortium.profileRecord();
        expectPhase(IConsortium.Phase.Idle);
        expectUntouched();
    }

    function test_ARoundThatIsVoidedByARulingChargesNobody() external {
        recordFrom(11);
        raise(2);
        rule(IConsortium.Ruling.Void);
        expectPhase(IConsortium.Phase.Idle);
        expectUntouched();
    }

    function test_AnAbsentMemberDisputesWithWhatItOwesAndTheBond() external {
        uint256 owed = uint256(-expectedPayoffs(11, 15)[2]);
        // So large that the liability alone is not enough.
        bond = uint128(expectedLiabilities()[2] - owed + 5);
        consortium = deploy(records(members), triangle(4), agreed());
        recordFrom(11);
        uint256 needed = owed + bond;
        vm.assertEq(needed, liability(2) + 5, "just above the liability");
        withdraw(2, 2 * liability(2) - needed + 1);
        vm.expectRevert(abi.encodeWithSelector(Errors.DisputeBondTooSmall.selector, 2, needed - 1, needed));
        raise(2);
        deposit(2, 1);
        raise(2);
        expectPhase(IConsortium.Phase.Disputed);
        expectLocked(2, 1, 0);
        deposit(2, 3);
        expectLocked(2, 4, 3);
        withdraw(2, 3);
    }

    function test_AContributorCannotDisputeWithThat() external {
        recordFrom(11);
        withdraw(0, liability(0));
        uint256 needed = liability(0) + bond;
        vm.expectRevert(abi.encodeWithSelector(Errors.DisputeBondTooSmall.selector, 0, liability(0), needed));
        raise(0);
    }

    function test_TheLiabilityStaysWhileAnAbsentMemberDisputes() external {
        recordFrom(11);
        withdraw(2, liability(2));
        raise(2);
        expectLocked(2, 1, 0);
        deposit(2, 7);
        expectLocked(2, 8, 7);
    }

    function test_AForfeitedBondBelowTheLiabilityShowsAtOnce() external {
        uint256 owed = uint256(-expectedPayoffs(11, 15)[2]);
        recordFrom(11);
        withdraw(2, liability(2));
        vm.assertGt(liability(2), owed + bond, "more than is needed");
        raise(2);
        rule(IConsortium.Ruling.SettleAndForfeit);
        uint256 forfeited = (uint256(bond) / 3) * 3;
        vm.assertEq(consortium.balanceOf(2), liability(2) - forfeited, "balance");
        vm.assertEq(consortium.solvent(), 11, "solvent");
        expectLocked(2, 1, 0);
        withdraw(2, 0);
        consortium.payoffCalculate();
        consortium.payoffTransfer();
        vm.assertEq(consortium.balanceOf(2), liability(2) - forfeited - owed, "it has paid");
        vm.assertEq(consortium.solvent() & 4, 0, "still insolvent");
    }

    function test_AForfeitThatLeavesTheLiabilityLeavesTheBit() external {
        recordFrom(11);
        raise(2);
        rule(IConsortium.Ruling.SettleAndForfeit);
        vm.assertEq(consortium.solvent(), 15, "solvent");
    }

    function test_WithoutStandInsNobodyIsCharged() external {
        charging = false;
        consortium = deploy(records(members), triangle(4), agreed());
        vm.assertEq(consortium.standInsBlob(), address(0), "blob");
        recordFrom(11);
        withdraw(2, liability(2));
        uint256 needed = liability(2) + bond;
        vm.expectRevert(abi.encodeWithSelector(Errors.DisputeBondTooSmall.selector, 2, liability(2), needed));
        raise(2);
        vm.warp(START + 9 days);
        vm.recordLogs();
        consortium.payoffCalculate();
        vm.assertEq(vm.getRecordedLogs().length, 1, "events");
        vm.assertEq(consortium.payoffOf(2), 0, "payoff");
        consortium.payoffTransfer();
        vm.assertEq(consortium.balanceOf(2), liability(2), "balance");
        vm.assertEq(consortium.solvent() & 4, 4, "solvent");
    }

    function test_AFifthOf120MembersIsAbsent() external {
        members = accounts(120);
        consortium = deploy(records(members), triangle(120), agreed());
        depositAll(2);
        open();
        for (uint256 i; i < 120; ++i) {
            if (i % 5 != 2) submit(i);
        }
        vm.warp(START + 1 days + 1);
        consortium.profileRecord();
        vm.warp(START + 9 days);
        consortium.payoffCalculate();
        int256 sum;
        uint256 paying;
        for (uint256 i; i < 120; ++i) {
            int256 payoff = consortium.payoffOf(i);
            sum += payoff;
            if (i % 5 != 2) continue;
            vm.assertTrue(payoff <= 0, "the absent receive nothing");
            if (payoff < 0) ++paying;
        }
        vm.assertEq(sum, 0, "sum of payoffs");
        vm.assertGt(paying, 12, "most of them pay");
        consortium.payoffTransfer();
        expectPhase(IConsortium.Phase.Idle);
    }

    /// @dev A round in which those of the bitmap contribute, recorded.
    function recordFrom(uint256 contributors) private {
        depositAll(2);
        open();
        for (uint256 i; i < 4; ++i) {
            if ((contributors >> i) & 1 == 1) submit(i);
        }
        vm.warp(opened + 1 days + 1);
        consortium.profileRecord();
        expectPhase(IConsortium.Phase.Recorded);
    }

    function settleFrom(uint256 contributors) private {
        recordFrom(contributors);
        vm.warp(block.timestamp + 9 days);
        consortium.payoffCalculate();
    }

    /// @dev Payoffs of a round of its own, contributions within the caps.
    function play(uint64[12] memory amounts, uint256 contributors) private returns (int256[] memory payoffs) {
        vm.warp(START);
        consortium = deploy(records(members), triangle(4), agreed());
        depositAll(1);
        open();
        for (uint256 i; i < 4; ++i) {
            if ((contributors >> i) & 1 == 0) continue;
            IConsortium.Member memory terms = termsOf(members[i], i);
            submit(
                i,
                IConsortium.Contribution(
                    uint64(bound(amounts[i], 0, terms.dataCap)),
                    uint64(bound(amounts[4 + i], 0, terms.generatedCap)),
                    uint64(bound(amounts[8 + i], 0, terms.computeCap))
                )
            );
        }
        vm.warp(START + 1 days + 1);
        consortium.profileRecord();
        vm.warp(START + 9 days);
        consortium.payoffCalculate();
        payoffs = new int256[](4);
        for (uint256 i; i < 4; ++i) {
            payoffs[i] = consortium.payoffOf(i);
        }
        // With bonds of exactly the liabilities the round can be settled.
        consortium.payoffTransfer();
    }

    /// @dev Those of `contributors` contributed; of the others those of `charged` are absent, the rest is masked.
    function expectedPayoffs(uint256 contributors, uint256 charged) private view returns (int256[] memory payoffs) {
        int256[] memory scores = new int256[](4);
        int256[] memory owing = new int256[](4);
        bool[] memory contributed = new bool[](4);
        bool[] memory absent = new bool[](4);
        for (uint256 i; i < 4; ++i) {
            scores[i] = scoreOf(i, contributionOf(i));
            owing[i] = standIn(i);
            contributed[i] = (contributors >> i) & 1 == 1;
            absent[i] = !contributed[i] && (charged >> i) & 1 == 1;
        }
        payoffs = PlainKernel.transfers(GAMMA_WAD, weights(4), scores, contributed);
        PlainKernel.charge(GAMMA_WAD, weights(4), scores, contributed, absent, owing, payoffs);
    }

    function expectUntouched() private view {
        vm.assertEq(consortium.solvent(), 15, "solvent");
        for (uint256 i; i < 4; ++i) {
            vm.assertEq(consortium.balanceOf(i), 2 * liability(i), "balance");
            vm.assertEq(consortium.payoffOf(i), 0, "payoff");
        }
    }

    function withdraw(uint256 index, uint256 amount) private {
        vm.prank(members[index]);
        consortium.withdraw(index, amount, payable(members[index]));
    }

    function expectLocked(uint256 index, uint256 amount, uint256 available) private {
        vm.expectRevert(abi.encodeWithSelector(Errors.BondLocked.selector, index, amount, available));
        withdraw(index, amount);
    }
}
