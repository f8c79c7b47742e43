// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IConsortium} from "../interfaces/IConsortium.sol";
import {Errors} from "./Errors.sol";
import {PairwiseKernel} from "./PairwiseKernel.sol";
import {StandIns} from "./StandIns.sol";
import {TermsBlob} from "./TermsBlob.sol";

/// @dev With 120 members the blob has 24,361 bytes; bytecode is limited to 24,576.
uint256 constant MAXIMUM_MEMBERS = 120;

/// @title What the constructor demands of the terms
/// @notice Terms that pass can always be settled: no later computation overflows, and no deadline leaves its type.
library TermsCheck {
    uint256 internal constant MINIMUM_MEMBERS = 2;

    uint256 internal constant MAXIMUM_WINDOW = 365 days;

    /// @dev All bonds and liabilities together stay below, so that a balance and a payoff share a slot.
    uint256 internal constant MONEY_LIMIT = 2 ** 127;

    uint8 internal constant PAIRWISE = 0;

    uint8 internal constant VECTOR = 1;

    uint256 private constant ALL_BASIS_POINTS = 10_000;

    /// @notice Checks the sizes of the packed terms and the order of the members.
    /// @param mode in vector mode the triangle is empty: no payoff depends on pairs
    /// @return count number of members
    function structure(bytes memory records, bytes memory triangle, uint8 mode) internal pure returns (uint256 count) {
        require(records.length % TermsBlob.AGREED_LENGTH == 0, Errors.RecordsLengthInvalid(records.length));
        count = records.length / TermsBlob.AGREED_LENGTH;
        require(
            count >= MINIMUM_MEMBERS && count <= MAXIMUM_MEMBERS,
            Errors.MemberCountOutOfRange(count, MINIMUM_MEMBERS, MAXIMUM_MEMBERS)
        );
        uint256 expected = mode == VECTOR ? 0 : ((count * (count - 1)) / 2) * TermsBlob.WEIGHT_LENGTH;
        require(triangle.length == expected, Errors.TriangleLengthInvalid(triangle.length, expected));
        address previous;
        for (uint256 i; i < count; ++i) {
            (address account, , , ) = TermsBlob.decodeLimits(agreedRecord(records, i));
            require(account > previous, Errors.MembersNotSorted(i));
            previous = account;
        }
    }

    /// @notice Checks the size of the packed stand-ins: none at all, or one for every member; none in vector mode.
    function standIns(bytes memory scores, uint256 count, uint8 mode) internal pure {
        uint256 expected = mode == VECTOR ? 0 : count * StandIns.LENGTH;
        require(scores.length == 0 || scores.length == expected, Errors.StandInsLengthInvalid(scores.length, expected));
    }

    /// @notice Checks the scalars up to the token, which each contract checks for itself.
    function beforeToken(IConsortium.Terms memory terms) internal pure {
        inRange("attester", uint160(terms.attester), 1, type(uint160).max);
        inRange("arbiter", uint160(terms.arbiter), 1, type(uint160).max);
    }

    /// @notice Checks the scalars after the token.
    function afterToken(IConsortium.Terms memory terms, uint256 count, uint8 mode) internal pure {
        uint256 minimumWindow = terms.test ? 1 seconds : 1 hours;
        inRange("submitWindow", terms.submitWindow, minimumWindow, MAXIMUM_WINDOW);
        inRange("disputeWindow", terms.disputeWindow, minimumWindow, MAXIMUM_WINDOW);
        inRange("arbiterWindow", terms.arbiterWindow, minimumWindow, MAXIMUM_WINDOW);
        inRange("minGap", terms.minGap, minimumWindow, MAXIMUM_WINDOW);
        inRange("quorum", terms.quorum, 1, ALL_BASIS_POINTS);
        inRange("minMembers", terms.minMembers, MINIMUM_MEMBERS, count);
        inRange("maxRounds", terms.maxRounds, 1, type(uint32).max);
        inRange("disputeDefault", terms.disputeDefault, 0, 1);
        inRange("mode", terms.mode, mode, mode);
        inRange("documentHash", uint256(terms.documentHash), 1, type(uint256).max);
    }

    /// @notice Every member's liability, wei: computed, or in vector mode as agreed. Checks that all settlements stay
    /// computable, and that every stand-in scores what its member can.
    function liabilities(
        bytes memory records,
        bytes memory triangle,
        bytes memory scores,
        IConsortium.Terms memory terms,
        uint256 count
    ) internal pure returns (uint256[] memory worst) {
        worst =
            terms.mode == VECTOR
                ? agreedDebits(records, terms, count)
                : worstDebits(records, triangle, scores, terms, count);
        uint256 total;
        for (uint256 i; i < count; ++i) {
            total += worst[i];
        }
        require(total < MONEY_LIMIT, Errors.ArithmeticBound("liabilities"));
    }

    /// @dev Vector mode: the largest debit stands in the offset's place, and there are no scores.
    function agreedDebits(
        bytes memory records,
        IConsortium.Terms memory terms,
        uint256 count
    ) private pure returns (uint256[] memory debits) {
        inRange("gammaWad", terms.gammaWad, 0, 0);
        debits = new uint256[](count);
        for (uint256 i; i < count; ++i) {
            (uint64 weight, int128 debit) = TermsBlob.decodeScore(agreedRecord(records, i));
            inRange("weight", weight, 0, 0);
            debits[i] = uint256(int256(debit));
            inRange("maxDebit", debits[i], 0, MONEY_LIMIT - 1);
        }
    }

    function worstDebits(
        bytes memory records,
        bytes memory triangle,
        bytes memory scores,
        IConsortium.Terms memory terms,
        uint256 count
    ) private pure returns (uint256[] memory worst) {
        int256[] memory largest = new int256[](count);
        int256[] memory offsets = new int256[](count);
        int256 highest = type(int256).min;
        int256 lowest = type(int256).max;
        for (uint256 i; i < count; ++i) {
            uint256 record = agreedRecord(records, i);
            (, uint64 data, uint64 generated, uint64 compute) = TermsBlob.decodeLimits(record);
            (uint64 weight, int128 offset) = TermsBlob.decodeScore(record);
            uint256 quantity = PairwiseKernel.quantity(
                data,
                generated,
                compute,
                terms.generatedWeightWad,
                terms.lambdaWad
            );
            require(PairwiseKernel.isScoreBounded(quantity, weight, offset), Errors.ArithmeticBound("score"));
            offsets[i] = offset;
            largest[i] = PairwiseKernel.score(quantity, weight, offset);
            if (largest[i] > highest) highest = largest[i];
            if (offset < lowest) lowest = offset;
        }
        require(
            PairwiseKernel.isSpreadBounded(terms.gammaWad, uint256(highest - lowest)),
            Errors.ArithmeticBound("spread")
        );
        if (scores.length != 0) reachable(scores, offsets, largest);
        worst = PairwiseKernel.liabilities(terms.gammaWad, contentOf(triangle), largest, offsets);
    }

    /// @dev With its stand-in's score a member pays no more than with nothing, which its liability covers, and the bound on
    /// the spread holds for it too.
    function reachable(bytes memory scores, int256[] memory offsets, int256[] memory largest) private pure {
        uint256 content = contentOf(scores);
        for (uint256 i; i < offsets.length; ++i) {
            int256 score = StandIns.decode(content, i);
            require(
                score >= offsets[i] && score <= largest[i],
                Errors.StandInOutOfRange(i, score, offsets[i], largest[i])
            );
        }
    }

    function inRange(bytes32 field, uint256 value, uint256 minimum, uint256 maximum) private pure {
        require(value >= minimum && value <= maximum, Errors.TermOutOfRange(field, value, minimum, maximum));
    }

    /// @dev Memory address of member `index`'s record in the packed records.
    function agreedRecord(bytes memory records, uint256 index) private pure returns (uint256) {
        return contentOf(records) + index * TermsBlob.AGREED_LENGTH;
    }

    /// @dev Memory address of the first byte of `data`.
    function contentOf(bytes memory data) private pure returns (uint256 content) {
        assembly ("memory-safe") {
            content := add(data, 0x20)
        }
    }
}
