// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IConsortium} from "../../src/interfaces/IConsortium.sol";
import {Errors} from "../../src/libraries/Errors.sol";
import {ConsortiumFixture} from "../utils/ConsortiumFixture.sol";

contract PayoffTransferTest is ConsortiumFixture {
    function test_RevertGiven_NothingIsCalculated() external {
        expectWrongPhase(IConsortium.Phase.Idle);
        depositAll(2);
        open();
        expectWrongPhase(IConsortium.Phase.Open);
        submitAll();
        consortium.profileRecord();
        expectWrongPhase(IConsortium.Phase.Recorded);
    }

    function test_ItMovesEveryPayoffIntoItsBalance() external {
        reachCalculated();
        int256[] memory payoffs = new int256[](4);
        for (uint256 i; i < 4; ++i) {
            payoffs[i] = consortium.payoffOf(i);
        }
        uint256 total = consortium.totalBalance();
        uint256 held = address(consortium).balance;
        uint256 time = START + 40 days;
        vm.warp(time);
        bytes32 ledger = consortium.ledger();
        vm.expectEmit(address(consortium));
        emit IConsortium.PayoffTransferred(1, ledger);
        vm.prank(address(0xbeef));
        consortium.payoffTransfer();
        uint256 sum;
        for (uint256 i; i < 4; ++i) {
            vm.assertEq(int256(consortium.balanceOf(i)), int256(2 * liability(i)) + payoffs[i], "balance");
            vm.assertEq(consortium.payoffOf(i), 0, "payoff");
            sum += consortium.balanceOf(i);
        }
        vm.assertEq(sum, total, "sum of balances");
        vm.assertEq(consortium.totalBalance(), total, "total balance");
        vm.assertEq(address(consortium).balance, held, "ether held");
        vm.assertEq(consortium.ledger(), ledger, "ledger");
        vm.assertEq(consortium.round().idleSince, time, "idle since");
        expectPhase(IConsortium.Phase.Idle);
        expectWrongPhase(IConsortium.Phase.Idle);
    }

    function test_ItRebuildsTheSolventBitmap() external {
        reachCalculated();
        // Top every payer up so that after the transfer the first has exactly its liability, the next a wei less.
        uint256 payers;
        uint256 expected = 15;
        for (uint256 i; i < 4; ++i) {
            int256 payoff = consortium.payoffOf(i);
            if (payoff >= 0) continue;
            uint256 needed = liability(i) + uint256(-payoff) - payers;
            if (payers == 1) expected &= ~(uint256(1) << i);
            uint256 excess = consortium.balanceOf(i);
            if (needed > excess) {
                deposit(i, needed - excess);
            } else {
                vm.prank(members[i]);
                consortium.withdraw(i, excess - needed, payable(members[i]));
            }
            ++payers;
        }
        vm.assertEq(payers, 2, "the profile of this test has two payers");
        consortium.payoffTransfer();
        vm.assertEq(consortium.solvent(), expected, "solvent");
    }

    function test_ItLeavesMembersOutsideTheRoundAsTheyAre() external {
        depositAll(1);
        vm.prank(members[3]);
        consortium.withdraw(3, 1, payable(members[3]));
        vm.assertEq(consortium.solvent(), 7, "before");
        open();
        for (uint256 i; i < 3; ++i) {
            submit(i);
        }
        consortium.profileRecord();
        vm.warp(START + 10 days);
        consortium.payoffCalculate();
        consortium.payoffTransfer();
        vm.assertEq(consortium.solvent() >> 3, 0, "still insolvent");
        for (uint256 i; i < 3; ++i) {
            bool enough = consortium.balanceOf(i) >= liability(i);
            vm.assertTrue((consortium.solvent() >> i) & 1 == (enough ? 1 : 0), "solvent iff the balance covers it");
        }
    }

    function expectWrongPhase(IConsortium.Phase actual) private {
        vm.expectRevert(abi.encodeWithSelector(Errors.WrongPhase.selector, actual, IConsortium.Phase.Calculated));
        consortium.payoffTransfer();
    }
}
