// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title Sets of members as bitmaps: bit i stands for member i, i < 120
library Bitmap {
    function has(uint120 bitmap, uint256 index) internal pure returns (bool) {
        return (bitmap >> index) & 1 != 0;
    }

    function with(uint120 bitmap, uint256 index) internal pure returns (uint120) {
        return uint120(bitmap | (1 << index));
    }

    function without(uint120 bitmap, uint256 index) internal pure returns (uint120) {
        return uint120(bitmap & ~(1 << index));
    }

    function set(uint120 bitmap, uint256 index, bool value) internal pure returns (uint120) {
        return value ? with(bitmap, index) : without(bitmap, index);
    }

    /// @notice Number of members in the set.
    function count(uint120 bitmap) internal pure returns (uint256 members) {
        uint256 rest = bitmap;
        unchecked {
            // Each step adds neighbouring counters of 1, 2, 4, 8 bits; the product then sums the bytes into the top one.
            rest = rest - ((rest >> 1) & 0x555555555555555555555555555555);
            rest = (rest & 0x333333333333333333333333333333) + ((rest >> 2) & 0x333333333333333333333333333333);
            rest = (rest + (rest >> 4)) & 0x0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f;
            return ((rest * 0x010101010101010101010101010101) >> 112) & 0xff;
        }
    }
}
