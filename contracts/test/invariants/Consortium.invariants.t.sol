// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IConsortium} from "../../src/interfaces/IConsortium.sol";
import {TestBase} from "../utils/Vm.sol";
import {Handler} from "./Handler.sol";
import {Model} from "./Model.sol";
import {MaskedHandler, TokenHandler, VectorHandler} from "./Variants.sol";

/// @title The invariants that hold after any sequence of calls, by their numbers in tests/invariants/README.md
abstract contract ConsortiumInvariants is TestBase {
    /// @dev As forge expects it.
    struct FuzzSelector {
        address addr;
        bytes4[] selectors;
    }

    uint256 private constant COUNT = 5;

    /// @dev Calls after which a run must have exercised everything.
    uint256 private constant FULL_RUN = 100;

    Handler internal handler;
    IConsortium private consortium;

    function setUp() external {
        handler = createHandler();
        consortium = handler.target();
    }

    function createHandler() internal virtual returns (Handler);

    function targetContracts() external view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(handler);
    }

    function targetSelectors() external view returns (FuzzSelector[] memory targets) {
        bytes4[] memory selectors = new bytes4[](14);
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
        selectors[10] = Handler.forceAssets.selector;
        selectors[11] = Handler.publishTransfers.selector;
        selectors[12] = Handler.raiseDispute.selector;
        selectors[13] = Handler.resolveDispute.selector;
        targets = new FuzzSelector[](1);
        targets[0] = FuzzSelector(address(handler), selectors);
    }

    /// @dev One campaign for all: what takes long is the calls, not the checks.
    function invariant_AllHoldAfterEveryCall() external view {
        theBooksBalance();
        everyDebtIsCovered();
        theBitmapsAreCurrent();
    }

    function theBooksBalance() internal view {
        uint256 balances;
        int256 booked;
        int256 payoffs;
        for (uint256 i; i < COUNT; ++i) {
            Model.Ghost memory ghost = handler.ghostOf(i);
            balances += consortium.balanceOf(i);
            booked += int256(ghost.deposited) - int256(ghost.withdrawn);
            payoffs += consortium.payoffOf(i);
            vm.assertEq(
                consortium.balanceOf(i),
                handler.balance(i),
                "I13: only deposits, withdrawals, transfers, rulings"
            );
        }
        vm.assertEq(payoffs, 0, "I1: payoffs sum to zero");
        vm.assertEq(balances, consortium.totalBalance(), "I2: total balance");
        vm.assertEq(int256(balances), booked, "I2: deposits less withdrawals");
        vm.assertEq(handler.assets(), balances + handler.forced(), "I3: assets held");
    }

    function everyDebtIsCovered() internal view {
        IConsortium.Round memory round = consortium.round();
        for (uint256 i; i < COUNT; ++i) {
            uint256 balance = consortium.balanceOf(i);
            int256 payoff = consortium.payoffOf(i);
            uint256 liability = handler.ghostOf(i).liability;
            vm.assertTrue(int256(balance) + payoff >= 0, "I4: balance covers the payoff");
            vm.assertGe(balance, handler.heldOf(i), "I5: a participant's bonds");
            vm.assertTrue(-payoff <= int256(liability), "I6: no debt above the liability");
            if (payoff != 0) {
                vm.assertTrue(round.phase == IConsortium.Phase.Calculated, "I7: payoffs only once calculated");
                bool charged = payoff < 0 && handler.absent(i);
                vm.assertTrue(charged || has(round.submitted, i), "I7: only for contributors and absentees that pay");
            }
        }
    }

    function theBitmapsAreCurrent() internal view {
        IConsortium.Round memory round = consortium.round();
        for (uint256 i; i < COUNT; ++i) {
            Model.Ghost memory ghost = handler.ghostOf(i);
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
        everyRunEnds();
        handler.withdrawEverything();
        vm.assertEq(consortium.totalBalance(), 0, "everybody has taken everything out");
        vm.assertEq(handler.assets(), handler.forced(), "only what was forced upon it is left");
    }

    /// @dev What a campaign adds to the end of every run, in Idle.
    function everyRunEnds() internal virtual {
        vm.assertEq(uint256(consortium.round().phase), uint256(IConsortium.Phase.Idle), "idle");
    }

    function everyRunCoversTheRound() internal view virtual {
        Model.Coverage memory covered = handler.coverage();
        vm.assertGe(covered.deposits, COUNT, "coverage: deposits");
        vm.assertGt(covered.withdrawals, 0, "coverage: withdrawals");
        vm.assertGe(covered.opened, 3, "coverage: rounds opened");
        vm.assertGe(covered.submissions, 6, "coverage: contributions");
        vm.assertGe(covered.recorded, 2, "coverage: rounds recorded");
        vm.assertGt(covered.voided, 0, "coverage: rounds voided");
        vm.assertGe(covered.disputed, 2, "coverage: disputes");
        uint256 settled = covered.rulings[0] + covered.rulings[2];
        vm.assertGe(settled + covered.rulings[1] + covered.defaults, 2, "coverage: disputes resolved");
        vm.assertGt(covered.rulings[2], 0, "coverage: bonds forfeited");
        vm.assertGt(covered.calculated, 0, "coverage: rounds calculated");
        vm.assertGt(covered.transferred, 0, "coverage: rounds settled");
        vm.assertGe(covered.refused, 20, "coverage: forbidden calls");
    }

    function has(uint256 bitmap, uint256 index) private pure returns (bool) {
        return (bitmap >> index) & 1 == 1;
    }
}

/// @dev The campaigns in which absent members pay.
abstract contract ChargingInvariants is ConsortiumInvariants {
    /// @dev Whatever a run has met, at its end absent members are charged, appeal, and fall below their liability.
    function everyRunEnds() internal override {
        super.everyRunEnds();
        handler.playUntilSomebodyIsCharged();
        theBooksBalance();
        everyDebtIsCovered();
        theBitmapsAreCurrent();
        Model.Coverage memory covered = handler.coverage();
        vm.assertGt(covered.charged, 0, "coverage: absent members charged");
        vm.assertGt(covered.appeals, 0, "coverage: disputes of absent members");
        vm.assertGt(covered.bondless, 0, "coverage: absent members below their liability");
    }
}

contract PairwiseInvariants is ChargingInvariants {
    function createHandler() internal override returns (Handler) {
        return new Handler();
    }
}

contract MaskedInvariants is ConsortiumInvariants {
    function createHandler() internal override returns (Handler) {
        return new MaskedHandler();
    }
}

contract VectorInvariants is ConsortiumInvariants {
    function createHandler() internal override returns (Handler) {
        return new VectorHandler();
    }

    function everyRunCoversTheRound() internal view override {
        super.everyRunCoversTheRound();
        vm.assertGe(handler.coverage().published, 2, "coverage: transfers submitted");
    }
}

contract TokenInvariants is ChargingInvariants {
    function createHandler() internal override returns (Handler) {
        return new TokenHandler();
    }
}
