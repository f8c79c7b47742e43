// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ConsortiumState} from "./ConsortiumState.sol";
import {TokenAsset} from "./assets/TokenAsset.sol";
import {TermsCheck} from "./libraries/TermsCheck.sol";

/// @title A consortium that settles in a token what the attester signs
/// @notice The attester signs the payoffs of a round; nobody is debited more than it agreed to.
contract VectorConsortiumERC20 is TokenAsset {
    constructor(
        bytes memory records,
        bytes memory triangle,
        bytes memory standIns,
        Terms memory agreed
    ) ConsortiumState(records, triangle, standIns, agreed) {}

    function _mode() internal pure override returns (uint8) {
        return TermsCheck.VECTOR;
    }
}
