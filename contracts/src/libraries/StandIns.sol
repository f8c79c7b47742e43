// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title The scores that stand in for absent members, kept as the bytecode of a contract that cannot run
/// @notice Layout: a STOP byte; per member its score, 16 bytes big-endian (two's complement, 1e18 = 1).
/// @dev A blob of their own: the terms blob is full with 120 members, and only a round with an absent member reads it.
library StandIns {
    /// @dev Bytes of one score.
    uint256 internal constant LENGTH = 16;

    /// @notice Stores the packed scores.
    /// @dev Sizes are the caller's to check. Reverts without data if the blob cannot be created (gas ran out).
    function store(bytes memory standIns) internal returns (address pointer) {
        // PUSH2 length, DUP1, PUSH1 10, PUSH0, CODECOPY, PUSH0, RETURN; then the code that is returned
        bytes memory code = abi.encodePacked(
            hex"61",
            uint16(1 + standIns.length),
            hex"80600a5f395ff3",
            hex"00",
            standIns
        );
        assembly ("memory-safe") {
            pointer := create(0, add(code, 0x20), mload(code))
            if iszero(pointer) {
                revert(0, 0)
            }
        }
    }

    /// @notice Copies all scores to memory and returns the address of the first.
    function loadAll(address pointer) internal view returns (uint256 content) {
        assembly ("memory-safe") {
            content := mload(0x40)
            let length := sub(extcodesize(pointer), 1)
            // The decoder reads whole words, past the end of the blob.
            mstore(0x40, and(add(add(content, length), 0x3f), not(0x1f)))
            extcodecopy(pointer, content, 1, length)
        }
    }

    /// @notice The score of member `index`; `content` is the memory address of the first.
    function decode(uint256 content, uint256 index) internal pure returns (int128 score) {
        assembly ("memory-safe") {
            score := sar(128, mload(add(content, mul(index, LENGTH))))
        }
    }
}
