// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Bitmap} from "../../src/libraries/Bitmap.sol";
import {TestBase} from "../utils/Vm.sol";

contract BitmapTest is TestBase {
    using Bitmap for uint120;

    function testFuzz_CountIsTheNumberOfBits(uint120 bitmap) external pure {
        uint256 expected;
        for (uint256 i; i < 120; ++i) {
            if (bitmap.has(i)) ++expected;
        }
        vm.assertEq(bitmap.count(), expected, "count");
    }

    function test_CountAtTheEnds() external pure {
        vm.assertEq(Bitmap.count(0), 0, "none");
        vm.assertEq(Bitmap.count(type(uint120).max), 120, "all");
        vm.assertEq(Bitmap.count(uint120(1) << 119), 1, "the last");
    }

    function testFuzz_WithAndWithoutChangeOneBit(uint120 bitmap, uint256 seed) external pure {
        uint256 index = bound(seed, 0, 119);
        uint120 with = bitmap.with(index);
        uint120 without = bitmap.without(index);
        vm.assertTrue(with.has(index), "with");
        vm.assertTrue(!without.has(index), "without");
        vm.assertEq(with ^ without, uint256(1) << index, "only that bit");
        vm.assertEq(bitmap.set(index, true), with, "set");
        vm.assertEq(bitmap.set(index, false), without, "cleared");
    }
}
