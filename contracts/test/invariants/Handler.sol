// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IConsortium} from "../../src/interfaces/IConsortium.sol";
import {HostileMember} from "../mocks/Wallets.sol";
import {PlainKernel} from "../oracles/PlainKernel.sol";
import {ConsortiumFixture} from "../utils/ConsortiumFixture.sol";

/// @title Everything that people may try on a consortium, and a model of what should come of it
/// @notice Each action predicts from the model alone whether the call is allowed, and fails the run where the contract
/// disagrees: forbidden inputs are tried as often as allowed ones. Every eighth action also takes the natural next step,
/// so that every run goes through whole rounds.
contract Handler is ConsortiumFixture {
    /// @dev Counters of what happened; the test asserts at the end of a run that it exercised what it should.
    struct Coverage {
        uint256 deposits;
        uint256 withdrawals;
        uint256 opened;
        uint256 submissions;
        uint256 relayed;
        uint256 recorded;
        uint256 voided;
        uint256 calculated;
        uint256 transferred;
        uint256 refused;
        uint256 attacks;
    }

    /// @dev What the model knows of a member.
    struct Ghost {
        bool accepted;
        bool exiting;
        bool participant;
        bool submitted;
        uint256 deposited;
        uint256 withdrawn;
        int256 received;
        uint256 liability;
        IConsortium.Contribution contribution;
    }

    uint256 private constant STEP = 8;
    uint256 private constant COUNT = 5;
    uint256 private constant STRANGER_KEY = 0xbad;

    Coverage public coverage;
    uint256 public forced;
    uint256 public calls;

    /// @dev Bad events that no view shows afterwards.
    uint256 public passedAttacks;

    Ghost[COUNT] private ghosts;
    uint256 private time = START;
    address private stranger = vm.addr(STRANGER_KEY);
    HostileMember private reentrant;
    HostileMember private refusing;
    bytes private lastSignature;

    // The model of the round.
    IConsortium.Phase private phase;
    uint256 private number;
    uint256 private deadline;
    uint256 private idleSince;
    bytes32 private ledger;
    bytes32 private roundHash;

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

    function setUp() public override {
        vm.warp(START);
        attester = vm.addr(ATTESTER_KEY);
        reentrant = new HostileMember();
        refusing = new HostileMember();
        address[] memory list = accounts(COUNT);
        (list[3], list[4]) = (address(reentrant), address(refusing));
        sort(list);
        members = list;
        consortium = deploy(records(members), triangle(COUNT), agreed());
        uint256[] memory worst = expectedLiabilities();
        for (uint256 i; i < COUNT; ++i) {
            ghosts[i].liability = worst[i];
        }
        reentrant.configure(address(consortium), false, new bytes[](0));
        refusing.configure(address(consortium), true, new bytes[](0));
    }

    function agreed() internal view override returns (IConsortium.Terms memory terms) {
        terms = super.agreed();
        (terms.maxRounds, terms.quorum, terms.minMembers) = (40, 6000, 3);
    }

    function deposit(uint256 who, uint256 amount, uint256 twist) external action {
        uint256 index = who % COUNT;
        twist = dice(twist);
        address caller = twist % 8 == 0 ? someoneElse(index) : members[index];
        bytes32 termsHash = twist % 8 == 1 ? bytes32(twist) : consortium.termsHash();
        uint256 given = twist % 8 == 2 ? COUNT : index;
        amount = bound(amount, 0, 3 * ghosts[index].liability);
        bool allowed =
            caller == members[index] &&
                termsHash == consortium.termsHash() &&
                given == index &&
                balance(index) + amount >= ghosts[index].liability;
        vm.deal(caller, caller.balance + amount);
        bool success = perform(caller, abi.encodeCall(IConsortium.depositSubmit, (given, termsHash)), amount);
        expectOutcome(success, allowed);
        if (success) noteDeposit(index, amount);
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

    function forceEther(uint256 amount) external action {
        amount = bound(amount, 1, 1 ether);
        forced += amount;
        vm.deal(address(consortium), address(consortium).balance + amount);
    }

    function target() external view returns (IConsortium) {
        return consortium;
    }

    function ghostOf(uint256 index) external view returns (Ghost memory) {
        return ghosts[index];
    }

    /// @notice The balance according to the model.
    function balance(uint256 index) public view returns (uint256) {
        Ghost storage ghost = ghosts[index];
        return uint256(int256(ghost.deposited) - int256(ghost.withdrawn) + ghost.received);
    }

    /// @notice A stranger and time alone bring the contract back to Idle; returns the number of calls it took.
    function rescue() external returns (uint256 needed) {
        while (phase != IConsortium.Phase.Idle) {
            if (phase != IConsortium.Phase.Calculated) moveTo(deadline + 1);
            if (phase == IConsortium.Phase.Open) tryRecord();
            else if (phase == IConsortium.Phase.Recorded) tryCalculate();
            else tryTransfer();
            ++needed;
        }
    }

    /// @notice Everybody takes everything out, in Idle.
    function withdrawEverything() external {
        for (uint256 i; i < COUNT; ++i) {
            bytes memory data = abi.encodeCall(IConsortium.withdraw, (i, balance(i), payable(stranger)));
            expectOutcome(perform(members[i], data, 0), true);
            ghosts[i].withdrawn += balance(i);
        }
    }

    /// @dev A small withdrawal, and the natural next step of the round. In every third round members 0 to 2 stay silent.
    function progress() private {
        uint256 saver = (calls / STEP) % COUNT;
        tryWithdraw(members[saver], saver, withdrawable(saver) / 8, stranger);
        if (phase == IConsortium.Phase.Idle) {
            for (uint256 i; i < COUNT; ++i) {
                // Every other time, so that rounds also open without those who leave.
                if (ghosts[i].exiting && calls % (2 * STEP) == 0) tryExit(members[i], i, false);
                if (!solvent(i)) fund(i);
            }
            moveTo(time + 4 hours);
            tryOpen(attester);
            submitFrom(3);
        } else if (phase == IConsortium.Phase.Open) {
            submitFrom(number % 3 == 0 ? 3 : 0);
            moveTo(deadline + 1);
            tryRecord();
        } else if (phase == IConsortium.Phase.Recorded) {
            moveTo(deadline + 1);
            tryCalculate();
        } else {
            tryTransfer();
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

    function tryWithdraw(address caller, uint256 index, uint256 amount, address to) private {
        bool allowed =
            caller == members[index] &&
                to != address(consortium) &&
                to != address(refusing) &&
                amount <= withdrawable(index);
        prepareAttacks(index, balance(index));
        bool success = perform(caller, abi.encodeCall(IConsortium.withdraw, (index, amount, payable(to))), 0);
        expectOutcome(success, allowed);
        if (success) {
            ghosts[index].withdrawn += amount;
            ++coverage.withdrawals;
        }
        (coverage.attacks, passedAttacks) = (reentrant.tried(), reentrant.passed());
    }

    function tryExit(address caller, uint256 index, bool request) private {
        bytes memory data =
            request
                ? abi.encodeCall(IConsortium.exitRequest, (index))
                : abi.encodeCall(IConsortium.exitCancel, (index));
        bool success = perform(caller, data, 0);
        expectOutcome(success, caller == members[index] && ghosts[index].exiting != request);
        if (success) ghosts[index].exiting = request;
    }

    function fund(uint256 index) private {
        uint256 amount = 2 * ghosts[index].liability;
        vm.deal(members[index], members[index].balance + amount);
        bytes memory data = abi.encodeCall(IConsortium.depositSubmit, (index, consortium.termsHash()));
        expectOutcome(perform(members[index], data, amount), true);
        noteDeposit(index, amount);
    }

    function noteDeposit(uint256 index, uint256 amount) private {
        ghosts[index].deposited += amount;
        ghosts[index].accepted = true;
        ++coverage.deposits;
    }

    function tryOpen(address caller) private {
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
        ++coverage.opened;
        phase = IConsortium.Phase.Open;
        ++number;
        deadline = time + 1 days;
        roundHash = 0;
        for (uint256 i; i < COUNT; ++i) {
            ghosts[i].participant = solvent(i) && !ghosts[i].exiting;
            ghosts[i].submitted = false;
            delete ghosts[i].contribution;
        }
    }

    /// @dev `twist` 1 to 7 forbids the submission in its own way; 0, 8 and 9 have somebody else submit it.
    function trySubmit(uint256 index, uint256 amounts, uint256 twist) private {
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
        ++coverage.submissions;
        if (caller != members[index]) ++coverage.relayed;
        lastSignature = attesterSignature;
        ghosts[index].submitted = true;
        ghosts[index].contribution = given;
        bytes32 entry = structHash(consortium.termsHash(), uint32(number), members[index], given);
        roundHash = keccak256(abi.encode(roundHash, index, entry));
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

    function tryRecord() private {
        (uint256 participants, uint256 submitted) = counts();
        bool allowed = phase == IConsortium.Phase.Open && (submitted == participants || time > deadline);
        bool success = perform(stranger, abi.encodeCall(IConsortium.profileRecord, ()), 0);
        expectOutcome(success, allowed);
        if (!success) return;
        if (submitted * 10_000 < participants * 6000) {
            ++coverage.voided;
            phase = IConsortium.Phase.Idle;
            idleSince = time;
        } else {
            ++coverage.recorded;
            phase = IConsortium.Phase.Recorded;
            deadline = time + 2 days;
            ledger = keccak256(abi.encode(ledger, number, roundHash));
        }
    }

    function tryCalculate() private {
        bool allowed = phase == IConsortium.Phase.Recorded && time > deadline;
        bool success = perform(stranger, abi.encodeCall(IConsortium.payoffCalculate, ()), 0);
        expectOutcome(success, allowed);
        if (!success) return;
        ++coverage.calculated;
        phase = IConsortium.Phase.Calculated;
        int256[] memory payoffs = modelPayoffs();
        for (uint256 i; i < COUNT; ++i) {
            vm.assertEq(consortium.payoffOf(i), payoffs[i], "I9: payoff equals the model");
        }
        ledger = keccak256(abi.encode(ledger, number, keccak256(abi.encode(payoffs))));
    }

    function tryTransfer() private {
        bool allowed = phase == IConsortium.Phase.Calculated;
        int256[] memory payoffs = modelPayoffs();
        bool success = perform(stranger, abi.encodeCall(IConsortium.payoffTransfer, ()), 0);
        expectOutcome(success, allowed);
        if (!success) return;
        ++coverage.transferred;
        phase = IConsortium.Phase.Idle;
        idleSince = time;
        for (uint256 i; i < COUNT; ++i) {
            ghosts[i].received += payoffs[i];
        }
    }

    function perform(address caller, bytes memory data, uint256 value) private returns (bool success) {
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

    function expectOutcome(bool success, bool allowed) private {
        if (!success) ++coverage.refused;
        vm.assertTrue(success == allowed, allowed ? "an allowed call was refused" : "a forbidden call passed");
    }

    /// @dev I10: the round is where the model says, after every action.
    function expectRound() private view {
        IConsortium.Round memory round = consortium.round();
        vm.assertEq(uint256(round.phase), uint256(phase), "I10: phase");
        vm.assertEq(round.number, number, "I10: number");
        vm.assertEq(round.deadline, deadline, "I10: deadline");
        vm.assertEq(round.idleSince, idleSince, "I10: idle since");
        vm.assertEq(round.roundHash, roundHash, "I10: round hash");
        vm.assertEq(consortium.ledger(), ledger, "I10: ledger hash");
    }

    function prepareAttacks(uint256 index, uint256 amount) private {
        bytes[] memory attacks = new bytes[](3);
        attacks[0] = abi.encodeCall(IConsortium.withdraw, (index, 0, payable(stranger)));
        attacks[1] = abi.encodeCall(IConsortium.withdraw, (index, amount, payable(stranger)));
        attacks[2] = abi.encodeCall(IConsortium.depositSubmit, (index, consortium.termsHash()));
        reentrant.configure(address(consortium), false, attacks);
    }

    /// @dev The fuzzer likes small and round numbers; the choices here should be even.
    function dice(uint256 seed) private view returns (uint256) {
        return uint256(keccak256(abi.encode(seed, calls)));
    }

    function someoneElse(uint256 index) private view returns (address) {
        return calls % 2 == 0 ? stranger : members[(index + 1) % COUNT];
    }

    /// @dev All but the liability while the member takes part in a live round.
    function withdrawable(uint256 index) private view returns (uint256) {
        bool bonded = phase != IConsortium.Phase.Idle && ghosts[index].participant;
        return bonded ? balance(index) - ghosts[index].liability : balance(index);
    }

    function solvent(uint256 index) private view returns (bool) {
        return ghosts[index].accepted && balance(index) >= ghosts[index].liability;
    }

    function counts() private view returns (uint256 participants, uint256 submitted) {
        for (uint256 i; i < COUNT; ++i) {
            if (ghosts[i].participant) ++participants;
            if (ghosts[i].submitted) ++submitted;
        }
    }

    function modelPayoffs() private view returns (int256[] memory) {
        int256[] memory scores = new int256[](COUNT);
        bool[] memory contributed = new bool[](COUNT);
        for (uint256 i; i < COUNT; ++i) {
            contributed[i] = ghosts[i].submitted;
            scores[i] = scoreOf(i, ghosts[i].contribution);
        }
        return PlainKernel.transfers(GAMMA_WAD, weights(COUNT), scores, contributed);
    }
}
