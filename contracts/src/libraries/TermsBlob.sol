// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IConsortium} from "../interfaces/IConsortium.sol";

/// @title The members' records and pair weights, kept as the bytecode of a contract that cannot run
/// @notice Layout: a STOP byte; per member 84 bytes big-endian (account 20, data cap 8, generated cap 8, compute cap 8,
/// weight 8, offset 16, liability 16); then the upper triangle of 16-bit pair weights, row by row.
/// @dev One cold account access reads any part of it; the same bytes in storage cost 2,100 gas for every 32 of them.
library TermsBlob {
    /// @dev Bytes of a member's record as the parties agree on it: without the liability.
    uint256 internal constant AGREED_LENGTH = 68;

    /// @dev Bytes of a member's record in the blob.
    uint256 internal constant RECORD_LENGTH = 84;

    /// @dev Bytes of one pair weight.
    uint256 internal constant WEIGHT_LENGTH = 2;

    /// @dev Bytes of the code that returns the blob as the new contract's bytecode.
    uint256 private constant LOADER_LENGTH = 10;

    /// @notice Stores the agreed records, each followed by its liability, and the triangle.
    /// @dev Sizes are the caller's to check. Reverts without data if the blob cannot be created (gas ran out).
    function store(
        bytes memory records,
        uint256[] memory liabilities,
        bytes memory triangle
    ) internal returns (address pointer) {
        uint256 length = 1 + liabilities.length * RECORD_LENGTH + triangle.length;
        // One word more than needed: the copies below work in whole words and spill.
        bytes memory code = new bytes(LOADER_LENGTH + length + 0x20);
        assembly ("memory-safe") {
            // PUSH2 length, DUP1, PUSH1 10, PUSH0, CODECOPY, PUSH0, RETURN
            mstore(add(code, 0x20), shl(176, or(0x61000080600a5f395ff3, shl(56, length))))
            let to := add(code, add(0x21, LOADER_LENGTH))
            let from := add(records, 0x20)
            let liability := add(liabilities, 0x20)
            for {
                let end := add(to, mul(mload(liabilities), RECORD_LENGTH))
            } lt(to, end) {} {
                mstore(to, mload(from))
                mstore(add(to, 32), mload(add(from, 32)))
                mstore(add(to, 36), mload(add(from, 36)))
                mstore(add(to, 68), shl(128, mload(liability)))
                to := add(to, RECORD_LENGTH)
                from := add(from, AGREED_LENGTH)
                liability := add(liability, 0x20)
            }
            from := add(triangle, 0x20)
            for {
                let end := add(from, mload(triangle))
            } lt(from, end) {} {
                mstore(to, mload(from))
                to := add(to, 0x20)
                from := add(from, 0x20)
            }
            pointer := create(0, add(code, 0x20), add(LOADER_LENGTH, length))
            if iszero(pointer) {
                revert(0, 0)
            }
        }
    }

    /// @notice Decodes the record that starts at memory address `record`.
    function decode(uint256 record) internal pure returns (IConsortium.Member memory member) {
        (member.account, member.dataCap, member.generatedCap, member.computeCap) = decodeLimits(record);
        (member.weight, member.offset) = decodeScore(record);
        member.liability = decodeLiability(record);
    }

    /// @notice Who the member is and how much it may contribute.
    function decodeLimits(
        uint256 record
    ) internal pure returns (address account, uint64 dataCap, uint64 generatedCap, uint64 computeCap) {
        assembly ("memory-safe") {
            account := shr(96, mload(record))
            dataCap := shr(192, mload(add(record, 20)))
            generatedCap := shr(192, mload(add(record, 28)))
            computeCap := shr(192, mload(add(record, 36)))
        }
    }

    /// @notice The member's score weight (1e9 = 1) and offset (1e18 = 1).
    function decodeScore(uint256 record) internal pure returns (uint64 weight, int128 offset) {
        assembly ("memory-safe") {
            weight := shr(192, mload(add(record, 44)))
            offset := sar(128, mload(add(record, 52)))
        }
    }

    /// @notice The most that a round can take from the member, wei. Only in stored records.
    function decodeLiability(uint256 record) internal pure returns (uint128 liability) {
        assembly ("memory-safe") {
            liability := shr(128, mload(add(record, 68)))
        }
    }

    /// @notice Copies member `index`'s record to memory and returns its address.
    function load(address pointer, uint256 index) internal view returns (uint256 record) {
        assembly ("memory-safe") {
            record := mload(0x40)
            // 96 bytes: the decoders read whole words.
            mstore(0x40, add(record, 0x80))
            extcodecopy(pointer, record, add(1, mul(index, RECORD_LENGTH)), RECORD_LENGTH)
        }
    }

    /// @notice Copies the whole blob to memory and returns the addresses of its first record and first pair weight.
    function loadAll(address pointer, uint256 count) internal view returns (uint256 records, uint256 triangle) {
        assembly ("memory-safe") {
            records := mload(0x40)
            let length := sub(extcodesize(pointer), 1)
            // The decoders and the kernel read whole words, past the end of the blob.
            mstore(0x40, and(add(add(records, length), 0x3f), not(0x1f)))
            extcodecopy(pointer, records, 1, length)
            triangle := add(records, mul(count, RECORD_LENGTH))
        }
    }

    /// @notice The weight of the pair `i` < `j`.
    function loadPairWeight(
        address pointer,
        uint256 count,
        uint256 i,
        uint256 j
    ) internal view returns (uint16 weight) {
        uint256 position = i * count - (i * (i + 1)) / 2 + (j - i - 1);
        uint256 start = 1 + count * RECORD_LENGTH + position * WEIGHT_LENGTH;
        assembly ("memory-safe") {
            mstore(0, 0)
            extcodecopy(pointer, 30, start, WEIGHT_LENGTH)
            weight := mload(0)
        }
    }
}
