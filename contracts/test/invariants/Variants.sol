// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IConsortium} from "../../src/interfaces/IConsortium.sol";
import {HookedToken, Token} from "../mocks/Tokens.sol";
import {Handler} from "./Handler.sol";

/// @title The same campaign where the attester signs the payoffs
contract VectorHandler is Handler {
    int256[] private transfers;
    bytes private lastTransfersSignature;

    function setUp() public override {
        vector = true;
        super.setUp();
    }

    function disputeDefault() internal pure override returns (uint8) {
        return uint8(IConsortium.Ruling.Settle);
    }

    /// @dev The attester has as long as for the contributions.
    function recordedWindow() internal pure override returns (uint256) {
        return 1 days;
    }

    function payoffsAreKnown() internal view override returns (bool) {
        return published;
    }

    function modelPayoffs() internal view override returns (int256[] memory) {
        return transfers;
    }

    /// @dev `twist` 1 to 10 forbids the transfers in its own way.
    function tryPublish(uint256 amounts, uint256 twist) internal override {
        int256[] memory given = twist == 1 ? new int256[](COUNT - 1) : draw(amounts);
        bool broken = twist > 1 && twist < 8 && spoil(given, amounts % COUNT, twist);
        bytes32 evidence = twist == 8 ? bytes32(0) : EVIDENCE;
        bytes32 digest = consortium.transfersDigest(keccak256(abi.encode(given)), evidence);
        bytes memory signed = twist == 9 ? lastTransfersSignature : signature(keyOf(twist), digest);
        bool allowed =
            phase == IConsortium.Phase.Recorded &&
                !published &&
                time <= deadline &&
                !broken &&
                twist != 1 &&
                !(twist > 7 && twist < 11);
        bytes memory data = abi.encodeCall(IConsortium.transfersSubmit, (given, evidence, signed));
        bool success = perform(stranger, data, 0);
        expectOutcome(success, allowed);
        if (!success) return;
        ++covered.published;
        lastTransfersSignature = signed;
        (published, transfers, deadline) = (true, given, time + 2 days);
    }

    /// @dev Every contributor pays up to its liability, all of which the last one gets.
    function draw(uint256 amounts) private view returns (int256[] memory drawn) {
        drawn = new int256[](COUNT);
        uint256 last = COUNT;
        for (uint256 i = COUNT; i > 0; --i) {
            uint256 index = i - 1;
            if (!ghosts[index].submitted) continue;
            if (last == COUNT) last = index;
            // All of it every fourth time.
            uint256 most = ghosts[index].liability;
            uint256 share = uint256(keccak256(abi.encode(amounts, i)));
            int256 paid = int256(share % 4 == 0 ? most : share % (most + 1));
            if (index == last) continue;
            drawn[index] = -paid;
            drawn[last] += paid;
        }
    }

    /// @dev Whether the transfers are wrong now.
    function spoil(int256[] memory given, uint256 index, uint256 twist) private view returns (bool) {
        uint256 other = (index + 1) % COUNT;
        int256 least = ghosts[index].submitted ? -int256(ghosts[index].liability) : int256(0);
        // A wei that comes from nowhere, or goes nowhere.
        if (twist == 2) given[index] += 1;
        if (twist == 3) given[index] -= 1;
        // More than the liability, or anything from who has not contributed, though balanced.
        if (twist == 4) {
            given[other] += given[index] - (least - 1);
            given[index] = least - 1;
        }
        // To who has not contributed.
        if (twist == 5) {
            if (ghosts[index].submitted) return false;
            given[index] += 1;
            given[other] -= 1;
        }
        // The ends of the type.
        if (twist == 6) given[index] = type(int256).min;
        if (twist == 7) (given[index], given[other]) = (type(int256).max, type(int256).min + 1);
        return true;
    }

    function keyOf(uint256 twist) private pure returns (uint256) {
        return twist == 10 ? STRANGER_KEY : ATTESTER_KEY;
    }
}

/// @title The same campaign where who is absent neither pays nor receives
contract MaskedHandler is Handler {
    function charges() internal pure override returns (bool) {
        return false;
    }
}

/// @title The same campaign on a token that tells receivers and senders, of whom one calls back and one refuses
contract TokenHandler is Handler {
    function setUp() public override {
        HookedToken hooked = new HookedToken();
        token = Token(address(hooked));
        super.setUp();
        hooked.register(address(reentrant), true, true);
        hooked.register(address(refusing), false, true);
    }

    function force(uint256 amount) internal override {
        token.mint(address(consortium), amount);
    }
}
