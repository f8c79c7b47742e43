// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IConsortium} from "../../src/interfaces/IConsortium.sol";
import {TestBase} from "../utils/Vm.sol";
import {Handler} from "./Handler.sol";

/// @title The invariants that hold after any sequence of calls, by their numbers in tests/invariants/README.md
contract ConsortiumInvariants is TestBase {
    /// @dev As forge expects it.
    struct FuzzSelector {
        address addr;
        bytes4[] selectors;
    }

    uint256 private constant COUNT = 5;

    /// @dev Calls after which a run must have exercised everything.
    uint256 private constant FULL_RUN = 100;

    Handler private handler;
    IConsortium private consortium;

    function setUp() external {
        handler = new Handler();
        consortium = handler.target();
    }

    function targetContracts() external view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(handler);
    }

    function targetSelectors() external view returns (FuzzSelector[] memory targets) {
        bytes4[] memory selectors = new bytes4[](11);
        selectors[0] = Handler.deposit.selector;
        selectors[1] = Handler.openRound.selector;
        selectors[2] = Handler.submitContribution.selector;
        selectors[3] = Handler.recordProfile.selector;
        selectors[4] = Handler.calculatePayoffs.selector;
        selectors[5] = Handler.transferPayoffs.selector;
        selectors[6] = Handler.withdraw.selector;
        selectors[7] = Handler.exit.selector;
        selectors[8] = Handler.wait.selector;
        selectors[9] = Handler.waitForTheDeadline.selector;
        selectors[10] = Handler.forceEther.selector;
        targets = new FuzzSelector[](1);
        targets[0] = FuzzSelector(address(handler), selectors);
    }

    /// @dev One campaign for all: what takes long is the calls, not the checks.
    function invariant_AllHoldAfterEveryCall() external view {
        theBooksBalance();
        everyDebtIsCovered();
        theBitmapsAreCurrent();
    }

    function theBooksBalance() private view {
        uint256 balances;
        int256 booked;
        int256 payoffs;
        for (uint256 i; i < COUNT; ++i) {
            Handler.Ghost memory ghost = handler.ghostOf(i);
            balances += consortium.balanceOf(i);
            booked += int256(ghost.deposited) - int256(ghost.withdrawn);
            payoffs += consortium.payoffOf(i);
            vm.assertEq(consortium.balanceOf(i), handler.balance(i), "I13: only deposits, withdrawals and transfers");
        }
        vm.assertEq(payoffs, 0, "I1: payoffs sum to zero");
        vm.assertEq(balances, consortium.totalBalance(), "I2: total balance");
        vm.assertEq(int256(balances), booked, "I2: deposits less withdrawals");
        vm.assertEq(address(consortium).balance, balances + handler.forced(), "I3: ether held");
    }

    function everyDebtIsCovered() private view {
        IConsortium.Round memory round = consortium.round();
        for (uint256 i; i < COUNT; ++i) {
            uint256 balance = consortium.balanceOf(i);
            int256 payoff = consortium.payoffOf(i);
            uint256 liability = handler.ghostOf(i).liability;
            bool participant = (round.participants >> i) & 1 == 1;
            vm.assertTrue(int256(balance) + payoff >= 0, "I4: balance covers the payoff");
            if (participant && round.phase != IConsortium.Phase.Idle) {
                vm.assertGe(balance, liability, "I5: a participant's bond");
            }
            vm.assertTrue(-payoff <= int256(liability), "I6: no debt above the liability");
            if (payoff != 0) {
                vm.assertTrue(round.phase == IConsortium.Phase.Calculated, "I7: payoffs only once calculated");
                vm.assertTrue((round.submitted >> i) & 1 == 1, "I7: payoffs only for contributors");
            }
        }
    }

    function theBitmapsAreCurrent() private view {
        IConsortium.Round memory round = consortium.round();
        for (uint256 i; i < COUNT; ++i) {
            Handler.Ghost memory ghost = handler.ghostOf(i);
            bool covered = ghost.accepted && consortium.balanceOf(i) >= ghost.liability;
            vm.assertTrue(has(consortium.solvent(), i) == covered, "I8: solvent");
            vm.assertTrue(has(consortium.accepted(), i) == ghost.accepted, "accepted");
            vm.assertTrue(has(consortium.exiting(), i) == ghost.exiting, "exiting");
            vm.assertTrue(has(round.participants, i) == ghost.participant, "participant");
            vm.assertTrue(has(round.submitted, i) == ghost.submitted, "I11: one contribution each");
            bytes32 contribution = keccak256(abi.encode(consortium.contributionOf(i)));
            vm.assertEq(contribution, keccak256(abi.encode(ghost.contribution)), "I11: contributions do not change");
        }
        vm.assertEq(handler.passedAttacks(), 0, "no call from within a payment passed");
    }

    /// @dev At the end of every run. A failure that forge replays or shrinks is too short to cover anything.
    function afterInvariant() external {
        if (handler.calls() >= FULL_RUN) everyRunCoversTheRound();
        vm.assertLe(handler.rescue(), 3, "I12: idle after three calls of a stranger");
        handler.withdrawEverything();
        vm.assertEq(consortium.totalBalance(), 0, "everybody has taken everything out");
        vm.assertEq(address(consortium).balance, handler.forced(), "only forced ether is left");
    }

    function everyRunCoversTheRound() private view {
        (
            uint256 deposits,
            uint256 withdrawals,
            uint256 opened,
            uint256 submissions,
            ,
            uint256 recorded,
            ,
            uint256 calculated,
            uint256 transferred,
            uint256 refused,

        ) = handler.coverage();
        vm.assertGe(deposits, COUNT, "coverage: deposits");
        vm.assertGt(withdrawals, 0, "coverage: withdrawals");
        vm.assertGe(opened, 2, "coverage: rounds opened");
        vm.assertGe(submissions, 3, "coverage: contributions");
        vm.assertGt(recorded, 0, "coverage: rounds recorded");
        vm.assertGt(calculated, 0, "coverage: rounds calculated");
        vm.assertGt(transferred, 0, "coverage: rounds settled");
        vm.assertGe(refused, 10, "coverage: forbidden calls");
    }

    function has(uint256 bitmap, uint256 index) private pure returns (bool) {
        return (bitmap >> index) & 1 == 1;
    }
}
