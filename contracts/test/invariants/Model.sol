// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IConsortium} from "../../src/interfaces/IConsortium.sol";
import {HostileMember} from "../mocks/Wallets.sol";
import {PlainKernel} from "../oracles/PlainKernel.sol";
import {ConsortiumFixture} from "../utils/ConsortiumFixture.sol";

/// @title What should be true of a consortium, from nothing but the calls that passed
/// @notice The model of the campaigns: balances, sets and the round. It predicts; `Attempts` calls and compares.
abstract contract Model is ConsortiumFixture {
    /// @dev Counters of what happened; the test asserts at the end of a run that it exercised what it should.
    struct Coverage {
        uint256 deposits;
        uint256 withdrawals;
        uint256 opened;
        uint256 submissions;
        uint256 relayed;
        uint256 recorded;
        uint256 voided;
        uint256 published;
        uint256 disputed;
        uint256[3] rulings;
        uint256 defaults;
        uint256 calculated;
        uint256 transferred;
        uint256 charged;
        uint256 appeals;
        uint256 bondless;
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

    uint256 internal constant COUNT = 5;
    uint256 internal constant STRANGER_KEY = 0xbad;

    /// @dev Three wei over, so that no number of receivers but three shares it without a remainder.
    uint128 internal constant DISPUTE_BOND = 0.05 ether + 3;

    uint256 public forced;
    uint256 public calls;

    /// @dev Calls from within a payment that the contract let pass; no view shows them afterwards.
    uint256 public passedAttacks;

    Coverage internal covered;
    Ghost[COUNT] internal ghosts;
    uint256 internal time = START;
    address internal stranger = vm.addr(STRANGER_KEY);
    HostileMember internal reentrant;
    HostileMember internal refusing;

    IConsortium.Phase internal phase;
    uint256 internal number;
    uint256 internal deadline;
    uint256 internal idleSince;
    uint256 internal disputant;
    bool internal published;

    /// @dev The round in which a ruling took an absent member's bond, and whose; it may hold less than its liability then.
    uint256 internal bondlessRound;
    uint256 internal bondless;

    bytes32 internal ledger;
    bytes32 internal roundHash;

    function setUp() public virtual override {
        vm.warp(START);
        charging = charges() && !vector;
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

    function agreed() internal view virtual override returns (IConsortium.Terms memory terms) {
        terms = super.agreed();
        (terms.maxRounds, terms.quorum, terms.minMembers) = (40, 6000, 3);
        (terms.disputeBond, terms.disputeDefault) = (DISPUTE_BOND, disputeDefault());
    }

    // What the campaigns differ in.

    /// @dev Whether absent members pay by their stand-ins, in pairwise mode.
    function charges() internal pure virtual returns (bool) {
        return true;
    }

    function disputeDefault() internal pure virtual returns (uint8) {
        return uint8(IConsortium.Ruling.Void);
    }

    /// @dev How long a recorded profile waits for what comes next.
    function recordedWindow() internal pure virtual returns (uint256) {
        return 2 days;
    }

    /// @dev Whether there are payoffs that can be disputed and settled.
    function payoffsAreKnown() internal view virtual returns (bool) {
        return true;
    }

    /// @dev Puts `amount` into the contract without a deposit.
    function force(uint256 amount) internal virtual {
        vm.deal(address(consortium), address(consortium).balance + amount);
    }

    function modelPayoffs() internal view virtual returns (int256[] memory) {
        int256[] memory scores = new int256[](COUNT);
        int256[] memory owing = new int256[](COUNT);
        bool[] memory contributed = new bool[](COUNT);
        bool[] memory silent = new bool[](COUNT);
        for (uint256 i; i < COUNT; ++i) {
            (contributed[i], silent[i]) = (ghosts[i].submitted, absent(i));
            (scores[i], owing[i]) = (scoreOf(i, ghosts[i].contribution), standIn(i));
        }
        int256[] memory payoffs = PlainKernel.transfers(GAMMA_WAD, weights(COUNT), scores, contributed);
        PlainKernel.charge(GAMMA_WAD, weights(COUNT), scores, contributed, silent, owing, payoffs);
        return payoffs;
    }

    /// @notice Whether the member takes part in the round without a contribution, and pays for that.
    function absent(uint256 index) public view returns (bool) {
        return charging && ghosts[index].participant && !ghosts[index].submitted;
    }

    /// @notice The balance according to the model.
    function balance(uint256 index) public view returns (uint256) {
        Ghost storage ghost = ghosts[index];
        return uint256(int256(ghost.deposited) - int256(ghost.withdrawn) + ghost.received);
    }

    /// @notice What the member must hold in a live round.
    function heldOf(uint256 index) public view returns (uint256) {
        if (phase == IConsortium.Phase.Idle || !ghosts[index].participant) return 0;
        if (bondlessRound == number && bondless == index && absent(index)) return owedBy(index);
        return lockedOf(index);
    }

    /// @dev What the member of a live round cannot withdraw: its liability, and what its dispute needs while it is open.
    function lockedOf(uint256 index) private view returns (uint256) {
        bool disputing = phase == IConsortium.Phase.Disputed && disputant == index;
        uint256 needs = disputing ? disputeNeeds(index) : 0;
        return needs > ghosts[index].liability ? needs : ghosts[index].liability;
    }

    /// @dev The bond, and what the round can still take: of an absent member that is fixed.
    function disputeNeeds(uint256 index) internal view returns (uint256) {
        return DISPUTE_BOND + (absent(index) ? owedBy(index) : ghosts[index].liability);
    }

    /// @dev What an absent member pays once the round is settled.
    function owedBy(uint256 index) private view returns (uint256) {
        return uint256(-modelPayoffs()[index]);
    }

    function withdrawable(uint256 index) internal view returns (uint256) {
        if (phase == IConsortium.Phase.Idle || !ghosts[index].participant) return balance(index);
        uint256 locked = lockedOf(index);
        return balance(index) > locked ? balance(index) - locked : 0;
    }

    function solvent(uint256 index) internal view returns (bool) {
        return ghosts[index].accepted && balance(index) >= ghosts[index].liability;
    }

    function contributors() internal view returns (uint256 bitmap) {
        for (uint256 i; i < COUNT; ++i) {
            if (ghosts[i].submitted) bitmap |= 1 << i;
        }
    }

    function counts() internal view returns (uint256 participants, uint256 submitted) {
        for (uint256 i; i < COUNT; ++i) {
            if (ghosts[i].participant) ++participants;
            if (ghosts[i].submitted) ++submitted;
        }
    }

    function noteVoid() internal {
        ++covered.voided;
        phase = IConsortium.Phase.Idle;
        idleSince = time;
    }

    /// @dev The disputant's bond in equal shares to the other contributors; what cannot be shared stays.
    function noteForfeit() internal {
        (, uint256 receivers) = counts();
        if (ghosts[disputant].submitted) --receivers;
        if (receivers == 0) return;
        uint256 share = DISPUTE_BOND / receivers;
        if (absent(disputant)) {
            (bondlessRound, bondless) = (number, disputant);
            if (balance(disputant) < ghosts[disputant].liability + share * receivers) ++covered.bondless;
        }
        for (uint256 i; i < COUNT; ++i) {
            if (i == disputant) ghosts[i].received -= int256(share * receivers);
            else if (ghosts[i].submitted) ghosts[i].received += int256(share);
        }
    }

    /// @dev I10: the round is where the model says.
    function expectRound() internal view {
        IConsortium.Round memory round = consortium.round();
        vm.assertEq(uint256(round.phase), uint256(phase), "I10: phase");
        vm.assertEq(round.number, number, "I10: number");
        vm.assertEq(round.deadline, deadline, "I10: deadline");
        vm.assertEq(round.idleSince, idleSince, "I10: idle since");
        vm.assertEq(round.roundHash, roundHash, "I10: round hash");
        vm.assertEq(round.disputant, phase == IConsortium.Phase.Disputed ? disputant : 0, "I10: disputant");
        vm.assertTrue(round.transfersSubmitted == published, "I10: transfers submitted");
        vm.assertEq(consortium.ledger(), ledger, "I10: ledger hash");
    }
}
