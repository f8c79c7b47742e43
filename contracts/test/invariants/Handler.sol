// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IConsortium} from "../../src/interfaces/IConsortium.sol";
import {Attempts} from "./Attempts.sol";

/// @title Everything that people may try on a consortium
/// @notice Forbidden inputs are tried as often as allowed ones. Every third action also takes the natural next step, so
/// that every run goes through whole rounds and every ruling. This one settles pairwise payoffs in ether.
contract Handler is Attempts {
    uint256 private constant STEP = 3;

    modifier action() {
        vm.warp(time);
        _;
        vm.warp(time);
        if (++calls % STEP == 0) progress();
        expectRound();
    }

    constructor() {
        setUp();
    }

    function deposit(uint256 who, uint256 amount, uint256 twist) external action {
        uint256 index = who % COUNT;
        tryDeposit(index, bound(amount, 0, 3 * ghosts[index].liability), dice(twist) % 8);
    }

    function openRound(uint256 twist) external action {
        tryOpen(dice(twist) % 4 == 0 ? stranger : attester);
    }

    function submitContribution(uint256 who, uint256 amounts, uint256 twist) external action {
        trySubmit(who % COUNT, dice(amounts), dice(twist) % 16);
    }

    function recordProfile() external action {
        tryRecord();
    }

    function publishTransfers(uint256 amounts, uint256 twist) external action {
        tryPublish(dice(amounts), dice(twist) % 16);
    }

    function raiseDispute(uint256 who, uint256 twist) external action {
        uint256 index = who % COUNT;
        twist = dice(twist) % 8;
        tryDispute(twist == 0 ? someoneElse(index) : members[index], index, twist == 1 ? bytes32(0) : REASON);
    }

    function resolveDispute(uint256 ruling, uint256 twist) external action {
        tryResolve(dice(twist) % 2 == 0 ? ARBITER : someoneElse(disputant), uint8(dice(ruling) % 4));
    }

    function calculatePayoffs() external action {
        tryCalculate();
    }

    function transferPayoffs() external action {
        tryTransfer();
    }

    function withdraw(uint256 who, uint256 amount, uint256 twist) external action {
        uint256 index = who % COUNT;
        twist = dice(twist);
        uint256 available = withdrawable(index);
        // At, just above and anywhere around the limit.
        if (twist % 4 == 0) amount = available;
        else if (twist % 4 == 1) amount = available + 1;
        else amount = bound(amount, 0, balance(index) + 1);
        address caller = (twist >> 8) % 8 == 0 ? someoneElse(index) : members[index];
        address to =
            (twist >> 16) % 8 == 0
                ? address(consortium)
                : (twist >> 16) % 2 == 0
                    ? stranger
                    : members[index];
        tryWithdraw(caller, index, amount, to);
    }

    function exit(uint256 who, bool request, uint256 twist) external action {
        uint256 index = who % COUNT;
        tryExit(dice(twist) % 4 == 0 ? someoneElse(index) : members[index], index, request);
    }

    function wait(uint256 duration) external action {
        time += bound(duration, 1, 1 days);
    }

    function waitForTheDeadline(uint256 offset) external action {
        uint256 near = deadline + (offset % 3);
        if (near > time + 1) time = near - 1;
    }

    function forceAssets(uint256 amount) external action {
        amount = bound(amount, 1, 1 ether);
        forced += amount;
        force(amount);
    }

    function target() external view returns (IConsortium) {
        return consortium;
    }

    function coverage() external view returns (Coverage memory) {
        return covered;
    }

    function ghostOf(uint256 index) external view returns (Ghost memory) {
        return ghosts[index];
    }

    /// @notice What the contract holds of the asset.
    function assets() external view returns (uint256) {
        return holdings(address(consortium));
    }

    /// @notice A stranger and time alone bring the contract back to Idle; returns the number of calls it took.
    function rescue() external returns (uint256 needed) {
        while (phase != IConsortium.Phase.Idle) {
            if (phase != IConsortium.Phase.Calculated) moveTo(deadline + 1);
            if (phase == IConsortium.Phase.Open) tryRecord();
            else if (phase == IConsortium.Phase.Recorded) tryCalculate();
            else if (phase == IConsortium.Phase.Disputed) tryResolve(stranger, disputeDefault());
            else tryTransfer();
            ++needed;
        }
    }

    /// @notice Rounds from Idle to Idle that members 0 and 1 are absent from, until one of them has owed something; member 0
    /// holds no more than it must, appeals, and loses its bond.
    function playUntilSomebodyIsCharged() external {
        for (uint256 rounds; rounds < 8 && (rounds == 0 || covered.charged == 0); ++rounds) {
            for (uint256 i; i < COUNT; ++i) {
                if (ghosts[i].exiting) tryExit(members[i], i, false);
                if (!solvent(i)) tryDeposit(i, 2 * ghosts[i].liability, 7);
            }
            moveTo(idleSince + 4 hours);
            tryOpen(attester);
            submitFrom(2);
            moveTo(deadline + 1);
            tryRecord();
            tryWithdraw(members[0], 0, withdrawable(0), stranger);
            tryDispute(members[0], 0, REASON);
            tryResolve(ARBITER, uint8(IConsortium.Ruling.SettleAndForfeit));
            if (phase == IConsortium.Phase.Recorded) moveTo(deadline + 1);
            tryCalculate();
            tryTransfer();
        }
    }

    /// @notice Everybody takes everything out, in Idle.
    function withdrawEverything() external {
        for (uint256 i; i < COUNT; ++i) {
            tryWithdraw(members[i], i, balance(i), stranger);
        }
    }

    /// @dev A small withdrawal, and the natural next step of the round. In every fifth round members 0 to 2 stay silent, in
    /// every other one 0 and 1.
    function progress() private {
        uint256 saver = (calls / STEP) % COUNT;
        tryWithdraw(members[saver], saver, withdrawable(saver) / 8, stranger);
        if (phase == IConsortium.Phase.Idle) {
            for (uint256 i; i < COUNT; ++i) {
                // Every other time, so that rounds also open without those who leave.
                if (ghosts[i].exiting && calls % (2 * STEP) == 0) tryExit(members[i], i, false);
                if (!solvent(i)) tryDeposit(i, 2 * ghosts[i].liability, 7);
            }
            moveTo(time + 4 hours);
            tryOpen(attester);
            submitFrom(3);
        } else if (phase == IConsortium.Phase.Open) {
            submitFrom(
                number % 5 == 4
                    ? 3
                    : number % 2 == 1
                        ? 2
                        : 0
            );
            moveTo(deadline + 1);
            tryRecord();
            // One round in eight goes without transfers, where it needs any.
            if (number % 8 != 7) tryPublish(dice(number), 15);
            if (number % 4 != 0) dispute();
        } else if (phase == IConsortium.Phase.Recorded) {
            moveTo(deadline + 1);
            tryCalculate();
        } else if (phase == IConsortium.Phase.Disputed) {
            resolve();
        } else {
            tryTransfer();
        }
    }

    /// @dev The dispute of a member of the round, whose turn depends on the number of disputes so far. Who is absent needs
    /// no more than its liability for it.
    function dispute() private {
        for (uint256 i; i < COUNT; ++i) {
            uint256 index = (i + covered.disputed) % COUNT;
            if (phase != IConsortium.Phase.Recorded || !payoffsAreKnown() || !ghosts[index].participant) continue;
            if (absent(index)) tryWithdraw(members[index], index, withdrawable(index), stranger);
            else if (withdrawable(index) < DISPUTE_BOND) tryDeposit(index, DISPUTE_BOND, 7);
            tryDispute(members[index], index, REASON);
        }
    }

    /// @dev The rarest ruling so far, or silence.
    function resolve() private {
        uint256[3] memory rulings = covered.rulings;
        uint256 rarest = 2;
        if (rulings[1] < rulings[rarest]) rarest = 1;
        if (rulings[0] < rulings[rarest]) rarest = 0;
        if (rulings[rarest] <= covered.defaults && time <= deadline) {
            tryResolve(ARBITER, uint8(rarest));
        } else {
            moveTo(deadline + 1);
            tryResolve(stranger, disputeDefault());
        }
    }

    function submitFrom(uint256 first) private {
        for (uint256 i = first; i < COUNT; ++i) {
            trySubmit(i, uint256(keccak256(abi.encode(number, i))), 15);
        }
    }

    function moveTo(uint256 earliest) private {
        if (time < earliest) time = earliest;
        vm.warp(time);
    }
}
