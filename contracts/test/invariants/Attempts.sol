// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IConsortium} from "../../src/interfaces/IConsortium.sol";
import {HostileMember} from "../mocks/Wallets.sol";
import {Model} from "./Model.sol";

/// @title One attempt at each function: predict, call, compare, note
/// @notice A call fails the run where the contract takes what the model forbids, or refuses what it allows.
abstract contract Attempts is Model {
    bytes internal lastSignature;

    /// @dev `twist` 0 to 2 forbids the deposit in its own way.
    function tryDeposit(uint256 index, uint256 amount, uint256 twist) internal {
        address caller = twist == 0 ? someoneElse(index) : members[index];
        bytes32 termsHash = twist == 1 ? bytes32(amount) : consortium.termsHash();
        uint256 given = twist == 2 ? COUNT : index;
        bool allowed = twist > 2 && balance(index) + amount >= ghosts[index].liability;
        endow(caller, amount);
        prepareAttacks(index);
        (bytes memory data, uint256 value) = depositCall(given, termsHash, amount);
        bool success = perform(caller, data, value);
        expectOutcome(success, allowed);
        noteAttacks();
        if (!success) return;
        ghosts[index].deposited += amount;
        ghosts[index].accepted = true;
        ++covered.deposits;
    }

    function tryWithdraw(address caller, uint256 index, uint256 amount, address to) internal {
        bool allowed =
            caller == members[index] &&
                to != address(consortium) &&
                to != address(refusing) &&
                amount <= withdrawable(index);
        prepareAttacks(index);
        bool success = perform(caller, abi.encodeCall(IConsortium.withdraw, (index, amount, payable(to))), 0);
        expectOutcome(success, allowed);
        noteAttacks();
        if (!success) return;
        ghosts[index].withdrawn += amount;
        ++covered.withdrawals;
    }

    function tryExit(address caller, uint256 index, bool request) internal {
        bytes memory data =
            request
                ? abi.encodeCall(IConsortium.exitRequest, (index))
                : abi.encodeCall(IConsortium.exitCancel, (index));
        bool success = perform(caller, data, 0);
        expectOutcome(success, caller == members[index] && ghosts[index].exiting != request);
        if (success) ghosts[index].exiting = request;
    }

    function tryOpen(address caller) internal {
        uint256 present;
        for (uint256 i; i < COUNT; ++i) {
            if (solvent(i) && !ghosts[i].exiting) ++present;
        }
        bool allowed =
            caller == attester &&
                phase == IConsortium.Phase.Idle &&
                number < 40 &&
                present >= 3 &&
                (number == 0 || time >= idleSince + 4 hours);
        bool success = perform(caller, abi.encodeCall(IConsortium.roundOpen, ()), 0);
        expectOutcome(success, allowed);
        if (!success) return;
        ++covered.opened;
        phase = IConsortium.Phase.Open;
        ++number;
        deadline = time + 1 days;
        (roundHash, published) = (0, false);
        for (uint256 i; i < COUNT; ++i) {
            ghosts[i].participant = solvent(i) && !ghosts[i].exiting;
            ghosts[i].submitted = false;
            delete ghosts[i].contribution;
        }
    }

    /// @dev `twist` 1 to 7 forbids the submission in its own way; 0, 8 and 9 have somebody else submit it.
    function trySubmit(uint256 index, uint256 amounts, uint256 twist) internal {
        IConsortium.Contribution memory given = contributionFrom(index, amounts, twist);
        bytes32 evidence = twist == 5 ? bytes32(0) : EVIDENCE;
        bytes memory attesterSignature = attestationOf(index, given, evidence, twist);
        address caller = twist == 0 || twist == 8 || twist == 9 ? someoneElse(index) : members[index];
        bytes memory data = abi.encodeCall(
            IConsortium.contributionSubmit,
            (index, given.data, given.generated, given.compute, evidence, attesterSignature)
        );
        bool success = perform(caller, data, 0);
        bool genuine = twist == 0 || twist > 7;
        expectOutcome(success, genuine && maySubmit(index, caller));
        if (!success) return;
        ++covered.submissions;
        if (caller != members[index]) ++covered.relayed;
        lastSignature = attesterSignature;
        ghosts[index].submitted = true;
        ghosts[index].contribution = given;
        bytes32 entry = structHash(consortium.termsHash(), uint32(number), members[index], given);
        roundHash = keccak256(abi.encode(roundHash, index, entry));
    }

    function tryRecord() internal {
        (uint256 participants, uint256 submitted) = counts();
        bool allowed = phase == IConsortium.Phase.Open && (submitted == participants || time > deadline);
        bool success = perform(stranger, abi.encodeCall(IConsortium.profileRecord, ()), 0);
        expectOutcome(success, allowed);
        if (!success) return;
        if (submitted * 10_000 < participants * 6000) {
            noteVoid();
        } else {
            ++covered.recorded;
            phase = IConsortium.Phase.Recorded;
            deadline = time + recordedWindow();
            ledger = keccak256(abi.encode(ledger, number, roundHash));
        }
    }

    /// @dev Pairwise payoffs follow from the contributions: nobody can submit others, whatever the attester signs.
    function tryPublish(uint256, uint256) internal virtual {
        int256[] memory transfers = new int256[](COUNT);
        bytes32 digest = digestOf(transfersStructHash(consortium.termsHash(), uint32(number), transfers, EVIDENCE));
        bytes memory data = abi.encodeCall(
            IConsortium.transfersSubmit,
            (transfers, EVIDENCE, signature(ATTESTER_KEY, digest))
        );
        expectOutcome(perform(stranger, data, 0), false);
    }

    function tryDispute(address caller, uint256 index, bytes32 reason) internal {
        bool allowed =
            caller == members[index] &&
                phase == IConsortium.Phase.Recorded &&
                time <= deadline &&
                ghosts[index].participant &&
                payoffsAreKnown() &&
                reason != 0 &&
                balance(index) >= disputeNeeds(index);
        bool success = perform(caller, abi.encodeCall(IConsortium.disputeRaise, (index, reason)), 0);
        expectOutcome(success, allowed);
        if (!success) return;
        ++covered.disputed;
        if (absent(index)) ++covered.appeals;
        phase = IConsortium.Phase.Disputed;
        deadline = time + 3 days;
        disputant = index;
    }

    function tryResolve(address caller, uint8 ruling) internal {
        bool inTime = time <= deadline;
        bool allowed =
            phase == IConsortium.Phase.Disputed &&
                (inTime ? caller == ARBITER && ruling < 3 : ruling == disputeDefault());
        bool success = perform(caller, abi.encodeCall(IConsortium.disputeResolve, (ruling)), 0);
        expectOutcome(success, allowed);
        if (!success) return;
        if (inTime) ++covered.rulings[ruling];
        else ++covered.defaults;
        if (ruling == uint8(IConsortium.Ruling.Void)) {
            noteVoid();
            return;
        }
        if (ruling == uint8(IConsortium.Ruling.SettleAndForfeit)) noteForfeit();
        phase = IConsortium.Phase.Recorded;
        deadline = time - 1;
    }

    function tryCalculate() internal {
        bool allowed = phase == IConsortium.Phase.Recorded && time > deadline;
        bool success = perform(stranger, abi.encodeCall(IConsortium.payoffCalculate, ()), 0);
        expectOutcome(success, allowed);
        if (!success) return;
        if (!payoffsAreKnown()) {
            noteVoid();
            return;
        }
        ++covered.calculated;
        phase = IConsortium.Phase.Calculated;
        int256[] memory payoffs = modelPayoffs();
        bool charged;
        for (uint256 i; i < COUNT; ++i) {
            vm.assertEq(consortium.payoffOf(i), payoffs[i], "I9: payoff equals the model");
            charged = charged || (absent(i) && payoffs[i] != 0);
        }
        if (charged) ++covered.charged;
        ledger = keccak256(abi.encode(ledger, number, keccak256(abi.encode(payoffs))));
    }

    function tryTransfer() internal {
        bool allowed = phase == IConsortium.Phase.Calculated;
        bool success = perform(stranger, abi.encodeCall(IConsortium.payoffTransfer, ()), 0);
        expectOutcome(success, allowed);
        if (!success) return;
        ++covered.transferred;
        phase = IConsortium.Phase.Idle;
        idleSince = time;
        int256[] memory payoffs = modelPayoffs();
        for (uint256 i; i < COUNT; ++i) {
            ghosts[i].received += payoffs[i];
        }
    }

    function perform(address caller, bytes memory data, uint256 value) internal returns (bool success) {
        if (caller == address(reentrant) || caller == address(refusing)) {
            try HostileMember(payable(caller)).act(data, value) {
                return true;
            } catch {
                return false;
            }
        }
        vm.prank(caller);
        (success, ) = address(consortium).call{value: value}(data);
    }

    function expectOutcome(bool success, bool allowed) internal {
        if (!success) ++covered.refused;
        vm.assertTrue(success == allowed, allowed ? "an allowed call was refused" : "a forbidden call passed");
    }

    /// @dev The fuzzer likes small and round numbers; the choices here should be even.
    function dice(uint256 seed) internal view returns (uint256) {
        return uint256(keccak256(abi.encode(seed, calls)));
    }

    function someoneElse(uint256 index) internal view returns (address) {
        return calls % 2 == 0 ? stranger : members[(index + 1) % COUNT];
    }

    /// @dev What the reentrant member tries while the asset moves.
    function prepareAttacks(uint256 index) private {
        if (members[index] != address(reentrant)) return;
        bytes[] memory attacks = new bytes[](3);
        attacks[0] = abi.encodeCall(IConsortium.withdraw, (index, 0, payable(stranger)));
        attacks[1] = abi.encodeCall(IConsortium.withdraw, (index, balance(index), payable(stranger)));
        (attacks[2], ) = depositCall(index, consortium.termsHash(), 0);
        reentrant.configure(address(consortium), false, attacks);
    }

    function noteAttacks() private {
        (covered.attacks, passedAttacks) = (reentrant.tried(), reentrant.passed());
    }

    function maySubmit(uint256 index, address caller) private view returns (bool) {
        return
            phase == IConsortium.Phase.Open &&
            time <= deadline &&
            ghosts[index].participant &&
            !ghosts[index].submitted &&
            (caller == members[index] || time >= deadline - 12 hours);
    }

    function contributionFrom(
        uint256 index,
        uint256 amounts,
        uint256 twist
    ) private view returns (IConsortium.Contribution memory given) {
        IConsortium.Member memory terms = termsOf(members[index], index);
        given.data = uint64(amounts % (uint256(terms.dataCap) + 1));
        given.generated = uint64((amounts >> 64) % (uint256(terms.generatedCap) + 1));
        given.compute = uint64((amounts >> 128) % (uint256(terms.computeCap) + 1));
        if (twist == 2) given.data = terms.dataCap + 1;
        if (twist == 3) given.generated = terms.generatedCap + 1;
        if (twist == 4) given.compute = terms.computeCap + 1;
    }

    /// @dev Signed by a stranger (1), for another member (6), or made for an earlier contribution (7).
    function attestationOf(
        uint256 index,
        IConsortium.Contribution memory given,
        bytes32 evidence,
        uint256 twist
    ) private view returns (bytes memory) {
        if (twist == 7) return lastSignature;
        uint256 signed = twist == 6 ? (index + 1) % COUNT : index;
        bytes32 digest = consortium.contributionDigest(signed, given.data, given.generated, given.compute, evidence);
        return signature(twist == 1 ? STRANGER_KEY : ATTESTER_KEY, digest);
    }
}
