// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC5267} from "@openzeppelin/contracts/interfaces/IERC5267.sol";

import {Errors} from "../../src/libraries/Errors.sol";
import {ConsortiumFixture} from "../utils/ConsortiumFixture.sol";

contract ViewsTest is ConsortiumFixture {
    function test_RevertWhen_ThereIsNoSuchMember() external {
        bytes memory reason = abi.encodeWithSelector(Errors.UnknownMember.selector, 4, 4);
        vm.expectRevert(reason);
        consortium.member(4);
        vm.expectRevert(reason);
        consortium.pairWeight(4, 0);
        vm.expectRevert(reason);
        consortium.pairWeight(0, 4);
        vm.expectRevert(reason);
        consortium.balanceOf(4);
        vm.expectRevert(reason);
        consortium.payoffOf(4);
        vm.expectRevert(reason);
        consortium.contributionOf(4);
        vm.expectRevert(reason);
        consortium.contributionDigest(4, 0, 0, 0, EVIDENCE);
    }

    function test_PairWeightsAreSymmetricWithAZeroDiagonal() external {
        members = accounts(40);
        consortium = deploy(records(members), triangle(40), agreed());
        for (uint256 i; i < 40; i += 3) {
            for (uint256 j; j < 40; ++j) {
                vm.assertEq(consortium.pairWeight(i, j), pairWeight(i, j), "pair weight");
                vm.assertEq(consortium.pairWeight(j, i), pairWeight(i, j), "transposed");
            }
        }
    }

    function test_TheSigningDomainIsPublic() external view {
        (bytes1 fields, string memory name, string memory version, uint256 chain, address verifier, , ) = IERC5267(
            address(consortium)
        ).eip712Domain();
        vm.assertEq(bytes32(fields), bytes32(hex"0f"), "fields");
        vm.assertEq(bytes(name), "CoCoGen", "name");
        vm.assertEq(bytes(version), "1", "version");
        vm.assertEq(chain, block.chainid, "chain");
        vm.assertEq(verifier, address(consortium), "verifying contract");
    }
}
