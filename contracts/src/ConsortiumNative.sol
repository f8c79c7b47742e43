// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ConsortiumState} from "./ConsortiumState.sol";
import {NativeAsset} from "./assets/NativeAsset.sol";
import {TermsCheck} from "./libraries/TermsCheck.sol";

/// @title A consortium that settles in ether what the contributions give
/// @notice The contributions of a round alone determine its payoffs.
contract ConsortiumNative is NativeAsset {
    constructor(
        bytes memory records,
        bytes memory triangle,
        bytes memory standIns,
        Terms memory agreed
    ) ConsortiumState(records, triangle, standIns, agreed) {}

    function _mode() internal pure override returns (uint8) {
        return TermsCheck.PAIRWISE;
    }
}
