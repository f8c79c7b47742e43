// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {PairwiseKernelProofs} from "../proofs/PairwiseKernel.proofs.sol";
import {TestBase} from "../utils/Vm.sol";

/// @notice A proof whose assumption fails proves nothing: what `divides` and `keepsOrder` take for granted
/// holds for all inputs tried.
contract ProofAssumptionsTest is PairwiseKernelProofs, TestBase {
    function testFuzz_DivisionKeepsItsDefinition(
        uint32 incentive,
        uint16 weight,
        int32[2] calldata offsets,
        uint32[2] calldata reach,
        uint32[2] calldata given
    ) external pure {
        int256 x = offsets[0] + int256(bound(given[0], 0, reach[0]));
        int256 y = offsets[1] + int256(bound(given[1], 0, reach[1]));
        int256 ahead = int256(uint256(reach[1])) + offsets[1] - offsets[0];
        int256 behind = int256(uint256(reach[0])) + offsets[0] - offsets[1];
        vm.assertEq(divides(uint256(incentive) << 120, weight, x, y, ahead, behind), 1, "assumption");
    }

    function testFuzz_OrderIsKept(
        uint32 incentive,
        uint16 weight,
        int32 standIn,
        uint32 more,
        int32 other
    ) external pure {
        int256 own = int256(standIn) + int256(bound(more, 0, uint256(int256(type(int32).max) - standIn)));
        vm.assertEq(keepsOrder(uint256(incentive) << 120, weight, own, standIn, other), 1, "assumption");
    }
}
